package pgbackup_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// PostgreSQL is stopped at once before a message of a restore, or after one was sent, and
// comes back: at some of them, and at each of the last, where the tables are swapped.
func TestLaw9_AServerThatStopsAtAnyMessageOfARestore(t *testing.T) {
	cluster := pgtest.Start(t, "max_connections=30")
	conn := cluster.ConnString()
	attempt := func(n int, sent bool) (messages int) {
		dir := t.TempDir()
		require.NoError(t, prepare(t, dir, conn))
		at := func() error {
			if messages++; messages == n {
				cluster.Restart()
			}
			return nil
		}
		m := &messenger{step: at}
		if sent {
			m.step, m.after = nil, at
		}
		store, err := storeOf(dir, m.through)
		require.NoError(t, err)
		p, err := planOf(dir)
		require.NoError(t, err)
		_, err = store.Restore(t.Context(), p, "alice", "why", noon)
		name := fmt.Sprintf("message %d, sent %v: %v", n, sent, err)
		pool := connect(t, conn)
		defer pool.Close()
		now := value(t, pool, pairState)
		switch {
		case err == nil:
			require.Equal(t, restored, now, name)
		case errors.Is(err, pgbackup.ErrOutcomeUnknown):
			require.Contains(t, []string{ruined, restored}, now, name)
		default:
			require.Equal(t, ruined, now, name)
		}
		finish(t, dir, pool)
		return messages
	}
	all := attempt(0, false)
	require.Greater(t, all, 20)
	few := steps(6)
	for n := 1; n <= all; n++ {
		if n%max(1, all/few) == 0 || n > all-5 {
			attempt(n, n%2 == 0)
		}
	}
	attempt(all-1, true)
	attempt(all, true)
}

// The database's disk is full at different places of a restore: the live tables stay as
// they are, nothing half built is left, and with room again it finishes.
func TestLaw9_ADatabaseWhoseDiskIsFullKeepsItsTables(t *testing.T) {
	disk := smallDisk(t, 1<<20)
	cluster := pgtest.Start(t)
	conn := cluster.ConnString()
	small := filepath.Join(disk, "space")
	require.NoError(t, os.Mkdir(small, 0o700))
	parsed, err := pgx.ParseConfig(conn)
	require.NoError(t, err)
	socket, err := os.Stat(filepath.Join(parsed.Host, fmt.Sprintf(".s.PGSQL.%d", parsed.Port)))
	require.NoError(t, err)
	owner := socket.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(small, int(owner.Uid), int(owner.Gid)))
	for dir := disk; dir != "/"; dir = filepath.Dir(dir) { // t.TempDir is the test's alone
		require.NoError(t, openTo(dir))
	}
	once(t, conn, "CREATE TABLESPACE small LOCATION '"+small+"'")
	full := 0
	for ballast := 1000 << 10; ; ballast -= 24 << 10 {
		require.Positive(t, ballast)
		dir := t.TempDir()
		require.NoError(t, prepare(t, dir, conn))
		fill := filepath.Join(disk, "ballast")
		require.NoError(t, os.WriteFile(fill, make([]byte, ballast), 0o600))
		store, err := storeOf(dir, func(c *pgbackup.Config) { c.Conn.RuntimeParams["default_tablespace"] = "small" })
		require.NoError(t, err)
		p, err := planOf(dir)
		require.NoError(t, err)
		_, err = store.Restore(t.Context(), p, "alice", "why", noon)
		require.NoError(t, os.Remove(fill))
		pool := connect(t, conn)
		if err == nil {
			require.Equal(t, restored, value(t, pool, pairState))
			require.Greater(t, full, 1)
			return
		}
		require.ErrorContains(t, err, "No space left on device")
		require.Equal(t, ruined, value(t, pool, pairState))
		require.Equal(t, "0", value(t, pool, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\_scratch%'`), "nothing half built is left")
		finish(t, dir, pool)
		pool.Close()
		full++
	}
}

// openTo lets others pass through a directory that is below the temporary one.
func openTo(dir string) error {
	if !strings.HasPrefix(dir, os.TempDir()+"/") {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, info.Mode().Perm()|fs.FileMode(0o011))
}

// The server is stopped again and again while it is streamed: what it has committed is in
// the log once, and the stream goes on by itself.
func TestLaw8_AStreamOutlivesItsServer(t *testing.T) {
	cluster := pgtest.Start(t, "wal_level=logical")
	once(t, cluster.ConnString(), streamTable)
	s := stream(t, cluster.ConnString(), filepath.Join(t.TempDir(), "log"))
	s.connected(t)
	for i := range 3 {
		cluster.Psql(fmt.Sprintf("INSERT INTO t SELECT i FROM generate_series(%d, %d) i", i*100, i*100+49))
		cluster.Restart()
		cluster.Psql(fmt.Sprintf("INSERT INTO t SELECT i FROM generate_series(%d, %d) i", i*100+50, i*100+99))
		require.Eventually(t, func() bool { return s.Status().Connected }, time.Minute, time.Millisecond)
	}
	w := world{conn: cluster.ConnString(), pool: connect(t, cluster.ConnString())}
	s.caughtUp(t, w)
	s.stop(t)
	var ids []string
	for _, x := range logged(t, s.dir) {
		for _, c := range x.Changes {
			ids = append(ids, *c.New[0].Text)
		}
	}
	require.Len(t, ids, 300)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 300)
	require.Equal(t, "[]", s.alarm())
}
