package safety_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var stopPolicy = safety.ProtectionPolicy{
	Distance: num("0.05"),
	Instruments: map[string]andon.Instrument{
		"BTC": {Tick: num("0.5"), Lot: num("0.01")},
		"ETH": {Tick: num("0.01"), Lot: num("0.1")},
	},
}

func protector(v *twoListVenue) (safety.Protector, *notes) {
	n := &notes{}
	return safety.Protector{Venue: v, Gate: openGate{}, Recorder: n, By: "ada"}, n
}

func planFor(t require.TestingT, v *twoListVenue) safety.ProtectionPlan {
	r, err := safety.ReadProtection(context.Background(), v, safety.Requirements{}, checkedAt)
	require.NoError(t, err)
	plan, err := safety.PlanProtection(r, stopPolicy)
	require.NoError(t, err)
	return plan
}

func TestPlanPlacesWhatIsMissing(t *testing.T) {
	far := guard("far", "BTC", andon.Net, andon.Sell, "0.5")
	far.Trigger = num("50")
	for name, c := range map[string]struct {
		position andon.Position
		orders   []andon.Order
		place    string // quantity and trigger, empty for nothing
		left     string // quantity and a part of the reason
	}{
		"long":           {held("BTC", andon.Net, "2"), nil, "sell 2 at 95", ""},
		"short":          {held("BTC", andon.Net, "-2"), nil, "buy 2 at 105", ""},
		"a leg":          {held("BTC", andon.Short, "-2"), nil, "buy 2 at 105", ""},
		"partly covered": {held("BTC", andon.Net, "2"), []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "1.5")}, "sell 0.5 at 95", ""},
		"below the lot":  {held("BTC", andon.Net, "0.009"), nil, "", "0.009 less than the lot"},
		"with dust":      {held("BTC", andon.Net, "2.009"), nil, "sell 2 at 95", "0.009 less than the lot"},
		"far stop":       {held("BTC", andon.Net, "2"), []andon.Order{far}, "sell 1.5 at 95", "0.5 taken by orders that do not count: cancel them"},
		"wrong side": {held("BTC", andon.Net, "2"), []andon.Order{guard("s", "BTC", andon.Net, andon.Buy, "1.5")},
			"sell 2 at 95", ""},
		"take-profit": {held("BTC", andon.Net, "2"), []andon.Order{func() andon.Order {
			o := guard("p", "BTC", andon.Net, andon.Sell, "2")
			o.Kind, o.Trigger = andon.TakeProfitMarket, num("120")
			return o
		}()}, "sell 2 at 95", ""},
		"unknown quantity": {held("BTC", andon.Net, "2"), []andon.Order{func() andon.Order {
			o := guard("q", "BTC", andon.Net, andon.Sell, "2")
			o.Quantity = andon.Decimal{}
			return o
		}()}, "", "2 taken by orders that do not count"},
		"unknown state": {held("BTC", andon.Net, "2"), []andon.Order{func() andon.Order {
			o := guard("q", "BTC", andon.Net, andon.Sell, "2")
			o.Status = andon.StatusUnknown
			return o
		}()}, "", "2 taken by orders that do not count"},
		"about to expire": {held("BTC", andon.Net, "2"), []andon.Order{func() andon.Order {
			o := guard("q", "BTC", andon.Net, andon.Sell, "2")
			o.ExpiresAt = checkedAt.Add(time.Minute)
			return o
		}()}, "", "2 taken by orders that do not count: cancel them, or look them up where their state is not known, and plan again: q (expires: "},
		"no mark": {func() andon.Position { p := held("BTC", andon.Net, "2"); p.Mark = andon.Decimal{}; return p }(), nil,
			"", "2 mark-unknown"},
		"no instrument": {held("SOL", andon.Net, "2"), nil, "", `2 Instruments has no entry for symbol "SOL"`},
		"coarse tick":   {func() andon.Position { p := held("BTC", andon.Net, "2"); p.Mark = num("0.4"); return p }(), nil, "", "2 the tick of 0.5 leaves no trigger"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(safety.Requirements{}, []andon.Position{c.position}, c.orders...)
			plan, err := safety.PlanProtection(r, stopPolicy)
			require.NoError(t, err)
			place, left := "", ""
			for _, s := range plan.Steps {
				o := s.Order
				place += o.Side.String() + " " + o.Quantity.String() + " at " + o.Trigger.String()
				require.NoError(t, o.Validate())
				require.Equal(t, c.position.Key(), o.Key())
				require.Equal(t, andon.StopMarket, o.Kind)
				require.True(t, o.ReduceOnly)
			}
			for _, l := range plan.Left {
				left += l.Quantity.String() + " " + l.Why
			}
			require.Equal(t, c.place, place)
			require.Contains(t, left, c.left)
			require.Equal(t, c.left == "", left == "", left)
		})
	}
}

func TestPlanRefusesAPolicyThatCannotBe(t *testing.T) {
	r := check(safety.Requirements{MaxDistance: num("0.2")}, nil)
	_, err := safety.PlanProtection(safety.ProtectionReport{}, stopPolicy)
	require.ErrorContains(t, err, "read the venue first")
	_, err = safety.PlanProtection(r, safety.ProtectionPolicy{
		Distance: num("0.3"), Instruments: map[string]andon.Instrument{"BTC": {Lot: num("-1")}},
	})
	for _, field := range []string{"Distance is 0.3", `Instruments["BTC"]: Tick is 0`, `Instruments["BTC"]: Lot -1 is negative`} {
		require.ErrorContains(t, err, field)
	}
	_, err = safety.PlanProtection(r, safety.ProtectionPolicy{})
	require.ErrorContains(t, err, "Distance is 0")
}

// Numbers beyond what a Decimal holds are left by name, never rounded into a price.
func TestPlanLeavesNumbersThatDoNotFit(t *testing.T) {
	p := held("BTC", andon.Net, "2")
	p.Mark = num("0.1234567890123456789")
	far := guard("far", "BTC", andon.Net, andon.Sell, "2")
	for name, c := range map[string]struct {
		mark, quantity string
		in             andon.Instrument
		left           string
	}{
		"trigger": {"0.1234567890123456789", "2", stopPolicy.Instruments["BTC"], "cannot be told exactly"},
		"tick":    {"300000000000000000000000000000000000000", "2", andon.Instrument{Tick: num("0.0000000000000000001"), Lot: num("1")}, "tick 0.0000000000000000001: "},
		"lot":     {"100", "300000000000000000000000000000000000000", andon.Instrument{Tick: num("1"), Lot: num("0.0000000000000000001")}, "lot 0.0000000000000000001: "},
	} {
		t.Run(name, func(t *testing.T) {
			p.Mark, p.Quantity = num(c.mark), num(c.quantity)
			r := check(safety.Requirements{}, []andon.Position{p})
			plan, err := safety.PlanProtection(r, safety.ProtectionPolicy{Distance: num("0.05"), Instruments: map[string]andon.Instrument{"BTC": c.in}})
			require.NoError(t, err)
			require.Empty(t, plan.Steps)
			require.Equal(t, c.quantity, plan.Left[0].Quantity.String())
			require.Contains(t, plan.Left[0].Why, c.left)
			require.ErrorContains(t, errors.New(plan.Left[0].Why), andon.ErrTooManyDigits.Error())
		})
	}
	t.Run("distance", func(t *testing.T) {
		p.Mark, far.Trigger = num("0.0000000000000000001"), num("300000000000000000000000000000000000000")
		p.Quantity, far.Side = num("-2"), andon.Buy
		r := check(safety.Requirements{}, []andon.Position{p}, far)
		require.Equal(t, []safety.Problem{safety.ProblemTooFar}, problems(r.Legs[0].Stops[0]))
		require.Contains(t, r.Legs[0].Stops[0].Findings[0].Detail, "further than can be told")
	})
}

// Whatever the mark, the tick and the side: what the plan places is on the tick, never
// further than asked for, never at or beyond the mark, never more than the leg, and the
// check that found the leg naked then finds it covered.
func TestPlannedStopsCoverWithinTheDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := held("BTC", andon.Net, "1")
		p.Quantity = andon.NewDecimal(rapid.Int64Range(1, 1e6).Draw(t, "quantity"), 2)
		p.Mark = andon.NewDecimal(rapid.Int64Range(1, 1e9).Draw(t, "mark"), rapid.IntRange(0, 6).Draw(t, "decimals"))
		if rapid.Bool().Draw(t, "short") {
			p.Quantity = p.Quantity.Neg()
		}
		in := andon.Instrument{
			Tick: andon.NewDecimal(rapid.Int64Range(1, 500).Draw(t, "tick"), rapid.IntRange(0, 6).Draw(t, "tick decimals")),
			Lot:  andon.NewDecimal(rapid.Int64Range(1, 100).Draw(t, "lot"), 2),
		}
		policy := safety.ProtectionPolicy{
			Distance:    andon.NewDecimal(rapid.Int64Range(1, 1000).Draw(t, "distance"), 4),
			Instruments: map[string]andon.Instrument{"BTC": in},
		}
		req := safety.Requirements{MaxDistance: policy.Distance}
		plan, err := safety.PlanProtection(check(req, []andon.Position{p}), policy)
		require.NoError(t, err)
		sum := andon.Decimal{}
		for _, l := range plan.Left {
			sum = sum.Add(l.Quantity)
		}
		for _, s := range plan.Steps {
			sum = sum.Add(s.Order.Quantity)
			for d, step := range map[andon.Decimal]andon.Decimal{s.Order.Trigger: in.Tick, s.Order.Quantity: in.Lot} {
				_, err := d.Quo(step, 0, andon.Exact)
				require.NoError(t, err, "%v is on the step %v", d, step)
			}
			o := s.Order
			o.Status = andon.Live
			after := check(req, []andon.Position{p}, o)
			require.Empty(t, after.Legs[0].Stops[0].Findings)
			require.Equal(t, o.Quantity, after.Legs[0].Covered)
		}
		require.Equal(t, p.Quantity.Abs(), sum, "every part of the leg is planned or left by name")
	})
}

func TestLaw9_APlanIsData(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2"), held("ETH", andon.Short, "-3.25")}}
	plan := planFor(t, v)
	require.Equal(t, plan, planFor(t, v), "the same facts give the same plan")
	require.NoError(t, plan.Verify())
	require.Zero(t, v.submits, "a plan sends nothing")

	b, err := json.Marshal(plan)
	require.NoError(t, err)
	var back safety.ProtectionPlan
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, plan, back)
	require.NoError(t, back.Verify())

	back.Steps[0].Order.Quantity = num("20")
	require.ErrorIs(t, back.Verify(), safety.ErrPlanAltered)
	p, _ := protector(v)
	_, err = p.Apply(t.Context(), back, checkedAt)
	require.ErrorIs(t, err, safety.ErrPlanAltered)
	require.Zero(t, v.submits)

	var table strings.Builder
	require.NoError(t, plan.WriteTable(&table))
	for _, part := range []string{plan.ID, "2 stops to place, 1 left", "sell 2", "stop-market at 95", "buy 3.2", "at 105", plan.Steps[0].Order.ClientID, "left", "0.05"} {
		require.Contains(t, table.String(), part)
	}
	require.ErrorIs(t, plan.WriteTable(brokenWriter{}), errWire)
}

func TestTheIDComesFromTheNeedAndNotFromTheMark(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	first := planFor(t, v)
	v.positions[0].Mark = num("101")
	require.Equal(t, first.Steps[0].Order.ClientID, planFor(t, v).Steps[0].Order.ClientID)
	ids := map[string]bool{first.Steps[0].Order.ClientID: true}
	for _, p := range []andon.Position{held("BTC", andon.Net, "3"), held("BTC", andon.Long, "2"), held("ETH", andon.Net, "2"), held("BTC", andon.Net, "-2")} {
		v.positions[0] = p
		ids[planFor(t, v).Steps[0].Order.ClientID] = true
	}
	require.Len(t, ids, 5)
	for id := range ids {
		require.LessOrEqual(t, len(id), 32)
	}
}

func TestApplyPlacesAndReadsTheVenueAgain(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Long, "2"), held("BTC", andon.Short, "-1"), held("ETH", andon.Net, "3")}}
	p, n := protector(v)
	result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.NoError(t, err)
	require.True(t, result.After.Protected())
	require.Len(t, v.conditional, 3)
	for _, s := range result.Steps {
		require.Equal(t, safety.ProtectPlaced, s.Outcome)
	}
	require.Len(t, n.lines, 1)
	require.Contains(t, n.lines[0], "ada: ")
	require.Contains(t, n.lines[0], "placed "+result.Steps[2].Order.ClientID)
}

func TestComplaint7_APartialCloseThatCancelsTheStopsIsFoundAndMended(t *testing.T) {
	v := &twoListVenue{
		positions:   []andon.Position{held("BTC", andon.Net, "2")},
		conditional: []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "2")},
	}
	r, err := safety.ReadProtection(t.Context(), v, safety.Requirements{}, checkedAt)
	require.NoError(t, err)
	require.True(t, r.Protected())

	v.positions[0].Quantity = num("1") // half is closed, and the venue
	v.finish("s", andon.Canceled)      // drops the stop with it
	plan := planFor(t, v)
	require.Len(t, plan.Steps, 1)
	require.Equal(t, "1", plan.Steps[0].Order.Quantity.String())
	p, _ := protector(v)
	result, err := p.Apply(t.Context(), plan, checkedAt)
	require.NoError(t, err)
	require.True(t, result.After.Protected())
}

// Applying is repeated through lost answers, failing queries and crashes: at the end
// there is one stop a leg and never a second one.
func TestLaw9_ApplyingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := &twoListVenue{
			positions: []andon.Position{held("BTC", andon.Long, "2"), held("BTC", andon.Short, "-1"), held("ETH", andon.Net, "3")},
			ambiguous: map[int]bool{}, vanish: map[int]bool{}, fail: map[string]bool{},
		}
		for i := range 4 {
			v.ambiguous[i] = rapid.Bool().Draw(t, "answer lost")
			v.vanish[i] = rapid.IntRange(0, 3).Draw(t, "order lost") == 0
		}
		for _, q := range []string{"lookup 1", "lookup 2", "lookup 5", "orders 2", "positions 3"} {
			v.fail[q] = rapid.IntRange(0, 3).Draw(t, q) == 0
		}
		plan := planFor(t, &twoListVenue{positions: v.positions})
		p, _ := protector(v)
		done := false
		for range 12 {
			result, err := p.Apply(context.Background(), plan, checkedAt)
			if done = err == nil; done {
				require.True(t, result.After.Protected())
				break
			}
			require.LessOrEqual(t, len(v.conditional), 3)
		}
		require.True(t, done)
		require.Len(t, v.conditional, 3)
		submits := v.submits
		clear(v.fail)
		result, err := p.Apply(context.Background(), plan, checkedAt)
		require.NoError(t, err)
		require.Equal(t, submits, v.submits, "nothing is sent the second time")
		for _, s := range result.Steps {
			require.Equal(t, safety.ProtectAlready, s.Outcome)
		}
		require.Empty(t, planFor(t, v).Steps)
	})
}

func TestLaw9_ApplyRefusesFactsThatHaveMoved(t *testing.T) {
	for name, c := range map[string]struct {
		move func(v *twoListVenue)
		says string
	}{
		"smaller": {func(v *twoListVenue) { v.positions[0].Quantity = num("1") }, "is one of 1"},
		"flipped": {func(v *twoListVenue) { v.positions[0].Quantity = num("-2") }, "is one of -2"},
		"gone":    {func(v *twoListVenue) { v.positions = v.positions[1:] }, "without a position"},
		"new stop": {func(v *twoListVenue) {
			v.conditional = append(v.conditional, guard("x", "BTC", andon.Net, andon.Sell, "1"))
		}, `"x"`},
		"stop gone": {func(v *twoListVenue) {
			v.finish("tp", andon.Canceled)
		}, "with []"},
		"stop expires":            {func(v *twoListVenue) { v.conditional[0].ExpiresAt = checkedAt.Add(time.Minute) }, "until 2026-03-04T15:05:05Z"},
		"mark beyond the trigger": {func(v *twoListVenue) { v.positions[0].Mark = num("94") }, "trigger-passed"},
		"mark at the trigger":     {func(v *twoListVenue) { v.positions[0].Mark = num("95") }, "trigger-passed"},
		"mark far away":           {func(v *twoListVenue) { v.positions[0].Mark = num("300") }, "too-far"},
		"mark not known":          {func(v *twoListVenue) { v.positions[0].Mark = andon.Decimal{} }, "position-unusable"},
	} {
		t.Run(name, func(t *testing.T) {
			profit := guard("tp", "BTC", andon.Net, andon.Sell, "1")
			profit.Kind, profit.Trigger = andon.TakeProfitMarket, num("120")
			v := &twoListVenue{
				positions:   []andon.Position{held("BTC", andon.Net, "2"), held("ETH", andon.Net, "3")},
				conditional: []andon.Order{profit},
			}
			plan := planFor(t, v)
			require.Len(t, plan.Steps, 2)
			c.move(v)
			p, n := protector(v)
			_, err := p.Apply(t.Context(), plan, checkedAt)
			require.ErrorIs(t, err, safety.ErrPlanMoved)
			moved, ok := errors.AsType[*safety.PlanMovedError](err)
			require.True(t, ok)
			require.Equal(t, "twolist/BTC", moved.Leg.String())
			require.Equal(t, plan.ID, moved.Plan)
			require.ErrorContains(t, err, c.says)
			require.Zero(t, v.submits, "the other leg is not touched either")
			require.Empty(t, n.lines)
		})
	}
	t.Run("a mark that moves a little has not moved", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
		plan := planFor(t, v)
		v.positions[0].Mark = num("99")
		p, _ := protector(v)
		_, err := p.Apply(t.Context(), plan, checkedAt)
		require.NoError(t, err)
	})
}

func TestLaw9_NothingIsSentWhenTheFactsCannotBeRead(t *testing.T) {
	for _, query := range []string{"positions", "orders", "lookup"} {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
		plan := planFor(t, v)
		v.fail = map[string]bool{query: true}
		p, _ := protector(v)
		_, err := p.Apply(t.Context(), plan, checkedAt)
		require.ErrorIs(t, err, errWire, query)
		require.Zero(t, v.submits, query)
	}
}

func TestLaw6_ATimeoutIsResolvedBeforeAnythingElseIsSent(t *testing.T) {
	t.Run("the order exists", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}, ambiguous: map[int]bool{0: true}}
		p, _ := protector(v)
		result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
		require.NoError(t, err)
		require.Equal(t, safety.ProtectPlaced, result.Steps[0].Outcome)
		require.Equal(t, 1, v.submits)
		require.Len(t, v.conditional, 1)
	})
	t.Run("the order is not there yet", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}, vanish: map[int]bool{0: true}}
		plan := planFor(t, v)
		p, n := protector(v)
		result, err := p.Apply(t.Context(), plan, checkedAt)
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown, "a timeout is not a rejection")
		require.Equal(t, safety.ProtectUnknown, result.Steps[0].Outcome)
		require.False(t, result.After.Protected())
		require.Equal(t, 1, v.submits, "nothing else is sent for it")
		require.Contains(t, n.lines[0], "unknown")

		// It arrives late. The next try finds it.
		late := plan.Steps[0].Order
		late.VenueID, late.Status = "late", andon.Live
		v.conditional = append(v.conditional, late)
		result, err = p.Apply(t.Context(), plan, checkedAt)
		require.NoError(t, err)
		require.Equal(t, safety.ProtectAlready, result.Steps[0].Outcome)
		require.Equal(t, 1, v.submits)
	})
	t.Run("neither is the look-up answered", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}, ambiguous: map[int]bool{0: true}, fail: map[string]bool{"lookup 2": true}}
		p, _ := protector(v)
		result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.ErrorIs(t, err, errWire)
		require.Equal(t, safety.ProtectUnknown, result.Steps[0].Outcome)
		require.Equal(t, 1, v.submits)
	})
	t.Run("its state is unknown", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
		plan := planFor(t, v)
		ghost := plan.Steps[0].Order // on no list, and the look-up knows no state
		v.done = append(v.done, ghost)
		p, _ := protector(v)
		result, err := p.Apply(t.Context(), plan, checkedAt)
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.Equal(t, safety.ProtectUnknown, result.Steps[0].Outcome)
		require.Zero(t, v.submits)
	})
	t.Run("the context ends while the order is sent", func(t *testing.T) {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
		ctx, cancel := context.WithCancel(t.Context())
		p, _ := protector(v)
		p.Gate = gateFunc(func(ctx context.Context, tr andon.Trader, o andon.Order) (andon.Order, error) {
			_, err := tr.Submit(ctx, o)
			require.NoError(t, err)
			cancel()
			return andon.Order{}, ctx.Err()
		})
		result, err := p.Apply(ctx, planFor(t, v), checkedAt)
		require.NoError(t, err, "the stub's reads do not mind the context")
		require.Equal(t, safety.ProtectPlaced, result.Steps[0].Outcome)
	})
}

type gateFunc func(context.Context, andon.Trader, andon.Order) (andon.Order, error)

func (f gateFunc) Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error) {
	return f(ctx, t, o)
}

func TestOneStepThatFailsDoesNotKeepTheOthersFromBeingPlaced(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2"), held("ETH", andon.Net, "3")}}
	p, _ := protector(v)
	p.Gate = gateFunc(func(ctx context.Context, tr andon.Trader, o andon.Order) (andon.Order, error) {
		return openGate{closed: o.Symbol == "BTC"}.Submit(ctx, tr, o)
	})
	result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.ErrorIs(t, err, safety.ErrDenied)
	require.Equal(t, safety.ProtectDenied, result.Steps[0].Outcome)
	require.Equal(t, safety.ProtectPlaced, result.Steps[1].Outcome)
	require.False(t, result.After.Protected())
}

func TestARefusalOfTheVenueIsARefusal(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}, reject: true}
	p, _ := protector(v)
	result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.ErrorIs(t, err, andon.ErrRejected)
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Equal(t, safety.ProtectRefused, result.Steps[0].Outcome)
	require.Equal(t, 1, v.submits)
}

func TestAnAnswerWithoutAStateIsResolved(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")},
		answered: func(o andon.Order, _ int) *andon.Order { o.Status = andon.StatusUnknown; return &o }}
	p, _ := protector(v)
	result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.NoError(t, err)
	require.Equal(t, safety.ProtectPlaced, result.Steps[0].Outcome)
	require.Equal(t, andon.Live, result.Steps[0].Order.Status)

	v = &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")},
		answered: func(o andon.Order, _ int) *andon.Order { o.Status = andon.StatusUnknown; return &o }}
	p, _ = protector(v)
	p.Gate = gateFunc(func(ctx context.Context, tr andon.Trader, o andon.Order) (andon.Order, error) {
		o, err := tr.Submit(ctx, o)
		v.conditional[0].Status = andon.StatusUnknown // the look-up knows no more
		return o, err
	})
	result, err = p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Equal(t, safety.ProtectUnknown, result.Steps[0].Outcome)

	v = &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	v.answered = func(o andon.Order, _ int) *andon.Order {
		v.finish(o.ClientID, andon.Canceled)
		o.Status = andon.Canceled
		return &o
	}
	p, _ = protector(v)
	result, err = p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.ErrorContains(t, err, "canceled")
	require.Equal(t, safety.ProtectRefused, result.Steps[0].Outcome)
}

func TestComplaint5_AStopOnNoListIsNotPlacedThreeTimes(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}, hideSecond: true}
	plan := planFor(t, v)
	p, _ := protector(v)
	for range 3 {
		result, err := p.Apply(t.Context(), plan, checkedAt)
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "none of the venue's lists shows it")
		require.False(t, result.After.Protected(), "what no list shows protects nothing")
		plan = planFor(t, v) // a new plan for the same need knows the order again
	}
	require.Equal(t, 1, v.submits)
	require.Len(t, v.conditional, 1)
}

func TestAStopThatIsDoneDoesNotCountAsPlaced(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	plan := planFor(t, v)
	p, _ := protector(v)
	ids := map[string]bool{}
	for range 3 {
		result, err := p.Apply(t.Context(), plan, checkedAt)
		require.NoError(t, err)
		require.Equal(t, safety.ProtectPlaced, result.Steps[0].Outcome)
		id := result.Steps[0].Order.ClientID
		require.False(t, ids[id], "a client id is never used twice")
		ids[id] = true
		v.finish(id, andon.Canceled)
		require.Equal(t, plan, planFor(t, v))
	}
	for _, c := range []struct {
		status andon.Status
		want   safety.ProtectOutcome
	}{{andon.Filled, safety.ProtectPlaced}, {andon.Canceled, safety.ProtectRefused}} {
		v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
		v.answered = func(o andon.Order, _ int) *andon.Order { v.finish(o.ClientID, c.status); return &o }
		p, _ := protector(v)
		result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
		require.Equal(t, c.want, result.Steps[0].Outcome)
		require.Equal(t, c.status == andon.Filled, err == nil, "%v", err)
		require.Equal(t, c.status, result.Steps[0].Order.Status)
	}
	t.Run("something removes every stop", func(t *testing.T) {
		for range 32 - 3 {
			result, err := p.Apply(t.Context(), plan, checkedAt)
			require.NoError(t, err)
			v.finish(result.Steps[0].Order.ClientID, andon.Canceled)
		}
		result, err := p.Apply(t.Context(), plan, checkedAt)
		require.ErrorContains(t, err, "32 orders for it came and went")
		require.Equal(t, safety.ProtectUnsent, result.Steps[0].Outcome)
	})
}

func TestLaw10_PlacingAStopDoesNotWaitForTheRecord(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	p, n := protector(v)
	n.err = errWire
	result, err := p.Apply(t.Context(), planFor(t, v), checkedAt)
	require.ErrorIs(t, err, errWire)
	require.ErrorContains(t, err, "not recorded")
	require.True(t, result.After.Protected(), "the stop is there all the same")
}

func TestLaw10_NobodyPlacesAStopNamelessly(t *testing.T) {
	_, err := safety.Protector{By: " "}.Apply(t.Context(), safety.ProtectionPlan{}, checkedAt)
	for _, field := range []string{"Venue", "Gate", "Recorder", "By"} {
		require.ErrorContains(t, err, field+" is missing")
	}
}

func TestAReadThatFailsAtTheEndIsAnError(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	plan := planFor(t, v)
	v.calls, v.fail = nil, map[string]bool{"orders 2": true}
	p, _ := protector(v)
	result, err := p.Apply(t.Context(), plan, checkedAt)
	require.ErrorIs(t, err, errWire)
	require.Equal(t, safety.ProtectPlaced, result.Steps[0].Outcome)
	require.False(t, result.After.Protected())
}

func BenchmarkCheckProtection(b *testing.B) {
	var positions []andon.Position
	var orders []andon.Order
	for i := range 1000 {
		s := "S" + time.Duration(i).String()
		positions = append(positions, held(s, andon.Net, "2"))
		orders = append(orders, guard("a"+s, s, andon.Net, andon.Sell, "1"), guard("b"+s, s, andon.Net, andon.Sell, "1"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if !safety.CheckProtection(positions, orders, safety.Requirements{}, checkedAt).Protected() {
			b.Fatal("not protected")
		}
	}
}
