package andontest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/reconcile/reconciletest"
	"github.com/stretchr/testify/require"
)

var dec = andon.MustDecimal

func market(id string, side andon.Side, q string) andon.Order {
	return andon.Order{ClientID: id, Venue: "test", Symbol: "BTC", Side: side, Kind: andon.Market, Quantity: dec(q)}
}

func stop(id string, side andon.Side, q, trigger string) andon.Order {
	o := market(id, side, q)
	o.Kind, o.Trigger = andon.StopMarket, dec(trigger)
	return o
}

func limit(id string, side andon.Side, q, price string) andon.Order {
	o := market(id, side, q)
	o.Kind, o.Price = andon.Limit, dec(price)
	return o
}

func reduceOnly(o andon.Order) andon.Order { o.ReduceOnly = true; return o }

func TestTheVenueConforms(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v := andontest.New(andontest.Config{})
		return reconciletest.VenueCase{
			Venue: v, Name: "test", Symbol: "BTC", Quantity: dec("0.25"), Below: dec("50"),
			LoseAnswer: func() { v.Inject(andontest.TimeoutTaken, 1) },
			SetDown: func(down bool) {
				v.Down(nil)
				if down {
					v.Down(errors.New("connection refused"))
				}
			},
		}
	})
}

func TestTheSpotVenueConforms(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v := spot("0", "10000")
		return reconciletest.VenueCase{
			Venue: &spotVenue{v}, Name: "test", Symbol: "BTC", Quantity: dec("0.25"), Below: dec("50"),
			LoseAnswer: func() { v.Inject(andontest.TimeoutTaken, 1) },
		}
	})
}

// spotVenue is what an adapter of a spot account does: it leaves reduce-only out, which
// the suite sends, where there is something to sell; the venue knows no stop without a
// balance either, so the suite's is a bid that waits.
type spotVenue struct{ *andontest.Venue }

func (v *spotVenue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	held := v.Truth().Positions
	if len(held) > 0 {
		o.ReduceOnly = false
	}
	if o.Kind == andon.StopMarket {
		v.SetPosition(andon.Position{Symbol: "BTC", Quantity: o.Quantity})
	}
	return v.Venue.Submit(ctx, o)
}

func spot(fee, usdt string) *andontest.Venue {
	return andontest.New(andontest.Config{
		Spot: true, Balances: map[string]andon.Decimal{"USDT": dec(usdt)},
		Symbols: map[string]andontest.Symbol{"BTC": {Fee: dec(fee), Instrument: andon.Instrument{Base: "BTC", Quote: "USDT", Lot: dec("0.001"), MinNotional: dec("5")}}},
	})
}

func TestSpotReservesBalancesAndTakesFeesInTheBase(t *testing.T) {
	ctx := t.Context()
	v := spot("0.001", "1000")
	_, err := v.Submit(ctx, market("in", andon.Buy, "1"))
	require.NoError(t, err)
	positions, err := v.Positions(ctx)
	require.NoError(t, err)
	require.Equal(t, "0.999", positions[0].Quantity.String(), "less arrives than was bought")

	_, err = v.Submit(ctx, stop("stop", andon.Sell, "0.999", "90"))
	require.NoError(t, err)
	_, err = v.Submit(ctx, market("out", andon.Sell, "0.5"))
	require.ErrorContains(t, err, "insufficient balance", "the stop reserves it")
	balances, err := v.Balances(ctx)
	require.NoError(t, err)
	require.Equal(t, "0", balances[0].Available().String())
	_, err = v.Submit(ctx, reduceOnly(market("out-2", andon.Sell, "0.5")))
	require.ErrorContains(t, err, "no reduce-only")
	require.NoError(t, v.Cancel(ctx, stop("stop", andon.Sell, "0.999", "90")))
	_, err = v.Submit(ctx, market("dust", andon.Sell, "0.001"))
	require.ErrorContains(t, err, "below the minimum")
	_, err = v.Submit(ctx, market("step", andon.Sell, "0.0995"))
	require.ErrorContains(t, err, "lot")
	_, err = v.Submit(ctx, market("all", andon.Sell, "0.999"))
	require.NoError(t, err)
	require.Empty(t, v.Truth().Positions)
	_, err = v.Submit(ctx, market("dear", andon.Buy, "100"))
	require.ErrorContains(t, err, "insufficient balance")
}

func TestAnInstrumentsStepsAreKept(t *testing.T) {
	v := andontest.New(andontest.Config{Symbols: map[string]andontest.Symbol{
		"BTC": {Instrument: andon.Instrument{Tick: dec("0.5"), EntryStep: dec("0.01")}},
	}})
	_, err := v.Submit(t.Context(), limit("a", andon.Buy, "1", "100.25"))
	require.ErrorContains(t, err, "tick")
	_, err = v.Submit(t.Context(), stop("b", andon.Sell, "1", "90.25"))
	require.ErrorContains(t, err, "tick")
	_, err = v.Submit(t.Context(), limit("c", andon.Buy, "1", "100.5"))
	require.NoError(t, err)
	v.SetPrice("BTC", dec("101"))
	_, err = v.Submit(t.Context(), market("d", andon.Buy, "2"))
	require.NoError(t, err)
	require.Equal(t, "100.67", v.Truth().Positions[0].Entry.String(), "302/3, to the step")
}

func TestHedgeLegsStandApart(t *testing.T) {
	ctx := t.Context()
	v := andontest.New(andontest.Config{Hedge: true})
	leg := func(o andon.Order, l andon.Leg) andon.Order { o.Leg = l; return o }
	_, err := v.Submit(ctx, market("net", andon.Buy, "1"))
	require.ErrorContains(t, err, "mode")
	_, err = v.Submit(ctx, leg(market("long", andon.Buy, "1"), andon.Long))
	require.NoError(t, err)
	_, err = v.Submit(ctx, leg(market("short", andon.Sell, "2"), andon.Short))
	require.NoError(t, err)
	require.Len(t, v.Truth().Positions, 2)
	_, err = v.Submit(ctx, leg(market("over", andon.Sell, "3"), andon.Long))
	require.ErrorIs(t, err, andon.ErrRejected, "a leg is never turned over")
	require.True(t, v.Calls()[1].Adds)
	require.False(t, v.Calls()[3].Adds)
}

func TestReduceOnlyAndTriggers(t *testing.T) {
	ctx := t.Context()
	v := andontest.New(andontest.Config{})
	v.SetPosition(andon.Position{Symbol: "BTC", Quantity: dec("2"), Entry: dec("100")})
	for _, o := range []andon.Order{
		reduceOnly(stop("sl", andon.Sell, "2", "90")), reduceOnly(stop("sl-2", andon.Sell, "2", "90")), stop("in", andon.Buy, "1", "120"),
	} {
		_, err := v.Submit(ctx, o)
		require.NoError(t, err)
	}
	v.SetPrice("BTC", dec("89"))
	truth := v.Truth()
	require.Empty(t, truth.Positions, "both stops were reached and it was not turned over")
	require.Len(t, truth.Orders, 1)
	require.Equal(t, andon.Filled, truth.Done[0].Status)
	require.Equal(t, andon.Canceled, truth.Done[1].Status)
	v.SetPrice("BTC", dec("121"))
	require.Equal(t, "1", v.Truth().Positions[0].Quantity.String())
	limit := market("tp", andon.Sell, "1")
	limit.Kind, limit.Price = andon.Limit, dec("130")
	_, err := v.Submit(ctx, limit)
	require.NoError(t, err)
	v.SetPrice("BTC", dec("131"))
	require.Empty(t, v.Truth().Positions)
}

// Each fault does what it says, and is counted once.
func TestEachFaultStrikes(t *testing.T) {
	ctx := t.Context()
	for f, meet := range map[andontest.Fault]func(t *testing.T, v *andontest.Venue){
		andontest.TimeoutTaken: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Submit(ctx, market("x", andon.Buy, "1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.Equal(t, "3", v.Truth().Positions[0].Quantity.String())
		},
		andontest.TimeoutLost: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Submit(ctx, market("x", andon.Buy, "1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			_, err = v.Lookup(ctx, "BTC", "x")
			require.ErrorIs(t, err, andon.ErrOrderNotFound)
		},
		andontest.Late: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Submit(ctx, market("x", andon.Buy, "1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.Equal(t, "2", v.Truth().Positions[0].Quantity.String())
			for range 3 {
				_, _ = v.Lookup(ctx, "BTC", "y")
			}
			require.Equal(t, "3", v.Truth().Positions[0].Quantity.String())
		},
		andontest.DuplicateAnswer: func(t *testing.T, v *andontest.Venue) {
			rows, err := v.Positions(ctx)
			require.NoError(t, err)
			require.Len(t, rows, 4)
		},
		andontest.RateLimited: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Orders(ctx)
			var limited *andontest.RateLimitError
			require.ErrorAs(t, err, &limited)
			require.Positive(t, limited.RetryAfter())
			require.ErrorContains(t, err, "429")
		},
		andontest.Refused: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Submit(ctx, market("x", andon.Buy, "1"))
			require.ErrorIs(t, err, andon.ErrRejected)
		},
		andontest.PartialFill: func(t *testing.T, v *andontest.Venue) {
			o, err := v.Submit(ctx, reduceOnly(market("x", andon.Sell, "2")))
			require.NoError(t, err)
			require.Equal(t, "1", o.Filled.String())
		},
		andontest.EmptyList: func(t *testing.T, v *andontest.Venue) {
			rows, err := v.Positions(ctx)
			require.NoError(t, err)
			require.Empty(t, rows)
		},
		andontest.PartialList: func(t *testing.T, v *andontest.Venue) {
			rows, err := v.Positions(ctx)
			require.NoError(t, err)
			require.Less(t, len(rows), 2)
		},
		andontest.HiddenList: func(t *testing.T, v *andontest.Venue) {
			rows, err := v.Orders(ctx)
			require.NoError(t, err)
			require.Empty(t, rows)
		},
		andontest.WrongList: func(t *testing.T, v *andontest.Venue) {
			rows, err := v.Positions(ctx)
			require.NoError(t, err)
			require.Error(t, errors.Join(rows[0].Validate(), rows[1].Validate()))
		},
		andontest.StaleRead: func(t *testing.T, v *andontest.Venue) {
			v.Inject(andontest.StaleRead, 0)
			_, err := v.Positions(ctx)
			require.NoError(t, err)
			v.SetPosition(andon.Position{Symbol: "BTC"})
			v.Inject(andontest.StaleRead, 1)
			rows, err := v.Positions(ctx)
			require.NoError(t, err)
			require.Len(t, rows, 2)
			_, err = v.Submit(ctx, market("x", andon.Buy, "1"))
			require.NoError(t, err)
			v.Inject(andontest.StaleRead, 1)
			o, err := v.Lookup(ctx, "BTC", "x")
			require.NoError(t, err)
			require.Equal(t, andon.Live, o.Status, "as it was before it was filled")
		},
		andontest.Liquidation: func(t *testing.T, v *andontest.Venue) {
			_, err := v.Orders(ctx)
			require.NoError(t, err)
			truth := v.Truth()
			require.Len(t, truth.Positions, 1)
			require.Len(t, truth.Orders, 1, "it keeps the orders")
			require.Empty(t, truth.Fills[0].ClientID)
		},
		andontest.Hang: func(t *testing.T, v *andontest.Venue) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := v.Submit(ctx, market("x", andon.Buy, "1"))
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
	} {
		t.Run(f.String(), func(t *testing.T) {
			v := andontest.New(andontest.Config{})
			v.SetPosition(andon.Position{Symbol: "BTC", Quantity: dec("2"), Entry: dec("100")})
			v.SetPosition(andon.Position{Symbol: "ETH", Quantity: dec("-1"), Entry: dec("100")})
			v.SetOrder(reduceOnly(stop("sl", andon.Sell, "2", "90")))
			v.Inject(f, 1)
			meet(t, v)
			require.Positive(t, v.Counts()[f])
			require.Len(t, v.Counts(), 1)
		})
	}
}

func TestCancelMeetsFaultsToo(t *testing.T) {
	ctx := t.Context()
	v := andontest.New(andontest.Config{})
	for _, id := range []string{"a", "b"} {
		v.SetOrder(stop(id, andon.Sell, "1", "90"))
	}
	v.Inject(andontest.Late, 1)
	require.NoError(t, v.Cancel(ctx, stop("a", andon.Sell, "1", "90")))
	require.Len(t, v.Truth().Orders, 2, "accepted is not done")
	v.Inject(andontest.TimeoutTaken, 1)
	require.ErrorIs(t, v.Cancel(ctx, stop("b", andon.Sell, "1", "90")), andon.ErrOutcomeUnknown)
	for range 3 {
		_, err := v.Orders(ctx)
		require.NoError(t, err)
	}
	require.Empty(t, v.Truth().Orders)
}

// The same seed and the same calls meet the same faults, and a list never lies more than
// MaxLies times in a row.
func TestTheSeedDecides(t *testing.T) {
	transcript := func(seed uint64) (said string, lies int) {
		v := andontest.New(andontest.Config{Seed: seed, Now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), Faults: andontest.Faults{
			andontest.TimeoutTaken: 0.1, andontest.Late: 0.1, andontest.PartialFill: 0.2, andontest.EmptyList: 0.4, andontest.Liquidation: 0.1,
		}})
		row := 0
		for n := range 400 {
			o, err := v.Submit(t.Context(), market(fmt.Sprint("o", n), andon.Buy, "3"))
			rows, _ := v.Positions(t.Context())
			if len(rows) == 0 && len(v.Truth().Positions) > 0 {
				row++
			} else {
				row = 0
			}
			lies = max(lies, row)
			said += fmt.Sprintln(o, err, rows)
		}
		return said, lies
	}
	one, lies := transcript(7)
	again, _ := transcript(7)
	other, _ := transcript(8)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
	require.Equal(t, andontest.MaxLies, lies)
}

func TestAConfigurationThatCannotBeRightPanics(t *testing.T) {
	require.PanicsWithValue(t, "andontest: configuration: Price -1 is negative\nHedge and Spot: an account is one of them\nSymbols is empty: a spot symbol needs its currencies\nBalances[\"X\"] -1 is negative\nFaults[none]: no such fault\nFaults[late] 2, want 0 to 1\nFaults: 2 in sum, want at most 1",
		func() {
			andontest.New(andontest.Config{Price: dec("-1"), Hedge: true, Spot: true, Balances: map[string]andon.Decimal{"X": dec("-1")},
				Faults: andontest.Faults{andontest.None: 0, andontest.Late: 2}})
		})
	require.PanicsWithValue(t, "andontest: configuration: Symbols[\"A\"]: Lot -1 is negative\nSymbols[\"A\"].Base and Quote are required on spot", func() {
		andontest.New(andontest.Config{Spot: true, Symbols: map[string]andontest.Symbol{"A": {Instrument: andon.Instrument{Lot: dec("-1")}}}})
	})
	require.Panics(t, func() { andontest.New(andontest.Config{}).SetFaults(andontest.Faults{99: 0.1}) })
	require.Equal(t, "Fault(99)", andontest.Fault(99).String())
}
