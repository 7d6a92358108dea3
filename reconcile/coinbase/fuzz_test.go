package coinbase

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
)

// FuzzDecodeOrders reads any page of orders: what comes out is whole, and what is not is
// an error.
func FuzzDecodeOrders(f *testing.F) {
	f.Add([]byte(`{"orders":[{"order_id":"o","client_order_id":"c","product_id":"BTC-USD","side":"BUY","status":"OPEN","created_time":"2026-01-02T03:04:05Z","filled_size":"0","order_configuration":{"limit_limit_gtc":{"base_size":"1","limit_price":"50"}}}],"has_next":false,"cursor":""}`))
	f.Add([]byte(`{"orders":[{"order_id":"o","client_order_id":"","product_id":"BIT-28NOV25-CDE","side":"SELL","status":"QUEUED","created_time":"2026-01-02T03:04:05Z","filled_size":"","number_of_fills":"0","order_configuration":{"trigger_bracket_gtd":{"base_size":"1","limit_price":"50","stop_trigger_price":"40","end_time":"2026-02-02T03:04:05Z"}}}],"has_next":true,"cursor":"x"}`))
	f.Add([]byte(`{"orders":[{"order_configuration":{"market_market_ioc":{"quote_size":"1e-5"},"x":null},"filled_size":1.5}]}`))
	contract := product{contract: andon.NewDecimal(1, 2)}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodeOrders(body)
		if err != nil || p.rows == nil {
			return
		}
		for _, w := range *p.rows {
			o, err := w.order("v", contract)
			if err != nil {
				continue
			}
			require.NotEmpty(t, o.VenueID)
			require.NotEmpty(t, o.Symbol)
			require.NotZero(t, o.Side.Sign())
			require.True(t, o.Quantity.Sign() > 0 || o.Status.Done(), "a live order has a quantity")
			require.GreaterOrEqual(t, o.Filled.Sign(), 0)
			require.False(t, o.At.IsZero() && w.CreatedTime == nil)
		}
	})
}

// FuzzDecodeAccount reads any answer about holdings and positions.
func FuzzDecodeAccount(f *testing.F) {
	f.Add([]byte(`{"accounts":[{"uuid":"u","currency":"BTC","available_balance":{"value":"1","currency":"BTC"},"hold":{"value":"0","currency":"BTC"}}],"has_next":false}`))
	f.Add([]byte(`{"positions":[{"product_id":"BIT-28NOV25-CDE","side":"SHORT","number_of_contracts":"2","current_price":{"value":"1"},"avg_entry_price":"1"}]}`))
	f.Add([]byte(`{"positions":[{"product_id":"BTC-PERP-INTX","position_side":"POSITION_SIDE_SHORT","net_size":"-2","entry_vwap":{"value":"1"},"mark_price":{"value":"1"}}]}`))
	f.Add([]byte(`{"balance_summary":{"cfm_usd_balance":{"value":"1","currency":"USD"},"total_open_orders_hold_amount":{"value":"1"}}}`))
	f.Add([]byte(`{"fills":[{"trade_id":"t","order_id":"o","trade_time":"2026-01-02T03:04:05Z","trade_type":"FILL","price":"3","size":"6","commission":"0.1","product_id":"BTC-USD","side":"BUY","size_in_quote":true}],"cursor":""}`))
	f.Add([]byte(`{"portfolio_balances":[{"balances":[{"asset":{"asset_name":"USDC"},"quantity":"1","hold":"0"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		at := time.Unix(1_800_000_000, 0)
		if p, err := decodeAccounts(body); err == nil && p.rows != nil {
			for _, w := range *p.rows {
				if h, err := w.holding(); err == nil {
					require.NotEmpty(t, h.id)
					require.NotEmpty(t, h.currency)
				}
			}
		}
		var positions []andon.Position
		if rows, err := decodeFuturesPositions(body); err == nil {
			for _, w := range rows {
				if p, err := w.position("v", at); err == nil {
					positions = append(positions, p)
				}
			}
		}
		if rows, err := decodePerpetualPositions(body); err == nil {
			for _, w := range rows {
				if p, err := w.position("v", at); err == nil {
					positions = append(positions, p)
				}
			}
		}
		for _, p := range positions {
			require.NotEmpty(t, p.Symbol)
		}
		if h, err := decodeFuturesBalance(body); err == nil {
			require.NotEmpty(t, h.currency)
		}
		if all, err := decodePerpetualBalances(body); err == nil {
			for _, h := range all {
				require.NotEmpty(t, h.currency)
			}
		}
		if a, err := decodeCancels(body); err == nil {
			for _, c := range a {
				require.NotEmpty(t, c.id)
			}
		}
		if p, err := decodeFills(body); err == nil && p.rows != nil {
			for _, w := range *p.rows {
				if fill, err := w.fill("v", product{quote: "USD", contract: andon.NewDecimal(1, 2)}); err == nil {
					require.NotEmpty(t, fill.ID)
					require.NotZero(t, fill.Side.Sign())
				}
			}
		}
		if p, err := decodeProduct(body, "BTC-USD"); err == nil {
			require.Positive(t, p.tick.Sign())
			require.Positive(t, p.contract.Sign())
		}
		_, _ = decodePermissions(body) // it does not panic
	})
}

// FuzzParseKey reads any secret; an error shows nothing of it.
func FuzzParseKey(f *testing.F) {
	f.Add("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA==\n-----END EC PRIVATE KEY-----")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIA==\\n-----END PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, secret string) {
		key, err := ParseKey("name", secret)
		if err != nil {
			if len(secret) > 40 {
				require.NotContains(t, err.Error(), secret)
			}
			return
		}
		_, err = key.token("GET host/path", time.Unix(1_800_000_000, 0), tokenLife)
		require.NoError(t, err)
	})
}
