package safety_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// limited is a switch with limits, 2 BTC long, a mark of 100 and an equity of 1000.
// What limits do not know of the time before the start is over.
func limited(t *testing.T, l safety.Limits, change ...func(*safety.Config)) *safety.Switch {
	cfg := inMemory()
	cfg.Limits = l
	for _, f := range change {
		f(&cfg)
	}
	sw := active(t, cfg)
	time.Sleep(time.Hour)
	observe(t, sw, []andon.Position{position("2")})
	require.NoError(t, sw.Mark("sim", "BTC", dec("100"), time.Now()))
	require.NoError(t, sw.Equity("sim", dec("1000"), time.Now()))
	return sw
}

func pricedOrder(id string, side andon.Side, quantity, price string) andon.Order {
	o := order(id, side, quantity)
	o.Kind, o.Price = andon.Limit, dec(price)
	return o
}

// denial is the reason for which an order is denied, with what the error says of it.
func denial(t *testing.T, err error) *safety.DeniedError {
	require.ErrorIs(t, err, safety.ErrDenied)
	d, ok := errors.AsType[*safety.DeniedError](err)
	require.True(t, ok)
	return d
}

// Each limit on its bound and just beyond: the error names the limit, its value and
// what was found.
func TestLaw4_EachLimitIsExactAtItsBound(t *testing.T) {
	for _, c := range []struct {
		name         string
		limits       safety.Limits
		before       []andon.Order
		wait         time.Duration
		passes       andon.Order
		denied       andon.Order
		reason       safety.Reason
		bound, found string
		says         string
	}{
		{name: "MinTimeBetweenTrades", limits: safety.Limits{MinTimeBetweenTrades: 300 * time.Second},
			passes: order("a", andon.Buy, "1"), denied: order("b", andon.Buy, "1"),
			reason: safety.ReasonMinTimeBetweenTrades, bound: "5m0s", found: "0s", says: "MinTimeBetweenTrades is 5m0s, and the last order on sim/BTC passed 0s ago"},
		{name: "MaxPositionSize", limits: safety.Limits{MaxPositionSize: dec("0.3")},
			passes: order("a", andon.Buy, "1"), denied: order("b", andon.Buy, "0.0000000000000000001"),
			reason: safety.ReasonMaxPositionSize, bound: "0.3", found: "300.00000000000000001",
			says: "the leg could be worth 300.00000000000000001, MaxPositionSize is 0.3 of an equity of 1000"},
		{name: "PriceCollar, above", limits: safety.Limits{PriceCollar: dec("0.05")},
			passes: pricedOrder("a", andon.Buy, "1", "105"), denied: pricedOrder("b", andon.Buy, "1", "105.0000000000001"),
			reason: safety.ReasonPriceCollar, bound: "0.05", found: "105.0000000000001", says: "further from the mark of 100 than PriceCollar, 0.05 of it"},
		{name: "PriceCollar, below", limits: safety.Limits{PriceCollar: dec("0.05")},
			passes: pricedOrder("a", andon.Buy, "1", "95"), denied: pricedOrder("b", andon.Buy, "1", "94.99"),
			reason: safety.ReasonPriceCollar, bound: "0.05", found: "94.99"},
		{name: "PriceCollar, from the trigger", limits: safety.Limits{PriceCollar: dec("0.05")},
			passes: stopLimitOrder("a", "200", "210"), denied: stopLimitOrder("b", "200", "210.01"),
			reason: safety.ReasonPriceCollar, bound: "0.05", found: "210.01", says: "further from the trigger of 200"},
		{name: "MaxRepeats", limits: safety.Limits{MaxRepeats: 2}, before: []andon.Order{order("x", andon.Buy, "1")},
			passes: order("a", andon.Buy, "1"), denied: order("b", andon.Buy, "1"),
			reason: safety.ReasonMaxRepeats, bound: "2", found: "3", says: "the same order for time 3 in a row, MaxRepeats is 2 within 1m0s of each other"},
		{name: "MaxLeverage", limits: safety.Limits{MaxLeverage: dec("0.3")},
			passes: order("a", andon.Buy, "1"), denied: order("b", andon.Buy, "0.01"),
			reason: safety.ReasonMaxLeverage, bound: "0.3", found: "301", says: "the legs of sim could be worth 301, MaxLeverage is 0.3 times an equity of 1000"},
		{name: "MaxLeverage, the other way", limits: safety.Limits{MaxLeverage: dec("0.3")},
			passes: order("a", andon.Sell, "5"), denied: order("b", andon.Sell, "0.01"),
			reason: safety.ReasonMaxLeverage, bound: "0.3", found: "301"},
		{name: "MaxOrders", limits: safety.Limits{MaxOrders: 2}, before: []andon.Order{order("x", andon.Buy, "1")},
			passes: order("a", andon.Buy, "1"), denied: order("b", andon.Buy, "1"),
			reason: safety.ReasonMaxOrders, bound: "2", found: "3", says: "order 3 on sim within 1s, MaxOrders is 2"},
		{name: "MaxNotional", limits: safety.Limits{MaxNotional: dec("150")}, before: []andon.Order{order("x", andon.Buy, "1")},
			passes: order("a", andon.Buy, "0.5"), denied: order("b", andon.Buy, "0.001"),
			reason: safety.ReasonMaxNotional, bound: "150", found: "150.1", says: "150.1 would pass on sim within 1m0s, MaxNotional is 150"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := limited(t, c.limits)
				for _, o := range c.before {
					_, err := enter(sw, o)
					require.NoError(t, err)
				}
				_, err := enter(sw, c.passes)
				require.NoError(t, err, "on its bound")
				_, err = enter(sw, c.denied)
				d := denial(t, err)
				require.Equal(t, c.reason, d.Reason)
				require.True(t, d.Reason.Limit())
				require.Equal(t, c.bound, d.Bound)
				require.Equal(t, c.found, d.Found)
				require.Contains(t, err.Error(), c.reason.String())
				require.Contains(t, err.Error(), c.says)
				require.Equal(t, safety.Active, d.State)
				require.Equal(t, "b", d.Order)
			})
		})
	}
}

func stopLimitOrder(id, trigger, price string) andon.Order {
	o := order(id, andon.Buy, "1")
	o.Kind, o.Trigger, o.Price = andon.StopLimit, dec(trigger), dec(price)
	return o
}

// A window that is over lets pass again, at its very end.
func TestLaw4_WindowsEndOnTime(t *testing.T) {
	for _, c := range []struct {
		limits safety.Limits
		window time.Duration
	}{
		{safety.Limits{MinTimeBetweenTrades: 300 * time.Second}, 300 * time.Second},
		{safety.Limits{MaxOrders: 1, OrdersWithin: 7 * time.Second}, 7 * time.Second},
		{safety.Limits{MaxOrders: 1}, time.Second},
		{safety.Limits{MaxNotional: dec("100"), NotionalWithin: 9 * time.Second}, 9 * time.Second},
		{safety.Limits{MaxNotional: dec("100")}, time.Minute},
	} {
		t.Run(c.limits.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := limited(t, c.limits, func(c *safety.Config) { c.MaxMarkAge = time.Hour })
				_, err := enter(sw, order("a", andon.Buy, "1"))
				require.NoError(t, err)
				time.Sleep(c.window - 1)
				_, err = enter(sw, order("b", andon.Buy, "1"))
				require.ErrorIs(t, err, safety.ErrDenied)
				time.Sleep(time.Nanosecond)
				_, err = enter(sw, order("c", andon.Buy, "1"))
				require.NoError(t, err)
			})
		})
	}
}

// What passed before the switch was opened is not known: a bot that restarts in a loop
// gets no fresh window, and no fresh interval, each time.
func TestLaw1_ARestartOpensNoWindow(t *testing.T) {
	for _, l := range []safety.Limits{
		{MinTimeBetweenTrades: 300 * time.Second},
		{MaxOrders: 100, OrdersWithin: 300 * time.Second},
		{MaxNotional: dec("1000000"), NotionalWithin: 300 * time.Second},
	} {
		t.Run(l.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inMemory()
				cfg.Limits, cfg.MaxMarkAge = l, time.Hour
				opened := time.Now()
				sw := active(t, cfg)
				observe(t, sw, nil)
				require.NoError(t, sw.Mark("sim", "BTC", dec("100"), time.Now()))
				time.Sleep(300*time.Second - time.Since(opened) - 1)
				_, err := enter(sw, order("a", andon.Buy, "1"))
				require.Contains(t, denial(t, err).Why, "not known")
				time.Sleep(time.Second)
				_, err = enter(sw, order("a", andon.Buy, "1"))
				require.NoError(t, err)
			})
		})
	}
}

// A datum that is missing or too old denies, and is named.
func TestLaw1_AMissingDatumDeniesAndIsNamed(t *testing.T) {
	size, leverage := safety.Limits{MaxPositionSize: dec("0.5")}, safety.Limits{MaxLeverage: dec("2")}
	collar, notional := safety.Limits{PriceCollar: dec("0.1")}, safety.Limits{MaxNotional: dec("500")}
	view := func(t *testing.T, sw *safety.Switch) { observe(t, sw, nil) }
	mark := func(t *testing.T, sw *safety.Switch) {
		require.NoError(t, sw.Mark("sim", "BTC", dec("100"), time.Now()))
	}
	equity := func(t *testing.T, sw *safety.Switch) {
		require.NoError(t, sw.Equity("sim", dec("1000"), time.Now()))
	}
	other := func(t *testing.T, sw *safety.Switch) {
		p := position("1")
		p.Symbol, p.Mark = "ETH", dec("0")
		observe(t, sw, []andon.Position{p})
	}
	all := func(t *testing.T, sw *safety.Switch) { view(t, sw); mark(t, sw); equity(t, sw) }
	for _, c := range []struct {
		name   string
		limits safety.Limits
		feed   []func(*testing.T, *safety.Switch)
		wait   time.Duration
		says   string
	}{
		{"size without a view", size, []func(*testing.T, *safety.Switch){mark, equity}, 0, `MaxPositionSize is 0.5: the position of sim/BTC is not known: no view of venue "sim" was observed`},
		{"size without a mark", size, []func(*testing.T, *safety.Switch){view, equity}, 0, "MaxPositionSize is 0.5: the mark of sim/BTC is not known: none was given"},
		{"size without an equity", size, []func(*testing.T, *safety.Switch){view, mark}, 0, "MaxPositionSize is 0.5: the equity of sim is not known: none was given"},
		{"size with an old view", size, []func(*testing.T, *safety.Switch){view, func(*testing.T, *safety.Switch) { time.Sleep(time.Minute + 1) }, mark, equity}, 0, "the position of sim/BTC is not known: the last view is of "},
		{"size with an old mark", size, []func(*testing.T, *safety.Switch){mark, func(*testing.T, *safety.Switch) { time.Sleep(10*time.Second + 1) }, view, equity}, 0, "the mark of sim/BTC is not known: the last is of "},
		{"size with an old equity", size, []func(*testing.T, *safety.Switch){equity, func(*testing.T, *safety.Switch) { time.Sleep(time.Minute + 1) }, view, mark}, 0, "the equity of sim is not known: the last is of "},
		{"collar without a mark", collar, nil, 0, "PriceCollar is 0.1: the mark of sim/BTC is not known: none was given"},
		{"collar with an old mark", collar, []func(*testing.T, *safety.Switch){mark}, 10*time.Second + 1, "the mark of sim/BTC is not known: the last is of "},
		{"leverage without a view", leverage, []func(*testing.T, *safety.Switch){mark, equity}, 0, "MaxLeverage is 2: the position of sim/BTC is not known"},
		{"leverage without a mark", leverage, []func(*testing.T, *safety.Switch){view, equity}, 0, "MaxLeverage is 2: the mark of sim/BTC is not known"},
		{"leverage without an equity", leverage, []func(*testing.T, *safety.Switch){view, mark}, 0, "MaxLeverage is 2: the equity of sim is not known"},
		{"leverage without the mark of another leg", leverage, []func(*testing.T, *safety.Switch){mark, equity, other}, 0, "MaxLeverage is 2: the mark of sim/ETH is not known: none was given"},
		{"notional without a mark", notional, nil, 0, "MaxNotional is 500: the mark of sim/BTC is not known"},
		{"notional with an old mark", notional, []func(*testing.T, *safety.Switch){all}, 10*time.Second + 1, "MaxNotional is 500: the mark of sim/BTC is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inMemory()
				cfg.Limits = c.limits
				sw := active(t, cfg)
				time.Sleep(time.Hour)
				for _, f := range c.feed {
					f(t, sw)
				}
				if c.wait > 0 {
					_, err := enter(sw, order("before", andon.Buy, "1"))
					require.NoError(t, err, "while everything is known")
					time.Sleep(c.wait)
				}
				_, err := enter(sw, order("a", andon.Buy, "1"))
				d := denial(t, err)
				require.True(t, d.Reason.Limit())
				require.Contains(t, d.Why, c.says)
				require.NotEmpty(t, d.Bound)
				require.NotEmpty(t, d.Found)
			})
		})
	}
}

// Of an equity that is gone, or that reads as less than nothing, no fraction allows
// anything, however large it is the other way.
func TestLaw1_NoEquityAllowsNothing(t *testing.T) {
	for _, l := range []safety.Limits{{MaxPositionSize: dec("0.9")}, {MaxLeverage: dec("5")}} {
		for _, equity := range []string{"0", "-1000000"} {
			t.Run(l.String()+" of "+equity, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sw := limited(t, l)
					observe(t, sw, nil)
					require.NoError(t, sw.Equity("sim", dec(equity), time.Now()))
					_, err := enter(sw, order("a", andon.Buy, "0.0001"))
					require.True(t, denial(t, err).Reason.Limit())
					require.ErrorContains(t, err, "an equity of "+equity)
					require.NoError(t, sw.Equity("sim", dec("1000"), time.Now()))
					_, err = enter(sw, order("b", andon.Buy, "1"))
					require.NoError(t, err)
				})
			})
		}
	}
}

// After a restart the ids of what is live are taken again as soon as a view shows them,
// those of conditional orders too.
func TestLaw6_AClientIDThatTheVenueShowsIsTakenAfterARestart(t *testing.T) {
	store := &memoryStore{}
	cfg := inMemory()
	cfg.Store = store
	sw := active(t, cfg)
	_, err := enter(sw, order("bid", andon.Buy, "1"))
	require.NoError(t, err)
	require.NoError(t, sw.Close())

	sw = open(t, cfg)
	run(t, sw)
	observe(t, sw, []andon.Position{position("2")}, limitOrder("bid", andon.Buy, "1", "80"), reduceOnly(stopOrder("stop", andon.Sell, "2")))
	for _, id := range []string{"bid", "stop"} {
		_, err = enter(sw, order(id, andon.Buy, "1"))
		require.Equal(t, safety.ReasonClientID, denial(t, err).Reason)
	}
	observe(t, sw, []andon.Position{position("2")}) // gone from the lists, and taken still
	_, err = enter(sw, order("bid", andon.Buy, "1"))
	require.Equal(t, safety.ReasonClientID, denial(t, err).Reason)
	_, err = enter(sw, order("another", andon.Buy, "1"))
	require.NoError(t, err)
}

// Old marks of other legs are found whichever was fed last.
func TestLaw1_LeverageNeedsEveryMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := limited(t, safety.Limits{MaxLeverage: dec("5")})
		eth := position("1")
		eth.Symbol = "ETH"
		observe(t, sw, []andon.Position{position("2"), eth})
		for i := range 10 {
			time.Sleep(3 * time.Second)
			require.NoError(t, sw.Mark("sim", "BTC", dec("100"), time.Now()))
			require.NoError(t, sw.Equity("sim", dec("1000"), time.Now()))
			_, err := enter(sw, order(fmt.Sprint("o", i), andon.Buy, "0.001"))
			require.Equal(t, i < 3, err == nil, "after %v: %v", time.Duration(i+1)*3*time.Second, err)
		}
		require.NoError(t, sw.Mark("sim", "ETH", dec("50"), time.Now()))
		_, err := enter(sw, order("again", andon.Buy, "0.001"))
		require.NoError(t, err)
	})
}

// Exits pass every limit, count in its window, and are counted as such.
func TestLaw4_ExitsPassLimitsAndAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := limited(t, safety.Limits{
			MinTimeBetweenTrades: time.Minute, MaxPositionSize: dec("0.01"), PriceCollar: dec("0.01"), MaxRepeats: 1,
			MaxLeverage: dec("0.01"), MaxOrders: 1, OrdersWithin: time.Minute, MaxNotional: dec("1"),
		}, func(c *safety.Config) { c.MaxPosition = map[string]andon.Decimal{"BTC": dec("0.1")} })
		for i := range 5 {
			p, err := enter(sw, pricedOrder(fmt.Sprint("exit", i), andon.Sell, "0.1", "50"))
			require.NoError(t, err)
			require.Equal(t, safety.Reduce, p.Intent)
		}
		require.Equal(t, safety.Active, sw.State(), "an exit that repeats itself holds nothing")
		p, err := sw.EnterClose(t.Context(), new(order("close", andon.Sell, "0.1")), "alice")
		require.NoError(t, err)
		require.Equal(t, safety.Close, p.Intent)
		// Not even what is unknown stands in their way.
		time.Sleep(time.Hour)
		p, err = enter(sw, reduceOnly(order("blind", andon.Sell, "1")))
		require.NoError(t, err)
		require.True(t, p.Unverified)
	})
	synctest.Test(t, func(t *testing.T) {
		sw := limited(t, safety.Limits{MaxOrders: 2, OrdersWithin: time.Minute})
		_, err := enter(sw, order("exit", andon.Sell, "1"))
		require.NoError(t, err)
		_, err = enter(sw, order("in", andon.Buy, "1"))
		require.NoError(t, err)
		_, err = enter(sw, order("more", andon.Buy, "1"))
		require.Equal(t, safety.ReasonMaxOrders, denial(t, err).Reason, "the exit took a place")
	})
}

// Whoever sends the same order again and again is held until a person has looked.
func TestLaw3_RepeatingItselfHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := limited(t, safety.Limits{MaxRepeats: 3, RepeatWithin: 10 * time.Second})
		n := 0
		again := func(o andon.Order) error {
			n++
			o.ClientID = fmt.Sprint("o", n)
			_, err := enter(sw, o)
			return err
		}
		same, other := order("", andon.Buy, "1"), order("", andon.Buy, "2")
		for range 5 { // another between them ends the run
			require.NoError(t, again(same))
			require.NoError(t, again(same))
			require.NoError(t, again(other))
		}
		for range 5 { // so does a pause
			time.Sleep(10*time.Second + 1)
			require.NoError(t, again(same))
		}
		time.Sleep(10 * time.Second)
		require.NoError(t, again(same))
		require.NoError(t, again(order("", andon.Sell, "1")), "the other side has a run of its own")
		require.NoError(t, again(same))
		require.Equal(t, safety.ReasonMaxRepeats, denial(t, again(same)).Reason)
		require.Equal(t, safety.Reducing, sw.State())
		require.ErrorIs(t, again(other), safety.ErrDenied)
		h := lasting(sw)
		require.Len(t, h, 1)
		require.Contains(t, h[0].Reason, "the same order for time 4 in a row")
		require.NoError(t, sw.Lift(t.Context(), "alice", "the loop is fixed", h[0]))
		require.NoError(t, again(other))
	})
}

// The limits of a symbol stand in the place of the default ones.
func TestLimitsOfASymbol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := limited(t, safety.Limits{MinTimeBetweenTrades: time.Minute, MaxOrders: 3, OrdersWithin: time.Minute}, func(c *safety.Config) {
			c.SymbolLimits = map[string]safety.Limits{"BTC": {MinTimeBetweenTrades: time.Second}}
		})
		require.Equal(t, time.Second, sw.Limits("BTC").MinTimeBetweenTrades)
		require.Equal(t, time.Minute, sw.Limits("ETH").MinTimeBetweenTrades)
		require.Equal(t, 3, sw.Limits("BTC").MaxOrders)
		eth := func(id string) andon.Order { o := order(id, andon.Buy, "1"); o.Symbol = "ETH"; return o }
		for _, o := range []andon.Order{order("a", andon.Buy, "1"), eth("b")} {
			_, err := enter(sw, o)
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
		_, err := enter(sw, eth("c"))
		require.Equal(t, safety.ReasonMinTimeBetweenTrades, denial(t, err).Reason)
		_, err = enter(sw, order("d", andon.Buy, "1"))
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = enter(sw, order("e", andon.Buy, "1"))
		require.Equal(t, safety.ReasonMaxOrders, denial(t, err).Reason, "the venue's is shared")
	})
}

func TestLimitsAreValidated(t *testing.T) {
	cfg := inMemory()
	cfg.RememberIDs, cfg.Features, cfg.MaxMarkAge = -1, []string{"a", "a"}, -1
	cfg.MaxPosition = map[string]andon.Decimal{"BTC": dec("1e15")}
	cfg.Limits = safety.Limits{
		MinTimeBetweenTrades: -1, MaxPositionSize: dec("-0.1"), MaxRepeats: -1, MaxOrders: 1 << 20,
		RepeatWithin: time.Second, NotionalWithin: time.Second, MaxLeverage: dec("1e15"),
	}
	cfg.SymbolLimits = map[string]safety.Limits{"BTC": {MaxLeverage: dec("2"), PriceCollar: dec("-1")}}
	_, err := safety.Open(t.Context(), cfg)
	for _, want := range []string{
		"Limits.MinTimeBetweenTrades -1ns is negative", "Limits.MaxPositionSize -0.1 is negative", "Limits.MaxRepeats -1 is negative",
		"Limits.MaxOrders 1048576 is more than 65536", "Limits.NotionalWithin is set without MaxNotional", "Limits.MaxLeverage 1000000000000000 is 10^15 or more",
		`SymbolLimits["BTC"].MaxLeverage is of a whole venue: set it in Limits`, `SymbolLimits["BTC"].PriceCollar -1 is negative`,
		"RememberIDs -1", `Features[1] "a" is empty or there twice`, "MaxMarkAge -1ns is negative", `MaxPosition["BTC"] 1000000000000000 is 10^15 or more`,
	} {
		require.ErrorContains(t, err, want)
	}
}

// What is fed and cannot be right is refused, and nothing is known anew.
func TestLaw1_WhatIsFedIsChecked(t *testing.T) {
	sw := active(t, inMemory())
	now := time.Now()
	for _, err := range []error{
		sw.Mark("", "BTC", dec("1"), now), sw.Mark("sim", "", dec("1"), now), sw.Mark("sim", "BTC", dec("0"), now),
		sw.Mark("sim", "BTC", dec("-1"), now), sw.Mark("sim", "BTC", dec("1e15"), now), sw.Mark("sim", "BTC", dec("1"), time.Time{}),
		sw.Mark("sim", "BTC", dec("1"), now.Add(time.Hour)), sw.Equity("", dec("1"), now), sw.Equity("sim", dec("1e15"), now),
		sw.Equity("sim", dec("1"), time.Time{}), sw.Equity("sim", dec("1"), now.Add(time.Hour)),
		sw.Observe(safety.View{Venue: "sim", Asked: now, Positions: []andon.Position{position("1e15")}}),
		sw.Observe(safety.View{Venue: "sim", Asked: now, Orders: []andon.Order{order("a", andon.Buy, "1e15")}}),
		sw.Observe(safety.View{Venue: "sim", Asked: now, Orders: []andon.Order{{ClientID: "a", Venue: "sim", Leg: 7, Side: andon.Buy, Quantity: dec("1")}}}),
	} {
		require.Error(t, err)
	}
	_, err := enter(sw, order("a", andon.Buy, "1e15"))
	require.ErrorContains(t, err, "quantity is 10^15 or more, which the gate does not count")
}

// Racing goroutines together pass exactly what a limit allows one. In the bubble no
// time passes between them, so no window ends.
func TestLaw2_RacingOrdersPassExactlyTheLimit(t *testing.T) {
	for _, c := range []struct {
		limits safety.Limits
		pass   int64 // orders of 1 BTC at 100
	}{
		{safety.Limits{MaxPositionSize: dec("0.7")}, 7},
		{safety.Limits{MaxLeverage: dec("0.9")}, 9},
		{safety.Limits{MaxOrders: 11}, 11},
		{safety.Limits{MaxNotional: dec("1300")}, 13},
		{safety.Limits{MinTimeBetweenTrades: 1}, 1},
		{safety.Limits{MinTimeBetweenTrades: 1, MaxPositionSize: dec("0.7"), MaxOrders: 11}, 1},
		{safety.Limits{MaxLeverage: dec("2"), MaxPositionSize: dec("0.7"), MaxOrders: 11}, 7},
	} {
		t.Run(c.limits.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := limited(t, c.limits)
				observe(t, sw, nil)
				var passed atomic.Int64
				var wg sync.WaitGroup
				for r := range 32 {
					wg.Go(func() {
						for i := range 50 {
							o := order(fmt.Sprint(r, "-", i), andon.Buy, "1")
							p, err := sw.Enter(&o)
							switch {
							case err == nil && i%2 == 0:
								passed.Add(1)
							case err == nil:
								passed.Add(1)
								p.Exit(safety.Accepted)
							}
						}
					})
				}
				wg.Wait()
				require.Equal(t, c.pass, passed.Load())
			})
		})
	}
}
