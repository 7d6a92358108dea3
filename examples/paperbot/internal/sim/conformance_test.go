package sim

import (
	"testing"
	"time"

	"github.com/andon-go/andon/reconcile/reconciletest"
	"github.com/stretchr/testify/require"
)

func TestTheSimulatedVenueConforms(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		x := open(t, config(11, false))
		set := func(f Faults) { require.NoError(t, x.SetFaults(f)) }
		return reconciletest.VenueCase{
			Venue: x, Name: "sim", Symbol: "AAA-USDT", Quantity: dec("1"), Below: dec("60"),
			LoseAnswer: func() { set(Faults{TimeoutRate: 1}) },
			SetDown:    func(down bool) { set(Faults{Outage: down}) },
			Wait:       func() { require.NoError(t, x.Step(x.Now().Add(time.Second))) },
		}
	})
}
