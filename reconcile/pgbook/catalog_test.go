package pgbook_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon/reconcile/pgbook"
)

func TestOpenHoldsTheMappingAgainstTheCatalog(t *testing.T) {
	pool := connect(t, newDatabase(t, wholeTables))
	require.NoError(t, pgbook.Migrate(t.Context(), pool, ""))
	for _, test := range []struct {
		sql    string
		change func(*pgbook.Mapping)
		want   string
	}{
		{`ALTER TABLE positions ALTER quantity TYPE float8`, nil,
			`positions.quantity: column "public"."positions"."quantity": is double precision, which rounds to binary fractions and is never exact: ALTER TABLE "public"."positions" ALTER COLUMN "quantity" TYPE numeric USING "quantity"::text::numeric`},
		{`ALTER TABLE executions ALTER fee TYPE real`, nil, `fills.fee: column "public"."executions"."fee": is real`},
		{`ALTER TABLE trades ALTER size TYPE float8`, nil, `trades.size`},
		{`ALTER TABLE positions ALTER entry_price TYPE money`, nil, `digits depend on the server's locale`},
		{`ALTER TABLE positions ALTER symbol TYPE char(12)`, nil, `pads with spaces`},
		{`ALTER TABLE positions ALTER symbol TYPE bytea USING symbol::bytea`, nil, `is bytea, want one of text`},
		{`ALTER TABLE positions ALTER updated_at TYPE date`, nil, `positions.at: column "public"."positions"."updated_at": is date`},
		{`ALTER TABLE "Orders" ALTER reduce_only TYPE int USING 0`, nil, `orders.reduce_only`},
		{`ALTER TABLE positions DROP entry_price`, nil, `has no column "entry_price", it has ["current_price" "id"`},
		{`ALTER TABLE positions DROP current_price, ADD current_price numeric GENERATED ALWAYS AS (quantity) STORED`, nil, `is generated`},
		{`ALTER TABLE positions ADD strategy text NOT NULL`, nil, `positions.fixed: column "public"."positions"."strategy" is not null and has no default`},
		{``, func(m *pgbook.Mapping) { m.Positions.Fixed = map[string]string{"strategy": "x"} }, `positions.fixed: table "public"."positions" has no column "strategy"`},
		{`DROP TABLE trades`, nil, `trades.table: there is no table "trades"`},
		{`DROP TABLE trades; CREATE VIEW trades AS SELECT * FROM positions`, nil, `is a view or something else`},
		{``, func(m *pgbook.Mapping) { m.Orders.Name = "orders" }, `there is no table "public"."orders"`},
		{``, func(m *pgbook.Mapping) { m.Positions.Schema = "elsewhere" }, `there is no table "elsewhere"."positions"`},
	} {
		exec(t, pool, `DROP VIEW IF EXISTS trades`[:0]+`DO $$ BEGIN DROP TABLE IF EXISTS trades; EXCEPTION WHEN wrong_object_type THEN DROP VIEW trades; END $$;
			DROP TABLE positions, executions, "Orders";`+wholeTables+test.sql)
		m := wholeMapping()
		if test.change != nil {
			test.change(&m)
		}
		_, err := pgbook.Open(t.Context(), pgbook.Config{DB: pool, Venue: "v", Mapping: m})
		require.ErrorIs(t, err, pgbook.ErrMapping, test.sql)
		require.ErrorContains(t, err, test.want)
	}
	exec(t, pool, `DROP TABLE positions, trades, executions, "Orders"; `+wholeTables+`
		CREATE DOMAIN money8 AS numeric(28,8) CHECK (VALUE >= 0);
		ALTER TABLE positions ADD strategy text NOT NULL, ALTER entry_price TYPE money8, DROP id, ADD id bigint GENERATED ALWAYS AS IDENTITY`)
	m := wholeMapping()
	m.Positions.Fixed = map[string]string{"strategy": "andon's"}
	book, err := pgbook.Open(t.Context(), pgbook.Config{DB: pool, Venue: "v", Mapping: m})
	require.NoError(t, err)
	require.NoError(t, book.Apply(t.Context(), transaction("p", positionEdit("A", nil, rows(position("A", "1", "2.00000001"))))))
	records, err := book.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, rows(position("A", "1", "2.00000001")), records.Positions)
	require.Equal(t, "andon's", value(t, pool, "SELECT strategy FROM positions"))
}

// TestNamesAreAlwaysQuoted makes tables with hostile names and reads and writes
// through them: a name is never read as SQL.
func TestNamesAreAlwaysQuoted(t *testing.T) {
	pool := connect(t, newDatabase(t, playbookTables))
	require.NoError(t, pgbook.Migrate(t.Context(), pool, `my "own"; --`))
	exec(t, pool, `CREATE TABLE canary (n int)`)
	names := rapid.OneOf(
		rapid.SampledFrom([]string{`"`, `""`, `a"; DROP TABLE canary; --`, `select`, `Positions`, `a b`, `é`, `$1`, `'`, `\`, `%s`, "\n", `a.b`, `k`, `t`, `x`, `d`, `q`, `s`, `e`, `venue`, `leg`, `andon_row`}),
		rapid.StringMatching(`[a-z"';\\ $.()-]{1,20}`),
	)
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.SliceOfNDistinct(names, 7, 7, rapid.ID).Draw(r, "names")
		q := func(i int) string { return pgx.Identifier{n[i]}.Sanitize() }
		exec(t, pool, `DROP SCHEMA IF EXISTS hostile CASCADE; CREATE SCHEMA hostile; CREATE TABLE hostile.`+q(0)+` (`+q(1)+` text, `+q(2)+` numeric, `+q(3)+
			` numeric, `+q(4)+` text, `+q(5)+` timestamptz, `+q(6)+` text NOT NULL)`)
		m := pgbook.Mapping{Positions: pgbook.PositionColumns{
			Table: pgbook.Table{Schema: "hostile", Name: n[0], Fixed: map[string]string{n[6]: n[0]}}, Symbol: n[1], Quantity: n[2], Entry: n[3], Status: n[4], At: n[5],
			Open: n[0], Closed: []string{n[1], n[2]},
		}}
		book, err := pgbook.Open(t.Context(), pgbook.Config{
			DB: pool, Venue: n[0], Mapping: m, Schema: `my "own"; --`, Skip: nil,
		})
		require.NoError(t, err)
		p := position(n[3], "1", "2")
		p.Venue = n[0]
		e := positionEdit(n[3], nil, rows(p))
		e.Key.Venue = n[0]
		id := strings.Join(n, "\x1f")
		_, err = pool.Exec(t.Context(), `DELETE FROM "my ""own""; --".repairs; DELETE FROM "my ""own""; --".applied`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		require.NoError(t, book.Apply(t.Context(), transaction(id, e)))
		records, err := book.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, rows(p), records.Positions)
		result, err := book.CheckIntegrity(t.Context(), noon)
		require.ErrorIs(t, err, pgbook.ErrNotRun)
		for _, c := range []string{"positions-null", "positions-sign", "positions-illegal-word", "positions-future", "positions-duplicate", "positions-fills"} {
			require.NoError(t, result.Of(c).Err)
		}
		require.Equal(t, "0", value(t, pool, "SELECT count(*) FROM canary"))
	})
}

func TestMigrateIsVersioned(t *testing.T) {
	pool := connect(t, newDatabase(t, playbookTables))
	config := pgbook.Config{DB: pool, Venue: "v", Schema: "mine"}
	refused := func(want string) {
		t.Helper()
		_, err := pgbook.Open(t.Context(), config)
		require.ErrorIs(t, err, pgbook.ErrSchema)
		require.ErrorContains(t, err, want)
	}
	refused("run pgbook.Migrate once")
	done := make(chan error)
	for range 4 { // at once
		go func() { done <- pgbook.Migrate(t.Context(), pool, "mine") }()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	_, err := pgbook.Open(t.Context(), config)
	require.NoError(t, err)
	require.Equal(t, "positions,trades", value(t, pool, `SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace`))

	exec(t, pool, `INSERT INTO mine.migrations (version, name, sha256) VALUES (99, '0099_later.sql', 'x')`)
	refused("run the newer library")
	require.ErrorIs(t, pgbook.Migrate(t.Context(), pool, "mine"), pgbook.ErrSchema)
	exec(t, pool, `DELETE FROM mine.migrations WHERE version = 99; UPDATE mine.migrations SET sha256 = 'x'`)
	refused("another content")
	require.ErrorIs(t, pgbook.Migrate(t.Context(), pool, "mine"), pgbook.ErrSchema)
	exec(t, pool, `DELETE FROM mine.migrations`)
	refused("at version 0 of")
	require.ErrorContains(t, pgbook.Migrate(t.Context(), pool, "mine"), "already exists", "its tables are there, its record is gone: nobody can say what they are")
	require.ErrorContains(t, pgbook.Migrate(t.Context(), pool, strings.Repeat("x", 64)), "want at most 63")
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := pgbook.Open(t.Context(), pgbook.Config{
		Schema: "a\x00", LockTimeout: 1, StatementTimeout: -1, SettleTimeout: -1, Attempts: -1,
		Limits: pgbook.Limits{MaxLeverage: dec("-1"), SizeFactor: dec("-1"), Recent: -1, Skew: -1, MaxRows: -1},
		Checks: []pgbook.Check{{}, {Name: "trades-size", Table: "t", SQL: "x"}, {Name: "a", Table: "t", SQL: "x"}, {Name: "a", Table: "t", SQL: "x"}},
		Mapping: pgbook.Mapping{
			Positions: pgbook.PositionColumns{Table: pgbook.Table{Name: "p", Words: map[string]string{"buy": "B"}}, Symbol: strings.Repeat("s", 64)},
			Fills:     pgbook.FillColumns{Table: pgbook.Table{Name: "f", Words: map[string]string{"buy": "X", "sell": "X"}}, Side: "side"},
		},
	})
	for _, want := range []string{
		"DB: is missing", "Venue: ", "Schema: ", "LockTimeout: ", "StatementTimeout: ", "SettleTimeout: ", "Attempts: ", "Limits.MaxLeverage: ", "Limits.SizeFactor: ",
		"Limits.Recent: ", "Limits.Skew: ", "Limits.MaxRows: ", "Checks[0].Name: ", "Checks[0].Table: ", "Checks[0].SQL: ", "Checks[1].Name: ", "Checks[3].Name: ",
		`positions.words: "buy" is a word of no mapped column`, "positions.symbol: column", "positions.quantity: has no column", "positions.entry_price: has no column",
		"fills.id: has no column", "fills.order_id: has no column", "fills.fee: has no column", `fills.side: the word "X" for "sell"`,
	} {
		require.ErrorContains(t, err, want)
	}
}
