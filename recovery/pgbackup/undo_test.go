package pgbackup_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// xidOf runs one statement that changes something and returns its transaction.
func xidOf(t *testing.T, w world, sql string) (xid uint32) {
	t.Helper()
	tx, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT pg_current_xact_id()::text::int8").Scan(&xid))
	require.NoError(t, tx.Commit(t.Context()))
	return xid
}

func TestOneTransactionIsUndoneAndLaterOnesStay(t *testing.T) {
	w := newWorld(t, `CREATE TABLE t (id int PRIMARY KEY, v numeric(20, 8), ok boolean, c char(4), long text, ip inet); ALTER TABLE t ALTER long SET STORAGE EXTERNAL;
		CREATE TABLE child (id int PRIMARY KEY, ref int NOT NULL REFERENCES t ON DELETE CASCADE, note text);
		INSERT INTO t SELECT i, i, true, 'c', repeat('x', 5000), '10.0.0.1' FROM generate_series(1, 40) i; INSERT INTO child SELECT i, i, 'n' FROM generate_series(1, 40) i`)
	dropSlot(t, w)
	log := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, log, func(c *pgbackup.StreamConfig) { c.Tables = []string{"t", "child"} })
	s.connected(t)
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE t SET v = v + 0.5 WHERE id < 10; INSERT INTO t VALUES (50, 50, false, 'd', 'short', '::1')") // good, after the backup
	good := contents(t, w.pool)

	xid := xidOf(t, w, `WITH a AS (UPDATE t SET v = -1, ok = NULL WHERE id <= 5 RETURNING 1), b AS (DELETE FROM t WHERE id IN (20, 50) RETURNING 1),
		c AS (UPDATE t SET id = 99 WHERE id = 30 AND false RETURNING 1), d AS (INSERT INTO t VALUES (77, 7) RETURNING 1) SELECT 1`)
	s.caughtUp(t, w)
	p, err := w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: xid}, noon)
	require.NoError(t, err)
	require.Empty(t, p.Conflicts)
	require.Len(t, p.Repairs, 2, "what was deleted in turn too")
	require.Contains(t, p.String(), `update id "1": v "-1.00000000" becomes "1.50000000" ok NULL becomes "true"`)
	require.Contains(t, p.String(), `delete id "77"`)
	require.Contains(t, p.String(), `insert id "20", ref "20", note "n"`)

	// Later transactions stay; what they changed of its rows is a conflict.
	execSQL(t, w.pool, "INSERT INTO t SELECT i, 1 FROM generate_series(1000, 1200) i; UPDATE t SET v = 2000 WHERE id = 3; UPDATE t SET c = 'late' WHERE id = 11")
	_, err = w.store.Undo(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
	require.Equal(t, "4", value(t, w.pool, "SELECT count(*) FROM t WHERE v = -1"), "none was changed")
	s.caughtUp(t, w)
	p, err = w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: xid}, noon)
	require.NoError(t, err)
	require.Len(t, p.Conflicts, 1)
	require.Equal(t, `id "3"`, p.Conflicts[0].Key)
	require.Len(t, p.Conflicts[0].By, 1)
	require.Contains(t, p.String(), `conflict: public.t id "3" was changed since`)

	data, err := json.Marshal(p)
	require.NoError(t, err)
	var sent pgbackup.UndoPlan
	require.NoError(t, json.Unmarshal(data, &sent))
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Recorder = nil }).Undo(t.Context(), sent, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	done, err := w.store.Undo(t.Context(), sent, "alice", "a bug wrote it", noon)
	require.NoError(t, err)
	require.Len(t, done, 2)
	require.Equal(t, "2000.00000000", value(t, w.pool, "SELECT v FROM t WHERE id = 3"))
	execSQL(t, w.pool, "DELETE FROM t WHERE id >= 1000; UPDATE t SET v = 3.5, ok = true WHERE id = 3; UPDATE t SET c = 'c' WHERE id = 11")
	require.Equal(t, good, contents(t, w.pool))
	done, err = w.store.Undo(t.Context(), sent, "alice", "again", noon)
	require.NoError(t, err)
	require.True(t, done[0].Unchanged)
	sent.Repairs = sent.Repairs[:1]
	_, err = w.store.Undo(t.Context(), sent, "alice", "edited", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
}

func TestWhatCannotBeUndoneIsSaid(t *testing.T) {
	w := newWorld(t, streamTable+"; INSERT INTO t VALUES (1, 'x')")
	dropSlot(t, w)
	log := filepath.Join(t.TempDir(), "log")
	s := stream(t, w.conn, log)
	s.connected(t)
	before := xidOf(t, w, "INSERT INTO t VALUES (2, 'y')")
	w.good(t, noon)
	truncated := xidOf(t, w, "TRUNCATE t")
	many := xidOf(t, w, "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 30) i")
	s.caughtUp(t, w)
	_, err := w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: before}, noon)
	require.ErrorIs(t, err, recovery.ErrNoBackup)
	_, err = w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: truncated}, noon)
	require.ErrorIs(t, err, pgbackup.ErrUnsupported)
	_, err = w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: many, MaxRows: 20}, noon)
	require.ErrorIs(t, err, pgbackup.ErrTooMany)
	_, err = w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: many + 1000}, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
	p, err := w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: many}, noon)
	require.NoError(t, err)
	require.Len(t, p.Repairs[0].Changes, 30)
	execSQL(t, w.pool, fmt.Sprintf("UPDATE t SET v = 'the log does not know it yet' WHERE id = %d", 7))
	p, err = w.store.PlanUndo(t.Context(), pgbackup.UndoRequest{Log: log, XID: many}, noon)
	require.NoError(t, err)
	require.Len(t, p.Conflicts, 1)
}
