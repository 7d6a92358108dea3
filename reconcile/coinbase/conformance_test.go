package coinbase_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/coinbase"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

func TestVenueIsAVenue(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v, s := open(t, func(c *coinbase.Config) { c.Timeout = 5 * time.Second })
		s.do(func() { s.pageSize, s.repeatRow, s.hideNew, s.cancelReads, s.fillReads = 2, true, 1, 2, 1 })
		return reconciletest.VenueCase{
			Venue: v, Name: "coinbase", Symbol: "BTC-USD", Quantity: dec("0.25"), Below: dec("50"), Stop: andon.StopLimit,
			LoseAnswer: func() { s.once("POST /orders", fault{act: true, cut: true}) },
			SetDown: func(down bool) {
				if down {
					s.always("", fault{cut: true})
				} else {
					s.do(func() { s.fault = nil })
				}
			},
		}
	})
}
