package journal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/stretchr/testify/require"
)

// FuzzScan is FuzzOpen without a disk, and so a thousand times as fast.
func FuzzScan(f *testing.F) {
	var whole []byte
	var prev incident.Hash
	for i := range 3 {
		body, err := incidenttest.Event(i).Encode()
		require.NoError(f, err)
		whole, prev = sealed(whole, body, uint64(i+1), prev)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), `{"seq":4,"at"`...))
	f.Add(append(bytes.Clone(whole), 0, 0))
	f.Add([]byte("hello\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		x := scan(bytes.NewReader(content), 1, nil)
		if x.err != nil {
			_, ok := errors.AsType[*DamagedError](x.err)
			require.True(t, ok, "%v", x.err)
		} else {
			require.EqualValues(t, len(content), x.size+int64(len(x.torn)), "every byte is a record's or torn")
		}
		again := scan(bytes.NewReader(content[:x.size]), 1, nil)
		require.NoError(t, again.err, "what lies before the damage is whole")
		require.Equal(t, x.tip, again.tip)
	})
}

func sealed(dst []byte, body incident.Body, seq uint64, prev incident.Hash) ([]byte, incident.Hash) {
	line, own := body.Seal(nil, seq, prev)
	return append(append(dst, line...), '\n'), own
}
