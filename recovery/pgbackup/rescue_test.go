package pgbackup_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery/pgbackup"
)

// A rescue is done once for a key: what was written since is not undone by asking again.
func TestLaw9_ARescueIsDoneOnceForAKey(t *testing.T) {
	w := newWorld(t, botTables)
	was := contents(t, w.pool)
	b := w.good(t, noon)
	execSQL(t, w.pool, ruin)
	r := &pgbackup.Rescue{Store: w.store, Dir: filepath.Join(t.TempDir(), "plans")}
	ruined := contents(t, w.pool)
	_, err := r.Preview(t.Context(), b.Name)
	require.NoError(t, err)
	require.Equal(t, ruined, contents(t, w.pool), "a preview changes nothing")
	_, err = r.Verify(t.Context(), b.Name)
	require.Error(t, err, "it is not as it was backed up")
	done, _, err := r.Done(t.Context(), "key")
	require.NoError(t, err)
	require.False(t, done)

	said, err := r.Restore(t.Context(), "key", "alice", "a test", b.Name)
	require.NoError(t, err)
	require.Contains(t, said, b.Name)
	require.Equal(t, was, contents(t, w.pool))
	_, err = r.Verify(t.Context(), b.Name)
	require.NoError(t, err)
	done, again, err := r.Done(t.Context(), "key")
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, said, again)

	execSQL(t, w.pool, `INSERT INTO accounts (name) VALUES ('written since')`)
	since := contents(t, w.pool)
	_, err = r.Restore(t.Context(), "key", "alice", "a test", b.Name)
	require.NoError(t, err)
	require.Equal(t, since, contents(t, w.pool))
}

// A plan that was kept, not applied, and overtaken is dropped; the next one is made anew.
func TestLaw9_ARescueDropsAPlanWhoseFactsHaveMoved(t *testing.T) {
	busy := errors.New("somebody writes")
	w := newWorld(t, botTables, func(c *pgbackup.Config) {
		c.Idle = func(context.Context) error { return busy }
	})
	was := contents(t, w.pool)
	b := w.good(t, noon)
	execSQL(t, w.pool, ruin)
	r := &pgbackup.Rescue{Store: w.store, Dir: filepath.Join(t.TempDir(), "plans")}
	_, err := r.Restore(t.Context(), "key", "alice", "a test", b.Name)
	require.ErrorIs(t, err, busy)
	execSQL(t, w.pool, `INSERT INTO accounts (name) VALUES ('overtakes it')`)
	busy = nil
	_, err = r.Restore(t.Context(), "key", "alice", "a test", b.Name)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
	_, err = r.Restore(t.Context(), "key", "alice", "a test", b.Name)
	require.NoError(t, err)
	require.Equal(t, was, contents(t, w.pool))
}
