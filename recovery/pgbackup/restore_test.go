package pgbackup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// contents returns the ordered hash of every table, its rows as the server prints them.
func contents(t testing.TB, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	rows, err := pool.Query(context.Background(), `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'andon\_%' AND n.nspname <> 'information_schema'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	all := map[string]string{}
	for _, name := range names {
		all[name] = value(t, pool, fmt.Sprintf(`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text COLLATE "C")), '') FROM %s t`, name))
	}
	return all
}

// definitions returns what pg_dump says of a database, without what andon keeps.
func definitions(t testing.TB, conn string) string {
	t.Helper()
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		needs.Missing(t, "pg_dump: %v", err)
	}
	out, err := exec.Command(program, "--schema-only", "--exclude-schema=andon_*", "-d", conn).CombinedOutput()
	require.NoError(t, err, string(out))
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, `\`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// restore plans and restores.
func restore(t testing.TB, store *pgbackup.Store, req pgbackup.Request) pgbackup.Restored {
	t.Helper()
	p, err := store.PlanRestore(t.Context(), req, noon)
	require.NoError(t, err)
	r, err := store.Restore(t.Context(), p, "alice", "a test", noon)
	require.NoError(t, err)
	return r
}

const ruin = `UPDATE positions SET quantity = 0, note = 'ruined', raw = NULL WHERE id % 2 = 0; DELETE FROM trades WHERE symbol = 'ETH'; INSERT INTO accounts (name) VALUES ('intruder');
	DELETE FROM audit; INSERT INTO audit VALUES ('x')`

func TestARestoredDatabaseEqualsItsSource(t *testing.T) {
	w := newWorld(t, botTables)
	was, defined := contents(t, w.pool), definitions(t, w.conn)
	b := w.good(t, noon)
	execSQL(t, w.pool, ruin)
	require.NotEqual(t, was, contents(t, w.pool))
	ruined := contents(t, w.pool)

	r := restore(t, w.store, pgbackup.Request{})
	require.Empty(t, r.Notes)
	require.Equal(t, was, contents(t, w.pool))
	require.Equal(t, defined, definitions(t, w.conn))
	require.Equal(t, "40", value(t, w.pool, "SELECT count(*) FROM open_positions"), "the view sees the restored rows")
	require.Equal(t, "false", value(t, w.pool, "SELECT is_called FROM positions_id_seq"))
	require.Equal(t, "777", value(t, w.pool, "SELECT last_value FROM positions_id_seq"))
	require.Equal(t, ruined["public.positions"], value(t, w.pool, fmt.Sprintf(`SELECT count(*) || ' ' || md5(string_agg(t::text, E'\n' ORDER BY t::text COLLATE "C")) FROM %q.positions t`, r.Kept[0])),
		"what was replaced is kept")
	execSQL(t, w.pool, "INSERT INTO positions (account, symbol, quantity) VALUES (1, 'NEW', 1); INSERT INTO trades (symbol, at) VALUES ('BTC', '2026-06-01Z')")
	require.Equal(t, "777", value(t, w.pool, "SELECT id FROM positions WHERE symbol = 'NEW'"))

	listed, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	require.Equal(t, b.Name, listed[0].Name)
	require.Positive(t, listed[0].RestoreTook, "the measured restore counts for the objective")
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\\_scratch%'"), "nothing else is left")
}

func TestARestoreIntoAnotherDatabase(t *testing.T) {
	w := newWorld(t, botTables)
	w.good(t, noon)
	other := newDatabase(t, `CREATE TABLE audit (said text, at timestamptz);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES ('seen', now()); RETURN NEW; END $$`)
	store := w.open(t, other, func(c *pgbackup.Config) { c.Idle = nil })
	p, err := store.PlanRestore(t.Context(), pgbackup.Request{Tables: []string{"accounts", "positions", "trades"}}, noon)
	require.NoError(t, err)
	require.Contains(t, p.String(), "public.positions: 40 rows; there is no such table now")
	_, err = store.Restore(t.Context(), p, "alice", "drill", noon)
	require.NoError(t, err, "nothing is live, so nobody need be idle")
	pool := connect(t, other)
	require.Equal(t, contents(t, w.pool), contents(t, pool))
	view := "CREATE VIEW open_positions WITH (security_barrier) AS SELECT id, symbol, quantity FROM positions WHERE quantity <> 0"
	execSQL(t, pool, view)
	require.Equal(t, definitions(t, w.conn), definitions(t, other))
	require.Equal(t, value(t, w.pool, "SELECT last_value FROM numbers"), value(t, pool, "SELECT last_value FROM numbers"))
}

// One table of several: foreign keys of others point to the restored one.
func TestAChosenTable(t *testing.T) {
	w := newWorld(t, botTables+`; CREATE TABLE notes (id int PRIMARY KEY, position bigint REFERENCES positions ON DELETE CASCADE); INSERT INTO notes VALUES (1, 7)`)
	was := contents(t, w.pool)
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE positions SET quantity = 5, note = 'ruined'; CREATE PUBLICATION pub FOR TABLE positions; CREATE ROLE viewer_"+w.name()+"; GRANT SELECT ON positions TO viewer_"+w.name())
	defined := definitions(t, w.conn)
	restore(t, w.store, pgbackup.Request{Tables: []string{"positions"}})
	now := contents(t, w.pool)
	was["public.audit"] = now["public.audit"]
	require.Equal(t, was, now)
	require.Equal(t, defined, definitions(t, w.conn), "the grant, the publication and the foreign keys of others are there")
	execSQL(t, w.pool, "DELETE FROM positions WHERE id = 7")
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM notes"))
}

// name returns a part of names that no other test has: roles are of the whole server.
func (w world) name() string { return w.conn[strings.LastIndex(w.conn, "=")+1:] }

func TestLaw9_ARestoreIsAPlan(t *testing.T) {
	w := newWorld(t, botTables, func(c *pgbackup.Config) {
		c.Sums = []pgbackup.Sum{{Table: "positions", By: "symbol", Of: "quantity"}}
	})
	w.good(t, noon)
	was := contents(t, w.pool)
	execSQL(t, w.pool, "UPDATE positions SET quantity = 500 WHERE symbol = 'S7'")
	ruined := contents(t, w.pool)
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	require.Equal(t, ruined, contents(t, w.pool), "a plan changes nothing")
	text := p.String()
	require.Contains(t, text, "public.positions: 40 rows instead of 40, which are kept in schema "+p.Kept("public"))
	require.Contains(t, text, "public.positions: quantity of symbol S7: 500.00000000 becomes 7.00000007")
	require.NotContains(t, text, "S8")

	data, err := json.Marshal(p)
	require.NoError(t, err)
	var sent pgbackup.Plan
	require.NoError(t, json.Unmarshal(data, &sent))
	edited := sent
	edited.Tables = edited.Tables[:1]
	_, err = w.store.Restore(t.Context(), edited, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved, "an edited plan is none")
	_, err = w.store.Restore(t.Context(), sent, "", "why", noon)
	require.ErrorContains(t, err, "a person")

	execSQL(t, w.pool, "UPDATE positions SET quantity = 501 WHERE symbol = 'S7'")
	_, err = w.store.Restore(t.Context(), sent, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved)
	require.ErrorContains(t, err, "is not as it was")

	p, err = w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	_, err = w.store.Restore(t.Context(), p, "alice", "why", noon)
	require.NoError(t, err)
	require.Equal(t, was, contents(t, w.pool))
	execSQL(t, w.pool, "INSERT INTO accounts (name) VALUES ('since')")
	r, err := w.store.Restore(t.Context(), p, "alice", "again", noon)
	require.NoError(t, err)
	require.True(t, r.Unchanged)
	require.Equal(t, "3", value(t, w.pool, "SELECT count(*) FROM accounts"), "the second time changes nothing")

	kept, err := w.store.Kept(t.Context())
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, kept[0].Tables, "positions")
	require.Error(t, w.store.DropKept(t.Context(), "public", "alice", "tidy", noon))
	require.NoError(t, w.store.DropKept(t.Context(), kept[0].Schema, "alice", "tidy", noon))
	_, err = w.store.Restore(t.Context(), p, "alice", "once more", noon)
	require.ErrorIs(t, err, pgbackup.ErrMoved, "what it replaced is not there any more")
}

// A write in the very last moment, when all is built, is not lost: the swap is refused.
func TestLaw9_AWriteWhileItIsBuiltRefusesTheSwap(t *testing.T) {
	for name, write := range map[string]string{
		"insert": "INSERT INTO t VALUES (3, 3)", "update": "UPDATE t SET b = 9 WHERE a = 1", "delete": "DELETE FROM t WHERE a = 1",
		"truncate": "TRUNCATE t", "same value": "UPDATE t SET b = b WHERE a = 1", "ddl": "ALTER TABLE t ADD c int",
		"delete and insert": "DELETE FROM t WHERE a = 2; INSERT INTO t VALUES (2, 2)",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 1), (2, 2)")
			w.good(t, noon)
			asked := 0
			store := w.open(t, w.conn, func(c *pgbackup.Config) {
				c.Idle = func(context.Context) error {
					if asked++; asked == 1 {
						execSQL(t, w.pool, "SELECT 1")
					}
					return nil
				}
				c.Recorder = recorder(func() { execSQL(t, w.pool, write) })
			})
			p, err := store.PlanRestore(t.Context(), pgbackup.Request{SchemaOfBackup: true}, noon)
			require.NoError(t, err)
			_, err = store.Restore(t.Context(), p, "alice", "why", noon)
			require.ErrorIs(t, err, pgbackup.ErrMoved)
			require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\\_kept%'"))
		})
	}
}

// recorder does something when it is asked to record: after the first look at the
// facts and before the tables are built.
type recorder func()

func (r recorder) Record(context.Context, time.Time, string, string, string) error {
	r()
	return nil
}

func TestALiveTargetIsRefused(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
	w.good(t, noon)
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	for _, idle := range []func(context.Context) error{nil, func(context.Context) error { return errors.New("the gate is open") }} {
		_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Idle = idle }).Restore(t.Context(), p, "alice", "why", noon)
		require.ErrorIs(t, err, pgbackup.ErrLive)
	}
	// The gate opens while the tables are built.
	asked := 0
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) {
		c.Idle = func(context.Context) error {
			if asked++; asked > 1 {
				return errors.New("the gate was opened")
			}
			return nil
		}
	}).Restore(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, pgbackup.ErrLive)
	require.Equal(t, 2, asked)
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\\_%'"))
	_, err = w.store.Restore(t.Context(), p, "alice", "why", noon)
	require.NoError(t, err)
}

func TestLaw10_ARestoreThatCannotBeRecordedIsRefused(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
	w.good(t, noon)
	execSQL(t, w.pool, "DELETE FROM t")
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Recorder = nil }).Restore(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM t"))
}

func TestLaw8_OnlyAVerifiedBackupIsRestored(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
	_, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.ErrorIs(t, err, recovery.ErrNoBackup)
	b, err := w.store.Backup(t.Context(), noon)
	require.NoError(t, err)
	_, err = w.store.PlanRestore(t.Context(), pgbackup.Request{Backup: b.Name}, noon)
	require.ErrorIs(t, err, recovery.ErrNotVerified)
	_, err = w.store.Verify(t.Context(), b.Name, noon)
	require.NoError(t, err)
	// It rots after it was verified: the restore finds it, and changes nothing.
	execSQL(t, w.pool, "INSERT INTO t VALUES (2)")
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	require.NoError(t, flip(filepath.Join(w.dir, b.Name, "data", "000001.000001"), 99))
	_, err = w.store.Restore(t.Context(), p, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrDamaged)
	require.Equal(t, "2", value(t, w.pool, "SELECT count(*) FROM t"))
	require.Equal(t, "0", value(t, w.pool, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\\_%'"))
}

// What hangs on the live table and could not be hung on the new one refuses the plan.
func TestWhatWouldBeLostIsNamed(t *testing.T) {
	for what, sql := range map[string]string{
		"materialized view public.totals": "CREATE MATERIALIZED VIEW totals AS SELECT sum(a) FROM t",
		"function public.f()":             "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t; END",
		"column b of table public.other":  "CREATE TABLE other (b t)",
		"default value for column":        "CREATE TABLE other (b int DEFAULT nextval('t_a_seq'))",
		"publication pub with":            "CREATE PUBLICATION pub FOR TABLE t WHERE (a > 1)",
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, "CREATE TABLE t (a serial PRIMARY KEY); INSERT INTO t VALUES (1)", func(c *pgbackup.Config) { c.Tables = []string{"t"} })
			w.good(t, noon)
			execSQL(t, w.pool, sql)
			_, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
			require.ErrorIs(t, err, pgbackup.ErrUnsupported)
			require.ErrorContains(t, err, what)
		})
	}
}

func TestAChangedDefinitionIsNamed(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int, b numeric(10, 2)); INSERT INTO t VALUES (1, 1)")
	w.good(t, noon)
	execSQL(t, w.pool, "ALTER TABLE t ADD c text; ALTER TABLE t ALTER b TYPE numeric(20, 8); CREATE INDEX i ON t (a)")
	_, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.ErrorIs(t, err, pgbackup.ErrSchema)
	for _, want := range []string{"only in the live table: column c text", "only in the backup: column b numeric(10,2)", "only in the live table: index i"} {
		require.ErrorContains(t, err, want)
	}
	restore(t, w.store, pgbackup.Request{SchemaOfBackup: true})
	require.Equal(t, "numeric(10,2)", value(t, w.pool, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b'"))
}

// A sequence left behind makes the first write after a restore fail (complaint of
// anchors.md). Here it was behind at the source already.
func TestASequenceBehindItsColumnIsMovedPastIt(t *testing.T) {
	w := newWorld(t, `CREATE TABLE t (id serial PRIMARY KEY, down int GENERATED ALWAYS AS IDENTITY (INCREMENT -2 START -2), v int);
		INSERT INTO t (id, v) SELECT i, i FROM generate_series(1, 10) i; SELECT setval('t_down_seq', -4)`)
	w.good(t, noon)
	execSQL(t, w.pool, "SELECT setval('t_id_seq', 50)")
	r := restore(t, w.store, pgbackup.Request{})
	require.Len(t, r.Notes, 2)
	require.Contains(t, strings.Join(r.Notes, " "), "sequence public.t_id_seq stood at 1, behind public.t.id: it was moved past 10")
	execSQL(t, w.pool, "INSERT INTO t (v) VALUES (11)")
	require.Equal(t, "51", value(t, w.pool, "SELECT id FROM t WHERE v = 11"), "and never below what was given out since")
	require.Equal(t, "-22", value(t, w.pool, "SELECT down FROM t WHERE v = 11"))
}

// The database itself changes what is restored into it: here a trigger that somebody
// puts on every new table. What was restored is read back, so it is found.
func TestRowsThatDifferAreNotSwappedIn(t *testing.T) {
	for what, row := range map[string]string{"digest of its rows": "NEW", "rows": "NULL"} {
		w := newWorld(t, "CREATE TABLE t (id int PRIMARY KEY, v numeric); INSERT INTO t VALUES (1, 1), (2, 2)")
		w.good(t, noon)
		execSQL(t, w.pool, `UPDATE t SET v = 3;
			CREATE FUNCTION worse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v + CASE NEW.id WHEN 2 THEN 0.00000001 ELSE 0 END;
				IF NEW.id = 2 THEN RETURN `+row+`; END IF; RETURN NEW; END $$;
			CREATE FUNCTION sabotage() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE c record; BEGIN
				FOR c IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
					EXECUTE format('CREATE TRIGGER worse BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.worse()', c.objid::regclass); END LOOP; END $$;
			CREATE EVENT TRIGGER sabotage ON ddl_command_end EXECUTE FUNCTION sabotage()`)
		p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
		require.NoError(t, err)
		_, err = w.store.Restore(t.Context(), p, "alice", "why", noon)
		require.ErrorIs(t, err, pgbackup.ErrDiffers)
		if what != "rows" { // a row that is not taken is missed before that
			require.ErrorContains(t, err, what)
		}
		require.Equal(t, "3,3", value(t, w.pool, "SELECT string_agg(v::text, ',') FROM t"))
	}
}

func TestTotalsAreComparedAfterARestore(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (symbol text, quantity numeric); INSERT INTO t VALUES ('BTC', 1.5), ('BTC', 2), (NULL, 4), ('', NULL), ('ETH', 'NaN')",
		func(c *pgbackup.Config) { c.Sums = []pgbackup.Sum{{Table: "t", By: "symbol", Of: "quantity"}} })
	b := w.good(t, noon)
	m, err := w.store.Details(t.Context(), b.Name)
	require.NoError(t, err)
	var lines []string
	for _, s := range m.Sums {
		lines = append(lines, fmt.Sprintf("%q %t %d %q", s.Group, s.Null, s.Rows, s.Total))
	}
	require.Equal(t, []string{`"" false 1 ""`, `"BTC" false 2 "3.5"`, `"ETH" false 1 "NaN"`, `"" true 1 "4"`}, lines)
	execSQL(t, w.pool, "DELETE FROM t WHERE symbol = 'BTC'; INSERT INTO t VALUES ('SUI', 7)")
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	require.Contains(t, p.String(), "quantity of symbol BTC: nothing becomes 3.5")
	require.Contains(t, p.String(), "quantity of symbol SUI: 7 becomes nothing")
	restore(t, w.store, pgbackup.Request{})
}

// The sessions of a restore wait for each other for as long as it takes: LockTimeout is
// for the locks of others.
func TestTheSessionsOfARestoreWaitLongerThanLockTimeout(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int PRIMARY KEY, b int); CREATE INDEX t_b ON t (b); INSERT INTO t VALUES (1, 2)",
		func(c *pgbackup.Config) { c.LockTimeout = 200 * time.Millisecond })
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE t SET b = 3")
	execSQL(t, w.pool, `CREATE FUNCTION waits() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); END $$;
		CREATE EVENT TRIGGER waits ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION waits()`)
	tx, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(4711)")
	require.NoError(t, err)
	p, err := w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	restored := make(chan error, 1)
	go func() {
		_, err := w.store.Restore(t.Context(), p, "alice", "a test", noon)
		restored <- err
	}()
	require.Eventually(t, func() bool {
		return len(restored) > 0 || value(t, w.pool, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND clock_timestamp() - waitstart > '400 ms'`) != "0"
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-restored)
	require.Equal(t, "2", value(t, w.pool, "SELECT b FROM t"))
}

// A key that is added locks its table against all others: the sessions of a restore
// must not stand in each other's way, however long one of them takes.
func TestARestoreDoesNotWaitForItself(t *testing.T) {
	w := newWorld(t, `CREATE TABLE wide (id int PRIMARY KEY, a text NOT NULL, b text NOT NULL, CONSTRAINT wide_a UNIQUE (a) DEFERRABLE INITIALLY DEFERRED,
			CONSTRAINT wide_b UNIQUE (b) INCLUDE (a) DEFERRABLE, CONSTRAINT wide_id EXCLUDE USING btree (id WITH =));
		CREATE INDEX wide_both ON wide (b, a); CREATE INDEX wide_back ON wide (a DESC);
		INSERT INTO wide SELECT i, md5(i::text), md5((-i)::text) FROM generate_series(1, 100000) i; ALTER TABLE wide REPLICA IDENTITY USING INDEX wide_pkey`,
		func(c *pgbackup.Config) { c.Workers, c.LockTimeout = 4, 10*time.Millisecond })
	was, defined := contents(t, w.pool), definitions(t, w.conn)
	w.good(t, noon)
	execSQL(t, w.pool, "UPDATE wide SET b = 'ruined ' || id")
	// Autovacuum looks at the live table after that, and gives way to the swap only after a
	// second: that is not the restore's own doing, and nothing has changed then.
	err := errors.New("not tried")
	for tries := 0; err != nil && tries < 100; tries++ {
		var p pgbackup.Plan
		p, err = w.store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
		require.NoError(t, err)
		if _, err = w.store.Restore(t.Context(), p, "alice", "a test", noon); err != nil {
			require.ErrorContains(t, err, `gave way to a lock: LOCK TABLE ONLY "public"."wide"`)
			time.Sleep(200 * time.Millisecond)
		}
	}
	require.NoError(t, err)
	require.Equal(t, was, contents(t, w.pool))
	require.Equal(t, defined, definitions(t, w.conn))
}
