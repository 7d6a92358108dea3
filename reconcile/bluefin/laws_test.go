package bluefin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/bluefin"
)

const (
	openOrders = "GET /api/v1/trade/openOrders"
	trades     = "GET /api/v1/account/trades"
)

// orderRow is an open order as the specification has it.
func orderRow(s *server) string {
	return `{"orderHash":"0x01","clientOrderId":"c-1","symbol":"ETH-PERP","accountAddress":"` + s.address + `","priceE9":"50000000000",` +
		`"quantityE9":"250000000","side":"LONG","type":"LIMIT","reduceOnly":false,"filledQuantityE9":"0","status":"OPEN",` +
		`"expiresAtMillis":1900000000000,"updatedAtMillis":1800000000000,"triggerPriceE9":""}`
}

func accountRow(s *server) string {
	return `{"accountAddress":"` + s.address + `","canTrade":true,"canWithdraw":true,"assets":[{"symbol":"USDC","quantityE9":"1","maxWithdrawQuantityE9":"1"}],` +
		`"positions":[{"symbol":"ETH-PERP","side":"LONG","sizeE9":"1","avgEntryPriceE9":"2","markPriceE9":"3","clientSetLeverageE9":"4","isIsolated":false,"updatedAtMillis":1800000000000}]}`
}

func TestLaw1_WhatAnAnswerLacksIsAnErrorAndNeverZero(t *testing.T) {
	const account = "GET /api/v1/account"
	for _, tc := range []struct{ call, from, to, problem string }{
		{openOrders, `"orderHash":"0x01",`, ``, "orderHash is missing"},
		{openOrders, `"symbol":"ETH-PERP",`, ``, "symbol is missing"},
		{openOrders, `"quantityE9":"250000000",`, ``, "quantityE9 is missing"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":""`, "quantityE9 is missing"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":"0"`, "quantityE9 is 0"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":"-1"`, "quantityE9 is -0.000000001"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":"0.25"`, "is no whole number"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":"2e8"`, "is no whole number"},
		{openOrders, `"quantityE9":"250000000"`, `"quantityE9":250000000`, "digits in quotes"},
		{openOrders, `"priceE9":"50000000000",`, ``, "priceE9 is missing"},
		{openOrders, `"filledQuantityE9":"0",`, ``, "filledQuantityE9 is missing"},
		{openOrders, `"filledQuantityE9":"0"`, `"filledQuantityE9":"250000001"`, "filledQuantityE9 is 0.250000001 of 0.25"},
		{openOrders, `"side":"LONG",`, ``, "side is missing"},
		{openOrders, `"LONG"`, `"UNSPECIFIED"`, `side is "UNSPECIFIED"`},
		{openOrders, `"type":"LIMIT",`, ``, "type is missing"},
		{openOrders, `"type":"LIMIT"`, `"type":"STOP_MARKET"`, "triggerPriceE9 is missing"},
		{openOrders, `"status":"OPEN",`, ``, "status is missing"},
		{openOrders, `"reduceOnly":false,`, ``, "reduceOnly is missing"},
		{openOrders, `"expiresAtMillis":1900000000000,`, ``, "expiresAtMillis is missing"},
		{openOrders, `"expiresAtMillis":1900000000000`, `"expiresAtMillis":0`, "expiresAtMillis is 0"},
		{openOrders, `"accountAddress":"0x`, `"accountAddress":"0y`, "it belongs to account"},
		{account, `"accountAddress":"0x`, `"accountAddress":"0y`, "it is about account"},
		{account, `"canTrade":true,`, ``, "canTrade is missing"},
		{account, `"sizeE9":"1",`, ``, "sizeE9 is missing"},
		{account, `"side":"LONG",`, ``, "side is missing"},
		{account, `"side":"LONG"`, `"side":"UNSPECIFIED"`, "long or short is not known"},
		{account, `"markPriceE9":"3",`, ``, "markPriceE9 is missing"},
		{account, `"avgEntryPriceE9":"2"`, `"avgEntryPriceE9":null`, "avgEntryPriceE9 is missing"},
		{account, `"clientSetLeverageE9":"4",`, ``, "clientSetLeverageE9 is missing"},
		{account, `,"updatedAtMillis":1800000000000`, ``, "updatedAtMillis is missing"},
		{account, `"quantityE9":"1",`, ``, "quantityE9 is missing"},
		{account, `"positions":[`, `"other":[`, "positions is missing"},
		{account, `"assets":[`, `"other":[`, "assets is missing"},
	} {
		t.Run(tc.from+" "+tc.to, func(t *testing.T) {
			v, s := open(t, nil)
			body := "[" + orderRow(s) + "]"
			if tc.call == account {
				body = accountRow(s)
			}
			s.do(func() { s.fault = nil })
			s.always(tc.call, fault{status: 200, body: body})
			if tc.call == openOrders {
				orders, err := v.Orders(t.Context())
				require.NoError(t, err, "the row is good as it is")
				require.Len(t, orders, 1)
			} else {
				positions, err := v.Positions(t.Context())
				require.NoError(t, err)
				require.Equal(t, "0.000000001", positions[0].Quantity.String())
			}
			require.Contains(t, body, tc.from)
			s.always(tc.call, fault{status: 200, body: strings.Replace(body, tc.from, tc.to, 1)})
			var err error
			if tc.call == openOrders {
				_, err = v.Orders(t.Context())
			} else {
				_, err = v.Positions(t.Context())
			}
			require.ErrorContains(t, err, tc.problem)
		})
	}
}

func TestLaw5_TradesAreReadToTheEndOrAnError(t *testing.T) {
	since := time.Now().Add(-200 * 24 * time.Hour)
	fill := func(s *server, n int) {
		s.do(func() {
			for i := range n {
				s.trade(&order{hash: fmt.Sprintf("0x%d", i), clientID: fmt.Sprintf("c-%d", i), symbol: symbol, side: "LONG", kind: "MARKET"}, "1000000000")
				s.trades[i]["executedAtMillis"] = time.Now().Add(-time.Duration(i) * 24 * time.Hour).UnixMilli()
			}
		})
	}
	v, s := open(t, nil)
	s.do(func() { s.pageSize = 7 }) // the venue gives fewer rows than it is asked for
	fill(s, 150)
	fills, err := v.Fills(t.Context(), symbol, since)
	require.NoError(t, err)
	require.Len(t, fills, 150, "over more than one window of 90 days")
	for _, f := range fills {
		require.NoError(t, f.Validate())
		require.Equal(t, "0.78", f.Fee.String())
	}

	// A venue that gives the same full page for ever.
	row := `{"id":"t-%d","side":"LONG","symbol":"ETH-PERP","priceE9":"1","quantityE9":"1","quoteQuantityE9":"1","executedAtMillis":1800000000000}`
	var rows []string
	for i := range 1000 {
		rows = append(rows, fmt.Sprintf(row, i))
	}
	s.always(trades, fault{status: 200, body: "[" + strings.Join(rows, ",") + "]"})
	_, err = v.Fills(t.Context(), symbol, time.Now().Add(-time.Hour))
	require.ErrorContains(t, err, "the list is not complete")
	s.always(trades, fault{status: 200, body: "[" + rows[0] + "]"})
	_, err = v.Fills(t.Context(), symbol, time.Now().Add(-time.Hour))
	require.ErrorContains(t, err, "its fee is missing")
	s.always(trades, fault{status: 500})
	_, err = v.Lookup(t.Context(), symbol, "nobody")
	require.Error(t, err)
	require.NotErrorIs(t, err, andon.ErrOrderNotFound)
}

func TestLaw6_AnAmbiguousOutcomeIsItsOwnAndIsFound(t *testing.T) {
	for name, f := range map[string]fault{
		"cut before":     {cut: true},
		"cut after":      {cut: true, act: true},
		"500 before":     {status: 500},
		"500 after":      {status: 500, act: true},
		"503 with wish":  {status: 503, retryAfter: "1"},
		"408":            {status: 408, act: true},
		"redirect":       {status: 302},
		"half an answer": {half: true, act: true},
		"no JSON":        {status: 200, body: "<html>ok</html>", act: true},
		"no hash":        {status: 202, body: "{}", act: true},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := open(t, func(c *bluefin.Config) { c.Settle = time.Hour })
			s.do(func() { s.lag = 1 })
			s.once(createOrder, f)
			_, err := v.Submit(t.Context(), buy("c-1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.NotErrorIs(t, err, andon.ErrRejected)
			require.Equal(t, 1, s.count(createOrder), "an order is sent once")
			_, err = v.Lookup(t.Context(), symbol, "c-1")
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown, "the lists lag")
			require.NotErrorIs(t, err, andon.ErrOrderNotFound)
			o, err := v.Lookup(t.Context(), symbol, "c-1")
			if f.act {
				require.NoError(t, err)
				require.Equal(t, andon.Live, o.Status)
			} else {
				require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			}
			// Until it is known nothing is sent under its name.
			_, err = v.Submit(t.Context(), buy("c-1"))
			require.ErrorIs(t, err, andon.ErrRejected)
			require.Equal(t, 1, s.count(createOrder))
		})
	}
}

// TestLaw6_ASlowListSaysNothingOfLater: a list that lacks an order was made when it was
// asked for, and not when its answer came.
func TestLaw6_ASlowListSaysNothingOfLater(t *testing.T) {
	const settle = 2 * time.Second
	v, s := open(t, func(c *bluefin.Config) { c.Settle = settle })
	s.do(func() { s.lag = 1 })
	s.once(createOrder, fault{cut: true, act: true})
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	s.once("GET /api/v1/trade/openOrders", fault{act: true, slow: settle + 100*time.Millisecond})
	_, err = v.Lookup(t.Context(), symbol, "c-1")
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown, "it is there, and the list was made before it showed")
	require.NotErrorIs(t, err, andon.ErrOrderNotFound)
	o, err := v.Lookup(t.Context(), symbol, "c-1")
	require.NoError(t, err)
	require.Equal(t, andon.Live, o.Status)
}

// TestLaw6_SlowTradesSayNothingOfLater: an order that was filled is not called cancelled
// because its trades, which lag, took long to come.
func TestLaw6_SlowTradesSayNothingOfLater(t *testing.T) {
	const settle = 2 * time.Second
	v, s := open(t, func(c *bluefin.Config) { c.Settle = settle })
	s.do(func() { s.sync200, s.tradeLag = true, 2 })
	_, err := v.Submit(t.Context(), marketOrder("c-1", andon.Buy, "0.5"))
	require.NoError(t, err)
	o, err := v.Lookup(t.Context(), symbol, "c-1")
	require.NoError(t, err)
	require.Equal(t, andon.StatusUnknown, o.Status)
	s.once("GET /api/v1/account/trades", fault{act: true, slow: settle + 100*time.Millisecond})
	o, err = v.Lookup(t.Context(), symbol, "c-1")
	require.NoError(t, err)
	require.Equal(t, andon.StatusUnknown, o.Status)
	o, err = v.Lookup(t.Context(), symbol, "c-1")
	require.NoError(t, err)
	require.Equal(t, andon.Filled, o.Status)
	require.Equal(t, "0.5", o.Filled.String())
}

func TestLaw6_AfterSettleTheVenuesWordIsBelievedAndTheIdIsFree(t *testing.T) {
	v, s := open(t, nil)
	s.once(createOrder, fault{cut: true})
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Eventually(t, func() bool {
		_, err := v.Lookup(t.Context(), symbol, "c-1")
		return errors.Is(err, andon.ErrOrderNotFound)
	}, time.Minute, 10*time.Millisecond)
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	require.Equal(t, andon.Live, o.Status)
}

func TestLaw6_AcceptedIsNotDone(t *testing.T) {
	t.Run("it is waited for", func(t *testing.T) {
		v, s := open(t, nil)
		s.do(func() { s.lag, s.tradeLag = 3, 3 })
		o, err := v.Submit(t.Context(), buy("c-1"))
		require.NoError(t, err)
		require.Equal(t, andon.Live, o.Status)
		o, err = v.Submit(t.Context(), marketOrder("c-2", andon.Buy, "0.5"))
		require.NoError(t, err)
		require.Equal(t, andon.Filled, o.Status)
		require.Equal(t, "0.5", o.Filled.String())
	})
	t.Run("what is never seen is unknown, then not found", func(t *testing.T) {
		v, s := open(t, func(c *bluefin.Config) { c.AcceptWait = 250 * time.Millisecond })
		s.do(func() { s.refuse = true })
		_, err := v.Submit(t.Context(), buy("c-1"))
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "it was accepted as")
		require.Eventually(t, func() bool {
			_, err := v.Lookup(t.Context(), symbol, "c-1")
			return errors.Is(err, andon.ErrOrderNotFound)
		}, time.Minute, 10*time.Millisecond)
	})
}

func TestLaw6_ARefusalIsCertain(t *testing.T) {
	for name, tc := range map[string]struct {
		f    fault
		auth bool
		want string
	}{
		"400": {fault{status: 400, body: `{"errorCode":"PRICE_OUT_OF_BOUND","message":"too far"}`}, false, "400: PRICE_OUT_OF_BOUND too far"},
		"403": {fault{status: 403}, true, "TOLD as told"},
		"404": {fault{status: 404, body: "<html>"}, false, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := open(t, nil)
			s.once(createOrder, tc.f)
			_, err := v.Submit(t.Context(), buy("c-1"))
			require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
			refused, ok := errors.AsType[*andon.RejectedError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, refused.Reason, tc.want)
			require.Equal(t, tc.auth, errors.Is(err, bluefin.ErrAuth))
			require.Equal(t, 1, s.count(createOrder))
			_, err = v.Submit(t.Context(), buy("c-1"))
			require.NoError(t, err, "a refused id is free")
		})
	}
	v, s := open(t, nil)
	s.always(createOrder, fault{status: 429, retryAfter: "3600"})
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.ErrorContains(t, err, "was not taken")
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, andon.ErrRejected)
}

func TestComplaintTrading1_NothingSurvivesCancelAll(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() { s.sync200, s.cancelLag, s.size = true, 2, dec("1"); s.leverage = "3000000000" })
	for i := range 13 {
		_, err := v.Submit(t.Context(), buy(fmt.Sprintf("limit-%d", i)))
		require.NoError(t, err)
		_, err = v.Submit(t.Context(), stop(fmt.Sprintf("stop-%d", i)))
		require.NoError(t, err)
	}
	s.do(func() { // another process has one more, of another symbol
		o := *s.orders[0]
		o.hash, o.clientID, o.symbol = "0xff", "other", "BTC-PERP"
		s.orders = append(s.orders, &o)
	})
	results, err := v.CancelAll(t.Context(), symbol)
	require.NoError(t, err)
	require.Len(t, results, 26)
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "other", orders[0].ClientID)
	results, err = v.CancelAll(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, results, 1)
	s.do(func() { require.Empty(t, s.orders) })
}

func TestComplaintTrading1_WhatIsLeftIsNamed(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.CancelWait = 300 * time.Millisecond })
	s.do(func() { s.sync200 = true })
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	_, err = v.Submit(t.Context(), stop("s-1"))
	require.NoError(t, err)
	// The call for open orders fails; that for standby orders is made all the same.
	s.once("PUT /api/v1/trade/orders/cancel", fault{status: 400})
	s.do(func() { s.cancelLag = 1 << 30 })
	results, err := v.CancelAll(t.Context(), symbol)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Len(t, results, 2)
	require.ErrorContains(t, err, "cancel c-1")
	require.ErrorContains(t, err, "cancel s-1")
	s.always("GET /api/v1/trade", fault{status: 400})
	_, err = v.CancelAll(t.Context(), symbol)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "what is live is not known")
}

func TestComplaintTrading2_AnAnswerThatCannotBeReadIsNeverFlat(t *testing.T) {
	for name, f := range map[string]fault{
		"401":          {status: 401},
		"404":          {status: 404},
		"nothing":      {status: 200, body: " "},
		"null":         {status: 200, body: "null"},
		"an empty one": {status: 200, body: "{}"},
		"a list":       {status: 200, body: "[{}]"},
		"a page":       {status: 200, body: "<html>maintenance</html>"},
		"an error":     {status: 200, body: `{"errorCode":"X","message":"unavailable"}`},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := open(t, nil)
			s.do(func() { s.size = dec("1") })
			s.always("GET ", f)
			positions, err := v.Positions(t.Context())
			require.Error(t, err)
			require.Empty(t, positions)
			_, err = v.Balances(t.Context())
			require.Error(t, err)
			_, err = v.Orders(t.Context())
			require.Error(t, err)
			_, err = v.Lookup(t.Context(), symbol, "c-1")
			require.Error(t, err)
			require.NotErrorIs(t, err, andon.ErrOrderNotFound)
		})
	}
}

func TestComplaintTrading5_ConditionalOrdersAreSeenWithTheirEnd(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() { s.size = dec("1"); s.leverage = "3000000000" })
	until := time.Now().Add(48 * time.Hour).Truncate(time.Millisecond)
	for _, tc := range []struct {
		id             string
		kind           andon.Kind
		price, trigger string
		until          time.Time
	}{
		{"stop-market", andon.StopMarket, "0", "90.000000001", time.Time{}},
		{"stop-limit", andon.StopLimit, "89", "90", until},
		{"profit-market", andon.TakeProfitMarket, "0", "120", time.Time{}},
		{"profit-limit", andon.TakeProfitLimit, "121", "120", time.Time{}},
	} {
		o := stop(tc.id)
		o.Kind, o.Price, o.Trigger, o.ExpiresAt = tc.kind, dec(tc.price), dec(tc.trigger), tc.until
		taken, err := v.Submit(t.Context(), o)
		require.NoError(t, err, tc.id)
		orders, err := v.Orders(t.Context())
		require.NoError(t, err)
		for _, got := range []andon.Order{taken, find(t, orders, tc.id)} {
			require.NoError(t, got.Validate())
			require.Equal(t, tc.kind, got.Kind, tc.id)
			require.Equal(t, tc.price, got.Price.String(), tc.id)
			require.Equal(t, tc.trigger, got.Trigger.String(), tc.id)
			require.True(t, got.ReduceOnly)
			if tc.until.IsZero() {
				require.WithinDuration(t, time.Now().Add(30*24*time.Hour), got.ExpiresAt, time.Hour, "the order ends, and says so")
			} else {
				require.True(t, tc.until.Equal(got.ExpiresAt), tc.id)
			}
		}
	}
	// A stop that is triggered changes lists; it is seen in the other, and cancelled there.
	s.do(func() {
		for _, o := range s.orders {
			if o.clientID == "stop-limit" {
				o.standby, o.status = false, "OPEN"
			}
		}
	})
	o, err := v.Lookup(t.Context(), symbol, "stop-limit")
	require.NoError(t, err)
	require.Equal(t, andon.Live, o.Status)
	require.NoError(t, v.Cancel(t.Context(), o))
	s.do(func() { require.Len(t, s.orders, 3) })
}

func find(t *testing.T, orders []andon.Order, clientID string) andon.Order {
	t.Helper()
	for _, o := range orders {
		if o.ClientID == clientID {
			return o
		}
	}
	require.Fail(t, "no order "+clientID)
	return andon.Order{}
}

func TestComplaintTrading10_AClientIdIsUsedOnceThoughTheVenueDoesNotCare(t *testing.T) {
	v, s := open(t, nil)
	s.once(createOrder, fault{act: true, cut: true})
	o := marketOrder("in-1", andon.Buy, "0.25")
	_, err := v.Submit(t.Context(), o)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	_, err = v.Submit(t.Context(), o) // what a bot does that does not look it up
	require.ErrorIs(t, err, andon.ErrRejected)
	require.ErrorContains(t, err, "used before")
	s.do(func() { require.Equal(t, "0.25", s.size.String()) })

	// After a restart this process knows nothing; the venue is asked.
	restarted, err := bluefin.New(bluefin.Config{Key: keyOf(t, v), Account: s.address, AuthURL: s.http.URL, APIURL: s.http.URL, TradeURL: s.http.URL})
	require.NoError(t, err)
	defer restarted.Close()
	_, err = restarted.Submit(t.Context(), o)
	require.ErrorIs(t, err, andon.ErrRejected)
	s.do(func() { require.Equal(t, "0.25", s.size.String()) })
	s.always("GET /api/v1/trade", fault{status: 400})
	_, err = restarted.Submit(t.Context(), marketOrder("in-2", andon.Buy, "0.25"))
	require.ErrorContains(t, err, "was not sent")

	// An exit is sent though the venue's lists cannot be read: a second one could only
	// reduce.
	s.do(func() { s.sync200, s.leverage = true, "3000000000" })
	out := marketOrder("out-1", andon.Sell, "0.25")
	out.ReduceOnly = true
	_, err = restarted.Submit(t.Context(), out)
	require.NoError(t, err)
	s.do(func() { require.True(t, s.size.IsZero()) })

	hedge := marketOrder("close-short", andon.Buy, "0.25")
	hedge.Leg = andon.Short
	_, err = v.Submit(t.Context(), hedge)
	require.ErrorIs(t, err, andon.ErrRejected)
	require.ErrorContains(t, err, "net")
}
