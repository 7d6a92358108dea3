package pgbook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

func TestApplyKeepsTheBotsOwnColumnsAndHistory(t *testing.T) {
	book, pool := wholeBook(t, nil)
	exec(t, pool, `INSERT INTO positions (symbol, quantity, entry_price, status, venue, leg, note) VALUES
		('A', 1, 2, 'open', 'v', 'net', 'grid'), ('A', 5, 5, 'closed', 'v', 'net', 'old'), ('B', 7, 8, 'open', 'v', 'net', 'trend')`)
	a := position("A", "1", "2")
	a2 := position("A", "1.5", "3")
	require.NoError(t, book.Apply(t.Context(), transaction("p1",
		positionEdit("A", rows(a), rows(a2)),
		positionEdit("B", rows(position("B", "7", "8")), nil),
		positionEdit("C", nil, rows(position("C", "-9", "0.1"))))))
	require.Equal(t, "1|A|1.5|3|open|grid, 2|A|5|5|closed|old, 3|B|7|8|closed|trend, 4|C|-9|0.1|open|the bot's own", value(t, pool,
		`SELECT string_agg(concat_ws('|', id, symbol, quantity, entry_price, status, note), ', ' ORDER BY id) FROM positions`))
	require.Equal(t, "p1|2026-03-01 12:00:00+00|ada|looked at it", value(t, pool,
		`SELECT concat_ws('|', id, approved_at AT TIME ZONE 'UTC' || '+00', approved_by, note) FROM andon.applied`))
	require.Equal(t, "position v/A|2|3", value(t, pool,
		`SELECT concat_ws('|', key, edit->'positions'->'before'->0->>'entry', edit->'positions'->'after'->0->>'entry') FROM andon.repairs WHERE applied = 'p1' AND n = 1`))
}

func TestApplyChangesTheFillThatWasMeant(t *testing.T) {
	book, pool := wholeBook(t, nil)
	f1, f2, f3 := fill("1", "o", andon.Buy, "1", "10", "0"), fill("2", "o", andon.Buy, "2", "10", "0"), fill("3", "o", andon.Buy, "3", "10", "0")
	require.NoError(t, book.Apply(t.Context(), transaction("p1", fillEdit("o", nil, rows(f1, f2, f3)))))
	fee := f3
	fee.Fee = dec("0.5")
	require.NoError(t, book.Apply(t.Context(), transaction("p2", fillEdit("o", rows(f1, f2, f3), rows(fee, f1)))))
	require.Equal(t, "1|1|0, 3|3|0.5", value(t, pool, `SELECT string_agg(concat_ws('|', n, id, fee), ', ' ORDER BY n) FROM executions`))
}

// TestLaw1_WhatATableCannotHoldIsRefused: rounding, triggers, rules, missing columns and
// missing values all end in ErrNotStored, or the server's own error, and change nothing.
func TestLaw1_WhatATableCannotHoldIsRefused(t *testing.T) {
	pool := connect(t, newDatabase(t, wholeTables))
	require.NoError(t, pgbook.Migrate(t.Context(), pool, ""))
	for _, test := range []struct {
		name, sql string
		mapping   func(*pgbook.Mapping)
		after     andon.Position
		stored    bool // the error is ErrNotStored
		want      string
	}{
		{"a column that rounds", `ALTER TABLE positions ALTER quantity TYPE numeric(20,8)`, nil, position("A", "0.123456789", "1"), true, "reads otherwise"},
		{"a column of whole numbers", `ALTER TABLE positions ALTER quantity TYPE bigint`, nil, position("A", "1.5", "1"), true, "reads otherwise"},
		{"a column that is too small", `ALTER TABLE positions ALTER quantity TYPE numeric(4,2)`, nil, position("A", "100", "1"), false, "overflow"},
		{"a name that is too long", `ALTER TABLE positions ALTER symbol TYPE varchar(3)`, nil, position("LONG", "1", "1"), false, "too long"},
		{"a trigger that changes", `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.quantity = NEW.quantity * 2; RETURN NEW; END';
			CREATE TRIGGER f BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION f()`, nil, position("A", "1", "1"), true, "reads otherwise"},
		{"a trigger that swallows", `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER f BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION f()`, nil, position("A", "1", "1"), true, "made 0"},
		{"a leg without a column", ``, func(m *pgbook.Mapping) { m.Positions.Leg = "" }, andon.Position{Venue: "v", Symbol: "A", Leg: andon.Long, Quantity: dec("1")}, true, "leg is \"long\""},
		{"a venue without a column", ``, func(m *pgbook.Mapping) { m.Positions.Venue = "" }, andon.Position{Venue: "w", Symbol: "A", Quantity: dec("1")}, true, "venue is \"w\""},
		{"no price and no NULL", `ALTER TABLE positions ALTER entry_price SET NOT NULL`, nil, position("A", "1", "0"), true, "takes no NULL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, pool, `DROP TABLE positions, trades, executions, "Orders"; DROP FUNCTION IF EXISTS f CASCADE;`+wholeTables+test.sql)
			book := open(t, pool, func(c *pgbook.Config) {
				c.Mapping = wholeMapping()
				if test.mapping != nil {
					test.mapping(&c.Mapping)
				}
			})
			key := reconcile.PositionKey(test.after.Key())
			err := book.Apply(t.Context(), transaction(test.name,
				reconcile.Edit{Key: key, Positions: &reconcile.Rows[andon.Position]{After: rows(test.after)}},
				fillEdit("o", nil, rows(fill("1", "o", andon.Buy, "1", "1", "0")))))
			require.ErrorContains(t, err, test.want)
			require.Equal(t, test.stored, errors.Is(err, pgbook.ErrNotStored), "%v", err)
			require.Equal(t, "0", value(t, pool, `SELECT (SELECT count(*) FROM positions) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM andon.applied)`))
		})
	}
}

// TestLaw1_AValueThatCannotBeRightIsNoRecord: one such row and nothing is known.
func TestLaw1_AValueThatCannotBeRightIsNoRecord(t *testing.T) {
	book, pool := wholeBook(t, nil)
	for sql, want := range map[string]string{
		`UPDATE positions SET quantity = NULL`:             "quantity is NULL",
		`UPDATE positions SET quantity = 'NaN'`:            "no finite number",
		`UPDATE positions SET entry_price = 'Infinity'`:    "no finite number",
		`UPDATE positions SET entry_price = '-Infinity'`:   "no finite number",
		`UPDATE positions SET quantity = 1e-20`:            "more digits",
		`UPDATE positions SET symbol = NULL`:               "symbol is NULL",
		`UPDATE positions SET status = NULL`:               "status is NULL",
		`UPDATE positions SET status = 'Open'`:             `status is "Open"`,
		`UPDATE positions SET leg = 'sideways'`:            `leg is "sideways"`,
		`UPDATE positions SET updated_at = 'infinity'`:     "infinite",
		`UPDATE executions SET fee = NULL`:                 "fee is NULL",
		`UPDATE executions SET "Side" = 'buy'`:             `Side is "buy"`,
		`UPDATE "Orders" SET filled = NULL`:                "filled is NULL",
		`UPDATE "Orders" SET reduce_only = NULL`:           "reduce_only is NULL",
		`ALTER TABLE positions ALTER quantity TYPE float8`: "open it again",
		`ALTER TABLE positions DROP quantity`:              "does not exist",
		`ALTER TABLE executions RENAME TO fills`:           "does not exist",
		`ALTER TABLE positions ENABLE ROW LEVEL SECURITY; CREATE ROLE bot LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public, andon TO bot; GRANT USAGE ON SCHEMA andon TO bot`: "row-level security",
	} {
		exec(t, pool, `TRUNCATE andon.applied CASCADE; DROP TABLE IF EXISTS positions, trades, executions, "Orders", fills;`+wholeTables+healthyRows)
		healthyRecords, err := book.Read(t.Context())
		require.NoError(t, err)
		exec(t, pool, sql)
		reader := book
		if want == "row-level security" { // a superuser sees everything
			reader = open2(t, pool, "bot")
		}
		records, err := reader.Read(t.Context())
		require.ErrorContains(t, err, want, sql)
		require.Equal(t, reconcile.Records{}, records)
		if want == "symbol is NULL" { // a repair of another symbol does not look at that row
			continue
		}
		order := healthyRecords.Orders[0]
		var said strings.Builder
		for i, e := range []reconcile.Edit{
			positionEdit("A", healthyRecords.Positions, nil), fillEdit("o1", healthyRecords.Fills, nil),
			{Key: reconcile.OrderKey(order), Orders: &reconcile.Rows[andon.Order]{Before: rows(order)}},
		} {
			if err := reader.Apply(t.Context(), transaction(fmt.Sprint("p", i), e)); err != nil {
				require.NotErrorIs(t, err, reconcile.ErrMoved, "what cannot be read has not moved: %s", sql)
				said.WriteString(err.Error())
			}
		}
		require.Contains(t, said.String(), want, sql)
	}
}

const healthyRows = `
	INSERT INTO positions (venue, symbol, leg, quantity, entry_price, current_price, status, updated_at) VALUES ('v', 'A', 'net', 1.5, 50000, 51000, 'open', '2026-03-01');
	INSERT INTO executions (id, "order", venue, symbol, leg, "Side", size, price, fee, currency, at) VALUES ('1', 'o1', 'v', 'A', 'net', 'BUY', 2, 50000, 1, 'USD', '2026-03-01');
	INSERT INTO "Orders" (client, venue, symbol, leg, side, kind, size, filled, trigger, reduce_only, expires, status, at) VALUES
		('c1', 'v', 'A', 'net', 'sell', 'stop-market', 1.5, 0, 45000, true, NULL, 'live', '2026-03-01')`

// open2 opens the same database as another role.
func open2(t *testing.T, pool *pgxpool.Pool, role string) *pgbook.Book {
	t.Helper()
	config := pool.Config()
	config.ConnConfig.User = role
	as, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(as.Close)
	book, err := pgbook.Open(t.Context(), pgbook.Config{DB: as, Venue: "v", Mapping: wholeMapping()})
	require.NoError(t, err)
	return book
}

func TestLaw9_TheSamePlanFromManyIsMadeOnce(t *testing.T) {
	book, pool := playbookBook(t, nil)
	missing := fill("andon-1", "o", andon.Buy, "1", "10", "0.1")
	var made, already atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := book.Apply(context.Background(), transaction("plan-1", positionEdit("A", nil, rows(position("A", "1", "2"))), fillEdit("o", nil, rows(missing))))
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, reconcile.ErrApplied):
				already.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	require.EqualValues(t, 7, already.Load())
	require.Equal(t, "1 1 1 2", value(t, pool, `SELECT concat_ws(' ', (SELECT count(*) FROM positions), (SELECT count(*) FROM andon.fills),
		(SELECT count(*) FROM andon.applied), (SELECT count(*) FROM andon.repairs))`))
}

// TestLaw9_AMissingFillIsInsertedOnce races plans that insert the same fill, which has an
// id made from its content, with the bot that books it itself.
func TestLaw9_AMissingFillIsInsertedOnce(t *testing.T) {
	book, pool := playbookBook(t, nil)
	missing := fill("andon-1", "o", andon.Buy, "1", "10", "0.1")
	var wg sync.WaitGroup
	var inserted, recorded atomic.Int32
	for i := range 6 {
		wg.Go(func() {
			err := book.Apply(context.Background(), transaction(fmt.Sprint("plan-", i), fillEdit("o", nil, rows(missing))))
			if err == nil {
				inserted.Add(1)
			} else if !errors.Is(err, reconcile.ErrMoved) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			n, err := book.RecordFills(context.Background(), missing)
			recorded.Add(int32(n))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, inserted.Load()+recorded.Load())
	require.Equal(t, "1", value(t, pool, `SELECT count(*) FROM andon.fills`))
}

// TestLaw9_NobodyElseWritesMeanwhile: the bot's own writer, which knows nothing of the
// book, cannot insert a row of the same leg between the check of the facts and the commit.
func TestLaw9_NobodyElseWritesMeanwhile(t *testing.T) {
	var pool *pgxpool.Pool
	insert := func(timeout string) error {
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `SELECT set_config('lock_timeout', $1, true)`, timeout)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `INSERT INTO positions (symbol, quantity, status) VALUES ('A', 100, 'open')`)
		if err != nil {
			return errors.Join(err, tx.Rollback(t.Context()))
		}
		return tx.Commit(t.Context())
	}
	asked := 0
	var book *pgbook.Book
	book, pool = playbookBook(t, func(c *pgbook.Config) {
		c.CheckWrite = func() error {
			if asked++; asked == 2 { // everything is done but the commit
				require.ErrorContains(t, insert("20ms"), "lock timeout")
				require.Equal(t, "0", value(t, pool, `SELECT count(*) FROM positions`), "readers go on")
			}
			return nil
		}
	})
	require.NoError(t, book.Apply(t.Context(), transaction("p", positionEdit("A", nil, rows(position("A", "1", "2"))))))
	require.NoError(t, insert("1min"))
	err := book.Apply(t.Context(), transaction("p2", positionEdit("A", rows(position("A", "1", "2")), nil)))
	require.ErrorIs(t, err, reconcile.ErrMoved, "its row is seen by the next plan")
}

func TestAWriteHoldHoldsRepairs(t *testing.T) {
	held := errors.New("held by /tmp/READONLY_MODE")
	var hold atomic.Int32
	book, pool := playbookBook(t, func(c *pgbook.Config) {
		c.CheckWrite = func() error {
			if hold.Add(-1) >= 0 {
				return nil
			}
			return held
		}
	})
	tx := transaction("p", positionEdit("A", nil, rows(position("A", "1", "2"))))
	for _, n := range []int32{0, 1} { // from the beginning, and placed while the plan is applied
		hold.Store(n)
		require.ErrorIs(t, book.Apply(t.Context(), tx), held)
		_, err := book.RecordFills(t.Context(), fill("1", "o", andon.Buy, "1", "1", "0"))
		require.ErrorIs(t, err, held)
		hold.Store(n)
		require.ErrorIs(t, book.PutOrder(t.Context(), andon.Order{ClientID: "c", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1")}), held)
		require.Equal(t, "0 0 0 0", value(t, pool, `SELECT concat_ws(' ', (SELECT count(*) FROM positions), (SELECT count(*) FROM andon.applied), (SELECT count(*) FROM andon.fills), (SELECT count(*) FROM andon.orders))`))
	}
	_, err := book.Read(t.Context())
	require.NoError(t, err, "reading goes on")
	hold.Store(2)
	require.NoError(t, book.Apply(t.Context(), tx))
}

// TestALockThatIsNotGivenBackIsNamed: somebody holds the table and never lets go.
func TestALockThatIsNotGivenBackIsNamed(t *testing.T) {
	book, pool := playbookBook(t, func(c *pgbook.Config) { c.LockTimeout, c.Attempts = 50*time.Millisecond, 2 })
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE positions IN ROW EXCLUSIVE MODE")
	require.NoError(t, err)
	repair := transaction("p", positionEdit("A", nil, rows(position("A", "1", "2"))))
	err = book.Apply(t.Context(), repair)
	require.ErrorContains(t, err, "lock timeout")
	_, err = book.Read(t.Context())
	require.NoError(t, err, "readers never wait")
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, book.Apply(t.Context(), repair))
}

func TestPositionsWithASideOfTheirOwn(t *testing.T) {
	pool := connect(t, newDatabase(t, `
		CREATE TYPE direction AS ENUM ('LONG', 'SHORT');
		CREATE TABLE positions (symbol text, quantity text, entry_price bigint, side direction, opened timestamp(3)) PARTITION BY LIST (symbol);
		CREATE TABLE a PARTITION OF positions FOR VALUES IN ('A'); CREATE TABLE rest PARTITION OF positions DEFAULT;
		INSERT INTO positions VALUES ('A', '1.50', 7, 'SHORT', '2026-03-01 12:00'), ('B', '2', 7, 'LONG', NULL)`))
	book := open(t, pool, func(c *pgbook.Config) {
		c.Mapping = pgbook.Mapping{Positions: pgbook.PositionColumns{
			Table: pgbook.Table{Name: "positions", Words: map[string]string{"long": "LONG", "short": "SHORT"}}, Symbol: "symbol", Quantity: "quantity",
			Entry: "entry_price", Side: "side", At: "opened",
		}}
	})
	records, err := book.Read(t.Context())
	require.NoError(t, err)
	a, b := position("A", "-1.5", "7"), position("B", "2", "7")
	a.At = noon
	require.ElementsMatch(t, rows(a, b), records.Positions)
	turned := position("A", "3", "8")
	require.NoError(t, book.Apply(t.Context(), transaction("p", positionEdit("A", rows(a), rows(turned)), positionEdit("B", rows(b), nil), positionEdit("C", nil, rows(position("C", "-1", "1"))))))
	require.Equal(t, "A|3|8|LONG, C|1|1|SHORT", value(t, pool, `SELECT string_agg(concat_ws('|', symbol, quantity, entry_price, side), ', ' ORDER BY symbol) FROM positions`))
	exec(t, pool, `UPDATE positions SET quantity = '-3'`)
	_, err = book.Read(t.Context())
	require.ErrorContains(t, err, "want no sign")
	exec(t, pool, `UPDATE positions SET quantity = '3 lots'`)
	_, err = book.Read(t.Context())
	require.ErrorIs(t, err, andon.ErrSyntax)
}

// TestThePoolsOwnSettingsDoNotMatter: a pool for a proxy, with the simple protocol and
// odd session settings.
func TestThePoolsOwnSettingsDoNotMatter(t *testing.T) {
	conn := newDatabase(t, wholeTables+healthyRows)
	config, err := pgxpool.ParseConfig(conn)
	require.NoError(t, err)
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.ConnConfig.RuntimeParams = map[string]string{
		"timezone": "Asia/Kathmandu", "datestyle": "German", "extra_float_digits": "-5", "default_transaction_isolation": "serializable",
		"default_transaction_deferrable": "on", "standard_conforming_strings": "on",
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	book := open(t, pool, func(c *pgbook.Config) { c.Mapping = wholeMapping() })
	records, err := book.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), records.Positions[0].At)
	require.Equal(t, dec("50000"), records.Positions[0].Entry)
	a := records.Positions[0]
	b := a
	b.Quantity = dec("9")
	require.NoError(t, book.Apply(t.Context(), transaction("p", positionEdit("A", rows(a), rows(b)))))
	result, _ := book.CheckIntegrity(t.Context(), noon.Add(-100*24*time.Hour))
	require.Contains(t, result.Of("positions-future").Rows[0].String(), "updated_at=2026-03-01 00:00:00+00")
}
