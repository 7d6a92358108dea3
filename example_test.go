package andon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/reconciletest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// A bot that embeds the stop: what README shows, word for word.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "btc-maker")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	venue := reconciletest.NewVenue("paper", andon.MustDecimal("60000"), time.Now())
	entry := andon.Order{
		ClientID: "entry-1", Venue: "paper", Symbol: "BTC-USD", Side: andon.Buy, Kind: andon.Market,
		Quantity: andon.MustDecimal("0.1"),
	}

	// README:
	sw, err := safety.Open(ctx, safety.Config{
		Name:  "btc-maker",
		Dir:   dir,                 // its state: a halt outlives the process
		Flags: safety.FlagsIn(dir), // touch EMERGENCY_STOP there; defaults to /tmp
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sw.Close()
	go sw.Run(ctx) // trading is possible only while somebody listens

	// The very first start is a resume too: a named person has looked.
	if err := sw.Resume(ctx, "alice", "first start, the account is empty", sw.Status().Holds); err != nil {
		log.Fatal(err)
	}
	for sw.Check() != nil {
		time.Sleep(time.Millisecond) // until Run listens
	}
	filled, err := sw.Submit(ctx, venue, entry) // a lost answer is looked up by client id
	fmt.Println("entry:", filled.Status, err)

	report, err := sw.Halt(ctx, "bob", "the book looks wrong") // from anywhere, at any time
	fmt.Println("in flight:", len(report.InFlight), err)

	entry.ClientID = "entry-2"
	_, err = sw.Submit(ctx, venue, entry)
	fmt.Println("halted:", errors.Is(err, safety.ErrDenied))
	// end

	// Output:
	// entry: filled <nil>
	// in flight: 0 <nil>
	// halted: true
}

// README shows what is compiled and run here, and no more than fits on a screen.
func TestREADMEShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, body, ok := strings.Cut(string(source), "\t// README:\n")
	require.True(t, ok)
	body, _, ok = strings.Cut(body, "\t// end\n")
	require.True(t, ok)
	body = strings.ReplaceAll("\n"+body, "\n\t", "\n")[1:]
	require.LessOrEqual(t, strings.Count(body, "\n"), 30)

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, shown, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok)
	shown, _, _ = strings.Cut(shown, "```\n")
	require.Equal(t, body, shown)
}
