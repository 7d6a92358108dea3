package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/stretchr/testify/require"
)

// A bit flips in the very last byte: the newline of a record that was acknowledged. That
// is no line that was cut short, and the record is not dropped as one.
func TestLaw10_AnAlteredLastNewlineIsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(path)
	require.NoError(t, err)
	_, err = j.Append(t.Context(), 0, incidenttest.Event(1), incidenttest.Event(2))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for bit := range 8 {
		altered := append([]byte(nil), whole...)
		altered[len(altered)-1] ^= 1 << bit
		require.NoError(t, os.WriteFile(path, altered, 0o600))
		_, err := journal.Open(path)
		require.ErrorIs(t, err, journal.ErrDamaged, "bit %d", bit)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, altered, after, "not one byte is changed")
	}
}
