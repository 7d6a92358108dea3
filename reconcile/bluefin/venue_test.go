package bluefin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/bluefin"
)

func TestSession_OneLoginForManyRenewedBeforeItEnds(t *testing.T) {
	v, s := open(t, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := v.Orders(t.Context())
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, s.count("POST /auth/v2/token"))
	require.Zero(t, s.count("PUT /auth/token/refresh"))

	v, s = open(t, nil)
	s.do(func() { s.accessLife = 1 })
	for s.count("PUT /auth/token/refresh") == 0 {
		_, err := v.Orders(t.Context())
		require.NoError(t, err, "the token is renewed before it ends")
		time.Sleep(50 * time.Millisecond)
	}
	// A refresh token that the venue does not know any more takes a new login.
	s.do(func() { clear(s.refresh) })
	for before := s.count("POST /auth/v2/token"); s.count("POST /auth/v2/token") == before; {
		_, err := v.Orders(t.Context())
		require.NoError(t, err)
		time.Sleep(50 * time.Millisecond)
	}
}

func TestSession_ATokenThatTheVenueForgotIsReplaced(t *testing.T) {
	v, s := open(t, nil)
	_, err := v.Orders(t.Context())
	require.NoError(t, err)
	s.do(func() { clear(s.access) })
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	require.Equal(t, andon.Live, o.Status)
	s.do(func() { clear(s.access) })
	s.always("POST /auth", fault{status: 403})
	_, err = v.Orders(t.Context())
	require.ErrorIs(t, err, bluefin.ErrAuth)
	_, err = v.Submit(t.Context(), buy("c-2"))
	require.ErrorIs(t, err, bluefin.ErrAuth)
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown, "nothing was sent")
	_, err = v.Positions(t.Context())
	require.NoError(t, err, "positions are read without logging in")
}

func TestSession_IsSignedWithTheVenuesClock(t *testing.T) {
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		v, s := open(t, nil)
		s.do(func() { s.skew = skew })
		auth, err := v.CheckAuth(t.Context())
		require.NoError(t, err)
		require.InDelta(t, float64(skew), float64(auth.ClockOffset), float64(auth.ClockWithin+time.Second))
		o, err := v.Submit(t.Context(), buy("c-1"))
		require.NoError(t, err)
		require.Equal(t, andon.Live, o.Status)
		require.NoError(t, v.Cancel(t.Context(), o))
	}
}

func TestSubmit_IsSignedWithTheLeverageOfThePosition(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.Settle = time.Hour })
	_, err := v.Submit(t.Context(), buy("default"))
	require.NoError(t, err, "flat: the market's default of 3")
	v2, s2 := open(t, nil)
	s2.do(func() { s2.size, s2.leverage, s2.isolated = dec("1"), "7000000000", true })
	_, err = v2.Submit(t.Context(), buy("held"))
	require.NoError(t, err)

	v3, _ := open(t, func(c *bluefin.Config) { c.Markets = map[string]bluefin.Market{symbol: {Leverage: dec("3")}} })
	_, err = v3.Submit(t.Context(), buy("told"))
	require.NoError(t, err)
	v4, _ := open(t, func(c *bluefin.Config) { c.Markets = map[string]bluefin.Market{symbol: {Leverage: dec("5")}} })
	_, err = v4.Submit(t.Context(), buy("wrong"))
	require.ErrorContains(t, err, "INVALID_LEVERAGE")

	// What the account holds may be unknown for an exit alone.
	v5, s5 := open(t, nil)
	s5.do(func() { s5.sync200 = true })
	s5.always("GET /api/v1/account", fault{status: 400})
	s5.do(func() {
		inner := s5.fault
		s5.fault = func(r *http.Request) fault {
			if strings.HasSuffix(r.URL.Path, "/trades") {
				return fault{}
			}
			return inner(r)
		}
	})
	_, err = v5.Submit(t.Context(), buy("blind"))
	require.ErrorContains(t, err, "leverage of its position is not known")
	_, err = v5.Submit(t.Context(), stop("exit"))
	require.NoError(t, err)
	require.Zero(t, s.count("PUT /api/v1/trade/leverage"), "which would cancel every order of the market")
}

func TestSubmit_RefusesWhatTheVenueCannotDoBeforeItSends(t *testing.T) {
	v, s := open(t, nil)
	for name, change := range map[string]func(*andon.Order){
		"another venue":   func(o *andon.Order) { o.Venue = "coinbase" },
		"a hedge leg":     func(o *andon.Order) { o.Leg = andon.Long },
		"filled already":  func(o *andon.Order) { o.Filled = dec("0.1") },
		"expired":         func(o *andon.Order) { o.ExpiresAt = time.Now().Add(-time.Minute) },
		"ten digits":      func(o *andon.Order) { o.Quantity = dec("0.0000000001") },
		"too much":        func(o *andon.Order) { o.Quantity = dec("18446744073.709551616") },
		"a price too far": func(o *andon.Order) { o.Price = dec("0.12345678901") },
		"no price":        func(o *andon.Order) { o.Price = andon.Decimal{} },
		"no such market":  func(o *andon.Order) { o.Symbol = "DOGE-PERP" },
	} {
		o := buy("c-1")
		change(&o)
		_, err := v.Submit(t.Context(), o)
		require.ErrorIs(t, err, andon.ErrRejected, name)
		require.ErrorContains(t, err, "not sent", name)
	}
	require.Zero(t, s.count(createOrder))
	most := buy("c-2")
	most.Quantity = dec("18446744073.709551615")
	_, err := v.Submit(t.Context(), most)
	require.NoError(t, err)
}

func TestPositions_AreExactAndSigned(t *testing.T) {
	v, s := open(t, nil)
	for _, size := range []string{"1.000000001", "-0.25"} {
		s.do(func() { s.size = dec(size) })
		positions, err := v.Positions(t.Context())
		require.NoError(t, err)
		require.Len(t, positions, 1)
		p := positions[0]
		require.NoError(t, p.Validate())
		require.Equal(t, size, p.Quantity.String())
		require.Equal(t, "99.5", p.Entry.String())
		require.Equal(t, "100", p.Mark.String())
		require.Equal(t, andon.Net, p.Leg)
	}
	s.do(func() { s.size = andon.Decimal{} })
	positions, err := v.Positions(t.Context())
	require.NoError(t, err)
	require.Empty(t, positions)
	balances, err := v.Balances(t.Context())
	require.NoError(t, err)
	require.Equal(t, []andon.Balance{{Venue: "bluefin", Currency: "USDC", Total: dec("12000.000000001"), Reserved: dec("1000.000000001")}}, balances)
	require.Zero(t, s.count("POST /auth/v2/token"), "read without logging in")
}

func TestOrders_OneThatTheListsDoNotShowYetIsGivenAsUnknown(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.Settle = time.Hour })
	s.do(func() { s.sync200, s.lag = true, 2 })
	_, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, andon.StatusUnknown, orders[0].Status, "it is not known to be live, and not taken for done")
	require.Equal(t, "c-1", orders[0].ClientID)
}

func TestOrders_WhatIsNotKnownIsSeenAndNotTakenForDone(t *testing.T) {
	v, s := open(t, nil)
	row := orderRow(s)
	s.always(openOrders, fault{status: 200, body: "[" +
		strings.Replace(row, `"OPEN"`, `"UNSPECIFIED"`, 1) + "," +
		strings.Replace(strings.Replace(row, `"0x01"`, `"0x02"`, 1), `"LIMIT"`, `"TIME_WEIGHTED_AVERAGE_PRICE"`, 1) + "]"})
	orders, err := v.Orders(t.Context())
	require.NoError(t, err)
	require.Equal(t, andon.StatusUnknown, orders[0].Status)
	require.Zero(t, orders[1].Kind)
	require.Equal(t, "50", orders[1].Price.String())
	s.always(openOrders, fault{status: 200, body: "[" + row + "," + strings.Replace(row, `"0x01"`, `"0x02"`, 1) + "]"})
	_, err = v.Lookup(t.Context(), symbol, "c-1")
	require.ErrorContains(t, err, "two live orders")
}

func TestLookup_OfAnOrderThatIsDone(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.Settle = 100 * time.Millisecond })
	s.do(func() { s.sync200 = true })
	o, err := v.Submit(t.Context(), buy("part"))
	require.NoError(t, err)
	s.do(func() { // it trades a part and ends
		s.trade(s.orders[0], "100000000")
		s.trades[0]["lag"] = 1
		s.orders = nil
	})
	var seen []andon.Status
	require.Eventually(t, func() bool {
		got, err := v.Lookup(t.Context(), symbol, "part")
		if err != nil {
			return false
		}
		seen = append(seen, got.Status)
		o = got
		return got.Status.Done()
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, andon.StatusUnknown, seen[0], "its trades may not all be there")
	require.Equal(t, andon.Canceled, o.Status)
	require.Equal(t, "0.1", o.Filled.String())

	// An order of another process is known by its trades alone.
	s.do(func() {
		s.trade(&order{hash: "0xab", clientID: "foreign", symbol: symbol, side: "SHORT", kind: "MARKET"}, "2000000000")
	})
	require.Eventually(t, func() bool {
		o, err = v.Lookup(t.Context(), symbol, "foreign")
		return err == nil && o.Status.Done()
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, andon.Filled, o.Status)
	require.Equal(t, "2", o.Quantity.String())
	require.Equal(t, andon.Sell, o.Side)
}

func TestCancel_TenInARequestEachWhereItIs(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() { s.sync200, s.cancelLag, s.size, s.leverage = true, 2, dec("1"), "3000000000" })
	var orders []andon.Order
	for i := range 23 {
		o, err := v.Submit(t.Context(), buy(fmt.Sprintf("c-%d", i)))
		require.NoError(t, err)
		st, err := v.Submit(t.Context(), stop(fmt.Sprintf("s-%d", i)))
		require.NoError(t, err)
		orders = append(orders, o, st)
	}
	keep := buy("keep")
	_, err := v.Submit(t.Context(), keep)
	require.NoError(t, err)
	orders = append(orders, andon.Order{ClientID: "ghost", VenueID: "0xdead", Symbol: symbol, Venue: "bluefin"}, orders[0])
	results, err := v.CancelOrders(t.Context(), orders)
	require.Len(t, results, 48)
	require.ErrorContains(t, err, "cancel ghost 0xdead of ETH-PERP")
	for i, r := range results {
		require.Equal(t, orders[i].ClientID, r.Order.ClientID)
		if r.Order.ClientID == "ghost" {
			require.ErrorIs(t, r.Err, andon.ErrOrderNotFound)
		} else {
			require.NoError(t, r.Err)
		}
	}
	s.do(func() {
		require.Len(t, s.orders, 1, "an order that nobody asked for stays")
		require.Equal(t, "keep", s.orders[0].clientID)
	})
	require.Equal(t, 3, s.count("PUT /api/v1/trade/orders/cancel"))
	require.Equal(t, 3, s.count("PUT /api/v1/trade/orders/cancel/standby"))
	results, err = v.CancelOrders(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, results)
	s.do(func() { require.Len(t, s.orders, 1, "none asked for is none cancelled") })
}

func TestCancel_OfAnOrderThatNoListShowsYetIsNotBelievedDone(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.Settle = time.Hour })
	s.do(func() { s.sync200, s.lag, s.cancelLag = true, 2, 1 })
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	require.NoError(t, v.Cancel(t.Context(), o))
	s.do(func() { require.Empty(t, s.orders) })
}

func TestCancel_WhatIsNotSettledInTimeIsNamedUnknown(t *testing.T) {
	v, s := open(t, func(c *bluefin.Config) { c.CancelWait = 300 * time.Millisecond })
	s.do(func() { s.sync200, s.cancelLag = true, 1<<30 })
	o, err := v.Submit(t.Context(), buy("c-1"))
	require.NoError(t, err)
	err = v.Cancel(t.Context(), o)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "still among the open orders")
	s.always("GET /api/v1/trade", fault{status: 400})
	require.ErrorIs(t, v.Cancel(t.Context(), o), andon.ErrOutcomeUnknown)
}

// TestSecrets_StandNowhere prints, marshals and logs everything that holds the key, and
// every error that a venue can provoke, even one that says tokens and signatures back.
func TestSecrets_StandNowhere(t *testing.T) {
	seed := bytes.Repeat([]byte{0xc5, 0x3a}, 16)
	key, err := bluefin.ParseKey(hex.EncodeToString(seed))
	require.NoError(t, err)
	canaries := []string{"c53ac53a", "C53AC53A", "c5 3a c5", "197 58 197 58", "0xc5, 0x3a, 0xc5", base64.StdEncoding.EncodeToString(seed)[:9]}
	var mu sync.Mutex
	login := `{"accessToken":"canary-access","accessTokenValidForSeconds":1,"refreshToken":"canary-refresh","refreshTokenValidForSeconds":1000}`
	status := 400
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/auth/v2/token" && status == 200 {
			fmt.Fprint(w, login)
			return
		}
		signature := r.Header.Get("payloadSignature")
		if signature != "" {
			canaries = append(canaries, signature)
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body) // what is missing is not said back
		var order struct{ Signature string }
		if json.Unmarshal(body.Bytes(), &order) == nil && order.Signature != "" {
			canaries = append(canaries, order.Signature)
		}
		if r.URL.Path == "/v1/exchange/info" {
			fmt.Fprintf(w, `{"contractsConfig":{"idsId":"%s"},"markets":[{"symbol":"ETH-PERP","defaultLeverageE9":"1000000000"}]}`, ids)
			return
		}
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"errorCode":"ECHO","message":%q}`, signature+r.Header.Get("Authorization")+order.Signature+body.String())
	}))
	defer s.Close()
	config := bluefin.Config{Key: key, AuthURL: s.URL, APIURL: s.URL, TradeURL: s.URL, PerSecond: 5000, CancelWait: 1}
	v, err := bluefin.New(config)
	require.NoError(t, err)
	defer v.Close()

	var out paper
	h := holder{Key: key, Config: config, key: key, config: &config, keys: map[string]bluefin.Key{"k": key}, any: key, venue: v}
	out.show(key, &key, config, &config, v, []any{key, config}, map[string]any{"k": key}, h, &h, []holder{h}, map[string]*holder{"h": &h})
	provoke := func() { out.everything(t, v) }
	provoke()
	mu.Lock()
	status = 200
	mu.Unlock()
	provoke()
	time.Sleep(1100 * time.Millisecond) // the token ends, and the refresh token is sent
	provoke()
	mu.Lock()
	login = `{"accessToken":"canary-access","refreshToken":42}`
	mu.Unlock()
	provoke()
	require.Contains(t, out.String(), key.Address(), "the address is no secret")
	require.Contains(t, out.String(), "[secret]", "the venue said tokens and signatures back")
	require.Greater(t, len(canaries), 12)
	out.requireNone(t, append(canaries, "canary-access", "canary-refresh")...)
}

// everything shows what comes of each call.
func (p *paper) everything(t *testing.T, v *bluefin.Venue) {
	ctx := t.Context()
	one := func(_ any, err error) {
		require.Error(t, err)
		p.show(err)
	}
	live := buy("c-1")
	live.VenueID = "0x" + strings.Repeat("ab", 32)
	one(v.Positions(ctx))
	one(v.Orders(ctx))
	one(v.Balances(ctx))
	one(v.Fills(ctx, symbol, time.Now().Add(-time.Hour)))
	_, _, err := v.Reports(ctx)
	one(nil, err)
	one(v.Lookup(ctx, symbol, "c-1"))
	one(v.Submit(ctx, buy("c-1")))
	one(v.Submit(ctx, stop("c-2")))
	one(nil, v.Cancel(ctx, live))
	one(v.CancelOrders(ctx, []andon.Order{live}))
	one(v.CancelAll(ctx, symbol))
	auth, err := v.CheckAuth(ctx)
	one(auth, err)
	c := v.TestConnection(ctx)
	one(c, c.Err())
	p.show(auth, c)
	h := holder{venue: v}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} { // its tokens are not for fmt
		fmt.Fprintf(p, verb+verb, v, h)
	}
}

func TestConfig_NamesEveryFieldThatIsWrong(t *testing.T) {
	_, err := bluefin.New(bluefin.Config{})
	require.ErrorContains(t, err, "Key:")
	v, _ := open(t, nil)
	_, err = bluefin.New(bluefin.Config{
		Key: keyOf(t, v), Account: "0x1", Markets: map[string]bluefin.Market{"ETH-PERP": {}}, OrderLife: -1, MarketLife: -1, Settle: -1, AcceptWait: -1,
		CancelWait: -1, TradesBack: 91 * 24 * time.Hour, Timeout: -1, AuthURL: "http://auth.example.com", APIURL: "x", TradeURL: "https://u:p@t",
	})
	for _, field := range []string{"Account:", "Markets: ETH-PERP:", "OrderLife:", "MarketLife:", "Settle:", "AcceptWait:", "CancelWait:", "TradesBack:", "Timeout:", "AuthURL:", "APIURL:", "TradeURL:"} {
		require.ErrorContains(t, err, field)
	}
	require.NotContains(t, err.Error(), "u:p")
}

func TestHealth_SaysWhatPeopleAskAtThreeInTheMorning(t *testing.T) {
	v, s := open(t, nil)
	s.do(func() { s.size = dec("1") })
	auth, err := v.CheckAuth(t.Context())
	require.NoError(t, err)
	require.NoError(t, auth.Err())
	require.Equal(t, s.address, auth.Account)
	require.Equal(t, s.signer, auth.Key)
	require.True(t, auth.CanTrade && !auth.CanWithdraw)
	require.WithinDuration(t, time.Now().Add(30*24*time.Hour), auth.ValidUntil, time.Hour)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), auth.TokenUntil, 2*time.Minute)
	require.Positive(t, auth.RoundTrip)
	require.Positive(t, auth.ClockWithin)
	for _, word := range []string{s.address, "trade true", "withdraw false", "round trip"} {
		require.Contains(t, auth.String(), word)
	}
	c := v.TestConnection(t.Context())
	require.NoError(t, c.Err())
	require.Len(t, c.Probes, 5)
	require.Contains(t, c.String(), "positions    ok, 1 rows")
	s.do(func() { s.canTrade = false })
	require.ErrorIs(t, v.TestConnection(t.Context()).Err(), bluefin.ErrAuth)
	s.always("POST /auth", fault{status: 401})
	_, err = v.CheckAuth(t.Context())
	require.ErrorIs(t, err, bluefin.ErrAuth)
	s.always("GET /api/v1/trade", fault{status: 400})
	c = v.TestConnection(t.Context())
	require.Error(t, c.Err())
	require.Contains(t, c.String(), "orders       failed")
	require.NoError(t, c.Probes[2].Err, "it goes on after a failure")
	require.True(t, errors.Is(c.Probes[0].Err, nil) || c.Probes[0].Err == nil)
}
