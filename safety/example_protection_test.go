package safety_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

// The position check of the playbook: what is naked is found, planned, and protected;
// the venue is asked again before anything is called protected.
func ExampleProtector() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	venue := &twoListVenue{positions: []andon.Position{{
		Venue: "sim", Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5"),
		Entry: andon.MustDecimal("61000"), Mark: andon.MustDecimal("60000"), At: now,
	}}}
	report, err := safety.ReadProtection(ctx, venue, safety.Requirements{MaxDistance: andon.MustDecimal("0.05")}, now)
	if err != nil {
		fmt.Println(err) // not known is not protected
		return
	}
	fmt.Println(report)

	plan, err := safety.PlanProtection(report, safety.ProtectionPolicy{
		Distance:    andon.MustDecimal("0.03"),
		Instruments: map[string]andon.Instrument{"BTC-USD": {Tick: andon.MustDecimal("0.5"), Lot: andon.MustDecimal("0.001")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range plan.Steps {
		fmt.Println("place:", step.Order.Side, step.Order.Quantity, step.Order.Kind, "at", step.Order.Trigger)
	}

	protector := safety.Protector{
		Venue:    venue,
		Gate:     openGate{}, // the bot's *safety.Switch
		Recorder: &notes{},   // the bot's *incident.Manager
		By:       "ada",
	}
	result, err := protector.Apply(ctx, plan, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := result.After.WriteTable(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// NOT PROTECTED: 1 of 1 open legs
	// place: sell 0.5 stop-market at 58200
	// protected: all 1 open legs
	// sim/BTC-USD                       0.5       mark 60000            covered 0.5  protected
	//   andon-f2cbd8892cacf74dc7722dae  sell 0.5  stop-market at 58200  3 % away     covers
}

// Flat is said only when every query was answered and nothing is there.
func ExampleReadFlat() {
	ctx := context.Background()
	venue := &twoListVenue{fail: map[string]bool{"positions": true}}
	report, err := safety.ReadFlat(ctx, venue)
	fmt.Println(report, "-", err)

	report, err = safety.ReadFlat(ctx, &twoListVenue{})
	fmt.Println(report, err)
	// Output:
	// NOT KNOWN to be flat - not known to be flat: positions: positions: connection reset
	// flat <nil>
}
