package pgbook_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// The Data Corruption runbook's validation: data_integrity_check, then
// export_corrupted_data.
func Example_integrity() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	if err := pgbook.Migrate(ctx, pool, ""); err != nil {
		panic(err)
	}
	book, err := pgbook.Open(ctx, pgbook.Config{
		DB: pool, Venue: "coinbase",
		Limits: pgbook.Limits{
			MaxLeverage: andon.MustDecimal("10"),
			Addresses:   []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		},
		Checks: []pgbook.Check{{
			Name: "trades-at-night", Table: "trades",
			SQL: "SELECT * FROM trades WHERE extract(hour FROM created_at) < 5",
		}},
	})
	if err != nil {
		panic(err)
	}
	found, err := book.CheckIntegrity(ctx, time.Now())
	if found != nil {
		fmt.Print(found)
	}
	if err != nil { // a check did not run, or the database is gone
		panic(err)
	}
	if !found.Clean() {
		err = found.Export("/tmp/corrupted_data.json")
	}
	if err != nil {
		panic(err)
	}
}

// The runbook's reconciliation: reconcile_positions, then apply_reconciliation
// --dry-run=false.
func Example_reconciliation() {
	var (
		ctx      = context.Background()
		pool     *pgxpool.Pool      // the bot's database
		venue    andon.Account      // the exchange
		timeline reconcile.Recorder // the incident
		readOnly func() error       // safety.Switch.CheckWrite
	)
	book, err := pgbook.Open(ctx, pgbook.Config{DB: pool, Venue: "coinbase", CheckWrite: readOnly})
	if err != nil {
		panic(err)
	}
	r, err := reconcile.New(reconcile.Config{Venue: "coinbase", Account: venue, Book: book, Recorder: timeline})
	if err != nil {
		panic(err)
	}
	report, err := r.Compare(ctx, time.Now())
	if err != nil { // a side gave no answer
		panic(err)
	}
	plan, err := report.Plan()
	if err != nil {
		panic(err)
	}
	if err := plan.WriteTable(os.Stdout); err != nil {
		panic(err)
	}
	result, err := r.Apply(ctx, plan, reconcile.Approval{By: "ada", Note: "compared by hand", Commit: true}, time.Now())
	fmt.Println(result.Repairs, err)
}

func ExampleParseMapping() {
	m, err := pgbook.ParseMapping([]byte(`{
		"positions": {
			"table": "legs", "side": "direction", "at": "updated_at",
			"words": {"long": "LONG", "short": "SHORT"}, "closed": ["closed", "liquidated"]
		},
		"fills": {
			"table": "executions", "id": "exec_id", "order_id": "order_id", "symbol": "symbol", "side": "side",
			"quantity": "qty", "price": "px", "fee": "fee", "fee_currency": "fee_ccy", "at": "ts",
			"words": {"buy": "B", "sell": "S"}
		}
	}`))
	fmt.Println(m.Positions.Name, m.Positions.Symbol, m.Fills.Quantity, err)

	_, err = pgbook.ParseMapping([]byte(`{"positions": {"symbol": ""}}`))
	fmt.Println(err)
	// Output:
	// legs symbol qty <nil>
	// mapping: positions.symbol: has no column: without it the rows say too little
}

func ExampleIntegrity_String() {
	found := pgbook.Integrity{
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Results: []pgbook.Result{
			{Check: "positions-null-price", Table: "positions", Found: 1, Rows: []pgbook.Row{
				{{Name: "symbol", Value: "BTC-USD"}, {Name: "entry_price", Null: true}},
			}},
			{Check: "trades-leverage", Table: "trades", Err: &pgbook.CheckError{
				Check: "trades-leverage", Err: fmt.Errorf("Config.Limits.MaxLeverage is missing"),
			}},
		},
		Totals: []pgbook.Total{{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5"), Rows: 1, Unknown: 1}},
	}
	fmt.Println(found.Clean())
	fmt.Print(found.String())
	// Output:
	// false
	// integrity at 2026-03-01T12:00:00Z
	// check                 table      rows
	// positions-null-price  positions  1
	// trades-leverage       trades     NOT RUN: check trades-leverage not run: Config.Limits.MaxLeverage is missing
	// symbol                quantity   value  rows  unknown
	// BTC-USD               0.5        0      1     1
	// positions-null-price  positions  symbol=BTC-USD entry_price=NULL
}
