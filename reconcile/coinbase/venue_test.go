package coinbase_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/coinbase"
)

func TestToken_OfBothKindsOfKeyIsAccepted(t *testing.T) {
	ed, edPublic := edSecret(t)
	ec, ecPublic := ecSecret(t)
	for name, k := range map[string]struct {
		secret string
		public any
	}{
		"EdDSA":                   {ed, edPublic},
		"ES256":                   {ec, ecPublic},
		"ES256 from a variable":   {strings.ReplaceAll(ec, "\n", `\n`), ecPublic},
		"EdDSA with a line break": {ed[:20] + "\n" + ed[20:] + "\n", edPublic},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := coinbase.ParseKey(keyName, k.secret)
			require.NoError(t, err)
			s := newServer(t, keyName, k.public)
			v, err := coinbase.New(coinbase.Config{Key: key, Spot: true, BaseURL: s.http.URL})
			require.NoError(t, err)
			defer v.Close()
			for range 20 { // an ES256 signature has a short half now and then
				_, err = v.CheckAuth(t.Context())
				require.NoError(t, err)
			}
		})
	}
}

func TestToken_IsSignedWithTheVenuesClock(t *testing.T) {
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		v, s := open(t, nil)
		s.do(func() { s.skew = skew })
		o, err := v.Submit(t.Context(), buy("c-1"))
		require.NoError(t, err)
		require.Equal(t, andon.Live, o.Status)
		auth, err := v.CheckAuth(t.Context())
		require.NoError(t, err)
		require.InDelta(t, float64(skew), float64(auth.ClockOffset), float64(auth.ClockWithin+time.Second))
		require.Less(t, auth.ClockWithin, time.Minute)
		require.InDelta(t, float64(skew), float64(time.Until(o.At)), float64(time.Minute), "times are the venue's")
	}
}

func TestParseKey_SaysWhatIsWrongAndNothingOfTheSecret(t *testing.T) {
	ec, _ := ecSecret(t)
	ed, _ := edSecret(t)
	for name, tc := range map[string]struct{ name, secret, want string }{
		"no name":          {"", ed, "name is empty"},
		"a name of lines":  {"a\nb", ed, "control character"},
		"nothing":          {keyName, "", "has 0 bytes"},
		"cut PEM":          {keyName, ec[:100], "is it whole"},
		"damaged PEM":      {keyName, strings.Replace(ec, "MHcC", "AAAA", 1), "no private key that can be read"},
		"short Ed25519":    {keyName, "c2VjcmV0", "has 6 bytes"},
		"another's public": {keyName, ed[:60] + "AAAA" + ed[64:], "belongs to another"},
		"no base64":        {keyName, "secret!", "neither PEM nor base64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := coinbase.ParseKey(tc.name, tc.secret)
			require.ErrorContains(t, err, tc.want)
			for i := 0; i+12 <= len(tc.secret); i += 12 {
				if part := tc.secret[i : i+12]; !strings.Contains(part, "-") && !strings.Contains(part, "PRIVATE") {
					require.NotContains(t, err.Error(), part)
				}
			}
		})
	}
}

// TestSecrets_StandNowhere prints, marshals and logs everything that holds a key of either
// kind, alone and within a bot's own structs, and every error that a venue can provoke,
// even one that says the token back.
func TestSecrets_StandNowhere(t *testing.T) {
	ed, public := edSecret(t)
	seed, err := base64.StdEncoding.DecodeString(ed)
	require.NoError(t, err)
	ec, _ := ecSecret(t)
	block, _ := pem.Decode([]byte(ec))
	private, err := x509.ParseECPrivateKey(block.Bytes)
	require.NoError(t, err)
	scalar, err := private.Bytes()
	require.NoError(t, err)
	body := strings.Split(ec, "\n")[1]
	d := new(big.Int).SetBytes(scalar)
	canaries := []string{ed, ed[:40], fmt.Sprintf("%x", ed[:20]), body, body[:40], d.String()}
	for _, secret := range [][]byte{seed[:8], scalar[:8]} {
		canaries = append(canaries, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprint(secret), "[]"),
			strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte"), "{}"), base64.StdEncoding.EncodeToString(secret)[:9],
			fmt.Sprintf("% x", secret))
	}

	var out paper
	var tokens []string
	echo := echoServer(t, &tokens)
	s := newServer(t, keyName, public)
	for _, secret := range []string{ed, ec} {
		key, err := coinbase.ParseKey(keyName, secret)
		require.NoError(t, err)
		config := coinbase.Config{Key: key, Spot: true, Futures: true, Perpetuals: "p", BaseURL: s.http.URL, PerSecond: 5000}
		v, err := coinbase.New(config)
		require.NoError(t, err)
		defer v.Close()
		h := holder{Key: key, Config: config, key: key, config: &config, keys: map[string]coinbase.Key{"k": key}, any: key, venue: v}
		out.show(key, &key, config, &config, v, []any{key, config}, map[string]any{"k": key}, h, &h, []holder{h}, map[string]*holder{"h": &h})
		for _, f := range []fault{{status: 400}, {status: 401}, {status: 403}, {status: 404}, {status: 500}, {cut: true}, {half: true}, {status: 200, body: "no"}} {
			s.always("", f)
			_, err := v.Submit(t.Context(), buy("c-1"))
			out.show(err)
			_, err = v.Positions(t.Context())
			out.show(err)
		}

		config.BaseURL, config.CancelWait = echo, 1
		v, err = coinbase.New(config)
		require.NoError(t, err)
		defer v.Close()
		asked := len(tokens)
		out.everything(t, v)
		require.Greater(t, len(tokens), asked+10)
	}
	require.Contains(t, out.String(), keyName, "the name is no secret")
	require.Contains(t, out.String(), "[secret]", "the venue said tokens back")
	out.requireNone(t, append(canaries, tokens...)...)
}

// everything shows what comes of each call.
func (p *paper) everything(t *testing.T, v *coinbase.Venue) {
	ctx := t.Context()
	one := func(_ any, err error) {
		require.Error(t, err)
		p.show(err)
	}
	live := buy("c-1")
	live.VenueID = "o-1"
	one(v.Positions(ctx))
	one(v.Orders(ctx))
	one(v.Balances(ctx))
	one(v.Fills(ctx, "BTC-USD", time.Time{}))
	_, _, err := v.Reports(ctx)
	one(nil, err)
	one(v.Lookup(ctx, "BTC-USD", "c-1"))
	one(v.Submit(ctx, buy("c-1")))
	one(v.SubmitBracket(ctx, andon.Order{ClientID: "c-2", Venue: "coinbase", Symbol: "BTC-USD", Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: dec("1"), Trigger: dec("90")}, dec("120")))
	one(nil, v.Cancel(ctx, live))
	one(v.CancelOrders(ctx, []andon.Order{live}))
	one(v.CancelAll(ctx, "BTC-USD"))
	auth, err := v.CheckAuth(ctx)
	one(auth, err)
	c := v.TestConnection(ctx)
	one(c, c.Err())
	p.show(auth, c)
}

func TestConfig_NamesEveryFieldThatIsWrong(t *testing.T) {
	_, err := coinbase.New(coinbase.Config{
		Perpetuals: "../x", History: -1, Settle: -1, CancelWait: -1, Timeout: -1, StopSlippage: dec("1"), BaseURL: "http://api.coinbase.com", PerSecond: -1,
	})
	for _, field := range []string{"Key:", "Perpetuals:", "History:", "Settle:", "CancelWait:", "Timeout:", "StopSlippage:", "BaseURL, PerSecond:", "want https"} {
		require.ErrorContains(t, err, field)
	}
	_, err = coinbase.New(coinbase.Config{})
	require.ErrorContains(t, err, "nothing of the account would be read")
}

func TestPositions_SpotFuturesAndPerpetualsInUnitsOfTheBase(t *testing.T) {
	v, s := open(t, func(c *coinbase.Config) { everything(c); c.Cash = []string{"USD", "USDC"} })
	s.do(func() {
		s.coins = dec("1.035e-05")
		s.futures["BIT-28NOV25-CDE"] = dec("-3")
		s.perpetuals["BTC-PERP-INTX"] = dec("0.125")
		s.put(&order{clientID: "hold", product: "BTC-USD", side: "SELL", form: "limit_limit_gtc", config: map[string]string{"base_size": "0.00001", "limit_price": "500"}})
	})
	positions, err := v.Positions(t.Context())
	require.NoError(t, err)
	require.Len(t, positions, 3)
	got := map[string]string{}
	for _, p := range positions {
		require.NoError(t, p.Validate())
		require.Equal(t, andon.Net, p.Leg)
		require.WithinDuration(t, time.Now(), p.At, time.Minute)
		got[p.Symbol] = p.Quantity.String() + " at " + p.Entry.String() + ", mark " + p.Mark.String()
	}
	require.Equal(t, map[string]string{
		"BTC-USD":         "0.00001035 at 0, mark 0",
		"BIT-28NOV25-CDE": "-0.03 at 99.5, mark 100",
		"BTC-PERP-INTX":   "0.125 at 98.75, mark 100",
	}, got)
	balances, err := v.Balances(t.Context())
	require.NoError(t, err)
	byCurrency := map[string]andon.Balance{}
	for _, b := range balances {
		byCurrency[b.Currency] = b
	}
	require.Equal(t, "1000250.5", byCurrency["USD"].Total.String(), "spot and futures together")
	require.Equal(t, "10", byCurrency["USD"].Reserved.String())
	require.Equal(t, "42.000001", byCurrency["USDC"].Total.String())
	require.Equal(t, "0.00001", byCurrency["BTC"].Reserved.String())
}

func TestSubmit_ReduceOnlyOfADerivativeClosesAndNeverOpens(t *testing.T) {
	for _, symbol := range []string{"BIT-28NOV25-CDE", "BTC-PERP-INTX"} {
		t.Run(symbol, func(t *testing.T) {
			v, s := open(t, everything)
			hold := func(n string) {
				s.do(func() {
					s.futures, s.perpetuals = map[string]andon.Decimal{symbol: dec(n)}, map[string]andon.Decimal{symbol: dec(n)}
				})
			}
			out := func(id string, side andon.Side) andon.Order {
				o := marketOrder(id, symbol, side, "0.02")
				if strings.HasSuffix(symbol, "-INTX") {
					o.Quantity = dec("2")
				}
				o.ReduceOnly = true
				return o
			}
			_, err := v.Submit(t.Context(), out("flat", andon.Sell))
			require.ErrorIs(t, err, andon.ErrRejected, "there is nothing to reduce")
			hold("3")
			_, err = v.Submit(t.Context(), out("adds", andon.Buy))
			require.ErrorIs(t, err, andon.ErrRejected, "it would close what it is meant to add to")
			require.ErrorContains(t, err, "reduces nothing")
			o, err := v.Submit(t.Context(), out("closes", andon.Sell))
			require.NoError(t, err)
			require.True(t, o.ReduceOnly)
			o, err = v.Lookup(t.Context(), symbol, "closes")
			require.NoError(t, err)
			require.Equal(t, andon.Filled, o.Status)
			require.Equal(t, out("", 0).Quantity.String(), o.Filled.String(), "in units of the base")
			s.do(func() {
				require.Equal(t, "1", s.futures[symbol].Add(s.perpetuals[symbol]).Sub(dec("3")).String())
			})
			// A position that cannot be read stands in no exit's way: the call never opens.
			hold("-3")
			s.always("GET /cfm", fault{status: 400})
			if strings.HasSuffix(symbol, "-INTX") {
				s.always("GET /intx", fault{status: 400})
			}
			_, err = v.Submit(t.Context(), out("blind", andon.Buy))
			require.NoError(t, err)
		})
	}
}

func TestSubmit_RefusesWhatTheVenueCannotDoBeforeItSends(t *testing.T) {
	v, s := open(t, nil)
	for name, change := range map[string]func(*andon.Order){
		"another venue":  func(o *andon.Order) { o.Venue = "bluefin" },
		"a hedge leg":    func(o *andon.Order) { o.Leg = andon.Long },
		"filled already": func(o *andon.Order) { o.Filled = dec("0.1") },
		"a path":         func(o *andon.Order) { o.Symbol = "BTC-USD/../x" },
		"expired":        func(o *andon.Order) { o.ExpiresAt = time.Now().Add(-time.Minute) },
		"market that ends": func(o *andon.Order) {
			o.Kind, o.Price, o.ExpiresAt = andon.Market, andon.Decimal{}, time.Now().Add(time.Hour)
		},
		"a reduce-only buy": func(o *andon.Order) { o.ReduceOnly = true },
		"no price":          func(o *andon.Order) { o.Price = andon.Decimal{} },
		"too low for a stop": func(o *andon.Order) {
			o.Kind, o.Side, o.Price, o.Trigger = andon.StopMarket, andon.Sell, andon.Decimal{}, dec("0.001")
		},
	} {
		o := buy("c-1")
		change(&o)
		_, err := v.Submit(t.Context(), o)
		require.ErrorIs(t, err, andon.ErrRejected, name)
		require.ErrorContains(t, err, "not sent", name)
	}
	require.Zero(t, s.count("POST /orders"))

	contract := marketOrder("c-2", "BIT-28NOV25-CDE", andon.Buy, "0.015")
	s.do(func() { s.price = dec("100") })
	o, err := v.Submit(t.Context(), contract)
	require.NoError(t, err)
	s.do(func() { require.Equal(t, "1.5", s.orders[0].config["base_size"], "contracts of 0.01") })
	require.Equal(t, "0.015", o.Quantity.String())
}

func TestOrders_WhatIsNotKnownIsSeenAndNotTakenForDone(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() {
		limit := map[string]string{"base_size": "1", "limit_price": "50"}
		s.put(&order{clientID: "status", product: "BTC-USD", side: "BUY", form: "limit_limit_gtc", config: limit}).status = "SOMETHING_NEW"
		s.put(&order{clientID: "form", product: "BTC-USD", side: "BUY", form: "twap_limit_gtd", config: limit})
		s.put(&order{clientID: "money", product: "BTC-USD", side: "BUY", form: "limit_limit_gtc", config: map[string]string{"quote_size": "100", "limit_price": "30"}})
	})
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.Equal(t, andon.StatusUnknown, find(t, orders, "status").Status)
	require.Zero(t, find(t, orders, "form").Kind)
	require.Equal(t, "3.3333333333333333334", find(t, orders, "money").Quantity.String(), "what its money buys, rounded up")

	s.do(func() {
		s.put(&order{clientID: "market", product: "BTC-USD", side: "BUY", form: "market_market_fok", config: map[string]string{"quote_size": "100"}})
	})
	_, err = v.Orders(t.Context())
	require.ErrorContains(t, err, "its quantity is not known yet")
}

func TestCancel_IsDoneWhenTheVenueSaysThatTheOrderIs(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() { s.cancelReads = 4 })
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	require.NoError(t, v.Cancel(t.Context(), o))
	s.do(func() { require.Equal(t, "CANCELLED", s.orders[0].status) })

	filled := marketOrder("c-2", "BTC-USD", andon.Buy, "0.5")
	filled, err = v.Submit(t.Context(), filled)
	require.NoError(t, err)
	_, err = v.Lookup(t.Context(), "BTC-USD", "c-2")
	require.NoError(t, err)
	require.NoError(t, v.Cancel(t.Context(), filled), "it was filled: the venue says that it is done")
	byClientID := buy("c-1")
	require.NoError(t, v.Cancel(t.Context(), byClientID))
}

func TestCancel_WhatIsNotSettledInTimeIsNamedUnknown(t *testing.T) {
	v, s := open(t, func(c *coinbase.Config) { c.CancelWait = 250 * time.Millisecond })
	s.do(func() { s.cancelReads = 1 << 30 })
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	_, err = v.CancelOrders(t.Context(), []andon.Order{o})
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "cancel c-1 order-0001 of BTC-USD")
	require.ErrorContains(t, err, "still says that it is live")
}

func TestCancel_AHundredInARequestAndEachFailureByItsOrder(t *testing.T) {
	v, s := open(t, func(c *coinbase.Config) { c.CancelWait = 20 * time.Second })
	s.do(func() {
		for i := range 250 {
			o := s.put(&order{clientID: fmt.Sprintf("c-%d", i), product: "BTC-USD", side: "BUY", form: "limit_limit_gtc",
				config: map[string]string{"base_size": "1", "limit_price": "50"}})
			if i == 42 {
				o.cancelReason = "INVALID_CANCEL_FCM_TRADING_SESSION"
			}
		}
	})
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	orders = append(orders, andon.Order{ClientID: "ghost", VenueID: "order-9999", Symbol: "BTC-USD", Venue: "coinbase"}, orders[0])
	results, err := v.CancelOrders(t.Context(), orders)
	require.Equal(t, 3, s.count("POST /orders/batch_cancel"))
	require.Len(t, results, 252)
	for i, r := range results {
		require.Equal(t, orders[i].VenueID, r.Order.VenueID)
		switch r.Order.ClientID {
		case "c-42":
			require.ErrorContains(t, r.Err, "INVALID_CANCEL_FCM_TRADING_SESSION")
			require.NotErrorIs(t, r.Err, andon.ErrOutcomeUnknown)
		case "ghost":
			require.ErrorIs(t, r.Err, andon.ErrOrderNotFound)
		default:
			require.NoError(t, r.Err)
		}
	}
	require.ErrorContains(t, err, "cancel c-42 order-0043 of BTC-USD")
	require.ErrorContains(t, err, "cancel ghost order-9999 of BTC-USD")
}

func TestCancel_AFailedRequestIsNotTheOrdersFate(t *testing.T) {
	v, s := open(t, nil)
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	s.once("POST /orders/batch_cancel", fault{status: 500, act: true})
	require.NoError(t, v.Cancel(t.Context(), o), "it was cancelled all the same, and asking twice is asking once")
	o, err = v.Submit(t.Context(), buy("c-2"))
	require.NoError(t, err)
	s.once("POST /orders/batch_cancel", fault{status: 200, body: `{"results":[]}`, act: true})
	require.NoError(t, v.Cancel(t.Context(), o), "the answer said nothing, the lists did")
}

func TestLookup_OfAnOrderOfAnotherProcessSearchesToTheEnd(t *testing.T) {
	v, s := open(t, func(c *coinbase.Config) { c.History = time.Hour })
	s.do(func() {
		old := s.put(&order{clientID: "old", product: "BTC-USD", side: "BUY", form: "limit_limit_gtc", config: map[string]string{"base_size": "1", "limit_price": "50"}})
		old.created, old.status = old.created.Add(-1000*time.Hour), "EXPIRED"
		for i := range 300 {
			s.put(&order{clientID: fmt.Sprintf("c-%d", i), product: "BTC-USD", side: "BUY", form: "limit_limit_gtc", config: map[string]string{"base_size": "1", "limit_price": "50"}}).status = "FAILED"
		}
	})
	o, err := v.Lookup(t.Context(), "BTC-USD", "old")
	require.NoError(t, err)
	require.Equal(t, andon.Canceled, o.Status)
	o, err = v.Lookup(t.Context(), "BTC-USD", "c-7")
	require.NoError(t, err)
	require.Equal(t, andon.Rejected, o.Status)
	_, err = v.Lookup(t.Context(), "ETH-USD", "old")
	require.ErrorIs(t, err, andon.ErrOrderNotFound)
}

func TestHealth_SaysWhatPeopleAskAtThreeInTheMorning(t *testing.T) {
	v, s := open(t, everything)
	s.do(func() { s.futures["BIT-28NOV25-CDE"] = dec("1") })
	auth, err := v.CheckAuth(t.Context())
	require.NoError(t, err)
	require.NoError(t, auth.Err())
	require.Equal(t, keyName, auth.Key)
	require.True(t, auth.CanView && auth.CanTrade && !auth.CanTransfer)
	require.Equal(t, "p-1", auth.Portfolio)
	require.Positive(t, auth.RoundTrip)
	require.Positive(t, auth.ClockWithin)
	require.True(t, auth.ValidUntil.IsZero())
	require.WithinDuration(t, time.Now().Add(2*time.Minute), auth.TokenUntil, time.Minute)
	for _, word := range []string{keyName, "trade true", "transfer false", "round trip"} {
		require.Contains(t, auth.String(), word)
	}
	c := v.TestConnection(t.Context())
	require.NoError(t, c.Err())
	require.Len(t, c.Probes, 4)
	require.Contains(t, c.String(), "positions    ok, 1 rows")

	s.always("GET /key_permissions", fault{status: 200, body: `{"can_view":true,"can_trade":false,"can_transfer":true}`})
	auth, err = v.CheckAuth(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, auth.Err(), coinbase.ErrAuth)
	require.ErrorIs(t, v.TestConnection(t.Context()).Err(), coinbase.ErrAuth)
	s.always("GET ", fault{status: 401})
	_, err = v.CheckAuth(t.Context())
	require.ErrorIs(t, err, coinbase.ErrAuth)
	c = v.TestConnection(t.Context())
	require.ErrorIs(t, c.Err(), coinbase.ErrAuth)
	require.Contains(t, c.String(), "orders       failed")
	require.True(t, errors.Is(c.Probes[3].Err, coinbase.ErrAuth), "it goes on after a failure")
}
