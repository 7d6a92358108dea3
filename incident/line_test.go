package incident_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// events draws events with any text in them.
func events() *rapid.Generator[incident.Event] {
	return rapid.Custom(func(t *rapid.T) incident.Event {
		text := func(name string) string { return "x" + rapid.String().Draw(t, name) }
		return incident.Event{
			At:       time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Incident: rapid.SampledFrom([]string{"", "INC-20260314-001"}).Draw(t, "incident"),
			Kind:     incident.Noted, By: text("by"), What: text("what"), Why: text("why"),
			Data: incident.Data{
				Component: rapid.String().Draw(t, "component"), Level: severity.Level(rapid.IntRange(0, 4).Draw(t, "level")),
				Flight: rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "flight"),
			},
		}
	})
}

func seal(t require.TestingT, e incident.Event, seq uint64, prev incident.Hash) ([]byte, incident.Hash) {
	body, err := e.Encode()
	require.NoError(t, err)
	return body.Seal(nil, seq, prev)
}

func TestALineComesBackAsTheEventItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		seq := rapid.Uint64Range(1, 1<<62).Draw(t, "seq")
		prev := incident.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev"))
		line, hash := seal(t, e, seq, prev)
		require.NotContains(t, string(line), "\n")
		back, err := incident.ParseLine(line)
		require.NoError(t, err)
		e.Seq, e.Prev, e.Hash = seq, prev, hash
		require.Equal(t, e, back)
		link, err := incident.ParseLink(line)
		require.NoError(t, err)
		require.Equal(t, incident.Link{Seq: seq, Prev: prev, Hash: hash}, link)
	})
}

func TestLaw10_AnyChangedByteOfALineIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line, _ := seal(t, events().Draw(t, "event"), 7, incident.Hash{1})
		at := rapid.IntRange(0, len(line)-1).Draw(t, "at")
		bad := bytes.Clone(line)
		bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "xor"))
		_, err := incident.ParseLine(bad)
		require.ErrorIs(t, err, incident.ErrLine)
		_, err = incident.ParseLine(line[:at])
		require.ErrorIs(t, err, incident.ErrLine)
	})
}

func TestLinesThatAreNone(t *testing.T) {
	whole, _ := seal(t, incidenttest.Event(1), 1, incident.Hash{})
	for name, line := range map[string][]byte{
		"empty":           nil,
		"JSON":            []byte(`{"seq":1}`),
		"seq 0":           bytes.Replace(whole, []byte(`"seq":1`), []byte(`"seq":0`), 1),
		"seq 01":          bytes.Replace(whole, []byte(`"seq":1`), []byte(`"seq":01`), 1),
		"seq -1":          bytes.Replace(whole, []byte(`"seq":1`), []byte(`"seq":-1`), 1),
		"a huge seq":      bytes.Replace(whole, []byte(`"seq":1`), []byte(`"seq":99999999999999999999`), 1),
		"upper-case hash": append(bytes.Clone(whole[:len(whole)-66]), bytes.ToUpper(whole[len(whole)-66:])...),
		"more behind it":  append(bytes.Clone(whole), ' '),
	} {
		_, err := incident.ParseLine(line)
		require.ErrorIs(t, err, incident.ErrLine, name)
	}
}

// A line whose hash is right may still hold no event.
func TestASealedLineMustHoldAnEvent(t *testing.T) {
	for name, body := range map[string]string{
		"no why":     `"at":"2026-03-14T12:00:00Z","kind":"note","by":"Ada","what":"x","why":""`,
		"no JSON":    `"at":`,
		"a bad time": `"at":"noon","kind":"note","by":"Ada","what":"x","why":"y"`,
		"seq twice":  `"seq":9,"at":"2026-03-14T12:00:00Z","kind":"note","by":"Ada","what":"x","why":"y"`,
		"bad level":  `"at":"2026-03-14T12:00:00Z","kind":"note","by":"Ada","what":"x","why":"y","data":{"level":"SEV-9"}`,
	} {
		line, _ := incident.Body(body).Seal(nil, 1, incident.Hash{})
		_, err := incident.ParseLine(line)
		require.ErrorIs(t, err, incident.ErrLine, name)
	}
	line, _ := incident.Body(`"at":"2026-03-14T12:00:00Z","kind":"from-the-future","by":"Ada","what":"x","why":"y","data":{"new":1}`).Seal(nil, 1, incident.Hash{})
	e, err := incident.ParseLine(line)
	require.NoError(t, err, "what a later version wrote can be read")
	require.EqualValues(t, "from-the-future", e.Kind)
}

func FuzzParseLine(f *testing.F) {
	for i := range 3 {
		line, _ := seal(f, incidenttest.Event(i), uint64(i+1), incident.Hash{byte(i)})
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		link, linkErr := incident.ParseLink(line)
		e, err := incident.ParseLine(line)
		if err != nil {
			require.ErrorIs(t, err, incident.ErrLine)
			return
		}
		require.NoError(t, linkErr, "what is an event has a link")
		require.Equal(t, link, incident.Link{Seq: e.Seq, Prev: e.Prev, Hash: e.Hash})
		again, _ := seal(t, e, e.Seq, e.Prev)
		back, err := incident.ParseLine(again)
		require.NoError(t, err, "what was read can be written")
		e.Hash = back.Hash // a line written by hand may be spelt otherwise
		require.Equal(t, fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", back))
	})
}
