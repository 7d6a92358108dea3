package safetytest

import (
	"testing"
	"time"

	"github.com/andon-go/andon/andontest"
)

// RequireNothingPassed fails the test if an order that could add exposure has reached the
// venue since a moment, such as the one after Halt had returned. It names each. What a
// cancel, a stop or an exit does is no matter.
func RequireNothingPassed(tb testing.TB, v *andontest.Venue, since time.Time) {
	tb.Helper()
	for _, c := range v.Calls() {
		if c.Adds && !c.At.Before(since) {
			tb.Fatalf("order %s passed to %s after %s: %v %v %s adds exposure",
				c.Order.ClientID, v.Name(), since.Format(time.RFC3339Nano), c.Order.Side, c.Order.Quantity, c.Order.Symbol)
		}
	}
}

// RequireFlat fails the test unless nothing is held on the venue and no order is live
// there, whatever its answers say.
func RequireFlat(tb testing.TB, v *andontest.Venue) {
	tb.Helper()
	truth := v.Truth()
	for _, p := range truth.Positions {
		tb.Fatalf("%s is not flat: %v is %v", v.Name(), p.Key(), p.Quantity)
	}
	for _, o := range truth.Orders {
		tb.Fatalf("%s is not flat: order %s is live: %v %v %s", v.Name(), o.ClientID, o.Side, o.Remaining(), o.Symbol)
	}
}
