package safety_test

import (
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

func TestLaw4_TheTable(t *testing.T) {
	yes, no := true, false
	for _, row := range []struct {
		state safety.TradingState
		want  [5]bool // increase, reduce, protect, cancel, close
	}{
		{safety.Active, [5]bool{yes, yes, yes, yes, yes}},
		{safety.Reducing, [5]bool{no, yes, yes, yes, yes}},
		{safety.Halted, [5]bool{no, no, yes, yes, yes}},
	} {
		for i, want := range row.want {
			require.Equal(t, want, row.state.Admits(safety.Intent(i)), "%v %v", row.state, safety.Intent(i))
		}
	}
}

// inState is a switch in a state, with 2 BTC long as the last view.
func inState(t *testing.T, state safety.TradingState, change ...func(*safety.Config)) *safety.Switch {
	cfg := quiet(t)
	for _, f := range change {
		f(&cfg)
	}
	sw := active(t, cfg)
	switch state {
	case safety.Halted:
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
	case safety.Reducing:
		require.NoError(t, sw.Reduce("bob", "drill"))
	}
	observe(t, sw, []andon.Position{position("2")})
	return sw
}

// The same table through the gate, which derives the intents itself.
func TestLaw4_TheGateDerivesTheTable(t *testing.T) {
	for _, c := range []struct {
		name                     string
		order                    andon.Order
		intent                   safety.Intent
		active, reducing, halted bool
	}{
		{"buy more", order("x", andon.Buy, "1"), safety.Increase, true, false, false},
		{"sell all", order("x", andon.Sell, "2"), safety.Reduce, true, true, false},
		{"sell too much", order("x", andon.Sell, "2.1"), safety.Increase, true, false, false},
		{"sell too much, reduce-only", reduceOnly(order("x", andon.Sell, "2.1")), safety.Increase, true, false, false},
		{"stop over all", stopOrder("x", andon.Sell, "2"), safety.Protect, true, true, true},
		{"stop over all, reduce-only", reduceOnly(stopOrder("x", andon.Sell, "2")), safety.Protect, true, true, true},
		{"stop over more", stopOrder("x", andon.Sell, "3"), safety.Increase, true, false, false},
		{"stop that buys", stopOrder("x", andon.Buy, "1"), safety.Increase, true, false, false},
	} {
		for state, want := range map[safety.TradingState]bool{safety.Active: c.active, safety.Reducing: c.reducing, safety.Halted: c.halted} {
			t.Run(c.name+" "+state.String(), func(t *testing.T) {
				sw := inState(t, state)
				p, err := enter(sw, c.order)
				if want {
					require.NoError(t, err)
					if state != safety.Active { // while active, nothing is derived without limits
						require.Equal(t, c.intent, p.Intent)
						require.False(t, p.Unverified)
					}
					return
				}
				d, ok := errors.AsType[*safety.DeniedError](err)
				require.True(t, ok)
				require.Equal(t, c.intent, d.Intent)
				require.Equal(t, state, d.State)
				require.Equal(t, "x", d.Order)
			})
		}
	}
}

// Two exits at once cannot flip a leg: what reduces is reserved until a view shows
// what it did.
func TestLaw4_ExitsAreReserved(t *testing.T) {
	sw := inState(t, safety.Reducing)
	first, err := enter(sw, order("a", andon.Sell, "1.5"))
	require.NoError(t, err)
	_, err = enter(sw, order("b", andon.Sell, "1"))
	require.ErrorContains(t, err, "1 is more than the leg of 2 less the 1.5 of orders that are live or in flight")
	rest, err := enter(sw, order("c", andon.Sell, "0.5"))
	require.NoError(t, err)

	rest.Exit(safety.Refused) // it never was
	again, err := enter(sw, order("d", andon.Sell, "0.5"))
	require.NoError(t, err)
	again.Exit(safety.OutcomeUnknown) // it may be there
	first.Exit(safety.Accepted)       // it is, and may have traded
	_, err = enter(sw, order("e", andon.Sell, "0.1"))
	require.ErrorIs(t, err, safety.ErrDenied)

	observe(t, sw, []andon.Position{position("0.5")}) // first has traded; of the lost one nothing is known
	_, err = enter(sw, order("f", andon.Sell, "0.1"))
	require.ErrorContains(t, err, "less the 0.5", "an unknown exit is not a refused one")
}

func TestLaw4_NothingOpensFromFlat(t *testing.T) {
	sw := inState(t, safety.Reducing)
	observe(t, sw, nil)
	for _, o := range []andon.Order{order("a", andon.Sell, "1"), order("b", andon.Buy, "1"), stopOrder("c", andon.Sell, "1"), reduceOnly(order("d", andon.Sell, "1"))} {
		_, err := enter(sw, o)
		require.ErrorIs(t, err, safety.ErrDenied, o.ClientID)
	}
}

// A stop over the whole leg does not stand in the way of closing it, as long as the
// venue keeps both from opening. An exit that it does not keep from opening has to
// wait: the stop could fire first.
func TestLaw4_AStopDoesNotBlockAReduceOnlyExit(t *testing.T) {
	sw := inState(t, safety.Reducing)
	stop := reduceOnly(stopOrder("stop", andon.Sell, "2"))
	stop.Status = andon.Live
	observe(t, sw, []andon.Position{position("2")}, stop)
	_, err := enter(sw, order("plain", andon.Sell, "2"))
	require.ErrorContains(t, err, "less the 2 of orders that are live or in flight", "the stop may fire first, and then this opens")
	p, err := enter(sw, reduceOnly(order("guarded", andon.Sell, "2")))
	require.NoError(t, err)
	require.Equal(t, safety.Reduce, p.Intent)
	_, err = enter(sw, reduceOnly(stopOrder("second stop", andon.Sell, "1")))
	require.ErrorIs(t, err, safety.ErrDenied, "stops share with stops")
}

// In hedge mode an order without a leg is denied in every state and never netted.
func TestLaw4_HedgeModeNeedsALeg(t *testing.T) {
	long := andon.Position{Venue: "sim", Symbol: "BTC", Leg: andon.Long, Quantity: dec("2")}
	for _, state := range []safety.TradingState{safety.Active, safety.Reducing, safety.Halted} {
		t.Run("configured, "+state.String(), func(t *testing.T) {
			sw := inState(t, state, func(c *safety.Config) { c.HedgeVenues = []string{"sim"} })
			for _, o := range []andon.Order{order("a", andon.Sell, "1"), reduceOnly(stopOrder("b", andon.Sell, "1"))} {
				_, err := enter(sw, o)
				require.ErrorContains(t, err, "the venue is in hedge mode and the order names no leg")
			}
			_, err := sw.EnterClose(t.Context(), new(order("c", andon.Sell, "1")), "alice")
			require.ErrorContains(t, err, "names no leg")
		})
		t.Run("seen, "+state.String(), func(t *testing.T) {
			sw := inState(t, state)
			observe(t, sw, []andon.Position{long})
			_, err := enter(sw, reduceOnly(stopOrder("a", andon.Sell, "1")))
			require.ErrorContains(t, err, "names no leg")
			o := stopOrder("b", andon.Sell, "1")
			o.Leg = andon.Long
			_, err = enter(sw, o)
			require.NoError(t, err)
			o.ClientID, o.Leg = "c", andon.Short
			if state != safety.Active {
				_, err = enter(sw, o)
				require.ErrorIs(t, err, safety.ErrDenied, "the other leg is flat")
			}
		})
	}
}

// While the position is not known, what the venue keeps from opening passes; else up
// to the last verified leg less what is reserved, and both are marked unverified.
func TestLaw4_PositionUnknown(t *testing.T) {
	sw := inState(t, safety.Active, func(c *safety.Config) { c.MaxViewAge = 50 * time.Millisecond })
	require.NoError(t, sw.Reduce("bob", "drill"))
	time.Sleep(60 * time.Millisecond) // longer is as well
	p, err := enter(sw, order("a", andon.Sell, "1.5"))
	require.NoError(t, err)
	require.True(t, p.Unverified)
	require.Equal(t, safety.Reduce, p.Intent)
	_, err = enter(sw, order("b", andon.Sell, "1"))
	require.ErrorIs(t, err, safety.ErrDenied)
	_, err = enter(sw, order("buy", andon.Buy, "1"))
	require.ErrorContains(t, err, "the position of sim/BTC is not known")
	p, err = enter(sw, reduceOnly(order("c", andon.Sell, "100")))
	require.NoError(t, err)
	require.True(t, p.Unverified)
	p, err = enter(sw, reduceOnly(stopOrder("d", andon.Sell, "100")))
	require.NoError(t, err)
	require.True(t, p.Unverified)
	require.Equal(t, safety.Protect, p.Intent)

	never := open(t, quiet(t)) // halted, and it has seen nothing
	p, err = enter(never, reduceOnly(stopOrder("e", andon.Sell, "1")))
	require.NoError(t, err)
	require.True(t, p.Unverified)
	_, err = enter(never, stopOrder("f", andon.Sell, "1"))
	require.ErrorIs(t, err, safety.ErrDenied)
}

// A confirmed close passes in every state, by a named person, and never opens.
func TestLaw4_ConfirmedClose(t *testing.T) {
	for _, state := range []safety.TradingState{safety.Active, safety.Reducing, safety.Halted} {
		t.Run(state.String(), func(t *testing.T) {
			rec := &recorder{}
			sw := inState(t, state, func(c *safety.Config) { c.Recorder = rec })
			sell := func(id, q string) *andon.Order { return new(order(id, andon.Sell, q)) }
			_, err := sw.EnterClose(t.Context(), sell("a", "2"), " ")
			require.ErrorContains(t, err, "nobody is named")
			_, err = sw.EnterClose(t.Context(), sell("b", "2.1"), "alice")
			require.ErrorIs(t, err, safety.ErrDenied, "it would flip the leg")
			_, err = sw.EnterClose(t.Context(), new(order("c", andon.Buy, "1")), "alice")
			require.ErrorIs(t, err, safety.ErrDenied)
			_, err = sw.EnterClose(t.Context(), &andon.Order{}, "alice")
			require.ErrorIs(t, err, safety.ErrDenied)
			rec.set(errors.New("the timeline is full"), false)
			_, err = sw.EnterClose(t.Context(), sell("d", "2"), "alice")
			require.ErrorContains(t, err, "cannot be recorded: the timeline is full")
			rec.set(nil, false)
			p, err := sw.EnterClose(t.Context(), sell("e", "2"), "alice")
			require.NoError(t, err)
			require.Equal(t, safety.Close, p.Intent)
			require.Contains(t, rec.recorded(), "alice | close sim/BTC by order e: sell 2 | confirmed by the operator")
		})
	}
}

// The largest position counts every order as if it traded whole, is exact at its
// boundary, and lets exits through.
func TestLaw4_MaxPosition(t *testing.T) {
	limit := func(c *safety.Config) { c.MaxPosition = map[string]andon.Decimal{"BTC": dec("3")} }
	sw := inState(t, safety.Active, limit)
	_, err := enter(sw, order("a", andon.Buy, "1.0000000000000000001"))
	require.ErrorContains(t, err, "the leg could reach 3.0000000000000000001, MaxPosition is 3")
	first, err := enter(sw, order("b", andon.Buy, "0.4"))
	require.NoError(t, err)
	_, err = enter(sw, order("c", andon.Buy, "0.7"))
	require.ErrorIs(t, err, safety.ErrDenied, "0.4 is in flight")
	_, err = enter(sw, order("d", andon.Buy, "0.6"))
	require.NoError(t, err)
	first.Exit(safety.Refused)
	_, err = enter(sw, order("e", andon.Buy, "0.4"))
	require.NoError(t, err)

	eth := order("f", andon.Buy, "0.001")
	eth.Symbol = "ETH"
	_, err = enter(sw, eth)
	require.ErrorContains(t, err, `MaxPosition has no entry for symbol "ETH"`)

	sw = inState(t, safety.Active, limit)
	observe(t, sw, []andon.Position{position("50")}) // beyond the limit already
	p, err := enter(sw, order("g", andon.Sell, "50"))
	require.NoError(t, err, "exits pass limits")
	require.Equal(t, safety.Reduce, p.Intent)

	sw = inState(t, safety.Active, limit)
	_, err = enter(sw, order("h", andon.Sell, "5"))
	require.NoError(t, err, "from 2 long to 3 short")
	sw = inState(t, safety.Active, limit)
	_, err = enter(sw, order("i", andon.Sell, "5.1"))
	require.ErrorContains(t, err, "could reach -3.1")
	live := order("j", andon.Buy, "1")
	live.Status = andon.Live
	observe(t, sw, []andon.Position{position("2")}, live)
	_, err = enter(sw, order("k", andon.Buy, "0.1"))
	require.ErrorIs(t, err, safety.ErrDenied, "what a view shows as live counts")
}

// A client id is taken until a view shows what its order did.
func TestLaw4_ClientIDIsTakenOnce(t *testing.T) {
	sw := inState(t, safety.Active)
	p, err := enter(sw, order("a", andon.Buy, "1"))
	require.NoError(t, err)
	for _, out := range []safety.Outcome{safety.OutcomeUnknown, safety.Accepted} {
		_, err = enter(sw, order("a", andon.Buy, "1"))
		require.ErrorContains(t, err, "this client id is taken")
		p.Exit(out)
	}
	_, err = enter(sw, andon.Order{ClientID: "b"})
	require.ErrorContains(t, err, "venue is empty")
	_, err = enter(sw, order("", andon.Buy, "1"))
	require.ErrorContains(t, err, "client_id is empty")
}
