package bluefin

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
)

const fuzzAddress = "0x9b11fafc580f23932f379d99ab6cc4c638e85ba4c252fc909296f3f9e6cea786"

// FuzzDecodeOrders reads any list of orders: what comes out is whole, and what is not is
// an error.
func FuzzDecodeOrders(f *testing.F) {
	f.Add([]byte(`[{"orderHash":"0x01","clientOrderId":"c","symbol":"ETH-PERP","accountAddress":"` + fuzzAddress + `","priceE9":"0","quantityE9":"1","side":"SHORT","type":"STOP_MARKET","reduceOnly":true,"filledQuantityE9":"0","status":"STANDBY","expiresAtMillis":1900000000000,"updatedAtMillis":1800000000000,"triggerPriceE9":"2"}]`))
	f.Add([]byte(`[{"orderHash":"0x01","type":"ADL","status":"X","quantityE9":"18446744073709551616000000000"}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		orders, err := decodeOrders(body, "v", fuzzAddress)
		if err != nil {
			return
		}
		for _, o := range orders {
			require.NotEmpty(t, o.VenueID)
			require.NotEmpty(t, o.Symbol)
			require.NotZero(t, o.Side.Sign())
			require.Positive(t, o.Quantity.Sign())
			require.False(t, o.Quantity.Less(o.Filled))
			require.False(t, o.ExpiresAt.IsZero())
		}
	})
}

// FuzzDecodeAccount reads any answer about the account, its trades, the venue and a login.
func FuzzDecodeAccount(f *testing.F) {
	f.Add([]byte(`{"accountAddress":"` + fuzzAddress + `","canTrade":true,"canWithdraw":true,"assets":[{"symbol":"USDC","quantityE9":"1","maxWithdrawQuantityE9":"1"}],"positions":[{"symbol":"ETH-PERP","side":"SHORT","sizeE9":"1","avgEntryPriceE9":"2","markPriceE9":"3","clientSetLeverageE9":"4","isIsolated":false,"updatedAtMillis":1800000000000}]}`))
	f.Add([]byte(`[{"id":"t","side":"LONG","symbol":"ETH-PERP","priceE9":"1","quantityE9":"1","executedAtMillis":1800000000000,"tradingFeeE9":"-1","tradingFeeAsset":"USDC"}]`))
	f.Add([]byte(`{"contractsConfig":{"idsId":"` + fuzzAddress + `"},"markets":[{"symbol":"ETH-PERP","defaultLeverageE9":"3000000000"}]}`))
	f.Add([]byte(`{"accessToken":"a","accessTokenValidForSeconds":300,"refreshToken":"r","refreshTokenValidForSeconds":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if a, err := decodeAccount(body, "v", fuzzAddress); err == nil {
			for _, p := range a.positions {
				require.NoError(t, p.Validate())
				require.False(t, p.Quantity.IsZero())
			}
			for _, b := range a.balances {
				require.NotEmpty(t, b.Currency)
			}
		}
		if all, err := decodeTrades(body, "v"); err == nil {
			for _, tr := range all {
				require.NotEmpty(t, tr.ID)
				require.GreaterOrEqual(t, tr.Quantity.Sign(), 0)
			}
		}
		if info, err := decodeExchange(body); err == nil {
			_, err = parseAddress(info.idsID)
			require.NoError(t, err)
		}
		at := time.Unix(1_800_000_000, 0)
		if s, err := decodeSession(body, at); err == nil {
			require.True(t, s.renewAt.Before(s.accessUntil))
			require.True(t, at.Before(s.refreshUntil))
		}
	})
}

// FuzzParseKey reads any secret; an error shows nothing of it.
func FuzzParseKey(f *testing.F) {
	f.Add("3427d19dcf5781f0874c36c78aec22c03acda435d69efcbf249e8821793567a1")
	f.Add("suiprivkey1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, secret string) {
		key, err := ParseKey(secret)
		if err != nil {
			if len(secret) > 40 {
				require.NotContains(t, err.Error(), secret)
			}
			return
		}
		_, err = parseAddress(key.Address())
		require.NoError(t, err)
	})
}

// TestE9_IsExactBothWaysOrAnError writes any number and reads it again.
func TestE9_IsExactBothWaysOrAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := andon.NewDecimal(rapid.Int64().Draw(t, "coefficient"), rapid.IntRange(0, andon.MaxDecimals).Draw(t, "decimals"))
		text, err := toE9(d)
		places := 0
		if _, after, ok := strings.Cut(d.String(), "."); ok {
			places = len(after)
		}
		if d.Sign() < 0 || places > 9 {
			require.Error(t, err)
			return
		}
		if err != nil { // only what does not fit into 64 bits
			require.True(t, andon.MustDecimal("18446744073.709551615").Less(d))
			return
		}
		back, err := fromE9(text)
		require.NoError(t, err)
		require.Equal(t, d, back)
	})
}
