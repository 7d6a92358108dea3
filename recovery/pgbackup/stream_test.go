package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// streaming is a stream that runs until the test ends it.
type streaming struct {
	*pgbackup.Stream
	dir    string
	mu     sync.Mutex
	alarms []error
	ended  chan error
	cancel context.CancelFunc
}

func stream(t testing.TB, conn, dir string, change ...func(*pgbackup.StreamConfig)) *streaming {
	t.Helper()
	s := &streaming{dir: dir, ended: make(chan error, 1)}
	parsed, err := pgx.ParseConfig(conn)
	require.NoError(t, err)
	cfg := pgbackup.StreamConfig{
		Conn: parsed, Dir: dir, Tables: []string{"t"}, Name: "s_" + parsed.Database, Unbounded: true, Every: 50 * time.Millisecond, Logger: quiet,
		OnAlarm: func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alarms = append(s.alarms, err)
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	s.Stream, err = pgbackup.NewStream(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- s.Run(ctx) }()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// connected waits until the stream has begun: what is committed before it is not in it.
func (s *streaming) connected(t testing.TB) *streaming {
	t.Helper()
	require.Eventually(t, func() bool { return s.Status().Connected }, time.Minute, time.Millisecond)
	return s
}

// stop ends it, once.
func (s *streaming) stop(t testing.TB) {
	t.Helper()
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
		require.NoError(t, <-s.ended)
	}
}

func (s *streaming) alarm() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.alarms)
}

// caughtUp waits until everything that was committed so far is durable.
func (s *streaming) caughtUp(t testing.TB, w world) {
	t.Helper()
	at := value(t, w.pool, "pg_current_wal_insert_lsn()")
	// Something that is committed behind it: an idle server says where it is only now and then.
	execSQL(t, w.pool, "SELECT pg_logical_emit_message(true, 'test', '')")
	require.Eventually(t, func() bool {
		return value(t, w.pool, fmt.Sprintf("SELECT '%v'::pg_lsn >= '%s'", s.Status().Durable, at)) == "true"
	}, time.Minute, time.Millisecond, "%+v", s.Status())
}

// dropSlot removes what a stream leaves on the server.
func dropSlot(t testing.TB, w world) {
	t.Cleanup(func() {
		require.Eventually(t, func() bool {
			_, err := w.pool.Exec(context.Background(), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 's_' || current_database() AND NOT active")
			return err == nil && value(t, w.pool, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 's_' || current_database()") == "0"
		}, time.Minute, 5*time.Millisecond)
	})
}

func logged(t testing.TB, dir string) []pgbackup.Transaction {
	t.Helper()
	var all []pgbackup.Transaction
	_, err := pgbackup.ReadLog(context.Background(), dir, func(x pgbackup.Transaction) error {
		all = append(all, x)
		return nil
	})
	require.NoError(t, err)
	return all
}

const streamTable = "CREATE TABLE t (id int PRIMARY KEY, v text)"

func TestEveryCommittedChangeIsInTheLog(t *testing.T) {
	w := newWorld(t, streamTable+"; CREATE TABLE other (a int)")
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) { c.SegmentBytes = 4096 })
	s.connected(t)
	for i := range 100 {
		execSQL(t, w.pool, fmt.Sprintf("BEGIN; INSERT INTO t VALUES (%d, 'a'); INSERT INTO other VALUES (1); UPDATE t SET v = repeat('b', 100) WHERE id = %[1]d; COMMIT", i))
	}
	execSQL(t, w.pool, "BEGIN; INSERT INTO t VALUES (1000, 'never'); ROLLBACK; INSERT INTO other VALUES (2); DELETE FROM t WHERE id < 50; TRUNCATE t")
	s.caughtUp(t, w)
	require.Equal(t, int64(101), s.Status().Transactions)
	s.stop(t)
	all := logged(t, s.dir)
	require.Len(t, all, 101)
	require.Len(t, all[0].Changes, 2)
	require.Equal(t, "insert", all[0].Changes[0].Kind)
	require.Equal(t, "public.t", all[0].Changes[0].Table)
	require.Equal(t, "a", *all[0].Changes[0].New[1].Text)
	require.Len(t, all[100].Changes, 51)
	require.Equal(t, "delete", all[100].Changes[49].Kind)
	require.Equal(t, "truncate", all[100].Changes[50].Kind)
	require.True(t, slices.IsSortedFunc(all, func(a, b pgbackup.Transaction) int { return int(a.Commit - b.Commit) }))
	segments, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Greater(t, len(segments), 3)

	// It goes on where it was, and misses nothing that happened meanwhile.
	execSQL(t, w.pool, "INSERT INTO t VALUES (2000, 'meanwhile')")
	s = stream(t, w.conn, s.dir)
	execSQL(t, w.pool, "INSERT INTO t VALUES (2001, 'after')")
	s.caughtUp(t, w)
	s.stop(t)
	all = logged(t, s.dir)
	require.Len(t, all, 103)
	require.Equal(t, "meanwhile", *all[101].Changes[0].New[1].Text)
	require.Equal(t, "[]", s.alarm())
}

// One flipped bit anywhere in the log is found and named, but in what a crash may leave.
func TestAFlippedBitOfTheLogIsFound(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) { c.SegmentBytes = 4096 })
	s.connected(t)
	for i := range 60 {
		execSQL(t, w.pool, fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('x', 50))", i))
	}
	s.caughtUp(t, w)
	s.stop(t)
	first := filepath.Join(s.dir, "00000001.wal")
	info, err := os.Stat(first)
	require.NoError(t, err)
	for bit := 0; bit < int(info.Size())*8; bit += 131 {
		require.NoError(t, flip(first, bit))
		_, err := pgbackup.ReadLog(t.Context(), s.dir, func(pgbackup.Transaction) error { return nil })
		damage, ok := errors.AsType[*recovery.DamagedError](err)
		require.True(t, ok, "bit %d: %v", bit, err)
		require.Equal(t, "00000001.wal", damage.File)
		require.NoError(t, flip(first, bit))
	}
	require.Len(t, logged(t, s.dir), 60)
	require.NoError(t, os.Remove(first))
	_, err = pgbackup.ReadLog(t.Context(), s.dir, func(pgbackup.Transaction) error { return nil })
	require.ErrorContains(t, err, "00000001.wal")
}

// The connection breaks again and again: nothing is lost, and nothing is there twice.
func TestAStreamConnectsAgain(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"))
	s.connected(t)
	for i := range 200 {
		execSQL(t, w.pool, fmt.Sprintf("INSERT INTO t VALUES (%d, 'x')", i))
		if i%40 == 20 {
			execSQL(t, w.pool, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 's_' || current_database()")
		}
	}
	s.caughtUp(t, w)
	s.stop(t)
	var ids []string
	for _, x := range logged(t, s.dir) {
		ids = append(ids, *x.Changes[0].New[0].Text)
	}
	require.Len(t, ids, 200)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 200)
	require.Equal(t, "[]", s.alarm())
}

// What is acknowledged to the server is on disk: the process is killed at every write
// and sync of the log, and what the server would not send again is in it.
func TestLaw8_AKilledStreamLosesNothing(t *testing.T) {
	var w world
	crashtest.Run(t, crashtest.Config{
		MaxSteps: steps(12), Timeout: 2 * time.Minute,
		Setup: func(dir string) error { // runs in the test's process only
			if w.pool == nil {
				w = newWorld(t, streamTable)
				dropSlot(t, w)
			}
			waitForSlot(t, w)
			once(t, w.conn, "TRUNCATE t; SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 's_' || current_database()")
			return os.WriteFile(filepath.Join(dir, "conn"), []byte(w.conn), 0o600)
		},
	}, func(dir string) error {
		conn, err := os.ReadFile(filepath.Join(dir, "conn"))
		if err != nil {
			return err
		}
		cfg, err := pgx.ParseConfig(string(conn))
		if err != nil {
			return err
		}
		s, err := pgbackup.NewStream(pgbackup.StreamConfig{Conn: cfg, Dir: filepath.Join(dir, "log"), Tables: []string{"t"}, Name: "s_" + cfg.Database, Unbounded: true, Every: 20 * time.Millisecond, Logger: quiet})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		cfg.RuntimeParams["application_name"] = "child"
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		for !s.Status().Connected {
			time.Sleep(time.Millisecond)
		}
		for i := range 8 {
			if _, err := c.Exec(ctx, fmt.Sprintf("INSERT INTO t VALUES (%d, 'x')", i)); err != nil {
				return err
			}
			for s.Status().Transactions <= int64(i) || s.Status().Err != nil {
				time.Sleep(time.Millisecond)
			}
		}
		cancel()
		return errors.Join(<-ended, c.Close(context.Background()))
	}, func(t *testing.T, dir string, at crashtest.Step) {
		waitForSlot(t, w)
		if value(t, w.pool, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 's_' || current_database()") == "0" {
			return // killed before it had one
		}
		require.Eventually(t, func() bool { // until what it was about to commit is committed
			return value(t, w.pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'child'") == "0"
		}, time.Minute, time.Millisecond)
		committed := value(t, w.pool, "SELECT count(*) FROM t")
		s := stream(t, w.conn, filepath.Join(dir, "log"))
		s.caughtUp(t, w)
		s.stop(t)
		var ids []string
		for _, x := range logged(t, s.dir) {
			for _, c := range x.Changes {
				if c.Kind == "insert" {
					ids = append(ids, *c.New[0].Text)
				}
			}
		}
		require.Equal(t, committed, fmt.Sprint(len(ids)), "%v, alarms %v", ids, s.alarm())
		if len(ids) > 0 { // before that it is not known whether there was a log
			require.Equal(t, "[]", s.alarm())
		}
	})
}

// waitForSlot waits until the server has seen that who used the slot is gone.
func waitForSlot(t *testing.T, w world) {
	t.Helper()
	require.Eventually(t, func() bool {
		return value(t, w.pool, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 's_' || current_database() AND active") == "0"
	}, time.Minute, time.Millisecond)
}

// A lost slot breaks the promise: it is said aloud, and a new base is due.
func TestALostSlotIsAGap(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	dir := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, dir)
	s.connected(t)
	execSQL(t, w.pool, "INSERT INTO t VALUES (1, 'x')")
	s.caughtUp(t, w)
	s.stop(t)
	waitForSlot(t, w)
	execSQL(t, w.pool, "SELECT pg_drop_replication_slot('s_' || current_database()); INSERT INTO t VALUES (2, 'lost')")
	s = stream(t, w.conn, dir)
	require.Eventually(t, func() bool { return s.Status().Gaps == 1 }, time.Minute, time.Millisecond)
	s.says(t, "the replication slot is gone")
	execSQL(t, w.pool, "INSERT INTO t VALUES (3, 'x')")
	s.caughtUp(t, w)
	s.stop(t)
	all := logged(t, dir)
	require.Len(t, all, 2)
	require.Equal(t, 1, all[1].Gaps, "the log knows it too")

	// And a log that lacks what was acknowledged.
	require.NoError(t, os.RemoveAll(dir))
	s = stream(t, w.conn, dir)
	require.Eventually(t, func() bool { return s.Status().Gaps == 1 }, time.Minute, time.Millisecond)
	s.says(t, "the log ends at 0/0")
}

func TestAStreamRefusesWhatWouldHurt(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (id int, v text)")
	end := func(change func(*pgbackup.StreamConfig)) error {
		s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), change)
		s.cancel = nil
		return <-s.ended
	}
	err := end(func(*pgbackup.StreamConfig) {})
	require.ErrorIs(t, err, pgbackup.ErrNoIdentity)
	require.ErrorContains(t, err, `add a primary key, or ALTER TABLE "public"."t" REPLICA IDENTITY FULL`)
	execSQL(t, w.pool, "UPDATE t SET v = 'the bot goes on'")
	require.ErrorIs(t, end(func(c *pgbackup.StreamConfig) { c.Unbounded = false }), pgbackup.ErrUnbounded)
	require.ErrorContains(t, end(func(c *pgbackup.StreamConfig) { c.Tables = []string{"nowhere"} }), `no table "public.nowhere"`)
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM pg_publication"))
}

// WAL that the server holds back for a stream that does not keep up is told of.
func TestRetainedWALIsAlarmed(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) { c.MaxRetained = 100_000 })
	require.Eventually(t, func() bool { return s.Status().Connected }, time.Minute, time.Millisecond)
	tx, err := w.pool.Begin(t.Context()) // a transaction that stays open holds it back
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 2000) i")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(s.alarm(), pgbackup.ErrRetained.Error()) }, time.Minute, time.Millisecond)
	require.NoError(t, tx.Commit(t.Context()))
}

// A disk that is full ends the stream: what is not on disk is not acknowledged.
func TestAFullDiskEndsTheStream(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	dir := smallDisk(t, 64<<10)
	s := stream(t, w.conn, filepath.Join(dir, "log"))
	require.Eventually(t, func() bool { return s.Status().Connected }, time.Minute, time.Millisecond)
	for i := range 100 {
		execSQL(t, w.pool, fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('x', 3000))", i))
	}
	s.cancel = nil
	err := <-s.ended
	require.ErrorContains(t, err, "no space left")
	// With room again it goes on, and has all of it.
	other := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.CopyFS(other, os.DirFS(s.dir)))
	s = stream(t, w.conn, other)
	s.caughtUp(t, w)
	s.stop(t)
	require.Len(t, logged(t, other), 100)
	require.Equal(t, "[]", s.alarm())
}
