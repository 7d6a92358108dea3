package pgbook_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dec  = andon.MustDecimal
)

// shared is one server for all tests of the package; each gets a database of its own.
var shared struct {
	sync.Mutex
	cluster  *pgtest.Cluster
	cleanups []func()
}

var databases atomic.Int64

type main struct{ *testing.M }

func TestMain(m *testing.M) { goleak.VerifyTestMain(main{m}) }

// Run runs the tests and then ends the server.
func (m main) Run() int {
	code := m.M.Run()
	for i := len(shared.cleanups) - 1; i >= 0; i-- {
		shared.cleanups[i]()
	}
	return code
}

// keeper lets the server outlive the test that started it.
type keeper struct{ testing.TB }

func (keeper) Cleanup(f func()) { shared.cleanups = append(shared.cleanups, f) }

func server(t testing.TB) *pgtest.Cluster {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		shared.cluster = pgtest.Start(keeper{t})
	}
	return shared.cluster
}

// newDatabase makes a database with these tables and returns how to connect to it.
func newDatabase(t testing.TB, sql string) string {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), server(t).ConnString())
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.Background())) }()
	name := fmt.Sprintf("test%d", databases.Add(1))
	_, err = admin.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	conn := server(t).ConnString() + " dbname=" + name
	exec(t, connect(t, conn), sql)
	return conn
}

// connect opens a pool that is closed with the test.
func connect(t testing.TB, conn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// exec runs statements.
func exec(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// value reads one text.
func value(t testing.TB, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	var text *string
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT ("+sql+")::text").Scan(&text))
	if text == nil {
		return "NULL"
	}
	return *text
}

// playbookTables are the tables with the playbook's columns and nothing else.
const playbookTables = `
	CREATE TABLE positions (symbol text, quantity numeric, entry_price numeric, current_price numeric, status text);
	CREATE TABLE trades (status text, created_at timestamptz, size numeric, leverage numeric, ip_address text);`

// wholeTables are a bot's own tables with a column for everything.
const wholeTables = playbookTables + `
	ALTER TABLE positions ADD id bigserial PRIMARY KEY, ADD venue text, ADD leg text, ADD updated_at timestamptz, ADD note text DEFAULT 'the bot''s own';
	CREATE TABLE executions (n bigserial, id text, "order" text, client text, venue text, symbol text, leg text, "Side" text,
		size numeric, price numeric, fee numeric, currency varchar(10), at timestamptz);
	CREATE TABLE "Orders" (client text, oid text, venue text, symbol text, leg text, side text, kind text, size numeric, filled numeric,
		price numeric, trigger numeric, reduce_only boolean, expires timestamptz, status text, at timestamptz);`

func wholeMapping() pgbook.Mapping {
	m := pgbook.DefaultMapping()
	m.Positions.ID, m.Positions.Venue, m.Positions.Leg, m.Positions.At = "id", "venue", "leg", "updated_at"
	m.Fills = pgbook.FillColumns{
		Table: pgbook.Table{Name: "executions", Words: map[string]string{"buy": "BUY", "sell": "SELL", "short": "S"}},
		ID:    "id", OrderID: "order", ClientID: "client", Venue: "venue", Symbol: "symbol", Leg: "leg", Side: "Side",
		Quantity: "size", Price: "price", Fee: "fee", FeeCurrency: "currency", At: "at",
	}
	m.Orders = pgbook.OrderColumns{
		Table: pgbook.Table{Name: "Orders", Schema: "public", Words: map[string]string{"canceled": "CANCELLED"}}, ClientID: "client", VenueID: "oid",
		Venue: "venue", Symbol: "symbol", Leg: "leg", Side: "side", Kind: "kind", Quantity: "size", Filled: "filled", Price: "price",
		Trigger: "trigger", ReduceOnly: "reduce_only", ExpiresAt: "expires", Status: "status", At: "at",
	}
	return m
}

// open opens the book of a database, with its schema made.
func open(t testing.TB, pool *pgxpool.Pool, change func(*pgbook.Config)) *pgbook.Book {
	t.Helper()
	require.NoError(t, pgbook.Migrate(t.Context(), pool, ""))
	c := pgbook.Config{DB: pool, Venue: "v", LockTimeout: time.Minute} // machines may be slow
	if change != nil {
		change(&c)
	}
	b, err := pgbook.Open(t.Context(), c)
	require.NoError(t, err)
	return b
}

// playbookBook is a book on the playbook's tables.
func playbookBook(t testing.TB, change func(*pgbook.Config)) (*pgbook.Book, *pgxpool.Pool) {
	t.Helper()
	pool := connect(t, newDatabase(t, playbookTables))
	return open(t, pool, change), pool
}

// wholeBook is a book on tables with a column for everything.
func wholeBook(t testing.TB, change func(*pgbook.Config)) (*pgbook.Book, *pgxpool.Pool) {
	t.Helper()
	pool := connect(t, newDatabase(t, wholeTables))
	return open(t, pool, func(c *pgbook.Config) {
		c.Mapping = wholeMapping()
		if change != nil {
			change(c)
		}
	}), pool
}

func position(symbol, quantity, entry string) andon.Position {
	return andon.Position{Venue: "v", Symbol: symbol, Quantity: dec(quantity), Entry: dec(entry)}
}

func fill(id, order string, side andon.Side, quantity, price, fee string) andon.Fill {
	return andon.Fill{
		ID: id, OrderID: order, Venue: "v", Symbol: "BTC-USD", Side: side,
		Quantity: dec(quantity), Price: dec(price), Fee: dec(fee), FeeCurrency: "USD", At: noon,
	}
}

func positionEdit(symbol string, before, after []andon.Position) reconcile.Edit {
	key := reconcile.PositionKey(andon.LegKey{Venue: "v", Symbol: symbol})
	return reconcile.Edit{Key: key, Positions: &reconcile.Rows[andon.Position]{Before: before, After: after}}
}

func fillEdit(order string, before, after []andon.Fill) reconcile.Edit {
	key := reconcile.FillKey(fill("", order, andon.Buy, "1", "1", "0"))
	return reconcile.Edit{Key: key, Fills: &reconcile.Rows[andon.Fill]{Before: before, After: after}}
}

func rows[T any](r ...T) []T { return r }

func transaction(id string, edits ...reconcile.Edit) reconcile.Transaction {
	return reconcile.Transaction{ID: id, At: noon, By: "ada", Note: "looked at it", Edits: edits}
}
