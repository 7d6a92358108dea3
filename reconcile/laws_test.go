package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

var errDown = errors.New("connection refused")

// TestLaw5_AFailedQueryIsNeverAnEmptyAnswer fails every subset of the queries, with
// and without rows beside the error, on a book that would look flat, clean or missing
// if an error were taken for an empty list.
func TestLaw5_AFailedQueryIsNeverAnEmptyAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		books := []reconcile.Records{{}, {
			Positions: []andon.Position{position("A", "1", "2")},
			Orders:    []andon.Order{{ClientID: "c", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1"), Status: andon.Live}},
			Fills:     []andon.Fill{fill("1", "o", andon.Buy, "1", "2", "0")},
		}}
		d := newDesk(t, rapid.SampledFrom(books).Draw(t, "book"), &account{window: window})
		broken := rapid.IntRange(1, 15).Draw(t, "broken") // a bit a query
		rows := rapid.Bool().Draw(t, "half an answer")
		failing := map[reconcile.Subject]bool{}
		if broken&1 != 0 {
			d.venue.failPositions, failing[reconcile.Positions] = errDown, true
			if rows {
				d.venue.positions = []andon.Position{position("B", "1", "2")}
			}
		}
		if broken&2 != 0 {
			d.venue.failOrders, failing[reconcile.LiveOrders] = errDown, true
		}
		if broken&4 != 0 {
			d.venue.failReports, failing[reconcile.Executions] = errDown, true
		}
		if broken&8 != 0 {
			d.book.fail = errDown
			failing[reconcile.Positions], failing[reconcile.LiveOrders], failing[reconcile.Executions] = true, true, true
		}
		report, err := d.Compare(context.Background(), asked)
		require.ErrorIs(t, err, reconcile.ErrUnanswered)
		require.ErrorIs(t, err, errDown)
		require.False(t, report.Clean())
		require.False(t, report.Flat())
		for _, c := range report.Comparisons {
			require.False(t, failing[c.Subject], "%v compared without an answer", c.Subject)
		}
		for _, found := range report.Discrepancies() {
			require.False(t, failing[found.Key.Subject], "%v", found)
		}
		_, err = report.Plan()
		require.ErrorIs(t, err, reconcile.ErrUnanswered)
	})
}

func TestLaw5_ARowThatCannotBeRightSpoilsItsAnswer(t *testing.T) {
	bad := position("A", "1", "2")
	bad.Leg = andon.Short // positive on the short leg
	foreign := position("A", "1", "2")
	foreign.Venue = "elsewhere"
	done := andon.Order{VenueID: "1", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1"), Status: andon.Filled}
	sideless := reconcile.OrderReport{ID: "1", Venue: "v", Symbol: "A", Status: andon.Filled}
	for name, venue := range map[string]*account{
		"position of the wrong sign":    {positions: []andon.Position{bad}},
		"position of another venue":     {positions: []andon.Position{foreign}},
		"done order among live ones":    {orders: []andon.Order{done}},
		"live order without an id":      {orders: []andon.Order{{Venue: "v"}}},
		"report that says no side":      {reports: []reconcile.OrderReport{sideless}},
		"report with value, no filling": {reports: []reconcile.OrderReport{{ID: "1", Venue: "v", Symbol: "A", Side: andon.Buy, Value: dec("1")}}},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := newDesk(t, reconcile.Records{}, venue).Compare(t.Context(), asked)
			query, ok := errors.AsType[*reconcile.QueryError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, reconcile.VenueSide, query.Side)
			require.False(t, report.Clean())
			require.False(t, report.Flat())
		})
	}
}

// moment gives a flat account, but for what happens after its first queries.
type moment struct {
	asked     int
	orders    func(asked int) []andon.Order
	positions func(asked int) []andon.Position
}

func (m *moment) Orders(context.Context) ([]andon.Order, error) {
	m.asked++
	return m.orders(m.asked), nil
}

func (m *moment) Positions(context.Context) ([]andon.Position, error) {
	m.asked++
	return m.positions(m.asked), nil
}

func (m *moment) Balances(context.Context) ([]andon.Balance, error) { return nil, nil }

func TestLaw5_WhatHappensBetweenTheQueriesIsNotFlat(t *testing.T) {
	entry := andon.Order{Venue: "v", Symbol: "BTC-USD", ClientID: "bid", Side: andon.Buy, Kind: andon.Limit, Quantity: dec("1"), Price: dec("9"), Status: andon.Live, At: noon}
	none := func(int) []andon.Position { return nil }
	for name, a := range map[string]*moment{
		"an order fills": {
			orders: func(asked int) []andon.Order {
				if asked == 1 {
					return []andon.Order{entry}
				}
				return nil
			},
			positions: func(asked int) []andon.Position {
				if asked == 1 {
					return nil
				}
				return []andon.Position{position("BTC-USD", "1", "9")}
			},
		},
		"an order comes": {orders: func(asked int) []andon.Order {
			if asked < 3 {
				return nil
			}
			return []andon.Order{entry}
		}, positions: none},
	} {
		r, err := reconcile.New(reconcile.Config{Venue: "v", Account: a, Book: &memoryBook{}})
		require.NoError(t, err)
		report, err := r.Compare(t.Context(), asked)
		require.NoError(t, err)
		require.False(t, report.Flat(), name)
	}
	quiet := &moment{orders: func(int) []andon.Order { return nil }, positions: none}
	r, err := reconcile.New(reconcile.Config{Venue: "v", Account: quiet, Book: &memoryBook{}})
	require.NoError(t, err)
	report, err := r.Compare(t.Context(), asked)
	require.NoError(t, err)
	require.True(t, report.Flat())
}

func TestLaw5_FlatNeedsBothLists(t *testing.T) {
	stop := andon.Order{VenueID: "1", Venue: "v", Symbol: "A", Side: andon.Sell, Kind: andon.StopMarket, Quantity: dec("1"), Trigger: dec("3"), Status: andon.Live}
	for name, test := range map[string]struct {
		venue *account
		flat  bool
	}{
		"nothing at all":      {&account{}, true},
		"an explicit zero":    {&account{positions: []andon.Position{position("A", "0", "0")}}, true},
		"a position":          {&account{positions: []andon.Position{position("A", "1", "0")}}, false},
		"a conditional order": {&account{orders: []andon.Order{stop}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := newDesk(t, reconcile.Records{}, test.venue).Compare(t.Context(), asked)
			require.NoError(t, err)
			require.Equal(t, test.flat, report.Flat())
		})
	}
	require.False(t, (*reconcile.Report)(nil).Flat())
	require.False(t, (&reconcile.Report{}).Flat())
	require.False(t, (&reconcile.Report{}).Clean())
}

// TestTheVenueCannotBeTraded: what a Reconciler holds of the venue has no method that
// changes anything.
func TestTheVenueCannotBeTraded(t *testing.T) {
	venue, _ := reflect.TypeFor[reconcile.Config]().FieldByName("Account")
	require.Equal(t, reflect.TypeFor[andon.Account](), venue.Type)
	trader := reflect.TypeFor[andon.Trader]()
	for method := range trader.Methods() {
		_, ok := venue.Type.MethodByName(method.Name)
		require.False(t, ok, "%s", method.Name)
	}
}

// genDesk draws a book that differs from its venue in positions and fills.
func genDesk(t *rapid.T) *desk {
	fills, reports := genOrders(t)
	book, _ := spoil(t, fills)
	book = append(book, fill("x", "invented", andon.Buy, "1", "1", "0"))
	return newDesk(t,
		reconcile.Records{Positions: genPositions(t), Fills: book},
		&account{positions: genPositions(t), reports: reports, window: window})
}

func TestLaw9_APlanAppliedLeavesCleanAndASecondTimeChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDesk(t)
		p := d.plan(t)
		require.Empty(t, p.Left)
		var stored bytes.Buffer
		require.NoError(t, p.WriteJSON(&stored))
		p, err := reconcile.DecodePlan(stored.Bytes())
		require.NoError(t, err)

		result, err := d.apply(p)
		require.NoError(t, err)
		require.Equal(t, len(p.Repairs), result.Repairs)
		require.False(t, result.Already)
		d.requireClean(t)

		after := d.book.records
		d.venue.failPositions = errDown // no fact matters any more
		result, err = d.apply(p)
		require.NoError(t, err)
		require.True(t, result.Already)
		require.Zero(t, result.Repairs)
		require.Equal(t, after, d.book.records)
	})
}

// TestLaw9_ApplyRefusesMovedFacts moves, one at a time, everything that a plan may rest
// on.
func TestLaw9_ApplyRefusesMovedFacts(t *testing.T) {
	whole := []andon.Fill{fill("1", "o", andon.Buy, "1", "10", "0.1"), fill("2", "o", andon.Buy, "2", "10", "0.2")}
	invented := fill("9", "p", andon.Buy, "1", "10", "0")
	base := func() *desk {
		return newDesk(t,
			reconcile.Records{
				Positions: []andon.Position{position("A", "1", "5"), position("GONE", "3", "5")},
				Fills:     []andon.Fill{whole[0], invented},
			},
			&account{
				positions: []andon.Position{position("A", "2", "5"), position("B", "1", "7")},
				orders: []andon.Order{{
					VenueID: "77", Venue: "v", Symbol: "A", Side: andon.Sell, Kind: andon.StopMarket,
					Quantity: dec("2"), Trigger: dec("4"), Status: andon.Live,
				}},
				reports: []reconcile.OrderReport{reportOf(t, whole...)},
				window:  window,
			})
	}
	for name, test := range map[string]struct {
		move func(d *desk)
		side reconcile.Side
		key  string
	}{
		"venue: quantity":          {func(d *desk) { d.venue.positions[0].Quantity = dec("3") }, reconcile.VenueSide, "position v/A"},
		"venue: entry":             {func(d *desk) { d.venue.positions[1].Entry = dec("8") }, reconcile.VenueSide, "position v/B"},
		"venue: closed":            {func(d *desk) { d.venue.positions = d.venue.positions[1:] }, reconcile.VenueSide, "position v/A"},
		"venue: opened":            {func(d *desk) { d.venue.positions = append(d.venue.positions, position("GONE", "3", "5")) }, reconcile.VenueSide, "position v/GONE"},
		"venue: live order gone":   {func(d *desk) { d.venue.orders = nil }, reconcile.VenueSide, "live order v/77"},
		"venue: fee of the order":  {func(d *desk) { d.venue.reports[0].Fee = dec("1") }, reconcile.VenueSide, "fills of order v/o"},
		"venue: order not listed":  {func(d *desk) { d.venue.reports = nil }, reconcile.VenueSide, "fills of order v/o"},
		"venue: window moved on":   {func(d *desk) { d.venue.window.From = noon.Add(1) }, reconcile.VenueSide, "fills of order v/p"},
		"book: quantity":           {func(d *desk) { d.book.records.Positions[0].Quantity = dec("7") }, reconcile.BookSide, "position v/A"},
		"book: row gone":           {func(d *desk) { d.book.records.Positions = d.book.records.Positions[:1] }, reconcile.BookSide, "position v/GONE"},
		"book: adopted by another": {func(d *desk) { d.book.records.Positions = append(d.book.records.Positions, position("B", "1", "7")) }, reconcile.BookSide, "position v/B"},
		"book: fill came late":     {func(d *desk) { d.book.records.Fills = append(d.book.records.Fills, whole[1]) }, reconcile.BookSide, "fills of order v/o"},
	} {
		t.Run(name, func(t *testing.T) {
			d := base()
			p := d.plan(t)
			require.Len(t, p.Repairs, 6)
			test.move(d)
			before := d.book.records
			_, err := d.apply(p)
			require.ErrorIs(t, err, reconcile.ErrMoved)
			moved, ok := errors.AsType[*reconcile.MovedError](err)
			require.True(t, ok)
			require.Equal(t, test.side, moved.Side)
			require.Equal(t, test.key, moved.Key.String())
			require.NotEqual(t, moved.Was, moved.Now)
			require.Equal(t, before, d.book.records)
		})
	}
	t.Run("mark, time and repeats move by themselves", func(t *testing.T) {
		d := base()
		p := d.plan(t)
		d.venue.positions[0].Mark, d.venue.positions[0].At = dec("9"), noon.Add(1)
		d.venue.positions = append(d.venue.positions, d.venue.positions...)
		d.venue.reports = append(d.venue.reports, d.venue.reports...)
		_, err := d.apply(p)
		require.NoError(t, err)
	})
}

func TestLaw9_ApplyRefusesWhatCannotBeReadAgain(t *testing.T) {
	for name, fail := range map[string]func(d *desk){
		"positions":   func(d *desk) { d.venue.failPositions = errDown },
		"live orders": func(d *desk) { d.venue.failOrders = errDown },
		"done orders": func(d *desk) { d.venue.failReports = errDown },
		"book":        func(d *desk) { d.book.fail = errDown },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "1", "2")}})
			p := d.plan(t)
			fail(d)
			_, err := d.apply(p)
			require.ErrorIs(t, err, reconcile.ErrUnanswered)
			require.ErrorIs(t, err, errDown)
			require.Empty(t, d.book.records.Positions)
		})
	}
}

func TestLaw9_AnAlteredPlanIsRefused(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "1", "2")}})
	for name, alter := range map[string]func(p *reconcile.Plan){
		"amount":     func(p *reconcile.Plan) { p.Repairs[0].Edit.Positions.After[0].Quantity = dec("9") },
		"fact":       func(p *reconcile.Plan) { p.Facts[0].Says = "none" },
		"dropped":    func(p *reconcile.Plan) { p.Repairs, p.Facts = nil, nil },
		"made whole": func(p *reconcile.Plan) { p.ID = "plan-1" },
	} {
		t.Run(name, func(t *testing.T) {
			p := d.plan(t)
			alter(p)
			_, err := d.apply(p)
			require.ErrorIs(t, err, reconcile.ErrAltered)
			require.Empty(t, d.book.records.Positions)
		})
	}
}

func TestLaw10_ApplyWaitsForANamedPersonAndTheRecord(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "1", "2")}})
	p := d.plan(t)

	_, err := d.Apply(t.Context(), p, reconcile.Approval{By: " ", Note: "x", Commit: true}, noon)
	require.ErrorIs(t, err, reconcile.ErrNotApproved)

	d.log.fail = errDown
	_, err = d.apply(p)
	require.ErrorIs(t, err, reconcile.ErrNotRecorded)
	require.ErrorIs(t, err, errDown)
	require.Empty(t, d.book.records.Positions)

	silent, err := reconcile.New(reconcile.Config{Venue: "v", Account: d.venue, Book: d.book})
	require.NoError(t, err)
	_, err = silent.Apply(t.Context(), p, reconcile.Approval{By: "ada", Commit: true}, noon)
	require.ErrorIs(t, err, reconcile.ErrNotRecorded)
	require.Empty(t, d.book.records.Positions)

	d.log.fail = nil
	_, err = d.apply(p)
	require.NoError(t, err)
	require.Len(t, d.book.records.Positions, 1)
	line := "2026-03-01T12:01:00Z ada: reconciliation of v, 1 repairs, " + p.ID
	require.Equal(t, []string{
		line + ": approved, about to be applied (looked at it)", line + ": applied (looked at it)",
	}, d.log.lines)
}

// TestLaw10_TheRecordComesBeforeTheChange looks at the book at the moment in which the
// approval is recorded.
func TestLaw10_TheRecordComesBeforeTheChange(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "1", "2")}})
	p := d.plan(t)
	witness := &witness{book: d.book}
	r, err := reconcile.New(reconcile.Config{Venue: "v", Account: d.venue, Book: d.book, Recorder: witness, History: d.venue})
	require.NoError(t, err)
	_, err = r.Apply(t.Context(), p, reconcile.Approval{By: "ada", Commit: true}, noon)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, witness.positions)
}
