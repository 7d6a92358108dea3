package reconcile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

// stdout is a timeline that prints.
type stdout struct{}

func (stdout) Record(_ context.Context, _ time.Time, who, what, why string) error {
	what, _, _ = strings.Cut(what, ", plan-") // the id is long
	_, err := fmt.Printf("timeline: %s: %s (%s)\n", who, what, why)
	return err
}

// A bot missed one of its fills. The comparison finds it, the plan says what would be
// done, and a named person has it done.
func Example() {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir, err := os.MkdirTemp("", "book")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	venue := reconciletest.NewVenue("paper", andon.MustDecimal("60000"), now)
	book := reconcile.NewFileBook(filepath.Join(dir, "positions"))
	if err := book.Create(ctx); err != nil {
		panic(err)
	}
	r, err := reconcile.New(reconcile.Config{
		Venue: "paper", Account: venue, History: venue, Book: book, Recorder: stdout{},
	})
	if err != nil {
		panic(err)
	}

	for _, id := range []string{"one", "two"} {
		_, err := venue.Submit(ctx, andon.Order{
			ClientID: id, Venue: "paper", Symbol: "BTC-USD", Side: andon.Buy, Kind: andon.Market,
			Quantity: andon.MustDecimal("0.1"),
		})
		if err != nil {
			panic(err)
		}
	}
	if _, err := book.RecordFills(ctx, venue.Fills()[0]); err != nil { // and never the second
		panic(err)
	}

	now = now.Add(time.Minute) // what is younger than Config.InFlight would be pending
	report, err := r.Compare(ctx, now)
	if err != nil {
		panic(err)
	}
	for _, d := range report.Discrepancies() {
		fmt.Println(d)
	}
	plan, err := report.Plan()
	if err != nil {
		panic(err)
	}
	approval := reconcile.Approval{By: "ada", Note: "checked on the venue's page", Commit: true}
	result, err := r.Apply(ctx, plan, approval, now)
	if err != nil {
		panic(err)
	}
	again, err := r.Apply(ctx, plan, approval, now)
	if err != nil {
		panic(err)
	}
	report, err = r.Compare(ctx, now)
	fmt.Println(result.Repairs, "repairs; already:", again.Already, "clean:", report.Clean(), err)
	// Output:
	// quantity: position paper/BTC-USD: book 0.1, venue 0.2
	// unexpected: fills of order paper/paper-2: book none, venue 0.1
	// timeline: ada: reconciliation of paper, 2 repairs (checked on the venue's page)
	// timeline: ada: reconciliation of paper, 2 repairs (checked on the venue's page)
	// 2 repairs; already: true clean: true <nil>
}

// The position, the fees and the order totals that a list of fills comes to.
func ExampleDerive() {
	fill := func(id string, side andon.Side, quantity, price, fee string) andon.Fill {
		return andon.Fill{
			ID: id, OrderID: "o-" + id, Venue: "paper", Symbol: "BTC-USD", Side: side,
			Quantity: andon.MustDecimal(quantity), Price: andon.MustDecimal(price),
			Fee: andon.MustDecimal(fee), FeeCurrency: "USD",
		}
	}
	ledger, err := reconcile.Derive([]andon.Fill{
		fill("1", andon.Buy, "0.1", "60000", "1.2"),
		fill("2", andon.Buy, "0.3", "60100", "3.606"),
		fill("2", andon.Buy, "0.3", "60100", "3.606"), // a page that overlaps
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(ledger.Positions[0].Quantity, "at", ledger.Positions[0].Entry)
	fmt.Println(ledger.Fees, ledger.Repeats, "repeated")
	// Output:
	// 0.4 at 60075
	// [{USD 4.806}] 1 repeated
}
