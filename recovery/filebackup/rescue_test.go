package filebackup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLaw9_AKeyRestoresOnce(t *testing.T) {
	w := damagedWorld(t)
	dir := filepath.Join(t.TempDir(), "plans")
	r := &Rescue{Store: w.store, Dir: dir}
	before := look(t, w.source)
	text, err := r.Preview(t.Context(), "")
	require.NoError(t, err)
	require.Contains(t, text, "bot.yaml: changed: content")
	require.Equal(t, before, look(t, w.source), "a preview changes nothing")
	_, err = r.Verify(t.Context(), "")
	require.ErrorContains(t, err, "is not as in backup_20260304_150405")
	done, _, err := r.Done(t.Context(), "run/restore")
	require.NoError(t, err)
	require.False(t, done)

	text, err = r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err)
	require.Contains(t, text, "5 files of backup_20260304_150405")
	done, evidence, err := r.Done(t.Context(), "run/restore")
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, text, evidence)
	text, err = r.Verify(t.Context(), "")
	require.NoError(t, err)
	require.Contains(t, text, "is as in backup_20260304_150405")

	// A process that was killed before it noted the end does not do it again.
	kept := ls(t, w.dir)
	notes, err := filepath.Glob(filepath.Join(dir, "*.done.json"))
	require.NoError(t, err)
	require.Len(t, notes, 1)
	require.NoError(t, os.Remove(notes[0]))
	_, err = r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err)
	require.Equal(t, kept, ls(t, w.dir), "nothing was replaced a second time")

	w.write(t, "bot.yaml", "leverage: 300\n")
	_, err = r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.ErrorIs(t, err, ErrMoved, "what was written since is not swept away by an old plan")
	_, err = r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err, "a new plan is made")
	_, err = r.Restore(t.Context(), "x", "Ada", "a breach", "backup_19990101_000000")
	require.Error(t, err)
	_, err = (&Rescue{Store: w.store}).Restore(t.Context(), "x", "Ada", "a breach", "")
	require.ErrorContains(t, err, "Dir is empty")
}
