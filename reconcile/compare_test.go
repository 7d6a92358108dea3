package reconcile_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

func comparePositions(book, venue []andon.Position) reconcile.Comparison {
	keys := reconcile.NewKeys(len(book))
	b := keys.LoadPositions(book)
	return reconcile.ComparePositions(b, keys.LoadPositions(venue), reconcile.Rules{})
}

// genAmount draws a positive amount with up to eight decimals.
func genAmount(name string) *rapid.Generator[andon.Decimal] {
	return rapid.Custom(func(t *rapid.T) andon.Decimal {
		return andon.NewDecimal(rapid.Int64Range(1, 1e12).Draw(t, name), rapid.IntRange(0, 8).Draw(t, "decimals"))
	})
}

// genPositions draws distinct legs that are not flat, hedge legs among them.
func genPositions(t *rapid.T) []andon.Position {
	n := rapid.IntRange(0, 12).Draw(t, "legs")
	rows := make([]andon.Position, n)
	for i := range rows {
		leg := rapid.SampledFrom([]andon.Leg{andon.Net, andon.Long, andon.Short}).Draw(t, "leg")
		q := genAmount("quantity").Draw(t, "quantity")
		if leg == andon.Short || leg == andon.Net && rapid.Bool().Draw(t, "short") {
			q = q.Neg()
		}
		rows[i] = andon.Position{
			Venue: "v", Symbol: fmt.Sprintf("S%d", i), Leg: leg, Quantity: q, Entry: genAmount("entry").Draw(t, "entry"), At: noon,
		}
	}
	return rows
}

func TestComparePositions_EmptyExactlyWhenEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := genPositions(t)
		venue := slices.Clone(book)
		same := true
		for i := range venue {
			switch rapid.IntRange(0, 5).Draw(t, "change") {
			case 0:
				venue[i].Quantity = venue[i].Quantity.Add(andon.NewDecimal(int64(venue[i].Quantity.Sign()), 19-8))
				same = false
			case 1:
				venue[i].Entry = venue[i].Entry.Add(andon.NewDecimal(1, 8))
				same = false
			case 2: // what is not compared
				venue[i].Mark, venue[i].At = dec("7"), noon.Add(time.Hour)
			}
		}
		c := comparePositions(book, venue)
		require.Equal(t, same, len(c.Discrepancies) == 0, "%v", c.Discrepancies)
		require.Equal(t, same, c.Agreed == len(book))
	})
}

// TestComparePositions_SeededDiscrepanciesAndNothingElse spoils some legs, each in one
// way, and wants these findings and no other.
func TestComparePositions_SeededDiscrepanciesAndNothingElse(t *testing.T) {
	type finding struct {
		kind   reconcile.Kind
		symbol string
	}
	rapid.Check(t, func(t *rapid.T) {
		all := genPositions(t)
		var book, venue []andon.Position
		var want []finding
		for _, p := range all {
			b, v, kind := p, p, reconcile.Kind(0)
			switch rapid.IntRange(0, 8).Draw(t, "fault") {
			case 0:
				kind = reconcile.Missing
				v.Quantity = andon.Decimal{} // an explicit flat row is no position
			case 1:
				kind = reconcile.Unexpected
				b.Quantity = andon.Decimal{}
			case 2:
				kind, b.Quantity = reconcile.Quantity, b.Quantity.Add(b.Quantity)
			case 3:
				kind, b.Quantity = reconcile.WrongSide, b.Quantity.Neg()
			case 4:
				kind, b.Entry = reconcile.Price, andon.Decimal{}
			case 5:
				kind = reconcile.Duplicate
				twin := b
				twin.Quantity = twin.Quantity.Add(twin.Quantity)
				book = append(book, twin)
			}
			if !b.Quantity.IsZero() || rapid.Bool().Draw(t, "flat row") {
				book = append(book, b)
			}
			if !v.Quantity.IsZero() || rapid.Bool().Draw(t, "flat row") {
				venue = append(venue, v)
			}
			if kind != 0 {
				want = append(want, finding{kind, p.Symbol})
			}
		}
		var got []finding
		for _, d := range comparePositions(book, venue).Discrepancies {
			got = append(got, finding{d.Kind, d.Key.Symbol})
		}
		require.ElementsMatch(t, want, got)
	})
}

func TestComparePositions_OrderAndRepeatedPagesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, venue := genPositions(t), genPositions(t)
		want := comparePositions(book, venue)
		if n := len(venue); n > 0 { // a page that overlaps
			from := rapid.IntRange(0, n-1).Draw(t, "page")
			venue = append(venue, venue[from:]...)
			want.RepeatsOnVenue = n - from
		}
		got := comparePositions(rapid.Permutation(book).Draw(t, "book"), rapid.Permutation(venue).Draw(t, "venue"))
		// The evidence holds the repeated rows too; everything else is the same.
		for _, c := range []*reconcile.Comparison{&want, &got} {
			for i := range c.Discrepancies {
				v := &c.Discrepancies[i].Venue
				v.Positions = slices.CompactFunc(v.Positions, func(a, b andon.Position) bool { return a == b })
			}
		}
		require.Equal(t, want, got)
	})
}

func TestComparePositions_VenueWithoutPricesIsCounted(t *testing.T) {
	book := []andon.Position{position("A", "1", "100"), position("B", "2", "5")}
	venue := []andon.Position{position("A", "1", "0"), position("B", "2", "5")}
	c := comparePositions(book, venue)
	require.Empty(t, c.Discrepancies)
	require.Equal(t, 1, c.Unpriced)
}

func TestComparePositions_ASideWithoutAnswerHasNoTable(t *testing.T) {
	keys := reconcile.NewKeys(0)
	require.Panics(t, func() { reconcile.ComparePositions(keys.LoadPositions(nil), nil, reconcile.Rules{}) })
	require.Panics(t, func() {
		reconcile.ComparePositions(keys.LoadPositions(nil), reconcile.NewKeys(0).LoadPositions(nil), reconcile.Rules{})
	})
}

// genOrders draws orders with one to four fills each, and what the venue says of
// them.
func genOrders(t *rapid.T) (fills []andon.Fill, reports []reconcile.OrderReport) {
	for o := range rapid.IntRange(0, 8).Draw(t, "orders") {
		side := rapid.SampledFrom([]andon.Side{andon.Buy, andon.Sell}).Draw(t, "side")
		first := len(fills)
		for i := range rapid.IntRange(1, 4).Draw(t, "fills") {
			f := fill(fmt.Sprintf("f%d-%d", o, i), fmt.Sprintf("o%d", o), side, "1", "1", "0")
			f.Quantity = andon.NewDecimal(rapid.Int64Range(1, 1e8).Draw(t, "quantity"), 5)
			f.Price = andon.NewDecimal(rapid.Int64Range(1e6, 2e6).Draw(t, "price"), 2)
			f.Fee = andon.NewDecimal(rapid.Int64Range(-100, 1e6).Draw(t, "fee"), 6)
			f.At = noon.Add(time.Duration(i) * time.Second)
			fills = append(fills, f)
		}
		reports = append(reports, reportOf(t, fills[first:]...))
	}
	return fills, reports
}

// spoil damages at most one row of each order, and returns the book and the kinds
// that a comparison must find, by order.
func spoil(t *rapid.T, fills []andon.Fill) (book []andon.Fill, want map[string]reconcile.Kind) {
	want = map[string]reconcile.Kind{}
	size := map[string]int{}
	for _, f := range fills {
		size[f.OrderID]++
	}
	for _, f := range fills {
		fault := rapid.IntRange(0, 20).Draw(t, "fault")
		if want[f.OrderID] != 0 || fault > 6 {
			book = append(book, f)
			continue
		}
		switch fault {
		case 0:
			want[f.OrderID] = reconcile.Quantity
			if size[f.OrderID] == 1 {
				want[f.OrderID] = reconcile.Unexpected
			}
			continue
		case 1:
			want[f.OrderID], f.Quantity = reconcile.Quantity, f.Quantity.Add(genAmount("more").Draw(t, "more"))
		case 2:
			want[f.OrderID], f.Price = reconcile.Price, f.Price.Add(dec("0.5"))
		case 3:
			want[f.OrderID], f.Fee = reconcile.Fee, f.Fee.Sub(dec("0.000000001"))
		case 4:
			want[f.OrderID], f.Side = reconcile.WrongSide, f.Side.Opposite()
		case 5:
			want[f.OrderID], f.Symbol = reconcile.WrongLeg, "ETH-USD"
		case 6:
			want[f.OrderID] = reconcile.Duplicate
			twin := f
			twin.Fee = twin.Fee.Add(dec("1"))
			book = append(book, twin)
		}
		book = append(book, f)
	}
	return book, want
}

func TestCompareExecutions_SeededDiscrepanciesAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fills, reports := genOrders(t)
		book, want := spoil(t, fills)
		book = append(book, fill("x", "invented", andon.Buy, "1", "1", "0"))
		want["invented"] = reconcile.Missing
		c, err := reconcile.CompareExecutions(book, reports, window, reconcile.Rules{})
		require.NoError(t, err)
		got := map[string]reconcile.Kind{}
		for _, d := range c.Discrepancies {
			got[d.Key.Order] = d.Kind
		}
		require.Equal(t, want, got)
		require.Len(t, c.Discrepancies, len(want))
		require.Equal(t, len(reports)+1, c.Agreed+len(c.Discrepancies))
	})
}

func TestCompareExecutions_OrderAndRepeatedPagesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fills, reports := genOrders(t)
		book, _ := spoil(t, fills)
		want, err := reconcile.CompareExecutions(book, reports, window, reconcile.Rules{})
		require.NoError(t, err)
		n := len(reports)
		from := rapid.IntRange(0, n).Draw(t, "page")
		reports = append(reports, reports[from:]...)
		want.RepeatsOnVenue = n - from
		got, err := reconcile.CompareExecutions(
			rapid.Permutation(book).Draw(t, "book"), rapid.Permutation(reports).Draw(t, "venue"), window, reconcile.Rules{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestCompareExecutions_WhatTheVenueDoesNotSayIsUnknown(t *testing.T) {
	inside, outside := fill("1", "a", andon.Buy, "1", "10", "0"), fill("2", "b", andon.Buy, "1", "10", "0")
	outside.At = window.To
	straddling := []andon.Fill{fill("3", "c", andon.Buy, "1", "10", "0"), fill("4", "c", andon.Buy, "1", "10", "0")}
	straddling[1].At = window.To
	pending := fill("5", "d", andon.Buy, "1", "10", "0")
	report := reportOf(t, pending)
	report.Status = andon.StatusUnknown

	c, err := reconcile.CompareExecutions(append(straddling, inside, outside, pending), []reconcile.OrderReport{report}, window, reconcile.Rules{})
	require.NoError(t, err)
	require.Len(t, c.Discrepancies, 1)
	require.Equal(t, reconcile.Missing, c.Discrepancies[0].Kind)
	require.Equal(t, "a", c.Discrepancies[0].Key.Order)
	var unknown []string
	for _, u := range c.Unknown {
		unknown = append(unknown, u.Key.Order)
	}
	require.Equal(t, []string{"b", "c", "d"}, unknown)
}

func TestCompareExecutions_OneIdInTwoOrdersIsADuplicateOfBoth(t *testing.T) {
	a, b := fill("1", "a", andon.Buy, "1", "10", "0"), fill("1", "b", andon.Buy, "1", "10", "0")
	c, err := reconcile.CompareExecutions([]andon.Fill{a, b}, []reconcile.OrderReport{reportOf(t, a)}, window, reconcile.Rules{})
	require.NoError(t, err)
	require.Len(t, c.Discrepancies, 2)
	for _, d := range c.Discrepancies {
		require.Equal(t, reconcile.Duplicate, d.Kind)
	}
}

func TestCompareLiveOrders(t *testing.T) {
	resting := andon.Order{
		ClientID: "c1", Venue: "v", Symbol: "BTC-USD", Side: andon.Buy, Kind: andon.Limit,
		Quantity: dec("2"), Price: dec("100"), Status: andon.Live, At: noon,
	}
	change := func(f func(*andon.Order)) []andon.Order {
		o := resting
		f(&o)
		return []andon.Order{o}
	}
	same := []andon.Order{resting}
	for name, test := range map[string]struct {
		book, venue []andon.Order
		want        reconcile.Kind
	}{
		"equal":               {same, same, 0},
		"later, equal":        {same, change(func(o *andon.Order) { o.At = noon.Add(time.Hour) }), 0},
		"only the book":       {same, nil, reconcile.StateUnknown},
		"done in the book":    {change(func(o *andon.Order) { o.Status = andon.Filled }), nil, 0},
		"unknown in the book": {change(func(o *andon.Order) { o.Status = andon.StatusUnknown }), nil, reconcile.StateUnknown},
		"only the venue":      {nil, same, reconcile.Unexpected},
		"done, yet live":      {change(func(o *andon.Order) { o.Status = andon.Canceled }), same, reconcile.State},
		"another side":        {same, change(func(o *andon.Order) { o.Side = andon.Sell }), reconcile.WrongSide},
		"another leg":         {same, change(func(o *andon.Order) { o.Leg = andon.Long }), reconcile.WrongLeg},
		"partly filled":       {same, change(func(o *andon.Order) { o.Filled = dec("1") }), reconcile.Quantity},
		"another price":       {same, change(func(o *andon.Order) { o.Price = dec("100.1") }), reconcile.Price},
		"another trigger":     {same, change(func(o *andon.Order) { o.Trigger = dec("1") }), reconcile.Price},
		"reduce-only":         {same, change(func(o *andon.Order) { o.ReduceOnly = true }), reconcile.Terms},
		"another kind":        {same, change(func(o *andon.Order) { o.Kind = andon.StopLimit }), reconcile.Terms},
		"two in the book": {append(change(func(o *andon.Order) { o.Price = dec("1") }), resting), same,
			reconcile.Duplicate},
	} {
		t.Run(name, func(t *testing.T) {
			c := reconcile.CompareLiveOrders(test.book, test.venue, reconcile.Rules{})
			if test.want == 0 {
				require.Empty(t, c.Discrepancies)
				return
			}
			require.Len(t, c.Discrepancies, 1)
			require.Equal(t, test.want, c.Discrepancies[0].Kind)
		})
	}
}

// With the venue's word on done orders alone, nothing is said of positions: an account
// that was not asked is not flat.
func TestHistoryAloneComparesOnlyExecutionsAndIsNeverFlat(t *testing.T) {
	book := reconcile.NewFileBook(filepath.Join(t.TempDir(), "book"))
	require.NoError(t, book.Create(t.Context()))
	r, err := reconcile.New(reconcile.Config{Venue: "v", Book: book, History: &account{}})
	require.NoError(t, err)
	report, err := r.Compare(t.Context(), asked)
	require.NoError(t, err)
	require.Len(t, report.Comparisons, 1)
	require.Equal(t, reconcile.Executions, report.Comparisons[0].Subject)
	require.False(t, report.Flat(), "nobody was asked")
	_, err = reconcile.New(reconcile.Config{Venue: "v", Book: book})
	require.ErrorContains(t, err, "Account: is missing, and so is History")
}
