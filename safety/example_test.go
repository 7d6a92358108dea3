package safety_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

// paper is a venue that takes every order.
type paper struct{}

func (paper) Submit(_ context.Context, o andon.Order) (andon.Order, error) {
	o.VenueID, o.Status = "venue-"+o.ClientID, andon.Live
	return o, nil
}
func (paper) Cancel(context.Context, andon.Order) error { return nil }
func (paper) Lookup(context.Context, string, string) (andon.Order, error) {
	return andon.Order{}, andon.ErrOrderNotFound
}

// A bot opens its switch, runs it, and sends every order through it.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "btc-maker") // a bot takes a directory that stays
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	sw, err := safety.Open(ctx, safety.Config{
		Name:  "btc-maker",
		Dir:   filepath.Join(dir, "state"),
		Flags: safety.FlagsIn(dir), // leave it out for /tmp/EMERGENCY_STOP and /tmp/READONLY_MODE
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sw.Close()
	go sw.Run(ctx)

	// The very first start is a named person's decision.
	fmt.Println("at first:", sw.State())
	if err := sw.Resume(ctx, "alice", "first start, account checked", sw.Status().Holds); err != nil {
		log.Fatal(err)
	}
	for sw.Check() != nil {
		time.Sleep(time.Millisecond) // until Run listens
	}

	buy := andon.Order{
		ClientID: "o-1", Venue: "paper", Symbol: "BTC-USDT",
		Side: andon.Buy, Kind: andon.Market, Quantity: andon.MustDecimal("0.25"),
	}
	got, err := sw.Submit(ctx, paper{}, buy)
	fmt.Println("sent:", got.VenueID, err)

	if _, err := sw.Halt(ctx, "bob", "the price feed is wrong"); err != nil {
		log.Fatal(err)
	}
	buy.ClientID = "o-2"
	_, err = sw.Submit(ctx, paper{}, buy)
	if d, ok := errors.AsType[*safety.DeniedError](err); ok {
		fmt.Printf("denied: %v, held by %s: %s\n", d.State, d.Holds[0].By, d.Holds[0].Reason)
	}
	stop := andon.Order{
		ClientID: "o-3", Venue: "paper", Symbol: "BTC-USDT", Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: andon.MustDecimal("0.25"), Trigger: andon.MustDecimal("60000"), ReduceOnly: true,
	}
	got, err = sw.Submit(ctx, paper{}, stop)
	fmt.Println("protected:", got.VenueID, err)

	// Output:
	// at first: halted
	// sent: venue-o-1 <nil>
	// denied: halted, held by bob: the price feed is wrong
	// protected: venue-o-3 <nil>
}
