package coinbase_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/coinbase"
)

// TestHistory_AgreesWithTheFills trades, and compares what the venue says of the orders
// with its own executions, as reconcile does.
func TestHistory_AgreesWithTheFills(t *testing.T) {
	for _, history := range []time.Duration{0, 24 * time.Hour} {
		v, s := open(t, func(c *coinbase.Config) { everything(c); c.History, c.Settle = history, time.Nanosecond })
		s.do(func() { s.pageSize, s.repeatRow = 2, true })
		for i, symbol := range []string{"BTC-USD", "BIT-28NOV25-CDE", "BTC-PERP-INTX", "BTC-USD", "BTC-USD"} {
			o := marketOrder(fmt.Sprintf("c-%d", i), symbol, andon.Buy, "0.25")
			_, err := v.Submit(t.Context(), o)
			require.NoError(t, err)
			_, err = v.Lookup(t.Context(), symbol, o.ClientID)
			require.NoError(t, err)
		}
		_, err := v.Submit(t.Context(), buy("resting"))
		require.NoError(t, err)
		s.do(func() { // sent long ago, traded now
			s.orders[0].created = s.orders[0].created.Add(-1000 * time.Hour)
			part := s.orders[len(s.orders)-1]
			part.filled, part.value, part.traded = dec("0.1"), dec("10"), s.now()
			s.orders[1].value = dec("25") // the venue's value of futures counts units, not contracts
		})
		fills, err := v.Fills(t.Context(), "", time.Now().Add(-24*time.Hour))
		require.NoError(t, err)
		require.Len(t, fills, 6)
		for _, f := range fills {
			require.NoError(t, f.Validate())
			if f.OrderID == "order-0006" {
				continue
			}
			require.Equal(t, "0.25", f.Quantity.String(), f.Symbol)
			require.Equal(t, map[bool]string{true: "USDC", false: "USD"}[strings.HasSuffix(f.Symbol, "-INTX")], f.FeeCurrency)
		}
		reports, window, err := v.Reports(t.Context())
		require.NoError(t, err)
		require.Len(t, reports, 6)
		require.True(t, window.Covers(time.Now().Add(-time.Minute)))
		require.Equal(t, history == 0, window.Covers(time.Now().Add(-48*time.Hour)))
		c, err := reconcile.CompareExecutions(fills, reports, window, reconcile.Rules{})
		require.NoError(t, err)
		require.Empty(t, c.Discrepancies)
		require.Equal(t, 5, c.Agreed)
		require.Len(t, c.Unknown, 1, "the resting order traded a part and is not done: unknown, never missing")
	}
}

func TestHistory_WhatCannotBeReadIsAnError(t *testing.T) {
	good := `{"trade_id":"t","order_id":"o","trade_time":"2026-01-02T03:04:05Z","trade_type":"FILL","price":"3","size":"1","commission":"0.1","product_id":"BTC-USD","side":"BUY","size_in_quote":false}`
	for name, tc := range map[string]struct{ from, to, problem string }{
		"no id":              {`"trade_id":"t"`, `"x":"t"`, "trade_id is missing"},
		"no price":           {`"price":"3"`, `"price":""`, "price is missing"},
		"no size":            {`"size":"1",`, ``, "size is missing"},
		"no fee":             {`"commission":"0.1",`, ``, "commission is missing"},
		"no side":            {`"side":"BUY",`, ``, "side is missing"},
		"no time":            {`"trade_time":"2026-01-02T03:04:05Z",`, ``, "trade_time is missing"},
		"a reversal":         {`"FILL"`, `"REVERSAL"`, "it is a REVERSAL"},
		"money of odd price": {`"size_in_quote":false`, `"size_in_quote":true`, "inexact"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, tc.from)
			v, s := open(t, nil)
			s.always("GET /orders/historical/fills", fault{status: 200, body: `{"fills":[` + good + `],"cursor":""}`})
			fills, err := v.Fills(t.Context(), "BTC-USD", time.Now())
			require.NoError(t, err)
			require.Len(t, fills, 1)
			s.always("GET /orders/historical/fills", fault{status: 200, body: `{"fills":[` + strings.Replace(good, tc.from, tc.to, 1) + `],"cursor":""}`})
			_, err = v.Fills(t.Context(), "BTC-USD", time.Now())
			require.ErrorContains(t, err, tc.problem)
		})
	}
	v, s := open(t, func(c *coinbase.Config) { c.History = time.Hour })
	s.always("GET /orders/historical/fills", fault{status: 200, body: `{"fills":[` + good + `],"cursor":""}`})
	_, window, err := v.Reports(t.Context())
	require.ErrorContains(t, err, "in no list")
	require.Zero(t, window, "a window that covers nothing")
}
