package coinbase_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/coinbase"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

func TestVenueIsAVenue(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v, s := open(t, func(c *coinbase.Config) { c.Timeout, c.Settle = 30*time.Second, time.Minute })
		s.do(func() { s.pageSize, s.repeatRow, s.hideNew, s.cancelReads, s.fillReads = 2, true, 1, 2, 1 })
		return reconciletest.VenueCase{
			Venue: v, Name: "coinbase", Symbol: "BTC-USD", Quantity: dec("0.25"), Below: dec("50"), Stop: andon.StopLimit,
			LoseAnswer: func() { s.once("POST /orders", fault{act: true, cut: true}) },
			BreakList: func() { // in the middle of its second page
				s.do(func() {
					s.fault = func(r *http.Request) fault {
						if r.URL.Query().Get("cursor") == "" {
							return fault{}
						}
						s.fault = nil
						return fault{half: true}
					}
				})
			},
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
