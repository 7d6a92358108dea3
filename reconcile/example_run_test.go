package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
	"github.com/andon-go/andon/safety"
)

// A bot whose stop asks reconciliation before it opens, and is pulled by it afterwards.
func ExampleReconciler_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "bot")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))

	venue := reconciletest.NewVenue("paper", andon.MustDecimal("60000"), time.Now())
	book := reconcile.NewFileBook(filepath.Join(dir, "positions"))
	if err := book.Create(ctx); err != nil {
		panic(err)
	}
	var r *reconcile.Reconciler
	stop, err := safety.Open(ctx, safety.Config{
		Name: "bot", Dir: filepath.Join(dir, "stop"), Flags: safety.FlagsIn(dir), Log: quiet,
		BeforeResume: func(ctx context.Context) error { return r.Ready(ctx) },
	})
	if err != nil {
		panic(err)
	}
	r, err = reconcile.New(reconcile.Config{
		Venue: "paper", Account: venue, History: venue, Finder: venue, Book: book, Log: quiet,
		Cord: stop, CheckWrite: stop.CheckWrite, Memory: filepath.Join(dir, "reconcile.json"),
	})
	if err != nil {
		panic(err)
	}

	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.1")}) // and the book knows of none
	err = stop.Resume(ctx, "ada", "good morning", stop.Status().Holds)
	fmt.Println(stop.State(), errors.Is(err, reconcile.ErrNotClean))

	done := make(chan error, 1)
	go func() { done <- errors.Join(r.Run(ctx), stop.Close()) }() // compares until the bot ends
	cancel()
	fmt.Println(<-done)
	// Output:
	// halted true
	// <nil>
}

// A plan is tried first, which is what happens unless Commit is said.
func ExampleReconciler_Apply() {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r, venue := exampleDesk(now)
	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.1")})
	report, err := r.Compare(ctx, now)
	if err != nil {
		panic(err)
	}
	plan, err := report.Plan()
	if err != nil {
		panic(err)
	}
	for _, approval := range []reconcile.Approval{
		{}, // --dry-run, by default
		{By: "ada", Note: "bought by hand", Commit: true}, // --dry-run=false
		{By: "bob", Note: "did it again", Commit: true},
	} {
		result, err := r.Apply(ctx, plan, approval, now)
		fmt.Println("repairs", result.Repairs, "dry run", result.DryRun, "already", result.Already, err)
	}
	// Output:
	// repairs 1 dry run true already false <nil>
	// repairs 1 dry run false already false <nil>
	// repairs 0 dry run false already true <nil>
}

// A person lets a difference stand. It counts only while no value of it moves.
func ExampleReconciler_Accept() {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r, venue := exampleDesk(now)
	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.1")})
	fmt.Println(r.Ready(ctx))

	report, err := r.Compare(ctx, now)
	if err != nil {
		panic(err)
	}
	err = r.Accept(ctx, report, reconcile.Approval{By: "ada", Note: "held for another desk"}, now)
	fmt.Println(err, r.Ready(ctx))
	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.2")})
	fmt.Println(errors.Is(r.Ready(ctx), reconcile.ErrNotClean))
	// Output:
	// book and venue do not agree: unexpected: position paper/BTC-USD: book none, venue 0.1: put the book right by a plan, or have a named person accept them
	// <nil> <nil>
	// true
}

// Rows are numbered while they are read, so that a million of them compare in one walk.
func ExampleComparePositions() {
	row := func(symbol, quantity string) andon.Position {
		return andon.Position{Venue: "paper", Symbol: symbol, Quantity: andon.MustDecimal(quantity), Entry: andon.MustDecimal("100")}
	}
	keys := reconcile.NewKeys(2)
	book, venue := keys.NewPositions(2), keys.NewPositions(2)
	book.Add(row("BTC-USD", "1"))
	book.Add(row("ETH-USD", "5.0004"))
	venue.Add(row("ETH-USD", "5"))
	venue.Add(row("BTC-USD", "2"))

	c := reconcile.ComparePositions(book, venue, reconcile.Rules{
		Instruments: map[string]andon.Instrument{"ETH-USD": {Lot: andon.MustDecimal("0.001")}},
	})
	for _, d := range c.Discrepancies {
		fmt.Println(d)
	}
	// Output:
	// quantity: position paper/BTC-USD: book 1, venue 2
	// dust: position paper/ETH-USD: book 5.0004, venue 5
}

// exampleDesk is a Reconciler over an empty book in memory.
func exampleDesk(now time.Time) (*reconcile.Reconciler, *reconciletest.Venue) {
	venue := reconciletest.NewVenue("paper", andon.MustDecimal("60000"), now)
	r, err := reconcile.New(reconcile.Config{
		Venue: "paper", Account: venue, Book: &memoryBook{}, Recorder: &timeline{},
	})
	if err != nil {
		panic(err)
	}
	return r, venue
}
