package pgbook_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// guarded sets all limits, and maps what every check needs.
func guarded(c *pgbook.Config) {
	c.Limits.MaxLeverage = dec("10")
	c.Limits.Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	c.Mapping.Trades.ID, c.Mapping.Trades.Symbol = "id", "symbol"
}

const tradeIDs = "ALTER TABLE trades ADD id text, ADD symbol text;"

// healthy is a state of the tables that no check objects to.
const healthy = tradeIDs + `
	INSERT INTO positions (venue, symbol, leg, quantity, entry_price, current_price, status, updated_at) VALUES
		('v', 'BTC-USD', 'net', 1.5, 50000, 51000, 'open', '2026-03-01 11:00Z'),
		('v', 'ETH-USD', 'short', -2, 3000, 2900, 'open', '2026-03-01 11:00Z'),
		('v', 'BTC-USD', 'net', 9, 40000, 41000, 'closed', '2026-02-01 11:00Z');
	INSERT INTO executions (id, "order", venue, symbol, leg, "Side", size, price, fee, currency, at) VALUES
		('1', 'o1', 'v', 'BTC-USD', 'net', 'BUY', 2, 50000, 1, 'USD', '2026-03-01 10:00Z'),
		('2', 'o2', 'v', 'BTC-USD', 'net', 'SELL', 0.5, 52000, 1, 'USD', '2026-03-01 10:30Z'),
		('3', 'o3', 'v', 'ETH-USD', 'S', 'SELL', 2, 3000, 1, 'USD', '2026-03-01 10:00Z');
	INSERT INTO "Orders" (client, venue, symbol, leg, side, kind, size, filled, trigger, reduce_only, expires, status, at) VALUES
		('c1', 'v', 'BTC-USD', 'net', 'sell', 'stop-market', 1.5, 0, 45000, true, '2027-01-01', 'live', '2026-03-01 10:00Z'),
		('c2', 'v', 'SOL-USD', 'net', 'sell', 'stop-market', 1.5, 0, 45, true, NULL, 'CANCELLED', '2026-03-01 10:00Z');
	INSERT INTO trades (id, symbol, status, created_at, size, leverage, ip_address) VALUES
		('t1', 'BTC-USD', 'open', '2026-03-01 10:00Z', 1.5, 2, '10.1.2.3'),
		('t2', 'ETH-USD', 'open', '2026-03-01 10:00Z', 2, 2, '::ffff:10.1.2.4'),
		('t3', 'SOL-USD', 'closed', '2026-02-01 10:00Z', 100, 50, '192.168.1.1'),
		('t4', 'SOL-USD', 'cancelled', '2026-02-01 10:00Z', 1, 1, '192.168.1.1');`

// TestEveryCheckFires spoils a healthy database in one way at a time and wants exactly
// these checks to find it.
func TestEveryCheckFires(t *testing.T) {
	pool := connect(t, newDatabase(t, wholeTables+healthy+`CREATE TABLE saved AS SELECT 1`))
	book := open(t, pool, func(c *pgbook.Config) {
		c.Mapping = wholeMapping()
		guarded(c)
		c.Checks = []pgbook.Check{{Name: "no-doge", Table: "trades", SQL: "SELECT * FROM trades WHERE symbol = 'DOGE' -- much"}}
	})
	found := func() map[string]int {
		result, err := book.CheckIntegrity(t.Context(), noon)
		require.NoError(t, err)
		require.Equal(t, result.Found() == 0, result.Clean())
		got := map[string]int{}
		for _, r := range result.Results {
			require.Len(t, r.Rows, r.Found)
			if r.Found > 0 {
				got[r.Check] = r.Found
			}
		}
		return got
	}
	require.Empty(t, found(), "the healthy state")
	fired := map[string]bool{}
	for _, test := range []struct {
		sql  string
		want map[string]int
	}{
		{`UPDATE positions SET entry_price = NULL WHERE symbol = 'ETH-USD'`, map[string]int{"positions-null-price": 1}},
		{`UPDATE positions SET current_price = NULL WHERE status = 'closed'`, map[string]int{"positions-null-price": 1}},
		{`UPDATE positions SET quantity = 1.4999 WHERE symbol = 'BTC-USD' AND status = 'open'`, map[string]int{"positions-fills": 1}},
		{`UPDATE positions SET quantity = NULL WHERE symbol = 'ETH-USD'`, map[string]int{"positions-null": 1, "positions-fills": 1}},
		{`UPDATE positions SET quantity = 'NaN' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-not-a-number": 1, "positions-fills": 1}},
		{`UPDATE positions SET current_price = 'Infinity' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-not-a-number": 1}},
		{`UPDATE positions SET entry_price = 0 WHERE symbol = 'ETH-USD'`, map[string]int{"positions-sign": 1}},
		{`UPDATE positions SET leg = 'long' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-sign": 1, "positions-fills": 2}},
		{`UPDATE positions SET status = 'opne' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-illegal-word": 1}},
		{`UPDATE positions SET status = NULL WHERE symbol = 'ETH-USD'`, map[string]int{"positions-illegal-word": 1, "positions-null": 1}},
		{`UPDATE positions SET updated_at = '2026-03-01 12:00:06Z' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-future": 1}},
		{`UPDATE positions SET updated_at = '-infinity' WHERE symbol = 'ETH-USD'`, map[string]int{"positions-future": 1}},
		{`INSERT INTO positions SELECT symbol, 0, 1, 1, 'open', 99, venue, leg, updated_at FROM positions WHERE symbol = 'ETH-USD'`, map[string]int{"positions-duplicate": 2}},
		{`DELETE FROM trades WHERE id = 't1'`, map[string]int{"positions-orphan": 1}},
		{`UPDATE positions SET status = 'closed' WHERE symbol = 'BTC-USD'`, map[string]int{"positions-fills": 1, "trades-orphan": 1, "orders-orphan": 1}},
		{`UPDATE executions SET fee = NULL WHERE id = '1'`, map[string]int{"fills-null": 1}},
		{`UPDATE executions SET "order" = '' WHERE id = '1'`, map[string]int{"fills-null": 1}},
		{`UPDATE executions SET price = 'NaN' WHERE id = '1'`, map[string]int{"fills-not-a-number": 1}},
		{`UPDATE executions SET price = -1 WHERE id = '1'`, map[string]int{"fills-sign": 1}},
		{`UPDATE executions SET "Side" = 'buy' WHERE id = '1'`, map[string]int{"fills-illegal-word": 1, "positions-fills": 1}},
		{`UPDATE executions SET at = 'infinity' WHERE id = '1'`, map[string]int{"fills-future": 1}},
		{`INSERT INTO executions (id, "order", venue, symbol, leg, "Side", size, price, fee, currency, at) VALUES ('1', 'o9', 'v', 'BTC-USD', 'net', 'BUY', 2, 1, 1, 'USD', '2026-03-01 10:00Z')`,
			map[string]int{"fills-duplicate": 2, "positions-fills": 1}},
		{`UPDATE "Orders" SET client = NULL WHERE client = 'c1'`, map[string]int{"orders-null": 1}},
		{`UPDATE "Orders" SET size = 'NaN' WHERE client = 'c1'`, map[string]int{"orders-not-a-number": 1}},
		{`UPDATE "Orders" SET filled = 2 WHERE client = 'c1'`, map[string]int{"orders-sign": 1}},
		{`UPDATE "Orders" SET kind = 'iceberg' WHERE client = 'c1'`, map[string]int{"orders-illegal-word": 1}},
		{`UPDATE "Orders" SET at = '2027-01-01' WHERE client = 'c1'`, map[string]int{"orders-future": 1}},
		{`UPDATE "Orders" SET client = 'c1'`, map[string]int{"orders-duplicate": 2}},
		{`UPDATE "Orders" SET status = 'live' WHERE client = 'c2'`, map[string]int{"orders-orphan": 1}},
		{`UPDATE trades SET status = 'pending' WHERE id = 't4'`, map[string]int{"trades-illegal-word": 1}},
		{`UPDATE trades SET size = NULL WHERE id = 't4'`, map[string]int{"trades-null": 1}},
		{`UPDATE trades SET size = 0 WHERE id = 't4'`, map[string]int{"trades-sign": 1}},
		{`UPDATE trades SET created_at = '2026-03-02' WHERE id = 't4'`, map[string]int{"trades-future": 1, "trades-address": 1}},
		{`UPDATE trades SET id = 't1' WHERE id = 't4'`, map[string]int{"trades-duplicate": 2}},
		{`UPDATE trades SET symbol = 'SOL-USD', status = 'open' WHERE id = 't4'`, map[string]int{"trades-orphan": 1}},
		{`UPDATE trades SET size = 400 WHERE id = 't1'`, map[string]int{"trades-size": 1}},
		{`UPDATE trades SET size = 1200 WHERE id = 't1'; UPDATE trades SET size = 'NaN' WHERE id = 't4';
			INSERT INTO trades SELECT 'closed', '2026-02-01', 1, 1, NULL, 'u' || i, 'SOL-USD' FROM generate_series(1, 9) i`, map[string]int{"trades-size": 1, "trades-not-a-number": 1}},
		{`UPDATE trades SET size = 'NaN' WHERE id = 't1'`, map[string]int{"trades-size": 1, "trades-not-a-number": 1}},
		{`UPDATE trades SET leverage = 10.0000001 WHERE id = 't1'`, map[string]int{"trades-leverage": 1}},
		{`UPDATE trades SET leverage = NULL WHERE id = 't1'`, map[string]int{"trades-leverage": 1}},
		{`UPDATE trades SET ip_address = '11.0.0.1' WHERE id = 't1'`, map[string]int{"trades-address": 1}},
		{`UPDATE trades SET ip_address = NULL WHERE id = 't1'`, map[string]int{"trades-address": 1}},
		{`UPDATE trades SET ip_address = 'localhost' WHERE id = 't1'`, map[string]int{"trades-address": 1}},
		{`INSERT INTO trades (id, symbol, status, created_at, size, leverage, ip_address) VALUES ('t5', 'DOGE', 'closed', '2026-02-01', 1, 1, '10.1.1.1')`, map[string]int{"no-doge": 1}},
	} {
		exec(t, pool, `TRUNCATE positions, executions, "Orders", trades; ALTER TABLE trades DROP id, DROP symbol;`+healthy)
		exec(t, pool, test.sql)
		require.Equal(t, test.want, found(), test.sql)
		for name := range test.want {
			fired[name] = true
		}
	}
	for _, name := range book.Checks() {
		require.True(t, fired[name], "no test makes %s fire", name)
	}
}

// TestLaw1_ACheckThatCannotRunIsNoPass takes what a check needs away, in every way.
func TestLaw1_ACheckThatCannotRunIsNoPass(t *testing.T) {
	pool := connect(t, newDatabase(t, playbookTables+`CREATE TABLE whitelist (ip text)`))
	config := pgbook.Config{DB: pool, Venue: "v"}
	require.NoError(t, pgbook.Migrate(t.Context(), pool, ""))
	check := func(c pgbook.Config, name string) error {
		t.Helper()
		book, err := pgbook.Open(t.Context(), c)
		require.NoError(t, err)
		result, err := book.CheckIntegrity(t.Context(), noon)
		require.ErrorIs(t, err, pgbook.ErrNotRun)
		require.False(t, result.Clean())
		of := result.Of(name)
		require.NotNil(t, of)
		require.ErrorIs(t, of.Err, pgbook.ErrNotRun)
		require.ErrorContains(t, err, name)
		require.Contains(t, result.String(), "NOT RUN")
		require.NoError(t, result.Of("positions-null-price").Err, "the others run")
		return of.Err
	}
	require.ErrorContains(t, check(config, "trades-leverage"), "MaxLeverage is missing")
	require.ErrorContains(t, check(config, "trades-address"), "Addresses is empty")
	require.ErrorContains(t, check(config, "trades-orphan"), "trades.symbol has no column")

	without := config
	without.Mapping = pgbook.DefaultMapping()
	without.Mapping.Trades = pgbook.TradeColumns{}
	require.ErrorContains(t, check(without, "trades-null"), "trades has no table")

	without.Mapping = pgbook.DefaultMapping()
	without.Mapping.Whitelist = pgbook.WhitelistColumns{Table: pgbook.Table{Name: "whitelist"}, Address: "ip"}
	exec(t, pool, `INSERT INTO whitelist VALUES ('10.0.0.1'), (NULL)`)
	require.ErrorContains(t, check(without, "trades-address"), "which is no address")

	own := config
	for sql, want := range map[string]string{
		"SELECT * FROM no_such_table":                                 "no_such_table",
		"SELECT no_such_column FROM trades":                           "no_such_column",
		"SELECT 1 AS a, 2 AS a":                                       `two columns are called "a"`,
		"DELETE FROM trades RETURNING *":                              "syntax error",
		"SELECT 1) AS x; DELETE FROM trades; SELECT * FROM (SELECT 1": "cannot insert multiple commands",
		"COMMIT": "syntax error",
		"WITH gone AS (DELETE FROM trades RETURNING *) SELECT * FROM gone": "data-modifying",
		"SELECT setval('s', 5)": "read-only transaction",
		"SELECT pg_sleep(60)":   "statement timeout",
	} {
		own.StatementTimeout = time.Minute
		if want == "statement timeout" {
			own.StatementTimeout = 3 * time.Second
		}
		own.Checks = []pgbook.Check{{Name: "mine", Table: "trades", SQL: sql}}
		exec(t, pool, `DROP SEQUENCE IF EXISTS s; CREATE SEQUENCE s; TRUNCATE trades; INSERT INTO trades VALUES ('open')`)
		require.ErrorContains(t, check(own, "mine"), want, sql)
		require.Equal(t, "1", value(t, pool, "SELECT count(*) FROM trades"))
	}

	skip := config
	skip.Skip = []string{"trades-leverage", "trades-address", "trades-orphan", "positions-orphan", "positions-future", "fills-null"}
	exec(t, pool, `TRUNCATE trades`)
	book, err := pgbook.Open(t.Context(), skip)
	require.NoError(t, err)
	result, err := book.CheckIntegrity(t.Context(), noon)
	require.NoError(t, err)
	require.True(t, result.Clean())
	require.Contains(t, result.String(), "skipped")

	exec(t, pool, `ALTER TABLE trades DROP leverage, DROP size`) // after the book was opened
	result, err = book.CheckIntegrity(t.Context(), noon)
	require.ErrorIs(t, err, pgbook.ErrNotRun)
	require.ErrorContains(t, result.Of("trades-size").Err, `column "size" does not exist`)

	skip.Skip = []string{"trades-levrage"}
	_, err = pgbook.Open(t.Context(), skip)
	require.ErrorContains(t, err, "Skip[0]: there is no check \"trades-levrage\"")
}

// TestTheWhitelistMayLieInATable: entries are addresses and networks of both kinds.
func TestTheWhitelistMayLieInATable(t *testing.T) {
	pool := connect(t, newDatabase(t, playbookTables+`
		CREATE TABLE whitelist (ip inet); INSERT INTO whitelist VALUES ('10.0.0.1'), ('192.168.0.0/16'), ('2001:db8::/32');
		ALTER TABLE trades ALTER ip_address TYPE inet USING ip_address::inet;
		INSERT INTO trades SELECT 'open', '2026-03-01 11:00Z', 1, 1, a::inet FROM unnest(ARRAY['10.0.0.1', '10.0.0.2', '192.168.7.7', '192.0.0.0/8', '2001:db8::5', '2001:db9::5']) a`))
	book := open(t, pool, func(c *pgbook.Config) {
		c.Mapping = pgbook.DefaultMapping()
		c.Mapping.Whitelist = pgbook.WhitelistColumns{Table: pgbook.Table{Name: "whitelist"}, Address: "ip"}
	})
	result, _ := book.CheckIntegrity(t.Context(), noon)
	var got []string
	for _, r := range result.Of("trades-address").Rows {
		got = append(got, r[len(r)-1].Value)
	}
	require.ElementsMatch(t, []string{"10.0.0.2", "192.0.0.0/8", "2001:db9::5"}, got)
}

// TestTotalsAreThePlaybooks: per symbol, exact, and what they leave out is counted.
func TestTotalsAreThePlaybooks(t *testing.T) {
	book, pool := playbookBook(t, nil)
	exec(t, pool, `INSERT INTO positions (symbol, quantity, entry_price, status) VALUES
		('BTC-USD', 0.1, 0.2, 'open'), ('BTC-USD', 0.20000001, 3, 'open'), ('BTC-USD', 'NaN', 1, 'open'), ('BTC-USD', 7, 7, 'closed'), ('ETH-USD', -1, NULL, 'open')`)
	result, _ := book.CheckIntegrity(t.Context(), noon)
	require.Equal(t, []pgbook.Total{
		{Symbol: "BTC-USD", Quantity: dec("0.30000001"), Value: dec("0.62000003"), Rows: 3, Unknown: 1},
		{Symbol: "ETH-USD", Quantity: dec("-1"), Rows: 1, Unknown: 1},
	}, result.Totals)

	exec(t, pool, `UPDATE positions SET quantity = 0.0000000000000000000001 WHERE symbol = 'ETH-USD'`)
	result, err := book.CheckIntegrity(t.Context(), noon)
	require.ErrorIs(t, err, andon.ErrTooManyDigits)
	require.Nil(t, result.Totals)
	require.ErrorIs(t, result.Of(pgbook.TotalsCheck).Err, pgbook.ErrNotRun)
}

// TestExport: the rows with check and table, exact, ordered, and the whole or nothing.
func TestExport(t *testing.T) {
	book, pool := playbookBook(t, func(c *pgbook.Config) {
		c.Limits.MaxRows = 3
		c.Skip = []string{"trades-size"}
	})
	exec(t, pool, `INSERT INTO positions VALUES ('B"<', 1.10, NULL, 5, 'open'), ('A', 123456789.123456789123456789, NULL, 'NaN', 'open')`)
	result, err := book.CheckIntegrity(t.Context(), noon)
	require.ErrorIs(t, err, pgbook.ErrNotRun)
	path := filepath.Join(t.TempDir(), "corrupted_data.json")
	require.NoError(t, result.Export(path))
	var got struct {
		Version int       `json:"andon_corrupted_data"`
		At      time.Time `json:"at"`
		Rows    []struct {
			Check, Table string
			Row          map[string]*string
		} `json:"rows"`
		NotRun []struct{ Check, Why string } `json:"not_run"`
		Skip   []string                      `json:"skipped"`
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, 1, got.Version)
	require.True(t, noon.Equal(got.At))
	require.Equal(t, []string{"trades-size"}, got.Skip)
	require.NotEmpty(t, got.NotRun)
	first := got.Rows[0]
	require.Equal(t, "positions-null-price", first.Check)
	require.Equal(t, "positions", first.Table)
	require.Equal(t, "B\"<", *first.Row["symbol"])
	require.Equal(t, "1.10", *first.Row["quantity"])
	require.Nil(t, first.Row["entry_price"])
	require.Equal(t, "123456789.123456789123456789", *got.Rows[1].Row["quantity"], "exact")
	require.Equal(t, "NaN", *got.Rows[1].Row["current_price"])
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	again, _ := book.CheckIntegrity(t.Context(), noon)
	require.NoError(t, again.Export(path))
	same, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(data), string(same))

	exec(t, pool, `INSERT INTO positions SELECT 'C' || i, 1, NULL, 5, 'open' FROM generate_series(1, 9) i`)
	again, _ = book.CheckIntegrity(t.Context(), noon)
	require.Equal(t, 11, again.Of("positions-null-price").Found)
	require.Len(t, again.Of("positions-null-price").Rows, 3)
	err = again.Export(path)
	require.ErrorIs(t, err, pgbook.ErrIncomplete)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(data), string(after), "what was there stays")

	err = result.Export(filepath.Join(t.TempDir(), "no", "folder"))
	require.True(t, errors.Is(err, os.ErrNotExist))
}

// TestTradesWithoutAnIdRepeatAsWholeRows: without an id, rows that are equal in every
// column are duplicates.
func TestTradesWithoutAnIdRepeatAsWholeRows(t *testing.T) {
	book, pool := playbookBook(t, nil)
	exec(t, pool, `INSERT INTO trades VALUES ('open', '2026-03-01', 1, 1, 'x'), ('open', '2026-03-01', 1, 1, 'x'), ('open', '2026-03-01', 1.0, 1, 'x'), ('open', '2026-03-01', 1, NULL, 'x')`)
	result, _ := book.CheckIntegrity(t.Context(), noon)
	require.Equal(t, 2, result.Of("trades-duplicate").Found)
}

// TestTradesThatPointToAPosition: with a column for it, an orphan is one whose position
// is not there.
func TestTradesThatPointToAPosition(t *testing.T) {
	pool := connect(t, newDatabase(t, wholeTables+`
		ALTER TABLE trades ADD position_id bigint;
		INSERT INTO positions (id, symbol, status) VALUES (1, 'A', 'closed');
		INSERT INTO trades (status, position_id) VALUES ('open', 1), ('closed', 2), ('open', NULL)`))
	book := open(t, pool, func(c *pgbook.Config) {
		c.Mapping = wholeMapping()
		c.Mapping.Trades.Position = "position_id"
	})
	result, _ := book.CheckIntegrity(t.Context(), noon)
	require.Equal(t, 1, result.Of("trades-orphan").Found)
	require.Contains(t, result.Of("trades-orphan").Rows[0].String(), "position_id=2")
}
