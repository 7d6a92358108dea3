package bluefin_test

import (
	"testing"

	"github.com/andon-go/andon/reconcile/reconciletest"
)

// TestVenueIsAVenue: what lags does so for a number of readings and not for a time, so that
// a slow machine changes nothing.
func TestVenueIsAVenue(t *testing.T) {
	for name, sync200 := range map[string]bool{"accepted, done later": false, "done at once": true} {
		t.Run(name, func(t *testing.T) {
			reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
				v, s := open(t, nil)
				s.do(func() { s.sync200, s.lag, s.cancelLag, s.tradeLag = sync200, 1, 1, 1 })
				return reconciletest.VenueCase{
					Venue: v, Name: "bluefin", Symbol: symbol, Quantity: dec("0.25"), Below: dec("50"),
					LoseAnswer: func() { s.once(createOrder, fault{act: true, cut: true}) },
					BreakList:  func() { s.once("GET /api/v1/trade/standbyOrders", fault{half: true}) },
					SetDown: func(down bool) {
						if down {
							s.always("", fault{cut: true})
						} else {
							s.do(func() { s.fault = nil })
						}
					},
				}
			})
		})
	}
}
