package bluefin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/bluefin"
)

// TestHistory_AgreesWithTheFills trades, and compares what the venue says of the orders
// with its own executions, as reconcile does.
func TestHistory_AgreesWithTheFills(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.Settle = time.Nanosecond })
	s.do(func() { s.sync200, s.leverage = true, "3000000000" })
	for i := range 3 {
		_, err := v.Submit(t.Context(), marketOrder(fmt.Sprintf("c-%d", i), andon.Buy, "0.25"))
		require.NoError(t, err)
	}
	_, err := v.Submit(t.Context(), buy("live"))
	require.NoError(t, err)
	s.do(func() {
		s.trade(s.orders[0], "100000000") // a part of the live order
		first := &order{hash: "0xab", clientID: "long", symbol: symbol, side: "SHORT", kind: "LIMIT"}
		for _, days := range []int{20, 1} { // an order that traded before the window and in it
			s.trade(first, "1000000000")
			s.trades[len(s.trades)-1]["executedAtMillis"] = time.Now().AddDate(0, 0, -days).UnixMilli()
		}
		s.trade(&order{hash: "0xcd", clientID: "old", symbol: symbol, side: "SHORT", kind: "LIMIT"}, "1000000000")
		s.trades[len(s.trades)-1]["executedAtMillis"] = time.Now().AddDate(0, 0, -20).UnixMilli()
	})
	reports, window, err := v.Reports(t.Context())
	require.NoError(t, err)
	require.Len(t, reports, 5)
	for _, r := range reports {
		require.NoError(t, r.Validate())
		if r.ClientID == "long" {
			require.Equal(t, "2", r.Filled.String(), "its beginning is not missing")
		}
	}
	fills, err := v.Fills(t.Context(), "", time.Now().AddDate(0, 0, -30))
	require.NoError(t, err)
	c, err := reconcile.CompareExecutions(fills, reports, window, reconcile.Rules{})
	require.NoError(t, err)
	require.Equal(t, 4, c.Agreed)
	require.Empty(t, c.Discrepancies, "the part of the live order is unknown, never missing")
	require.Len(t, c.Unknown, 2)

	s.always(trades, fault{status: 500})
	_, window, err = v.Reports(t.Context())
	require.Error(t, err)
	require.Zero(t, window, "a window that covers nothing")
}
