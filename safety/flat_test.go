package safety_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every combination of failing queries, over an account that is flat and over one that
// is not.
func TestLaw5_AFailedQueryNeverMeansFlat(t *testing.T) {
	queries := []string{"orders 1", "positions 1", "orders 2"}
	for failing := range 1 << len(queries) {
		for _, empty := range []bool{true, false} {
			v := &twoListVenue{fail: map[string]bool{}}
			if !empty {
				v.positions = []andon.Position{held("BTC", andon.Net, "1")}
				v.conditional = []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "1")}
			}
			for i, q := range queries {
				v.fail[q] = failing&(1<<i) != 0
			}
			r, err := safety.ReadFlat(t.Context(), v)
			require.Equal(t, failing == 0 && empty, r.Flat, "%b", failing)
			require.Equal(t, failing != 0, err != nil)
			for i, q := range queries {
				if failing&(1<<i) != 0 {
					require.ErrorIs(t, err, errWire)
					require.ErrorContains(t, err, strings.Fields(q)[0])
				}
			}
		}
	}
	require.False(t, safety.FlatReport{}.Flat)
}

// Any mixture of failures, positions, orders and states: flat only when all of it was
// read and nothing is there.
func TestLaw5_FlatOnlyWhenEverythingWasReadAndNothingIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := &twoListVenue{fail: map[string]bool{}}
		open := false
		for range rapid.IntRange(0, 2).Draw(t, "positions") {
			q := rapid.SampledFrom([]string{"0", "0.00000001", "-3"}).Draw(t, "quantity")
			leg := andon.Net
			if q[0] == '-' {
				leg = andon.Short
			}
			v.positions = append(v.positions, held("BTC", leg, q))
			open = open || q != "0"
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "orders") {
			o := guard(string(rune('a'+i)), "BTC", andon.Net, andon.Sell, "1")
			o.Status = rapid.SampledFrom([]andon.Status{andon.StatusUnknown, andon.Live, andon.Filled, andon.Canceled, andon.Rejected, 99}).Draw(t, "status")
			open = open || !o.Status.Done()
			if rapid.Bool().Draw(t, "conditional") {
				v.conditional = append(v.conditional, o)
			} else {
				o.Kind, o.Price, o.Trigger = andon.Limit, num("120"), andon.Decimal{}
				v.resting = append(v.resting, o)
			}
		}
		failed := false
		for _, q := range []string{"orders 1", "positions 1", "orders 2"} {
			v.fail[q] = rapid.IntRange(0, 3).Draw(t, q) == 0
			failed = failed || v.fail[q]
		}
		r, err := safety.ReadFlat(t.Context(), v)
		require.Equal(t, !open && !failed, r.Flat, "%v", r)
		require.Equal(t, failed, err != nil)
		require.Equal(t, r.Flat, r.String() == "flat")
	})
}

func TestLaw5_AnOrderThatFillsWhileReadingIsNotFlat(t *testing.T) {
	for name, change := range map[string]func(v *twoListVenue, what string, n int){
		"it fills after the positions were read": func(v *twoListVenue, what string, n int) {
			if what == "positions" {
				v.resting = nil
			}
		},
		"it is shown as filled after the positions were read": func(v *twoListVenue, what string, n int) {
			if what == "positions" {
				v.resting[0].Status = andon.Filled
			}
		},
		"it arrives after the first list was read": func(v *twoListVenue, what string, n int) {
			switch {
			case what == "orders" && n == 1:
				v.resting[0].Status = andon.Live
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := guard("o", "BTC", andon.Net, andon.Buy, "1")
			o.Kind, o.Price, o.Trigger = andon.Limit, num("90"), andon.Decimal{}
			v := &twoListVenue{resting: []andon.Order{o}, onAnswer: change}
			if strings.Contains(name, "arrives") {
				v.resting[0].Status = andon.Rejected
			}
			r, err := safety.ReadFlat(t.Context(), v)
			require.NoError(t, err)
			require.False(t, r.Flat)
			require.Len(t, r.Orders, 1)
		})
	}
}

func TestLaw5_ARowThatCannotBeRightIsAnError(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{{Venue: "twolist", Quantity: andon.Decimal{}}}}
	r, err := safety.ReadFlat(t.Context(), v)
	require.ErrorContains(t, err, "row 1")
	require.ErrorContains(t, err, "symbol is empty")
	require.False(t, r.Flat)
	require.Equal(t, "NOT KNOWN to be flat", r.String())
}

func TestLaw5_HedgeLegsThatCancelOutAreNotFlat(t *testing.T) {
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Long, "1"), held("BTC", andon.Short, "-1")}}
	r, err := safety.ReadFlat(t.Context(), v)
	require.NoError(t, err)
	require.False(t, r.Flat)
	require.Len(t, r.Positions, 2)
}

func TestFlatReportForPeople(t *testing.T) {
	v := &twoListVenue{
		positions:   []andon.Position{held("BTC", andon.Net, "1")},
		conditional: []andon.Order{guard("s", "BTC", andon.Net, andon.Sell, "1")},
	}
	r, err := safety.ReadFlat(t.Context(), v)
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, r.WriteTable(&b))
	require.Equal(t, `NOT FLAT: 1 positions, 1 live orders
position  twolist/BTC  1
order     twolist/BTC  sell 1  stop-market  live  s
`, b.String())
	require.ErrorIs(t, r.WriteTable(brokenWriter{}), errWire)

	r.Orders[0].Side = 0 // what is unknown can still be written down
	r.At = checkedAt
	out, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"2026-03-04T15:04:05Z","flat":false,"positions":[{"leg":"twolist/BTC","quantity":"1"}],
		"orders":[{"leg":"twolist/BTC","client_id":"s","venue_id":"v-s","side":"Side(0)","kind":"stop-market","remaining":"1","status":"live"}]}`, string(out))
}
