package frame_test

import (
	"testing"

	"github.com/andon-go/andon/internal/frame"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type record struct {
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"`
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := record{rapid.String().Draw(rt, "name"), rapid.Int().Draw(rt, "count")}
		data, err := frame.Encode("thing", want)
		require.NoError(rt, err)
		bit := rapid.IntRange(0, len(data)*8-1).Draw(rt, "bit")
		data[bit/8] ^= 1 << (bit % 8)
		require.Error(rt, frame.Decode("thing", data, new(record)))
	})
}

func TestWhatWasWrittenComesBackAndNothingElse(t *testing.T) {
	data, err := frame.Encode("thing", record{"a", 1})
	require.NoError(t, err)
	var got record
	require.NoError(t, frame.Decode("thing", data, &got))
	require.Equal(t, record{"a", 1}, got)
	for name, c := range map[string]struct {
		data string
		says string
	}{
		"cut in the first line": {"andon-thing 1", "cut off in its first line"},
		"another kind":          {"andon-other 1 sha256:x\n{}", "not that of a thing"},
		"a newer format":        {"andon-thing 2 sha256:x\n{}", "its format is 2"},
		"cut in the body":       {string(data[:len(data)-1]), "SHA-256 differs"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, frame.Decode("thing", []byte(c.data), new(record)), c.says)
		})
	}
}
