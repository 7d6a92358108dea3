package pgbackup_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// says waits until the stream has raised an alarm.
func (s *streaming) says(t testing.TB, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.alarm(), what) }, time.Minute, time.Millisecond, "%s", what)
}

// Values that were drawn and are in no row, such as the numbers of orders at a venue, are
// not drawn again after a restore, to whatever moment it goes.
func TestARestoreNeverDrawsAValueAgain(t *testing.T) {
	w := newWorld(t, `CREATE SEQUENCE numbers INCREMENT 5; CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE unused;
		CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number bigint DEFAULT nextval('numbers'), below bigint DEFAULT nextval('down'), none bigint DEFAULT nextval('unused'));
		INSERT INTO t (none) VALUES (0)`)
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"))
	s.connected(t)
	w.good(t, noon)
	execSQL(t, w.pool, "INSERT INTO t (none) VALUES (0)")
	xid := xidOf(t, w, "INSERT INTO t (none) VALUES (0)")
	execSQL(t, w.pool, "SELECT nextval('t_id_seq'), nextval('numbers'), nextval('down') FROM generate_series(1, 500)")
	s.caughtUp(t, w)
	s.stop(t) // at the latest then it knows
	execSQL(t, w.pool, "SELECT setval('numbers', 1), setval('t_id_seq', 1)")
	s = stream(t, w.conn, s.dir)
	s.connected(t)
	execSQL(t, w.pool, "TRUNCATE t RESTART IDENTITY; INSERT INTO t (none) VALUES (0)")
	s.caughtUp(t, w)
	s.stop(t)
	require.Equal(t, "[]", s.alarm())
	for _, req := range []pgbackup.Request{{Log: s.dir}, {Log: s.dir, BeforeXID: xid}} {
		other := newDatabase(t, "")
		store := w.open(t, other)
		p, err := store.PlanRestore(t.Context(), req, noon)
		require.NoError(t, err)
		require.Contains(t, p.String(), "sequence public.numbers goes on after 2511 at least")
		require.NotContains(t, p.String(), "unused")
		_, err = store.Restore(t.Context(), p, "alice", "drill", noon)
		require.NoError(t, err)
		pool := connect(t, other)
		require.Equal(t, "504 2516 -505 1", value(t, pool, "SELECT concat_ws(' ', nextval('t_id_seq'), nextval('numbers'), nextval('down'), nextval('unused'))"))
	}
}

// While the stream runs it knows what was drawn soon after a commit, not only at its end.
func TestSequencesAreInTheLogOfAStreamThatRuns(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (id bigserial PRIMARY KEY, v text)")
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) { c.Every = time.Minute })
	s.connected(t)
	w.good(t, noon)
	execSQL(t, w.pool, "SELECT nextval('t_id_seq') FROM generate_series(1, 100)")
	execSQL(t, w.pool, "INSERT INTO t (v) VALUES ('x'); DELETE FROM t")
	require.Eventually(t, func() bool {
		p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{Log: s.dir}, noon)
		return err == nil && strings.Contains(p.String(), "sequence public.t_id_seq goes on after 101 at least")
	}, 30*time.Second, 5*time.Millisecond)
}

// A table that is altered is noticed though no row of it is changed, said aloud, and no
// restore goes over it; one to before it does, and so does one from a new base.
func TestAnAlteredTableIsSaidAndDemandsANewBase(t *testing.T) {
	const tables = "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1, 1)"
	for name, c := range map[string]struct{ sql, alarm, refused string }{
		"a column that is filled":  {"ALTER TABLE t ADD w int DEFAULT 7", `public.t had the columns ["id integer" "v integer"] and has ["id integer" "v integer" "w integer"]`, "public.t has the columns"},
		"a type that is converted": {"ALTER TABLE t ALTER v TYPE numeric(9, 2) USING v / 100.0", "and has", `v numeric(9,2)`},
		"a table of the same form": {"DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v int)", "public.t was replaced by another table", "public.t was replaced by another table"},
		"a new partition":          {"CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)", "public.p2 is new", "the partition public.p2 is not in the backup"},
		"a table that is dropped":  {"DROP TABLE t", "public.t is gone", "does not hold the changes of public.t"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tables, func(c *pgbackup.Config) { c.Tables = []string{"t", "p"} })
			dropSlot(t, w)
			s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) { c.Tables = []string{"t", "p"} })
			s.connected(t)
			w.good(t, noon)
			execSQL(t, w.pool, "INSERT INTO t VALUES (2, 2)")
			xid := xidOf(t, w, "INSERT INTO t VALUES (3, 3)")
			s.caughtUp(t, w)
			require.Zero(t, s.Status().BaseDue)
			execSQL(t, w.pool, c.sql)
			s.says(t, c.alarm)
			require.Contains(t, s.alarm(), pgbackup.ErrAltered.Error())
			due := s.Status().BaseDue
			require.NotZero(t, due)
			s.caughtUp(t, w)
			other := w.open(t, newDatabase(t, ""))
			require.Eventually(t, func() bool { // until it is in the log
				_, err := other.PlanRestore(t.Context(), pgbackup.Request{Log: s.dir}, noon)
				return err != nil && strings.Contains(err.Error(), c.refused)
			}, 30*time.Second, 5*time.Millisecond)
			restore(t, other, pgbackup.Request{Log: s.dir, BeforeXID: xid})
			s.stop(t)

			if name == "a table that is dropped" {
				return
			}
			// The log remembers, and a new base reaches to now.
			s = stream(t, w.conn, s.dir, func(c *pgbackup.StreamConfig) { c.Tables = []string{"t", "p"} })
			s.connected(t)
			require.Equal(t, due, s.Status().BaseDue)
			require.Equal(t, "[]", s.alarm())
			b := w.good(t, noon.Add(time.Second))
			d, err := w.store.Details(t.Context(), b.Name)
			require.NoError(t, err)
			base, err := pglogrepl.ParseLSN(d.Source.LSN)
			require.NoError(t, err)
			require.GreaterOrEqual(t, base, due)
			execSQL(t, w.pool, "INSERT INTO p VALUES (5); UPDATE t SET v = v + 1")
			s.caughtUp(t, w)
			s.stop(t)
			newest := newDatabase(t, "")
			restore(t, w.open(t, newest), pgbackup.Request{Log: s.dir})
			require.Equal(t, contents(t, w.pool)["public.t"], contents(t, connect(t, newest))["public.t"])
		})
	}
}

// A table that is altered while no stream runs is noticed when it runs again.
func TestATableThatIsAlteredMeanwhile(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"))
	s.connected(t)
	w.good(t, noon)
	s.stop(t)
	execSQL(t, w.pool, "ALTER TABLE t ADD c int")
	s = stream(t, w.conn, s.dir)
	s.says(t, pgbackup.ErrAltered.Error())
	s.caughtUp(t, w)
	s.stop(t)
	_, err := w.open(t, newDatabase(t, "")).PlanRestore(t.Context(), pgbackup.Request{Log: s.dir}, noon)
	require.ErrorIs(t, err, pgbackup.ErrAltered)
	require.ErrorIs(t, err, pgbackup.ErrSchema)
}

// A table whose changes nobody keeps is not said to be brought forward.
func TestALogWithoutTheTableIsRefused(t *testing.T) {
	w := newWorld(t, streamTable+"; CREATE TABLE other (id int PRIMARY KEY)")
	dropSlot(t, w)
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"))
	s.connected(t)
	w.good(t, noon)
	execSQL(t, w.pool, "INSERT INTO other VALUES (1)")
	s.caughtUp(t, w)
	s.stop(t)
	store := w.open(t, newDatabase(t, ""))
	_, err := store.PlanRestore(t.Context(), pgbackup.Request{Log: s.dir}, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
	require.ErrorContains(t, err, "does not hold the changes of public.other")
	_, err = store.PlanRestore(t.Context(), pgbackup.Request{Log: s.dir, Tables: []string{"t"}}, noon)
	require.NoError(t, err)
}
