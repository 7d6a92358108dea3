package filebackup

import (
	"context"
	"errors"
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

	w.write(t, "bot.yaml", "leverage: 300\n")
	again, err := r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err)
	require.Equal(t, evidence, again)
	require.Equal(t, "leverage: 300\n", content(t, w), "what was written since is not swept away")
	_, err = r.Restore(t.Context(), "another", "Ada", "a breach", "")
	require.NoError(t, err)
	require.NotEqual(t, "leverage: 300\n", content(t, w))

	_, err = r.Restore(t.Context(), "x", "Ada", "a breach", "backup_19990101_000000")
	require.Error(t, err)
	_, err = (&Rescue{Store: w.store}).Restore(t.Context(), "x", "Ada", "a breach", "")
	require.ErrorContains(t, err, "Dir is empty")
}

// A process that was killed before it noted the end has left the plan as it was kept: the
// same call does not replace anything a second time.
func TestLaw9_AKeyThatWasCutOffIsNotRestoredTwice(t *testing.T) {
	dir, before := filepath.Join(t.TempDir(), "plans"), filepath.Join(t.TempDir(), "before")
	w := damagedWorld(t, func(c *Config) {
		c.Idle = func(context.Context, string) error {
			if _, err := os.Stat(before); err == nil {
				return nil
			}
			return os.CopyFS(before, os.DirFS(dir)) // the plan is kept before it is applied
		}
	})
	r := &Rescue{Store: w.store, Dir: dir}
	text, err := r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err)
	kept := ls(t, w.dir)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Rename(before, dir))
	done, _, err := r.Done(t.Context(), "run/restore")
	require.NoError(t, err)
	require.False(t, done)
	again, err := r.Restore(t.Context(), "run/restore", "Ada", "a breach", "")
	require.NoError(t, err)
	require.Equal(t, text, again)
	require.Equal(t, kept, ls(t, w.dir), "nothing was replaced a second time")
}

// A plan that was kept, not applied, and overtaken is dropped; the next one is made anew.
func TestLaw9_AKeyDropsAPlanWhoseFactsHaveMoved(t *testing.T) {
	busy := errors.New("somebody writes")
	w := damagedWorld(t, func(c *Config) { c.Idle = func(context.Context, string) error { return busy } })
	r := &Rescue{Store: w.store, Dir: filepath.Join(t.TempDir(), "plans")}
	_, err := r.Restore(t.Context(), "k", "Ada", "a breach", "")
	require.ErrorIs(t, err, busy)
	w.write(t, "bot.yaml", "leverage: 300\n")
	busy = nil
	_, err = r.Restore(t.Context(), "k", "Ada", "a breach", "")
	require.ErrorIs(t, err, ErrMoved)
	_, err = r.Restore(t.Context(), "k", "Ada", "a breach", "")
	require.NoError(t, err)
	_, err = r.Verify(t.Context(), "")
	require.NoError(t, err)
}

func content(t *testing.T, w world) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.source, "bot.yaml"))
	require.NoError(t, err)
	return string(text)
}
