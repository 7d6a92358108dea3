package pgbackup_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// Two tables, one with a key and long values, one whose rows are told apart by all
// columns.
const replayTables = `CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v numeric(20, 8), long text, twice numeric GENERATED ALWAYS AS (v * 2) STORED, tags text[]);
	ALTER TABLE t ALTER long SET STORAGE EXTERNAL;
	CREATE TABLE child (ref bigint REFERENCES t ON DELETE CASCADE, note text, flag boolean DEFAULT true, c char(5) DEFAULT 'c', ip inet DEFAULT '::1', j json DEFAULT '{"a" : 1}'); ALTER TABLE child REPLICA IDENTITY FULL;
	CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01'); CREATE TABLE parts_b PARTITION OF parts DEFAULT`

// step is one transaction of what goes on, the nth.
func step(n int) string {
	sql := fmt.Sprintf(`INSERT INTO t (v, long, tags) VALUES (%d.5, repeat('x', 5000), ARRAY['a', NULL, '%[1]d']);
		INSERT INTO child SELECT id, 'n' FROM t WHERE v = %[1]d.5; INSERT INTO child SELECT id, 'n' FROM t WHERE v = %[1]d.5; INSERT INTO parts VALUES (%[1]d, '2025-12-01'::date + %[1]d, NULL)`, n)
	switch n % 7 {
	case 1:
		sql += fmt.Sprintf("; UPDATE t SET v = -v WHERE v > %d", n-3)
	case 2:
		sql += "; DELETE FROM child WHERE ctid = (SELECT min(ctid) FROM child); UPDATE child SET note = NULL WHERE ctid = (SELECT min(ctid) FROM child)"
	case 3:
		sql += "; DELETE FROM t WHERE id = (SELECT min(id) FROM t)"
	case 4:
		sql += "; UPDATE parts SET at = '2026-06-01', v = 'moved' WHERE id = (SELECT min(id) FROM parts WHERE at < '2026-01-01')"
	case 5:
		sql += "; UPDATE t SET id = DEFAULT, long = NULL WHERE id = (SELECT max(id) FROM t WHERE NOT EXISTS (SELECT FROM child WHERE ref = t.id))"
	}
	if n == 33 {
		sql += "; TRUNCATE t, child"
	}
	return "BEGIN; " + sql + "; COMMIT"
}

// moment is a place in the log and what the tables were then.
type moment struct {
	lsn      pglogrepl.LSN
	at       time.Time
	xid      uint32 // of the transaction that follows
	contents map[string]string
}

func TestTheTablesAsTheyWereAtAnyMoment(t *testing.T) {
	w := newWorld(t, replayTables)
	dropSlot(t, w)
	log := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, log, func(c *pgbackup.StreamConfig) { c.Tables, c.SegmentBytes = []string{"t", "child", "parts"}, 16<<10 })
	s.connected(t)
	var moments []moment
	for n := range 60 {
		if n == 20 { // the base is taken while a transaction is open that is committed afterwards
			tx, err := w.pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "INSERT INTO t (v, long) VALUES (1000, 'open when the base was taken')")
			require.NoError(t, err)
			execSQL(t, w.pool, "INSERT INTO parts VALUES (5000, '2027-01-01')") // later, and committed before
			w.good(t, noon)
			require.NoError(t, tx.Commit(t.Context()))
		}
		execSQL(t, w.pool, step(n))
		if n < 20 || n%5 != 0 {
			continue
		}
		var m moment
		var lsn string
		require.NoError(t, w.pool.QueryRow(t.Context(), "SELECT pg_current_wal_insert_lsn()::text, clock_timestamp()").Scan(&lsn, &m.at))
		var err error
		m.lsn, err = pglogrepl.ParseLSN(lsn)
		require.NoError(t, err)
		m.contents = contents(t, w.pool)
		require.NoError(t, w.pool.QueryRow(t.Context(), "WITH x AS (INSERT INTO parts VALUES ($1, '2027-01-01') RETURNING 1) SELECT pg_current_xact_id()::text::int8 FROM x", 1000+n).Scan(&m.xid))
		moments = append(moments, m)
	}
	s.caughtUp(t, w)
	s.stop(t)
	require.Equal(t, "[]", s.alarm())
	for i, m := range moments {
		for how, req := range map[string]pgbackup.Request{
			"lsn": {UntilLSN: m.lsn}, "time": {UntilTime: m.at}, "xid": {BeforeXID: m.xid},
		} {
			if i%3 != map[string]int{"lsn": 0, "time": 1, "xid": 2}[how] && i != len(moments)-1 {
				continue
			}
			req.Log = log
			other := newDatabase(t, "")
			restore(t, w.open(t, other), req)
			pool := connect(t, other)
			require.Equal(t, m.contents, contents(t, pool), "%s %d", how, i)
			execSQL(t, pool, step(100))
		}
	}
	other := newDatabase(t, "")
	p, err := w.open(t, other).PlanRestore(t.Context(), pgbackup.Request{Log: log}, noon)
	require.NoError(t, err)
	require.Contains(t, p.String(), fmt.Sprintf("then %d changes of %d transactions", p.Replay.Changes, p.Replay.Transactions))
	_, err = w.open(t, other).Restore(t.Context(), p, "alice", "drill", noon)
	require.NoError(t, err)
	require.Equal(t, contents(t, w.pool), contents(t, connect(t, other)), "and to the newest moment")

	// What the log does not show is not claimed.
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log, UntilTime: time.Now().Add(time.Hour)}, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log, UntilLSN: 1 << 60}, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log, BeforeXID: 3}, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
}

// In place: the corrupting transaction is left out, and with it all that came later; the
// live table is kept.
func TestARestoreToJustBeforeATransaction(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	log := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, log)
	s.connected(t)
	execSQL(t, w.pool, "INSERT INTO t VALUES (1, 'base')")
	w.good(t, noon)
	execSQL(t, w.pool, "INSERT INTO t VALUES (2, 'good')")
	var xid uint32
	require.NoError(t, w.pool.QueryRow(t.Context(), "WITH x AS (UPDATE t SET v = 'ruined' RETURNING 1) SELECT pg_current_xact_id()::text::int8 FROM x LIMIT 1").Scan(&xid))
	execSQL(t, w.pool, "INSERT INTO t VALUES (3, 'later')")
	s.caughtUp(t, w)
	r := restore(t, w.store, pgbackup.Request{Log: log, BeforeXID: xid})
	require.Equal(t, "1 base,2 good", value(t, w.pool, "SELECT string_agg(id || ' ' || v, ',' ORDER BY id) FROM t"))
	require.Equal(t, "3", value(t, w.pool, fmt.Sprintf("SELECT count(*) FROM %q.t", r.Kept[0])))
	execSQL(t, w.pool, "INSERT INTO t VALUES (9, 'streamed')")
	s.caughtUp(t, w)
	s.stop(t)
	all := logged(t, log)
	require.Equal(t, "streamed", *all[len(all)-1].Changes[0].New[1].Text, "the restored table is in the publication")
}

// A log that does not reach from the backup on, or that knows another table, is refused.
func TestALogThatDoesNotFitIsRefused(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	w.good(t, noon)
	log := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, log)
	s.connected(t)
	execSQL(t, w.pool, "INSERT INTO t VALUES (1, 'x')")
	s.caughtUp(t, w)
	_, err := w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log}, noon)
	require.ErrorIs(t, err, pgbackup.ErrGap, "the log begins after the backup")
	w.good(t, noon.Add(time.Second))
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log}, noon)
	require.NoError(t, err)
	execSQL(t, w.pool, "ALTER TABLE t ADD c numeric(10, 2); INSERT INTO t VALUES (2, 'x', 1.23)")
	s.caughtUp(t, w)
	s.stop(t)
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log, SchemaOfBackup: true}, noon)
	require.ErrorIs(t, err, pgbackup.ErrSchema)
	require.ErrorContains(t, err, "public.t has the columns")
	w.good(t, noon.Add(2*time.Second))
	execSQL(t, w.pool, "ALTER TABLE t ALTER c TYPE numeric(20, 8); INSERT INTO t VALUES (3, 'x', 1.23456)")
	s = stream(t, w.conn, log)
	s.caughtUp(t, w)
	s.stop(t)
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Log: log, SchemaOfBackup: true}, noon)
	require.ErrorIs(t, err, pgbackup.ErrSchema)
	require.ErrorContains(t, err, "public.t.c is numeric(10,2) in the backup and numeric(20,8) then")
}
