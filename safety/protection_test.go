package safety_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func check(req safety.Requirements, positions []andon.Position, orders ...andon.Order) safety.ProtectionReport {
	return safety.CheckProtection(positions, orders, req, checkedAt)
}

func TestLaw1_WhatIsNotKnownIsNotProtected(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *andon.Position, o *andon.Order)
		leg    safety.Problem // what the leg says
		order  safety.Problem // what the order says
	}{
		"mark":               {func(p *andon.Position, o *andon.Order) { p.Mark = andon.Decimal{} }, safety.ProblemMarkUnknown, safety.ProblemCannotJudge},
		"venue of the leg":   {func(p *andon.Position, o *andon.Order) { p.Venue, o.Venue = "", "" }, safety.ProblemPositionInvalid, safety.ProblemCannotJudge},
		"sign of the leg":    {func(p *andon.Position, o *andon.Order) { p.Leg, o.Leg = andon.Short, andon.Short }, safety.ProblemPositionInvalid, safety.ProblemCannotJudge},
		"status":             {func(p *andon.Position, o *andon.Order) { o.Status = andon.StatusUnknown }, safety.ProblemNaked, safety.ProblemStatusUnknown},
		"status of no name":  {func(p *andon.Position, o *andon.Order) { o.Status = 77 }, safety.ProblemNaked, safety.ProblemStatusUnknown},
		"quantity":           {func(p *andon.Position, o *andon.Order) { o.Quantity = andon.Decimal{} }, safety.ProblemNaked, safety.ProblemQuantityUnknown},
		"filled below zero":  {func(p *andon.Position, o *andon.Order) { o.Filled = num("-1") }, safety.ProblemNaked, safety.ProblemQuantityUnknown},
		"filled beyond size": {func(p *andon.Position, o *andon.Order) { o.Filled = num("3") }, safety.ProblemNaked, safety.ProblemQuantityUnknown},
		"trigger":            {func(p *andon.Position, o *andon.Order) { o.Trigger = andon.Decimal{} }, safety.ProblemNaked, safety.ProblemTriggerUnknown},
		"side":               {func(p *andon.Position, o *andon.Order) { o.Side = 0 }, safety.ProblemNaked, safety.ProblemWrongSide},
		"kind":               {func(p *andon.Position, o *andon.Order) { o.Kind = 0 }, safety.ProblemNaked, safety.ProblemKindUnknown},
		"kind of no name":    {func(p *andon.Position, o *andon.Order) { o.Kind = 99 }, safety.ProblemNaked, safety.ProblemKindUnknown},
		"reduce-only":        {func(p *andon.Position, o *andon.Order) { o.ReduceOnly = false }, safety.ProblemNaked, safety.ProblemNotReduceOnly},
		"both ids":           {func(p *andon.Position, o *andon.Order) { o.ClientID, o.VenueID = "", "" }, safety.ProblemNaked, safety.ProblemUnidentified},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := held("BTC", andon.Net, "2"), guard("s", "BTC", andon.Net, andon.Sell, "2")
			require.True(t, check(safety.Requirements{}, []andon.Position{p}, o).Protected(), "before")
			c.change(&p, &o)
			r := check(safety.Requirements{}, []andon.Position{p}, o)
			require.False(t, r.Protected())
			require.Len(t, r.Legs, 1)
			require.Contains(t, legProblems(r.Legs[0]), c.leg)
			require.Equal(t, "2", r.Legs[0].Uncovered.String())
			require.Contains(t, problems(r.Legs[0].Stops[0]), c.order)
			_, err := json.Marshal(r)
			require.NoError(t, err, "what is unknown can still be written down")
		})
	}
	t.Run("no check at all", func(t *testing.T) {
		require.False(t, safety.ProtectionReport{}.Protected())
		require.False(t, safety.CheckProtection(nil, nil, safety.Requirements{}, time.Time{}).Protected(), "the time is not known")
		require.True(t, check(safety.Requirements{}, nil).Protected(), "no open leg")
	})
	t.Run("a zero quantity with a leg that cannot be", func(t *testing.T) {
		require.False(t, check(safety.Requirements{}, []andon.Position{{Venue: "twolist", Symbol: "BTC", Leg: 9}}).Protected())
	})
}

func TestLaw1_AReadThatFailsProtectsNothing(t *testing.T) {
	for _, query := range []string{"positions", "orders"} {
		v := &twoListVenue{fail: map[string]bool{query: true}}
		r, err := safety.ReadProtection(t.Context(), v, safety.Requirements{}, checkedAt)
		require.ErrorIs(t, err, errWire, query)
		require.False(t, r.Protected(), query)
	}
	v := &twoListVenue{}
	_, err := safety.ReadProtection(t.Context(), v, safety.Requirements{MaxDistance: num("-1"), MinLife: -1}, checkedAt)
	require.ErrorContains(t, err, "MaxDistance")
	require.ErrorContains(t, err, "MinLife")
	_, err = safety.ReadProtection(t.Context(), v, safety.Requirements{}, time.Time{})
	require.ErrorContains(t, err, "now is zero")
	r, err := safety.ReadProtection(t.Context(), v, safety.Requirements{}, checkedAt)
	require.NoError(t, err)
	require.True(t, r.Protected())
}

func TestEachStopIsJudged(t *testing.T) {
	limit := func(price string) func(*andon.Order) {
		return func(o *andon.Order) { o.Kind, o.Price = andon.StopLimit, num(price) }
	}
	for name, c := range map[string]struct {
		quantity string
		req      safety.Requirements
		change   func(o *andon.Order)
		want     safety.Problem // empty: it covers
	}{
		"long":                            {"2", safety.Requirements{}, func(o *andon.Order) {}, ""},
		"short":                           {"-2", safety.Requirements{}, func(o *andon.Order) {}, ""},
		"long, wrong side":                {"2", safety.Requirements{}, func(o *andon.Order) { o.Side = andon.Buy }, safety.ProblemWrongSide},
		"short, wrong side":               {"-2", safety.Requirements{}, func(o *andon.Order) { o.Side = andon.Sell }, safety.ProblemWrongSide},
		"long, trigger above the mark":    {"2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("101") }, safety.ProblemTriggerPassed},
		"long, trigger at the mark":       {"2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("100") }, safety.ProblemTriggerPassed},
		"short, trigger below the mark":   {"-2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("99") }, safety.ProblemTriggerPassed},
		"just near enough":                {"2", safety.Requirements{MaxDistance: num("0.05")}, func(o *andon.Order) {}, ""},
		"a hair too far":                  {"2", safety.Requirements{MaxDistance: num("0.05")}, func(o *andon.Order) { o.Trigger = num("94.99999999999999999") }, safety.ProblemTooFar},
		"short, too far":                  {"-2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("110.01") }, safety.ProblemTooFar},
		"default distance":                {"2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("90") }, ""},
		"beyond the default":              {"2", safety.Requirements{}, func(o *andon.Order) { o.Trigger = num("89.99") }, safety.ProblemTooFar},
		"beyond, distance negative":       {"2", safety.Requirements{MaxDistance: num("-5")}, func(o *andon.Order) { o.Trigger = num("89.99") }, safety.ProblemTooFar},
		"take-profit":                     {"2", safety.Requirements{}, func(o *andon.Order) { o.Kind = andon.TakeProfitMarket }, safety.ProblemTakeProfit},
		"take-profit limit":               {"2", safety.Requirements{}, func(o *andon.Order) { o.Kind = andon.TakeProfitLimit }, safety.ProblemTakeProfit},
		"stop-limit":                      {"2", safety.Requirements{}, limit("94"), safety.ProblemStopLimit},
		"stop-limit allowed":              {"2", safety.Requirements{AllowStopLimit: true}, limit("94"), ""},
		"stop-limit that would rest":      {"2", safety.Requirements{AllowStopLimit: true}, limit("96"), safety.ProblemLimitPrice},
		"short stop-limit":                {"-2", safety.Requirements{AllowStopLimit: true}, limit("106"), ""},
		"short stop-limit that will rest": {"-2", safety.Requirements{AllowStopLimit: true}, limit("104"), safety.ProblemLimitPrice},
		"stop-limit without its limit":    {"2", safety.Requirements{AllowStopLimit: true}, limit("0"), safety.ProblemLimitPrice},
		"not reduce-only":                 {"2", safety.Requirements{}, func(o *andon.Order) { o.ReduceOnly = false }, safety.ProblemNotReduceOnly},
		"spot":                            {"2", safety.Requirements{AllowWithoutReduceOnly: true}, func(o *andon.Order) { o.ReduceOnly = false }, ""},
		"cancelled":                       {"2", safety.Requirements{}, func(o *andon.Order) { o.Status = andon.Canceled }, safety.ProblemNotLive},
		"lives just long enough":          {"2", safety.Requirements{}, func(o *andon.Order) { o.ExpiresAt = checkedAt.Add(time.Hour) }, ""},
		"about to expire":                 {"2", safety.Requirements{}, func(o *andon.Order) { o.ExpiresAt = checkedAt.Add(time.Hour - 1) }, safety.ProblemExpires},
		"has expired":                     {"2", safety.Requirements{MinLife: 1}, func(o *andon.Order) { o.ExpiresAt = checkedAt.Add(-1) }, safety.ProblemExpires},
		"life asked for":                  {"2", safety.Requirements{MinLife: 2 * time.Hour}, func(o *andon.Order) { o.ExpiresAt = checkedAt.Add(time.Hour) }, safety.ProblemExpires},
	} {
		t.Run(name, func(t *testing.T) {
			p := held("BTC", andon.Net, c.quantity)
			o := guard("s", "BTC", andon.Net, p.ExitSide(), "2")
			c.change(&o)
			r := check(c.req, []andon.Position{p}, o)
			require.Len(t, r.Legs, 1)
			require.Len(t, r.Legs[0].Stops, 1)
			if c.want == "" {
				require.Empty(t, r.Legs[0].Stops[0].Findings)
				require.True(t, r.Protected())
				return
			}
			require.Equal(t, []safety.Problem{c.want}, problems(r.Legs[0].Stops[0]))
			require.Equal(t, []safety.Problem{safety.ProblemNaked}, legProblems(r.Legs[0]))
			require.False(t, r.Protected())
		})
	}
}

func TestRestingOrdersAreNoProtection(t *testing.T) {
	o := guard("l", "BTC", andon.Net, andon.Sell, "2")
	o.Kind, o.Price, o.Trigger = andon.Limit, num("110"), andon.Decimal{}
	r := check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "2")}, o)
	require.Equal(t, []safety.Problem{safety.ProblemNaked}, legProblems(r.Legs[0]))
	require.Empty(t, r.Legs[0].Stops)
	require.Empty(t, check(safety.Requirements{}, nil, o).Strays)
}

func TestPartialCoverNamesWhatIsUncovered(t *testing.T) {
	a, b := guard("a", "BTC", andon.Net, andon.Sell, "1"), guard("b", "BTC", andon.Net, andon.Sell, "0.8")
	b.Filled = num("0.3")
	r := check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "2")}, a, b)
	require.Equal(t, "1.5", r.Legs[0].Covered.String())
	require.Equal(t, "0.5", r.Legs[0].Uncovered.String())
	require.Equal(t, safety.Finding{Problem: safety.ProblemPartlyCovered, Detail: "1.5 of 2 is covered, 0.5 is not"}, r.Legs[0].Problems[0])
	require.False(t, r.Protected())
	r = check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "1")}, a, b)
	require.Equal(t, []safety.Problem{safety.ProblemOvercovered}, legProblems(r.Legs[0]))
	require.True(t, r.Protected(), "too many stops are worth a look, they are not nakedness")
	require.Equal(t, "1", r.Legs[0].Covered.String())
}

// A stop whose size is too large: the venue cuts a reduce-only one to what is there, so
// that it can only reduce, and nothing is done about it. One that is not could open the
// other side with the rest.
func TestLaw4_AStopThatIsTooLargeIsProtectionIfItCanOnlyReduce(t *testing.T) {
	large := guard("large", "BTC", andon.Net, andon.Sell, "5")
	req := safety.Requirements{AllowWithoutReduceOnly: true}
	r := check(req, []andon.Position{held("BTC", andon.Net, "2")}, large)
	require.Equal(t, []safety.Finding{{Problem: safety.ProblemOvercovered, Detail: "stops for 5, the position is 2"}}, r.Legs[0].Problems)
	require.True(t, r.Protected())
	p, err := safety.PlanProtection(r, stopPolicy)
	require.NoError(t, err)
	require.Empty(t, p.Steps)
	require.Empty(t, p.Left)

	large.ReduceOnly = false
	r = check(req, []andon.Position{held("BTC", andon.Net, "2")}, large)
	require.Equal(t, []safety.Problem{safety.ProblemOvershoots}, legProblems(r.Legs[0]))
	require.False(t, r.Protected())
	p, err = safety.PlanProtection(r, stopPolicy)
	require.NoError(t, err)
	require.Empty(t, p.Steps, "one more would make it worse")
	require.Len(t, p.Left, 1)
	require.Contains(t, p.Left[0].Why, "overshoots: stops for 5 that are not all reduce-only, the position is 2: cancel what is too much")

	large.Quantity = num("2") // exactly the position
	require.True(t, check(req, []andon.Position{held("BTC", andon.Net, "2")}, large).Protected())
	// Beside a reduce-only one over all of it, even a small one is too much.
	large.Quantity = num("0.1")
	r = check(req, []andon.Position{held("BTC", andon.Net, "2")}, large, guard("whole", "BTC", andon.Net, andon.Sell, "2"))
	require.Equal(t, []safety.Problem{safety.ProblemOvershoots}, legProblems(r.Legs[0]))
}

func TestARowThatContradictsAnotherCoversNothing(t *testing.T) {
	p, o := held("BTC", andon.Net, "2"), guard("s", "BTC", andon.Net, andon.Sell, "1")
	t.Run("a page read twice is one order", func(t *testing.T) {
		require.Equal(t, "1", check(safety.Requirements{}, []andon.Position{p, p}, o, o, o).Legs[0].Uncovered.String())
	})
	for name, change := range map[string]func(o *andon.Order){
		"the same order with more filled":           func(o *andon.Order) { o.Filled = num("0.1") },
		"the same client id in the other list":      func(o *andon.Order) { o.VenueID = "v-other" },
		"the same venue id under another client id": func(o *andon.Order) { o.ClientID = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			again := o
			change(&again)
			r := check(safety.Requirements{}, []andon.Position{p}, o, again)
			require.Equal(t, "2", r.Legs[0].Uncovered.String())
			for _, s := range r.Legs[0].Stops {
				require.Equal(t, []safety.Problem{safety.ProblemOrderConflict}, problems(s))
			}
		})
	}
	t.Run("a leg given twice", func(t *testing.T) {
		r := check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "1"), p}, o)
		require.Contains(t, legProblems(r.Legs[0]), safety.ProblemPositionConflict)
		require.False(t, r.Protected())
	})
}

func TestLaw4_HedgeLegsAreNeverNetted(t *testing.T) {
	legs := []andon.Position{held("BTC", andon.Long, "2"), held("BTC", andon.Short, "-2")}
	long, short := guard("l", "BTC", andon.Long, andon.Sell, "2"), guard("s", "BTC", andon.Short, andon.Buy, "2")
	require.True(t, check(safety.Requirements{}, legs, long, short).Protected())

	r := check(safety.Requirements{}, legs)
	require.Len(t, r.Legs, 2, "2 and -2 are two positions, not none")
	r = check(safety.Requirements{}, legs, long)
	require.True(t, r.Legs[0].Protected())
	require.False(t, r.Legs[1].Protected())

	none := long
	none.Leg = andon.Net
	r = check(safety.Requirements{}, legs, none, short)
	require.False(t, r.Legs[0].Protected(), "an order without a leg protects neither")
	require.Equal(t, []safety.Problem{safety.ProblemNoLeg}, problems(r.Strays[0]))
}

func TestOrphansAreListed(t *testing.T) {
	o, profit := guard("s", "ETH", andon.Net, andon.Sell, "2"), guard("p", "ETH", andon.Net, andon.Sell, "2")
	profit.Kind = andon.TakeProfitMarket
	elsewhere := guard("e", "BTC", andon.Net, andon.Sell, "2")
	elsewhere.Venue = "another"
	r := check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "2"), held("ETH", andon.Net, "0")}, o, profit, elsewhere)
	require.Len(t, r.Strays, 3)
	for _, s := range r.Strays {
		require.Equal(t, []safety.Problem{safety.ProblemOrphan}, problems(s))
	}
	require.Len(t, r.Legs, 1, "a quantity of zero is the venue's word that the leg is flat")
	require.False(t, r.Protected(), "another venue's stop protects nothing here")
}

// The oracle adds up what covers a leg from the order fields that were drawn good.
func TestCoverIsTheSumOfGoodStopsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 50).Draw(t, "size")
		p := held("BTC", andon.Net, "1")
		p.Quantity = andon.NewDecimal(size, 1)
		if rapid.Bool().Draw(t, "short") {
			p.Quantity = p.Quantity.Neg()
		}
		var orders []andon.Order
		good := int64(0)
		for i := range rapid.IntRange(0, 8).Draw(t, "orders") {
			o := guard(string(rune('a'+i)), "BTC", andon.Net, p.ExitSide(), "1")
			q := rapid.Int64Range(1, 30).Draw(t, "quantity")
			o.Quantity = andon.NewDecimal(q, 1)
			switch rapid.IntRange(0, 9).Draw(t, "defect") {
			case 0:
				o.Side = o.Side.Opposite()
			case 1:
				o.Kind = andon.TakeProfitMarket
			case 2:
				o.Status = andon.StatusUnknown
			case 3:
				o.ReduceOnly = false
			case 4:
				o.Trigger = num("300")
			case 5:
				o.ExpiresAt = checkedAt
			default:
				good += q
			}
			orders = append(orders, o)
			if rapid.Bool().Draw(t, "repeated") {
				orders = append(orders, o)
			}
		}
		shuffled := rapid.Permutation(orders).Draw(t, "order")
		r := check(safety.Requirements{}, []andon.Position{p}, shuffled...)
		require.Equal(t, andon.NewDecimal(min(good, size), 1), r.Legs[0].Covered)
		require.Equal(t, andon.NewDecimal(size-min(good, size), 1), r.Legs[0].Uncovered)
		require.Equal(t, good >= size, r.Protected())
		require.Equal(t, check(safety.Requirements{}, []andon.Position{p}, orders...), r, "the venue's order of rows changes nothing")
	})
}

func TestComplaint5_ConditionalOrdersAreSeen(t *testing.T) {
	v := &twoListVenue{
		positions:   []andon.Position{held("BTC", andon.Net, "2")},
		conditional: []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "2")},
	}
	r, err := safety.ReadProtection(t.Context(), v, safety.Requirements{}, checkedAt)
	require.NoError(t, err)
	require.True(t, r.Protected(), "no false naked alarm")
	plan, err := safety.PlanProtection(r, stopPolicy)
	require.NoError(t, err)
	require.Empty(t, plan.Steps, "no second stop")
}

func TestOrdersAreReadBeforePositions(t *testing.T) {
	v := &twoListVenue{
		positions:   []andon.Position{held("BTC", andon.Net, "1")},
		conditional: []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "1")},
		onAnswer: func(v *twoListVenue, _ string, _ int) {
			v.positions = []andon.Position{held("BTC", andon.Net, "2")} // grows after the first answer
		},
	}
	r, err := safety.ReadProtection(context.Background(), v, safety.Requirements{}, checkedAt)
	require.NoError(t, err)
	require.False(t, r.Protected())
}

func TestProtectionReportForPeopleAndMachines(t *testing.T) {
	far := guard("far\x1b[2J", "BTC", andon.Net, andon.Sell, "2")
	far.Trigger = num("66.6")
	r := check(safety.Requirements{}, []andon.Position{held("BTC", andon.Net, "2"), held("ETH", andon.Net, "-1")},
		far, guard("good", "ETH", andon.Net, andon.Buy, "1"), guard("old", "SOL", andon.Net, andon.Sell, "1"))
	var b strings.Builder
	require.NoError(t, r.WriteTable(&b))
	require.Equal(t, `NOT PROTECTED: 1 of 2 open legs
twolist/BTC  2       mark 100             covered 0    NOT PROTECTED  naked: nothing covers 2
  far�[2J    sell 2  stop-market at 66.6  33.4 % away  no cover       too-far: its trigger 66.6 is 33.4 % away from the mark 100, at most 10 % is allowed
twolist/ETH  -1      mark 100             covered 1    protected
  good       buy 1   stop-market at 105   5 % away     covers
  old        sell 1  stop-market at 95                 no cover  orphan: there is no position on twolist/SOL
`, b.String())
	out, err := json.Marshal(r.Legs[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"leg":"twolist/ETH","quantity":"-1","entry":"100","mark":"100","protected":true,"covered":"1","uncovered":"0",
		"stops":[{"client_id":"good","venue_id":"v-good","leg":"twolist/ETH","side":"buy","kind":"stop-market","remaining":"1","trigger":"105",
		"status":"live","reduce_only":true,"distance":"0.05","covers":true}]}`, string(out))
	require.Equal(t, "NOT PROTECTED: nothing was read", safety.ProtectionReport{}.String())
	require.ErrorIs(t, r.WriteTable(brokenWriter{}), errWire)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errWire }
