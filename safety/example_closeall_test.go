package safety_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
)

// close_all_positions of the playbook: a plan that a person reads, the token that the
// person types, and a report that says flat only when the venue was read again.
func ExampleCloser() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "closeall")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	sw, err := safety.Open(ctx, safety.Config{
		Name: "btc-maker", Dir: filepath.Join(dir, "state"), NoFlags: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sw.Close()

	venue := andontest.New(andontest.Config{Name: "kraken"})
	long := andon.Position{Venue: "kraken", Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5"), Entry: andon.MustDecimal("100")}
	venue.SetPosition(long)
	venue.SetPosition(andon.Position{Symbol: "DOGE-USD", Quantity: andon.MustDecimal("70"), Entry: andon.MustDecimal("100")})

	closer, err := safety.NewCloser(safety.CloserConfig{
		Switch:     sw,
		Venues:     map[string]safety.CloseVenue{"kraken": {Venue: venue}},
		Book:       bookOf{long}, // the bot's own
		RetryEvery: time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 3, 14, 3, 0, 0, 0, time.UTC)
	plan, err := closer.Plan(ctx, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)

	_, err = closer.Apply(ctx, plan, safety.Confirmation{By: "alice", Note: "drawdown of 9 %", Token: "yes"}, now)
	fmt.Println(err)

	report, err := closer.Apply(ctx, plan, safety.Confirmation{By: "alice", Note: "drawdown of 9 %", Token: plan.Token()}, now)
	fmt.Println(report.Flat(), report.Venues[0], err)
	// Output:
	// close-all: 1 legs to close, 0 live orders to cancel, on 1 venues
	// kraken/BTC-USD   0.5  close 0.5  keep 0
	// kraken/DOGE-USD  70   close 0    keep 70  70 stays: the bot did not open it: list the leg as foreign to close it
	// to confirm, type close-f6b7353a
	// close-all is not confirmed: token "yes" is not of this plan, whose token is close-f6b7353a
	// false NOT FLAT: 1 positions, 0 live orders, kraken/DOGE-USD 70 kept <nil>
}
