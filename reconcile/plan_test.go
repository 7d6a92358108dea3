package reconcile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// TestRepairOfFills says, case by case, which rows a plan puts in place of which.
func TestRepairOfFills(t *testing.T) {
	a, b := fill("1", "o", andon.Buy, "1", "10", "0.1"), fill("2", "o", andon.Buy, "2", "10.5", "0.21")
	change := func(f andon.Fill, how func(*andon.Fill)) andon.Fill {
		how(&f)
		return f
	}
	for name, test := range map[string]struct {
		book   []andon.Fill
		venue  []andon.Fill // what the order really was
		action reconcile.Action
		after  []string // id quantity price fee
	}{
		"quantity of one": {
			[]andon.Fill{a, change(b, func(f *andon.Fill) { f.Quantity = dec("5") })},
			[]andon.Fill{a, b}, reconcile.Correct, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
		"price of one": {
			[]andon.Fill{change(a, func(f *andon.Fill) { f.Price = dec("100") }), b},
			[]andon.Fill{a, b}, reconcile.Correct, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
		"fee of one never booked": {
			[]andon.Fill{a, change(b, func(f *andon.Fill) { f.Fee, f.FeeCurrency = dec("0"), "" })},
			[]andon.Fill{a, b}, reconcile.BookFee, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
		"fee in another currency": {
			[]andon.Fill{a, change(b, func(f *andon.Fill) { f.FeeCurrency = "BTC" })},
			[]andon.Fill{a, b}, reconcile.Correct, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
		"one missing": {
			[]andon.Fill{a},
			[]andon.Fill{a, b}, reconcile.InsertFill, []string{"1 1 10 0.1", "andon 2 10.5 0.21"},
		},
		"all missing, average not exact": { // 31 for 3, in two lots that come to it exactly
			nil,
			[]andon.Fill{a, b}, reconcile.InsertFill,
			[]string{"andon 2 10.33333333 0.31", "andon 1 10.33333334 0"},
		},
		"side of one": {
			[]andon.Fill{a, change(b, func(f *andon.Fill) { f.Side = andon.Sell })},
			[]andon.Fill{a, b}, reconcile.Correct, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
		"a row too many": {
			[]andon.Fill{a, b, fill("3", "o", andon.Buy, "4", "99", "7")},
			[]andon.Fill{a, b}, reconcile.Rebook,
			[]string{"andon 2 10.33333333 0.31", "andon 1 10.33333334 0"},
		},
		"two under one id": {
			[]andon.Fill{a, b, change(b, func(f *andon.Fill) { f.Quantity = dec("9") })},
			[]andon.Fill{a, b}, reconcile.Correct, []string{"1 1 10 0.1", "2 2 10.5 0.21"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, reconcile.Records{Fills: test.book},
				&account{reports: []reconcile.OrderReport{reportOf(t, test.venue...)}, window: window})
			p := d.plan(t)
			require.Len(t, p.Repairs, 1)
			require.Equal(t, test.action, p.Repairs[0].Action, p.Repairs[0].Why)
			var after []string
			for _, f := range p.Repairs[0].Edit.Fills.After {
				id, _, _ := strings.Cut(f.ID, "-")
				after = append(after, strings.Join([]string{id, f.Quantity.String(), f.Price.String(), f.Fee.String()}, " "))
			}
			require.ElementsMatch(t, test.after, after)
			_, err := d.apply(p)
			require.NoError(t, err)
			d.requireClean(t)
		})
	}
}

func TestRepair_TheSameFillInsertedTwiceGetsTwoIDs(t *testing.T) {
	f := fill("1", "o", andon.Buy, "1", "10", "0.1")
	d := newDesk(t, reconcile.Records{}, &account{reports: []reconcile.OrderReport{reportOf(t, f)}, window: window})
	_, err := d.apply(d.plan(t))
	require.NoError(t, err)
	first := d.book.records.Fills[0].ID

	d.venue.reports = []reconcile.OrderReport{reportOf(t, f, f)} // another one just like it
	_, err = d.apply(d.plan(t))
	require.NoError(t, err)
	d.requireClean(t)
	require.Len(t, d.book.records.Fills, 2)
	require.True(t, slices.ContainsFunc(d.book.records.Fills, func(f andon.Fill) bool { return f.ID == first }))
}

func TestPlan_LeavesWhatOnlyALookUpOrASecondQueryCanTell(t *testing.T) {
	lost := andon.Order{ClientID: "c", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1"), Status: andon.Live}
	d := newDesk(t, reconcile.Records{Orders: []andon.Order{lost}},
		&account{positions: []andon.Position{position("A", "1", "2"), position("A", "2", "2")}})
	p := d.plan(t)
	require.True(t, p.Empty())
	require.Len(t, p.Left, 2)
	require.Equal(t, reconcile.Duplicate, p.Left[0].Kind)
	require.Contains(t, p.Left[0].Why, "ask it again")
	require.Equal(t, reconcile.StateUnknown, p.Left[1].Kind)
	require.Contains(t, p.Left[1].Why, "look it up")
	result, err := d.apply(p)
	require.NoError(t, err)
	require.Zero(t, result.Repairs)
}

func TestPlan_KeepsTheEntryPriceThatTheVenueDoesNotGive(t *testing.T) {
	d := newDesk(t, reconcile.Records{Positions: []andon.Position{position("A", "1", "5"), position("B", "-1", "5")}},
		&account{positions: []andon.Position{position("A", "2", "0"), position("B", "1", "0")}})
	_, err := d.apply(d.plan(t))
	require.NoError(t, err)
	d.requireClean(t)
	for _, p := range d.book.records.Positions {
		require.Equal(t, map[string]string{"A": "5", "B": "0"}[p.Symbol], p.Entry.String())
	}
}

func TestPlan_Table(t *testing.T) {
	d := newDesk(t, reconcile.Records{Positions: []andon.Position{position("A\x1b[2J", "1", "5")}},
		&account{positions: []andon.Position{position("B", "-2", "7")}})
	report, err := d.Compare(t.Context(), asked)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, report.WriteTable(&out))
	p, err := report.Plan()
	require.NoError(t, err)
	require.NoError(t, p.WriteTable(&out))
	require.NotContains(t, out.String(), "\x1b")
	var lines []string
	for line := range strings.Lines(strings.Replace(out.String(), p.ID, "PLAN", 1)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	require.Equal(t, []string{
		"venue v at 2026-03-01T13:00:00Z",
		"compared book venue agreed differ pending unknown repeats",
		"position 1 1 0 2 0 0 0",
		"live order 0 0 0 0 0 0 0",
		"fills of order 0 0 0 0 0 0 0",
		"kind what book venue",
		"missing position v/A [2J 1 none",
		"unexpected position v/B none -2",
		"PLAN",
		"venue v, facts of 2026-03-01T13:00:00Z, repairs of the book only: 2",
		"1 close out position v/A [2J the venue has no such position",
		"- 1 at 5",
		"2 adopt position v/B only the venue has it",
		"+ -2 at 7",
	}, lines)
}

func TestDecodePlan_BadInput(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "1", "2")}})
	var good bytes.Buffer
	require.NoError(t, d.plan(t).WriteJSON(&good))
	for name, test := range map[string]struct {
		give, want string
	}{
		"empty":         {"", "plan: line 1: EOF"},
		"not JSON":      {"\n\nyes", "plan: line 3"},
		"unknown field": {`{"idd":"x"}`, "idd"},
		"bad action":    {strings.Replace(good.String(), `"adopt"`, `"sell"`, 1), `action "sell"`},
		"bad amount":    {strings.Replace(good.String(), `"quantity": "1"`, `"quantity": "1,0"`, 1), "1,0"},
		"more after it": {good.String() + "{}", "more after the plan"},
		"cut off":       {good.String()[:good.Len()/2], "unexpected EOF"},
		"changed":       {strings.Replace(good.String(), `"quantity": "1"`, `"quantity": "2"`, 1), "altered"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reconcile.DecodePlan([]byte(test.give))
			require.ErrorContains(t, err, test.want)
		})
	}
}
