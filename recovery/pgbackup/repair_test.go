package pgbackup_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

const damageRows = `ALTER TABLE positions DISABLE TRIGGER noted; SET session_replication_role = replica;
	UPDATE positions SET quantity = 0, tags = NULL, entry = 'NaN' WHERE id IN (3, 5); DELETE FROM positions WHERE id = 40;
	INSERT INTO positions (id, account, symbol, quantity, number) VALUES (90, 1, 'FAKE', 1, -1);
	SET session_replication_role = origin; ALTER TABLE positions ENABLE TRIGGER noted`

func TestRowsAreRepaired(t *testing.T) {
	w := newWorld(t, botTables+`; UPDATE positions SET at = at; DELETE FROM audit`) // rows lie elsewhere than at first
	was := contents(t, w.pool)
	w.good(t, noon)
	nothing, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "positions"}, noon)
	require.NoError(t, err)
	require.True(t, nothing.NothingToDo())
	_, err = w.store.Repair(t.Context(), nothing, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)

	execSQL(t, w.pool, damageRows)
	execSQL(t, w.pool, "VACUUM FULL positions")
	p, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "positions"}, noon)
	require.NoError(t, err)
	text := p.String()
	require.Contains(t, text, `update id "3": quantity "0.00000000" becomes "3.00000003" entry "NaN" becomes "0.42857142857142857143" tags NULL becomes`)
	require.Contains(t, text, `delete id "90", account "1", symbol "FAKE"`)
	require.Contains(t, text, `insert id "40"`)
	require.Contains(t, text, "trigger noted fires")
	require.Len(t, p.Changes, 4)

	r, err := w.store.Repair(t.Context(), p, "alice", "rows were ruined", noon)
	require.NoError(t, err)
	require.Equal(t, [3]int{1, 2, 1}, [3]int{r.Inserted, r.Updated, r.Deleted})
	now := contents(t, w.pool)
	require.Equal(t, "2", value(t, w.pool, "SELECT count(*) FROM audit"), "its triggers fired")
	now["public.audit"] = was["public.audit"]
	require.Equal(t, was, now)
	require.Equal(t, "4", value(t, w.pool, `SELECT count(*) FROM "`+r.Kept+`".repaired_rows`))
	require.Equal(t, "2", value(t, w.pool, `SELECT count(*) FROM "`+r.Kept+`".repaired_rows WHERE before[4] = '0.00000000'`), "the rows as they were are kept")

	r, err = w.store.Repair(t.Context(), p, "alice", "again", noon)
	require.NoError(t, err)
	require.True(t, r.Unchanged)
	kept, err := w.store.Kept(t.Context())
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.NoError(t, w.store.DropKept(t.Context(), kept[0].Schema, "alice", "tidy", noon))
	_, err = w.store.Repair(t.Context(), p, "alice", "once more", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
	require.Equal(t, was["public.positions"], contents(t, w.pool)["public.positions"])
}

func TestLaw9_ARepairIsAPlan(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int, b text, v numeric, PRIMARY KEY (b, a)); INSERT INTO t SELECT i, 'x' || i % 3, i FROM generate_series(1, 50) i; ALTER TABLE t REPLICA IDENTITY FULL")
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE t SET v = -1 WHERE a IN (5, 6, 7); INSERT INTO t VALUES (99, 'new', 1)")
	p, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "public.t"}, noon)
	require.NoError(t, err)
	require.Len(t, p.Changes, 4)
	data, err := json.Marshal(p)
	require.NoError(t, err)
	var sent pgbackup.RepairPlan
	require.NoError(t, json.Unmarshal(data, &sent))

	// The row that was rightly written since stays.
	p, err = sent.Without(func(c pgbackup.RowChange, value func(string) *string) bool {
		return c.After == nil && *value("b") == "new"
	})
	require.NoError(t, err)
	require.Len(t, p.Changes, 3)
	edited := p
	edited.Changes = edited.Changes[:1]
	_, err = w.store.Repair(t.Context(), edited, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved, "an edited plan is none")

	execSQL(t, w.pool, "UPDATE t SET v = -2 WHERE a = 7")
	_, err = w.store.Repair(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
	require.ErrorContains(t, err, `a "7"`)
	require.Equal(t, "2", value(t, w.pool, "SELECT count(*) FROM t WHERE v = -1"), "none was changed")
	execSQL(t, w.pool, "UPDATE t SET v = -1 WHERE a = 7; ALTER TABLE t ADD CHECK (v > -5)")
	_, err = w.store.Repair(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved, "it was altered")

	again, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "t"}, noon)
	require.NoError(t, err)
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Recorder = nil }).Repair(t.Context(), again, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	_, err = w.store.Repair(t.Context(), again, "alice", "why", noon)
	require.NoError(t, err)
	require.Equal(t, "50 1275", value(t, w.pool, "SELECT count(*) || ' ' || sum(v) FROM t"))
}

func TestARepairThatIsTooLargeOrImpossibleIsRefused(t *testing.T) {
	w := newWorld(t, `CREATE TABLE t (a serial PRIMARY KEY, v int); INSERT INTO t (v) SELECT i FROM generate_series(1, 500) i; CREATE TABLE heap (a int); INSERT INTO heap VALUES (1)`)
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE t SET v = v + 1; DELETE FROM heap")
	_, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "t", MaxRows: 100}, noon)
	require.ErrorIs(t, err, pgbackup.ErrTooMany)
	_, err = w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "heap"}, noon)
	require.ErrorIs(t, err, pgbackup.ErrUnsupported)
	require.ErrorContains(t, err, "primary key")
	_, err = w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "nowhere"}, noon)
	require.ErrorContains(t, err, "public.nowhere")
	execSQL(t, w.pool, "ALTER TABLE t ALTER v TYPE bigint")
	_, err = w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "t"}, noon)
	require.ErrorIs(t, err, pgbackup.ErrSchema)
	execSQL(t, w.pool, "DROP TABLE t; CREATE TABLE t (a serial PRIMARY KEY, v int)")
	p, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "t", MaxRows: 500}, noon)
	require.NoError(t, err)
	r, err := w.store.Repair(t.Context(), p, "alice", "why", noon)
	require.NoError(t, err)
	require.Equal(t, 500, r.Inserted)
	execSQL(t, w.pool, "INSERT INTO t (v) VALUES (0)")
	require.Equal(t, "501", value(t, w.pool, "SELECT a FROM t WHERE v = 0"), "the sequence is past the inserted rows")
}

// A trigger that changes what is written is found, and nothing is changed.
func TestARepairedRowIsReadBack(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int PRIMARY KEY, v numeric); INSERT INTO t VALUES (1, 1)")
	w.good(t, noon)
	execSQL(t, w.pool, `UPDATE t SET v = 2; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 7; RETURN NEW; END $$;
		CREATE TRIGGER own_mind BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()`)
	p, err := w.store.PlanRepair(t.Context(), pgbackup.RepairRequest{Table: "t"}, noon)
	require.NoError(t, err)
	_, err = w.store.Repair(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrDiffers)
	require.Equal(t, "2", value(t, w.pool, "SELECT v FROM t"))
	require.Equal(t, "0", value(t, w.pool, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\_%'`))
}
