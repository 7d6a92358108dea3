package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// A log is pruned up to the oldest verified backup: that one is still brought forward from
// what is left, the stream goes on, and the process may be killed at any step.
func TestLaw8_APrunedLogStillBringsTheOldestBackupForward(t *testing.T) {
	var w world
	var conn, original string
	setup := func() {
		w = newWorld(t, "CREATE SEQUENCE below MINVALUE -9000 START -9000; CREATE TABLE t (id int PRIMARY KEY, n bigserial, b bigint DEFAULT nextval('below'), v text)")
		dropSlot(t, w)
		original, conn = filepath.Join(t.TempDir(), "log"), w.conn
		s := stream(t, conn, original, func(c *pgbackup.StreamConfig) { c.SegmentBytes = 4096 })
		s.connected(t)
		write := func(from int) {
			for i := range 60 {
				execSQL(t, w.pool, fmt.Sprintf("INSERT INTO t (id, v) VALUES (%d, repeat('x', 100))", from+i))
				if i%20 == 19 {
					s.caughtUp(t, w)
				}
			}
		}
		execSQL(t, w.pool, "SELECT setval('t_n_seq', 5000), setval('below', -50)")
		write(0)
		s.stop(t) // which looks at the sequences once more, before they are set back
		s = stream(t, conn, original, func(c *pgbackup.StreamConfig) { c.SegmentBytes = 4096 })
		s.connected(t)
		execSQL(t, w.pool, "SELECT setval('t_n_seq', 1), setval('below', -8000)")
		write(500) // so that the segments which saw the values drawn lie before the backup
		_, err := w.store.PruneLog(t.Context(), original)
		require.ErrorIs(t, err, recovery.ErrNoBackup)
		w.good(t, noon)
		write(1000)
		w.good(t, noon.Add(time.Minute))
		write(2000)
		s.stop(t)
	}
	crashtest.Run(t, crashtest.Config{MaxSteps: steps(12), Timeout: 2 * time.Minute, Setup: func(dir string) error { // runs in the test's process only
		if conn == "" {
			setup()
		}
		return errors.Join(os.WriteFile(filepath.Join(dir, "conn"), []byte(conn), 0o600), os.CopyFS(filepath.Join(dir, "log"), os.DirFS(original)),
			os.CopyFS(filepath.Join(dir, "backups"), os.DirFS(w.dir)))
	}}, func(dir string) error {
		store, err := storeOf(dir)
		if err != nil {
			return err
		}
		_, err = store.PruneLog(context.Background(), filepath.Join(dir, "log"))
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		log := filepath.Join(dir, "log")
		require.GreaterOrEqual(t, len(logged(t, log)), 120, "what came after the oldest backup is there")
		store, err := storeOf(dir)
		require.NoError(t, err)
		_, err = store.PruneLog(t.Context(), log)
		require.NoError(t, err)
		p, err := store.PruneLog(t.Context(), log)
		require.NoError(t, err)
		require.Zero(t, p, "twice is once")
		left := logged(t, log)
		require.GreaterOrEqual(t, len(left), 120)
		require.Less(t, len(left), 180)
	})
	if conn == "" { // a child
		return
	}
	p, err := w.store.PruneLog(t.Context(), original)
	require.NoError(t, err)
	require.Positive(t, p.Segments)
	entries, err := filepath.Glob(filepath.Join(original, "*.base"))
	require.NoError(t, err)
	require.Len(t, entries, 1)

	s := stream(t, conn, original, func(c *pgbackup.StreamConfig) { c.SegmentBytes = 4096 })
	s.connected(t)
	execSQL(t, w.pool, "UPDATE t SET v = 'after' WHERE id = 7")
	s.caughtUp(t, w)
	s.stop(t)
	require.Equal(t, "[]", s.alarm())
	backups, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	oldest := backups[len(backups)-1].Name
	other := newDatabase(t, "")
	restore(t, w.open(t, other), pgbackup.Request{Backup: oldest, Log: original})
	pool := connect(t, other)
	require.Equal(t, contents(t, w.pool), contents(t, pool))
	require.Equal(t, "true", value(t, pool, "SELECT nextval('t_n_seq') > 5000 AND nextval('below') > -50"), "what the pruned segments saw drawn")

	// A flipped bit of the base is found and named.
	info, err := os.Stat(entries[0])
	require.NoError(t, err)
	for bit := 0; bit < int(info.Size())*8; bit += 37 {
		require.NoError(t, flip(entries[0], bit))
		_, err := pgbackup.ReadLog(t.Context(), original, func(pgbackup.Transaction) error { return nil })
		damage, ok := errors.AsType[*recovery.DamagedError](err)
		require.True(t, ok, "bit %d: %v", bit, err)
		require.True(t, strings.HasSuffix(damage.File, ".base"))
		require.NoError(t, flip(entries[0], bit))
	}
	require.NotEmpty(t, logged(t, original))
}
