package coinbase_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/coinbase"
)

// everything reads all of the account.
func everything(c *coinbase.Config) { c.Futures, c.Perpetuals = true, "p-intx" }

const (
	goodOrder = `{"order_id":"o-1","client_order_id":"c-1","product_id":"BTC-USD","side":"BUY","status":"OPEN","product_type":"SPOT",` +
		`"created_time":"2026-01-02T03:04:05Z","filled_size":"0","number_of_fills":"0",` +
		`"order_configuration":{"limit_limit_gtc":{"base_size":"1","limit_price":"50"}}}`
	goodAccount = `{"uuid":"u-1","currency":"BTC","available_balance":{"value":"1","currency":"BTC"},"hold":{"value":"0.5","currency":"BTC"}}`
)

func TestLaw1_WhatAnAnswerLacksIsAnErrorAndNeverZero(t *testing.T) {
	orders := func(o string) string { return `{"orders":[` + o + `],"has_next":false,"cursor":""}` }
	accounts := func(a string) string { return `{"accounts":[` + a + `],"has_next":false,"cursor":""}` }
	cut := func(body, from, to string) string {
		require.Contains(t, body, from)
		return strings.Replace(body, from, to, 1)
	}
	for _, tc := range []struct{ name, call, body, problem string }{
		{"no list of orders", "GET /orders/historical/batch", `{"has_next":false}`, "rows are missing"},
		{"null list of orders", "GET /orders/historical/batch", `{"orders":null,"has_next":false}`, "rows are missing"},
		{"order without id", "GET /orders/historical/batch", orders(cut(goodOrder, `"order_id":"o-1",`, "")), "order_id is missing"},
		{"order without client id", "GET /orders/historical/batch", orders(cut(goodOrder, `"client_order_id":"c-1",`, "")), "client_order_id is missing"},
		{"order without product", "GET /orders/historical/batch", orders(cut(goodOrder, `"product_id":"BTC-USD",`, "")), "product_id is missing"},
		{"order without side", "GET /orders/historical/batch", orders(cut(goodOrder, `"side":"BUY",`, "")), "side is missing"},
		{"order of a strange side", "GET /orders/historical/batch", orders(cut(goodOrder, `"BUY"`, `"UNKNOWN_ORDER_SIDE"`)), "side is"},
		{"order without status", "GET /orders/historical/batch", orders(cut(goodOrder, `"status":"OPEN",`, "")), "status is missing"},
		{"order without size", "GET /orders/historical/batch", orders(cut(goodOrder, `"base_size":"1",`, "")), "base_size is missing"},
		{"order with empty size", "GET /orders/historical/batch", orders(cut(goodOrder, `"base_size":"1"`, `"base_size":""`)), "base_size is missing"},
		{"order of size zero", "GET /orders/historical/batch", orders(cut(goodOrder, `"base_size":"1"`, `"base_size":"0"`)), "base_size is 0"},
		{"order without price", "GET /orders/historical/batch", orders(cut(goodOrder, `,"limit_price":"50"`, "")), "limit_price is missing"},
		{"order without form", "GET /orders/historical/batch", orders(cut(goodOrder, `"limit_limit_gtc":{"base_size":"1","limit_price":"50"}`, "")), "order_configuration is missing"},
		{"order of two forms", "GET /orders/historical/batch", orders(cut(goodOrder, `"order_configuration":{`, `"order_configuration":{"sor_limit_ioc":{"base_size":"2"},`)), "two forms"},
		{"order without time", "GET /orders/historical/batch", orders(cut(goodOrder, `"created_time":"2026-01-02T03:04:05Z",`, "")), "created_time is missing"},
		{"order without what is filled", "GET /orders/historical/batch", orders(cut(cut(goodOrder, `"filled_size":"0",`, ""), `"number_of_fills":"0"`, `"number_of_fills":"2"`)), "filled_size is missing"},
		{"order filled by less than nothing", "GET /orders/historical/batch", orders(cut(goodOrder, `"filled_size":"0"`, `"filled_size":"-1"`)), "filled_size is -1"},
		{"more digits than a decimal", "GET /orders/historical/batch", orders(cut(goodOrder, `"base_size":"1"`, `"base_size":"0.00000000000000000001"`)), "more digits"},
		{"no number", "GET /orders/historical/batch", orders(cut(goodOrder, `"base_size":"1"`, `"base_size":"one"`)), "not a decimal"},
		{"no list of accounts", "GET /accounts", `{}`, "rows are missing"},
		{"account without currency", "GET /accounts", accounts(cut(goodAccount, `"currency":"BTC","available`, `"available`)), "currency is missing"},
		{"account without balance", "GET /accounts", accounts(cut(goodAccount, `"available_balance":{"value":"1","currency":"BTC"},`, "")), "available_balance is missing"},
		{"account with an empty balance", "GET /accounts", accounts(cut(goodAccount, `"value":"1"`, `"value":""`)), "available_balance is missing"},
		{"account without hold", "GET /accounts", accounts(cut(goodAccount, `,"hold":{"value":"0.5","currency":"BTC"}`, "")), "hold is missing"},
		{"account of two currencies", "GET /accounts", accounts(cut(goodAccount, `"0.5","currency":"BTC"`, `"0.5","currency":"ETH"`)), `amount of "ETH"`},
		{"no futures positions", "GET /cfm/positions", `{}`, "positions is missing"},
		{"futures without contracts", "GET /cfm/positions", `{"positions":[{"product_id":"BIT-X-CDE","side":"LONG","current_price":"1","avg_entry_price":"1"}]}`, "number_of_contracts is missing"},
		{"futures without side", "GET /cfm/positions", `{"positions":[{"product_id":"BIT-X-CDE","side":"FUTURES_POSITION_SIDE_UNSPECIFIED","number_of_contracts":"1","current_price":"1","avg_entry_price":"1"}]}`, "long or short is not known"},
		{"no perpetual positions", "GET /intx/positions", `{"summary":{}}`, "positions is missing"},
		{"perpetual with two signs", "GET /intx/positions", `{"positions":[{"product_id":"BTC-PERP-INTX","position_side":"POSITION_SIDE_LONG","net_size":"-1","entry_vwap":{"value":"1"},"mark_price":{"value":"1"}}]}`, "net_size is -1"},
		{"no futures balance", "GET /cfm/balance_summary", `{}`, "balance_summary is missing"},
		{"no perpetual balances", "GET /intx/balances", `{}`, "portfolio_balances is missing"},
		{"no product", "GET /products", `{}`, "product_type is missing"},
		{"no permissions", "GET /key_permissions", `{"can_view":true}`, "can_trade is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, s := open(t, everything)
			s.do(func() { s.futures["BIT-28NOV25-CDE"] = dec("2") })
			s.always(tc.call, fault{status: 200, body: tc.body})
			var err error
			switch {
			case strings.HasPrefix(tc.call, "GET /orders"):
				_, err = v.Orders(t.Context())
			case strings.HasPrefix(tc.call, "GET /key"):
				_, err = v.CheckAuth(t.Context())
			case strings.Contains(tc.call, "balance"):
				_, err = v.Balances(t.Context())
			default:
				_, err = v.Positions(t.Context())
			}
			require.ErrorContains(t, err, tc.problem)
		})
	}
}

// TestLaw1_TheGoodRowsAreGood keeps the test above honest.
func TestLaw1_TheGoodRowsAreGood(t *testing.T) {
	v, s := open(t, nil)
	s.always("GET /orders", fault{status: 200, body: `{"orders":[` + goodOrder + `],"has_next":false}`})
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.Len(t, orders, 1)
	s.always("GET /accounts", fault{status: 200, body: `{"accounts":[` + goodAccount + `],"has_next":false}`})
	positions, err := v.Positions(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1.5", positions[0].Quantity.String(), "what is on hold is held")
}

func TestLaw5_AListIsWholeOrAnError(t *testing.T) {
	fill := func(s *server, n int) {
		for i := range n {
			s.put(&order{clientID: fmt.Sprintf("c-%d", i), product: "BTC-USD", side: "BUY", form: "limit_limit_gtc",
				config: map[string]string{"base_size": "1", "limit_price": "50"}})
		}
	}
	t.Run("pages to the end, rows that come twice count once", func(t *testing.T) {
		v, s := open(t, nil)
		s.do(func() { fill(s, 1003); s.repeatRow = true })
		orders, err := v.Orders(t.Context())
		require.NoError(t, err)
		require.Len(t, orders, 1003)
		seen := map[string]bool{}
		for _, o := range orders {
			require.False(t, seen[o.VenueID])
			seen[o.VenueID] = true
		}
	})
	t.Run("a cursor that comes twice", func(t *testing.T) {
		v, s := open(t, nil)
		s.do(func() { fill(s, 300); s.circle = true })
		_, err := v.Orders(t.Context())
		require.ErrorContains(t, err, "turns in circles")
	})
	t.Run("more rows and no cursor", func(t *testing.T) {
		v, s := open(t, nil)
		s.always("GET /orders", fault{status: 200, body: `{"orders":[],"has_next":true,"cursor":""}`})
		_, err := v.Orders(t.Context())
		require.ErrorContains(t, err, "not complete")
	})
	t.Run("the second page fails", func(t *testing.T) {
		v, s := open(t, func(c *coinbase.Config) { c.Timeout = 5 * time.Second })
		s.do(func() {
			fill(s, 300)
			s.fault = func(r *http.Request) fault {
				if r.URL.Query().Get("cursor") != "" {
					return fault{status: 400}
				}
				return fault{}
			}
		})
		orders, err := v.Orders(t.Context())
		require.Error(t, err)
		require.Empty(t, orders)
	})
}

func TestLaw6_AnAmbiguousOutcomeIsItsOwnAndIsFound(t *testing.T) {
	for name, f := range map[string]fault{
		"cut before":        {cut: true},
		"cut after":         {cut: true, act: true},
		"500 before":        {status: 500},
		"500 after":         {status: 500, act: true},
		"502 with a page":   {status: 502, body: "<html>bad gateway</html>"},
		"503 with a wish":   {status: 503, retryAfter: "1"},
		"408":               {status: 408, act: true},
		"redirect":          {status: 302},
		"half an answer":    {half: true, act: true},
		"no JSON":           {status: 200, body: "<html>ok</html>", act: true},
		"no success":        {status: 200, body: "{}", act: true},
		"no order id":       {status: 200, body: `{"success":true}`, act: true},
		"about another one": {status: 200, body: `{"success":true,"success_response":{"order_id":"x","client_order_id":"other"}}`, act: true},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := open(t, func(c *coinbase.Config) { c.Settle = time.Hour })
			s.do(func() { s.hideNew = 1 })
			s.once("POST /orders", f)
			_, err := v.Submit(t.Context(), buy("c-1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.NotErrorIs(t, err, andon.ErrRejected)
			require.Equal(t, 1, s.count("POST /orders"), "an order is sent once")

			// The lists lag: that it is in none of them does not mean that there is none.
			_, err = v.Lookup(t.Context(), "BTC-USD", "c-1")
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.NotErrorIs(t, err, andon.ErrOrderNotFound)
			o, err := v.Lookup(t.Context(), "BTC-USD", "c-1")
			if f.act {
				require.NoError(t, err)
				require.Equal(t, andon.Live, o.Status)
			} else {
				require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			}
		})
	}
}

// TestLaw6_ASlowListSaysNothingOfLater: a list that lacks an order was made when it was
// asked for, and not when its answer came.
func TestLaw6_ASlowListSaysNothingOfLater(t *testing.T) {
	const settle = 2 * time.Second
	slow := fault{act: true, slow: settle + 100*time.Millisecond}
	v, s := open(t, func(c *coinbase.Config) { c.Settle = settle })
	s.do(func() { s.hideNew = 1 })
	s.once("POST /orders", fault{cut: true, act: true})
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	s.once("GET /orders/historical/batch", slow)
	_, err = v.Lookup(t.Context(), "BTC-USD", "c-1")
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown, "it is there, and the list was made before it showed")
	require.NotErrorIs(t, err, andon.ErrOrderNotFound)

	_, err = v.Submit(t.Context(), buy("c-2"))
	require.NoError(t, err)
	s.once("GET /orders/historical/batch", slow)
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(orders, func(o andon.Order) bool { return o.ClientID == "c-2" }), "it is asked for by its id")
}

func TestLaw6_AfterSettleTheVenuesWordIsBelieved(t *testing.T) {
	v, s := open(t, nil)
	s.once("POST /orders", fault{cut: true})
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Eventually(t, func() bool {
		_, err := v.Lookup(t.Context(), "BTC-USD", "c-1")
		return errors.Is(err, andon.ErrOrderNotFound)
	}, time.Minute, 10*time.Millisecond)
}

func TestLaw6_ARefusalIsCertain(t *testing.T) {
	refusal := `{"success":false,"error_response":{"error":"UNKNOWN_FAILURE_REASON","message":"no","new_order_failure_reason":"INSUFFICIENT_FUND"}}`
	for name, tc := range map[string]struct {
		f    fault
		auth bool
		want string
	}{
		"success false": {fault{status: 200, body: refusal}, false, "INSUFFICIENT_FUND: no"},
		"400":           {fault{status: 400}, false, "as told"},
		"401":           {fault{status: 401}, true, "as told"},
		"403":           {fault{status: 403, body: `{"error":"PERMISSION_DENIED","error_details":"Missing required scopes"}`}, true, "Missing required scopes"},
		"no words":      {fault{status: 400, body: "<html>"}, false, "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := open(t, nil)
			s.once("POST /orders", tc.f)
			_, err := v.Submit(t.Context(), buy("c-1"))
			require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
			refused, ok := errors.AsType[*andon.RejectedError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, refused.Reason, tc.want)
			require.Equal(t, tc.auth, errors.Is(err, coinbase.ErrAuth))
			require.Equal(t, 1, s.count("POST /orders"))
			_, err = v.Lookup(t.Context(), "BTC-USD", "c-1")
			require.ErrorIs(t, err, andon.ErrOrderNotFound)
		})
	}
}

func TestLaw6_ThrottledIsNotTakenAndSentAgain(t *testing.T) {
	v, s := open(t, nil)
	s.once("POST /orders", fault{status: 429, retryAfter: "1"})
	began := time.Now()
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	require.Equal(t, andon.Live, o.Status)
	require.Equal(t, 2, s.count("POST /orders"))
	require.GreaterOrEqual(t, time.Since(began), time.Second, "Retry-After is obeyed")

	s.always("POST /orders", fault{status: 429, retryAfter: "3600"})
	_, err = v.Submit(t.Context(), buy("c-2"))
	require.ErrorContains(t, err, "was not taken")
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, andon.ErrRejected)
}

func TestComplaintTrading1_PendingAndQueuedOrdersDoNotSurviveCancelAll(t *testing.T) {
	for _, history := range []time.Duration{0, time.Hour} {
		v, s := open(t, func(c *coinbase.Config) { c.History = history })
		s.do(func() {
			for _, status := range []string{"PENDING", "OPEN", "QUEUED", "EDIT_QUEUED", "CANCEL_QUEUED", "FILLED", "CANCELLED", "EXPIRED", "FAILED"} {
				s.put(&order{clientID: status, product: "BTC-USD", side: "BUY", form: "limit_limit_gtc",
					config: map[string]string{"base_size": "1", "limit_price": "50"}}).status = status
			}
			old := s.put(&order{clientID: "old", product: "BTC-USD", side: "BUY", form: "limit_limit_gtc", config: map[string]string{"base_size": "1", "limit_price": "50"}})
			old.created = old.created.Add(-1000 * time.Hour)
			s.put(&order{clientID: "other", product: "ETH-USD", side: "BUY", form: "limit_limit_gtc", config: map[string]string{"base_size": "1", "limit_price": "50"}})
			s.cancelReads = 3
		})
		orders, err := v.Orders(t.Context())
		require.NoError(t, err)
		var ids []string
		for _, o := range orders {
			require.Equal(t, andon.Live, o.Status)
			ids = append(ids, o.ClientID)
		}
		require.ElementsMatch(t, []string{"PENDING", "OPEN", "QUEUED", "EDIT_QUEUED", "CANCEL_QUEUED", "old", "other"}, ids)

		results, err := v.CancelAll(t.Context(), "BTC-USD")
		require.NoError(t, err)
		require.Len(t, results, 6)
		orders, err = v.Orders(t.Context())
		require.NoError(t, err)
		require.Len(t, orders, 1)
		require.Equal(t, "other", orders[0].ClientID)
		_, err = v.CancelAll(t.Context(), "")
		require.NoError(t, err)
		orders, err = v.Orders(t.Context())
		require.NoError(t, err)
		require.Empty(t, orders)
	}
}

func TestComplaintTrading2_AnAnswerThatCannotBeReadIsNeverFlat(t *testing.T) {
	for name, f := range map[string]fault{
		"401":          {status: 401},
		"403":          {status: 403},
		"404":          {status: 404},
		"a redirect":   {status: 307},
		"nothing":      {status: 200, body: " "},
		"null":         {status: 200, body: "null"},
		"an empty one": {status: 200, body: "{}"},
		"a list":       {status: 200, body: "[]"},
		"a page":       {status: 200, body: "<html>maintenance</html>"},
		"an error":     {status: 200, body: `{"error":"unavailable"}`},
		"zero rows":    {status: 200, body: `{"accounts":[{}],"positions":[{}],"orders":[{}],"portfolio_balances":[{}],"balance_summary":{},"has_next":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, part := range []func(*coinbase.Config){
				func(*coinbase.Config) {},
				func(c *coinbase.Config) { c.Spot, c.Futures = false, true },
				func(c *coinbase.Config) { c.Spot, c.Perpetuals = false, "p-intx" },
			} {
				v, s := open(t, part)
				s.do(func() {
					s.coins, s.futures["BIT-28NOV25-CDE"], s.perpetuals["BTC-PERP-INTX"] = dec("1"), dec("1"), dec("1")
				})
				s.always("GET ", f)
				positions, err := v.Positions(t.Context())
				require.Error(t, err)
				require.Empty(t, positions)
				_, err = v.Balances(t.Context())
				require.Error(t, err)
				_, err = v.Orders(t.Context())
				require.Error(t, err)
				require.Equal(t, f.status == 401 || f.status == 403, errors.Is(err, coinbase.ErrAuth))
			}
		})
	}
}

func TestComplaintTrading5_ConditionalOrdersAreSeenAsWhatTheyAre(t *testing.T) {
	v, s := open(t, nil)
	until := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	base := andon.Order{Venue: "coinbase", Symbol: "BTC-USD", Quantity: dec("0.25")}
	for _, tc := range []struct {
		id       string
		side     andon.Side
		kind     andon.Kind
		price    string
		trigger  string
		asKind   andon.Kind
		asPrice  string
		until    time.Time
		wantForm string
		stop     string // direction
	}{
		{"sell-stop", andon.Sell, andon.StopLimit, "89", "90", andon.StopLimit, "89", time.Time{}, "stop_limit_stop_limit_gtc", "DOWN"},
		{"buy-stop", andon.Buy, andon.StopLimit, "111", "110", andon.StopLimit, "111", until, "stop_limit_stop_limit_gtd", "UP"},
		{"sell-profit", andon.Sell, andon.TakeProfitLimit, "119", "120", andon.TakeProfitLimit, "119", time.Time{}, "stop_limit_stop_limit_gtc", "UP"},
		{"buy-profit", andon.Buy, andon.TakeProfitLimit, "81", "80", andon.TakeProfitLimit, "81", time.Time{}, "stop_limit_stop_limit_gtc", "DOWN"},
		{"sell-stop-market", andon.Sell, andon.StopMarket, "0", "90.01", andon.StopLimit, "85.5", time.Time{}, "stop_limit_stop_limit_gtc", "DOWN"},
		{"buy-stop-market", andon.Buy, andon.StopMarket, "0", "110.01", andon.StopLimit, "115.52", until, "stop_limit_stop_limit_gtd", "UP"},
		{"sell-profit-market", andon.Sell, andon.TakeProfitMarket, "0", "120", andon.TakeProfitLimit, "114", time.Time{}, "stop_limit_stop_limit_gtc", "UP"},
	} {
		o := base
		o.ClientID, o.Side, o.Kind, o.Price, o.Trigger, o.ExpiresAt = tc.id, tc.side, tc.kind, dec(tc.price), dec(tc.trigger), tc.until
		taken, err := v.Submit(t.Context(), o)
		require.NoError(t, err, tc.id)
		s.do(func() {
			last := s.orders[len(s.orders)-1]
			require.Equal(t, tc.wantForm, last.form, tc.id)
			require.Equal(t, "STOP_DIRECTION_STOP_"+tc.stop, last.config["stop_direction"], tc.id)
		})
		orders, err := v.Orders(t.Context())
		require.NoError(t, err)
		for _, got := range []andon.Order{taken, find(t, orders, tc.id)} {
			require.Equal(t, tc.asKind, got.Kind, tc.id)
			require.Equal(t, tc.asPrice, got.Price.String(), tc.id)
			require.Equal(t, tc.trigger, got.Trigger.String(), tc.id)
			require.Equal(t, tc.side, got.Side, tc.id)
			require.True(t, tc.until.Equal(got.ExpiresAt), tc.id)
			require.NoError(t, got.Validate())
		}
	}
	stop := base
	stop.ClientID, stop.Side, stop.Kind, stop.Trigger = "bracket", andon.Sell, andon.StopMarket, dec("90")
	taken, err := v.SubmitBracket(t.Context(), stop, dec("120"))
	require.NoError(t, err)
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	for _, got := range []andon.Order{taken, find(t, orders, "bracket")} {
		require.Equal(t, andon.StopMarket, got.Kind)
		require.Equal(t, "90", got.Trigger.String())
	}
	for name, tc := range map[string]struct {
		kind   andon.Kind
		profit string
	}{"take-profit below": {andon.StopMarket, "80"}, "no take-profit": {andon.StopMarket, "0"}, "no stop": {andon.TakeProfitMarket, "120"}} {
		bad := stop
		bad.ClientID, bad.Kind = name, tc.kind
		_, err = v.SubmitBracket(t.Context(), bad, dec(tc.profit))
		require.ErrorIs(t, err, andon.ErrRejected, name)
	}
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

func TestComplaintTrading10_ATimeoutIsNotSentTwiceAndAHedgeLegNeverOpens(t *testing.T) {
	v, s := open(t, nil)
	s.once("POST /orders", fault{act: true, cut: true})
	o := marketOrder("in-1", "BTC-USD", andon.Buy, "0.25")
	_, err := v.Submit(t.Context(), o)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	again, err := v.Submit(t.Context(), o) // what a bot does that does not look it up
	require.NoError(t, err)
	s.do(func() { require.Len(t, s.orders, 1) })
	first, err := v.Lookup(t.Context(), "BTC-USD", "in-1")
	require.NoError(t, err)
	require.Equal(t, again.VenueID, first.VenueID)

	short := marketOrder("close-short", "BIT-28NOV25-CDE", andon.Buy, "0.01")
	short.Leg = andon.Short
	_, err = v.Submit(t.Context(), short)
	require.ErrorIs(t, err, andon.ErrRejected)
	require.ErrorContains(t, err, "hedge")
	s.do(func() { require.Len(t, s.orders, 1) })
}
