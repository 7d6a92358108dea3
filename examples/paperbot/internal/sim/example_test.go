package sim_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/sim"
)

// An order whose answer is lost is looked up by its client id before anything else
// is sent for it.
func Example() {
	ctx, start := context.Background(), time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	venue, err := sim.New(sim.Config{Seed: 7, Start: start})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := venue.SetFaults(sim.Faults{TimeoutRate: 1}); err != nil {
		fmt.Println(err)
		return
	}
	order := andon.Order{
		ClientID: "entry-1", Venue: "sim", Symbol: "BTC-USDT", Side: andon.Buy,
		Kind: andon.Market, Quantity: andon.MustDecimal("0.5"),
	}
	_, err = venue.Submit(ctx, order)
	fmt.Println(errors.Is(err, andon.ErrOutcomeUnknown), err)

	found, err := venue.Lookup(ctx, order.Symbol, order.ClientID)
	fmt.Println(found.Status, found.Filled, err)

	positions, err := venue.Positions(ctx)
	fmt.Println(positions[0].Quantity, positions[0].Entry, err)
	// Output:
	// true sim: submit of order entry-1: outcome unknown: the connection broke before the answer came; look it up before anything else is sent for it
	// filled 0.5 <nil>
	// 0.5 64000.1 <nil>
}
