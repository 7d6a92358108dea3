package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/stretchr/testify/require"
)

// Whatever the file holds: it is a journal, whose records stay as they are, or it
// is damaged and stays as it is.
func FuzzOpen(f *testing.F) {
	whole, _ := written(f, f.TempDir(), 3)
	f.Add([]byte{})
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:len(whole)/2])
	f.Add(append(bytes.Clone(whole), 0, 0, 0))
	f.Add([]byte("{\"seq\":1,\"at\":\"2026"))
	f.Add([]byte("hello\nworld"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		report, verr := journal.Verify(path)
		j, err := journal.Open(path)
		if errors.Is(verr, journal.ErrDamaged) {
			require.ErrorIs(t, err, journal.ErrDamaged)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, after))
			return
		}
		require.NoError(t, verr)
		require.NoError(t, err, "what Verify accepts Open accepts")
		defer j.Close()
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(after, content[:len(content)-report.Torn]), "records stay as they are")
		for _, err := range j.Read(ctx, 0) {
			if err != nil { // sealed rightly, and yet no event
				require.ErrorIs(t, err, journal.ErrDamaged)
				require.ErrorContains(t, err, incident.ErrLine.Error())
				break
			}
		}
	})
}
