package safety_test

import (
	"context"
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

// A bot feeds its trips what comes of trading, and they stop it.
func ExampleOpenTrips() {
	dir, err := os.MkdirTemp("", "btc-maker") // a bot takes a directory that stays
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sw, err := safety.Open(ctx, safety.Config{
		Name: "btc-maker", Dir: filepath.Join(dir, "state"), Flags: safety.FlagsIn(dir),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sw.Close()
	go sw.Run(ctx)

	trips, err := safety.OpenTrips(sw, safety.TripConfig{
		Symbols:   []string{"BTC-USDT"},
		DailyLoss: andon.MustDecimal("0.03"), // 3 % of the day's opening equity; the rest by default
	})
	if err != nil {
		log.Fatal(err)
	}
	go trips.Run(ctx)

	// What the bot feeds, each time that it has it. A feed that goes silent is a trip too.
	trips.MarketData("BTC-USDT", time.Now())
	trips.Margin("kraken", andon.MustDecimal("1000"), andon.MustDecimal("10000"))
	trips.Observe(safety.View{Venue: "kraken", Asked: time.Now()})
	trips.Equity(andon.MustDecimal("10000"))
	if err := sw.Resume(ctx, "alice", "first start, account checked", sw.Status().Holds); err != nil {
		log.Fatal(err)
	}
	for sw.Check() != nil {
		time.Sleep(time.Millisecond) // until the first data was looked at
	}

	trips.Trade(safety.Trade{ID: "t-1", Profit: andon.MustDecimal("-200"), Fee: andon.MustDecimal("1"), At: time.Now()})
	fmt.Println("after a loss of 201:", sw.State())
	trips.Trade(safety.Trade{ID: "t-2", Profit: andon.MustDecimal("-98"), Fee: andon.MustDecimal("1"), At: time.Now()})
	fmt.Println("after one of 99 more:", sw.State())
	fmt.Println("held by", sw.Status().Holds[0].By)
	// Output:
	// after a loss of 201: active
	// after one of 99 more: reducing
	// held by andon/trip/daily-loss
}
