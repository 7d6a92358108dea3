package journal_test

import (
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
)

// A call that is answered takes up what an earlier one has left, and nothing of what that
// one was told.
func TestAnAppendIsToldItsOwnOutcome(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"))
	for n := range uint64(50) {
		_, err := j.Append(t.Context(), n+7, example(0))
		require.ErrorIs(t, err, incident.ErrConflict)
		stored, err := j.Append(t.Context(), n, example(1))
		require.NoError(t, err)
		require.Equal(t, n+1, stored[0].Seq)
	}
}
