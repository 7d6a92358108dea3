package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// world is a book and a venue that agree in everything but what was seeded, and what a
// comparison has to find.
type world struct {
	book    reconcile.Records
	venue   *account
	lookups map[string]*andon.Order // by client id; nil is "no such order"
	rules   reconcile.Rules

	want    []finding // discrepancies
	pending []finding
	left    []finding // those of want for which there is no repair
}

type finding struct {
	kind reconcile.Kind
	what string
}

// Lookup makes the world a Finder.
func (w *world) Lookup(_ context.Context, _, clientID string) (andon.Order, error) {
	o, known := w.lookups[clientID]
	switch {
	case !known:
		return andon.Order{}, errDown
	case o == nil:
		return andon.Order{}, fmt.Errorf("%s: %w", clientID, andon.ErrOrderNotFound)
	}
	return *o, nil
}

const (
	lot         = "0.01"
	minNotional = "5"
)

func genNumber(t *rapid.T, name string, low, high int64, places int) andon.Decimal {
	scale := int64(1)
	for range places {
		scale *= 10
	}
	return andon.NewDecimal(rapid.Int64Range(low*scale, high*scale).Draw(t, name), places)
}

// genWorld draws a world. Without faults both sides are the same.
func genWorld(t *rapid.T, faults bool) *world {
	w := &world{
		venue:   &account{window: window},
		lookups: map[string]*andon.Order{},
		rules: reconcile.Rules{
			Now: asked, InFlight: 5 * time.Second, StaleAfter: 30 * time.Minute,
			Instruments: map[string]andon.Instrument{},
		},
	}
	fault := func(n int) int {
		if !faults {
			return -1
		}
		return rapid.IntRange(-2, n-1).Draw(t, "fault")
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "legs") {
		w.addLeg(t, fmt.Sprintf("L%d", i), fault(len(legFaults)))
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "live orders") {
		w.addOrder(t, fmt.Sprintf("c%d", i), fault(len(orderFaults)))
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "balances") {
		w.addBalance(t, fmt.Sprintf("C%d", i), fault(len(balanceFaults)))
	}
	fills, reports := genOrders(t)
	w.venue.reports = append(w.venue.reports, reports...)
	if !faults {
		w.book.Fills = append(w.book.Fills, fills...)
		return w
	}
	fills, kinds := spoil(t, fills)
	w.book.Fills = append(w.book.Fills, fills...)
	for order, kind := range kinds {
		w.find(kind, "fills of order v/"+order)
	}
	return w
}

func (w *world) find(kind reconcile.Kind, what string) { w.want = append(w.want, finding{kind, what}) }

// leave is find for what no repair exists for.
func (w *world) leave(kind reconcile.Kind, what string) {
	w.find(kind, what)
	w.left = append(w.left, finding{kind, what})
}

func (w *world) wait(kind reconcile.Kind, what string) {
	w.pending = append(w.pending, finding{kind, what})
}

// legFaults change the rows of one leg, and say what is to be found.
var legFaults = []func(w *world, b, v *andon.Position, what string){
	func(w *world, b, v *andon.Position, what string) { // an explicit flat row is no position
		v.Quantity = andon.Decimal{}
		w.find(reconcile.Missing, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		b.Quantity = andon.Decimal{}
		w.find(reconcile.Unexpected, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		b.Quantity = b.Quantity.Add(b.Quantity)
		w.find(reconcile.Quantity, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		b.Quantity = b.Quantity.Neg()
		w.find(reconcile.WrongSide, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		v.Entry = v.Entry.Add(andon.NewDecimal(1, 8))
		w.find(reconcile.Price, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		twin := *v
		twin.Quantity = twin.Quantity.Add(twin.Quantity)
		w.venue.positions = append(w.venue.positions, twin)
		w.leave(reconcile.Duplicate, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		twin := *b
		twin.Entry = twin.Entry.Add(dec("1"))
		w.book.Positions = append(w.book.Positions, twin)
		w.find(reconcile.Duplicate, what)
	},
	func(w *world, b, v *andon.Position, what string) { // below the lot
		b.Quantity = b.Quantity.Add(dec("0.0099999"))
		w.find(reconcile.Dust, what)
	},
	func(w *world, b, v *andon.Position, what string) { // above the lot, below the minimum notional
		v.Quantity = v.Quantity.Sub(dec("0.02"))
		w.find(reconcile.Dust, what)
	},
	func(w *world, b, v *andon.Position, what string) { // all of it is dust
		b.Quantity, v.Quantity = andon.Decimal{}, dec("0.005")
		w.find(reconcile.Dust, what)
	},
	func(w *world, b, v *andon.Position, what string) {
		v.At = asked.Add(-31 * time.Minute)
		w.leave(reconcile.Stale, what)
	},
	func(w *world, b, v *andon.Position, what string) { // bought with the fee taken in what was bought
		w.rules.Instruments[b.Symbol] = andon.Instrument{Base: "BASE", Quote: "Q", Lot: dec(lot), MinNotional: dec(minNotional)}
		f := fill("fee-"+b.Symbol, "fee-"+b.Symbol, andon.Buy, "10", "1", "0.75")
		f.Symbol, f.Leg, f.FeeCurrency = b.Symbol, b.Leg, "BASE"
		w.book.Fills = append(w.book.Fills, f)
		w.venue.reports = append(w.venue.reports, mustReport(f))
		v.Quantity = b.Quantity.Sub(f.Fee)
		w.find(reconcile.Fee, what)
	},
	func(w *world, b, v *andon.Position, what string) { // a fill that the venue does not show yet
		b.Quantity, b.At = b.Quantity.Add(b.Quantity), asked.Add(-4*time.Second)
		w.wait(reconcile.Quantity, what)
	},
	func(w *world, b, v *andon.Position, what string) { // an order that the book knows, whose fill it does not
		w.book.Orders = append(w.book.Orders, andon.Order{
			ClientID: "young-" + b.Symbol, Venue: "v", Symbol: b.Symbol, Leg: b.Leg, Side: andon.Buy, Kind: andon.Market,
			Quantity: dec("1"), Status: andon.Live, At: asked.Add(-time.Second),
		})
		v.Quantity = v.Quantity.Add(dec("1"))
		w.wait(reconcile.Quantity, what)
		w.wait(reconcile.StateUnknown, "live order v/young-"+b.Symbol)
	},
}

func mustReport(f andon.Fill) reconcile.OrderReport {
	v, err := f.Value()
	if err != nil {
		panic(err)
	}
	return reconcile.OrderReport{
		ID: f.OrderID, Venue: f.Venue, Symbol: f.Symbol, Leg: f.Leg, Side: f.Side, Size: f.Quantity, Filled: f.Quantity,
		Value: v, Fee: f.Fee, FeeCurrency: f.FeeCurrency, Status: andon.Filled, At: f.At,
	}
}

func (w *world) addLeg(t *rapid.T, symbol string, fault int) {
	w.rules.Instruments[symbol] = andon.Instrument{Base: "X", Quote: "Q", Lot: dec(lot), MinNotional: dec(minNotional)}
	p := andon.Position{
		Venue: "v", Symbol: symbol, Leg: rapid.SampledFrom([]andon.Leg{andon.Net, andon.Long}).Draw(t, "leg"),
		Quantity: genNumber(t, "quantity", 2, 1000, 4), Entry: genNumber(t, "entry", 10, 200, 2), At: noon,
	}
	b, v := p, p
	v.At, v.Mark = asked, p.Entry // venues date the answer and mark what they hold
	if fault >= 0 {
		if p.Leg != andon.Net && fault == 3 { // the long leg has no other side
			fault = 2
		}
		legFaults[fault](w, &b, &v, reconcile.PositionKey(p.Key()).String())
	}
	w.book.Positions = append(w.book.Positions, b)
	w.venue.positions = append(w.venue.positions, v)
}

// orderFaults change the rows of one live order; false leaves that side's row out.
var orderFaults = []func(w *world, b, v *andon.Order, what string) (inBook, onVenue bool){
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // no look-up is possible
		b.ClientID, b.VenueID = "", b.ClientID
		w.leave(reconcile.StateUnknown, what)
		return true, false
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // it was filled
		done := *b
		done.Status, done.Filled, done.At = andon.Filled, done.Quantity, noon.Add(time.Minute)
		w.lookups[b.ClientID] = &done
		w.find(reconcile.State, what)
		return true, false
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // it was never taken
		w.lookups[b.ClientID] = nil
		w.find(reconcile.Missing, what)
		return true, false
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		w.find(reconcile.Unexpected, what)
		return false, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		v.Filled = dec("0.5")
		w.find(reconcile.Quantity, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		b.Side = b.Side.Opposite()
		w.find(reconcile.WrongSide, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		b.Leg = andon.Short
		w.find(reconcile.WrongLeg, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		v.Trigger = v.Trigger.Add(dec("0.01"))
		w.find(reconcile.Price, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		v.ReduceOnly = !v.ReduceOnly
		w.find(reconcile.Terms, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		b.Status = andon.Canceled
		w.find(reconcile.State, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) {
		twin := *b
		twin.Price = twin.Price.Add(dec("1"))
		w.book.Orders = append(w.book.Orders, twin)
		w.find(reconcile.Duplicate, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // just sent, not listed yet
		b.At = asked.Add(-time.Second)
		w.wait(reconcile.StateUnknown, what)
		return true, false
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // just filled in part
		v.Filled, v.At = dec("0.5"), asked.Add(-time.Second)
		w.wait(reconcile.Quantity, what)
		return true, true
	},
	func(w *world, b, v *andon.Order, what string) (bool, bool) { // a clock that is an hour ahead makes nothing young
		v.Filled, v.At = dec("0.5"), asked.Add(time.Hour)
		w.find(reconcile.Quantity, what)
		return true, true
	},
}

func (w *world) addOrder(t *rapid.T, id string, fault int) {
	symbol := "O-" + id
	w.rules.Instruments[symbol] = andon.Instrument{Base: "X", Quote: "Q"}
	o := andon.Order{
		ClientID: id, Venue: "v", Symbol: symbol, Side: rapid.SampledFrom([]andon.Side{andon.Buy, andon.Sell}).Draw(t, "side"),
		Kind: rapid.SampledFrom([]andon.Kind{andon.Limit, andon.StopLimit}).Draw(t, "kind"), Quantity: genNumber(t, "size", 1, 100, 3),
		Price: genNumber(t, "price", 1, 100, 2), Status: andon.Live, At: noon,
	}
	if o.Kind.Conditional() {
		o.Trigger = o.Price
	}
	b, v := o, o
	inBook, onVenue := true, true
	if fault >= 0 {
		inBook, onVenue = orderFaults[fault](w, &b, &v, reconcile.OrderKey(o).String())
	}
	if inBook {
		w.book.Orders = append(w.book.Orders, b)
	}
	if onVenue {
		w.venue.orders = append(w.venue.orders, v)
	}
}

var balanceFaults = []func(w *world, b, v *andon.Balance, what string){
	func(w *world, b, v *andon.Balance, what string) {
		*v = andon.Balance{Venue: "v", Currency: v.Currency}
		w.find(reconcile.Missing, what)
	},
	func(w *world, b, v *andon.Balance, what string) {
		*b = andon.Balance{Venue: "v", Currency: b.Currency}
		w.find(reconcile.Unexpected, what)
	},
	func(w *world, b, v *andon.Balance, what string) {
		b.Total = b.Total.Add(dec("0.01"))
		w.find(reconcile.Quantity, what)
	},
	func(w *world, b, v *andon.Balance, what string) {
		v.Reserved = v.Reserved.Add(dec("1"))
		w.find(reconcile.Quantity, what)
	},
	func(w *world, b, v *andon.Balance, what string) {
		v.Total = v.Total.Add(dec("0.0099"))
		w.find(reconcile.Dust, what)
	},
	func(w *world, b, v *andon.Balance, what string) {
		twin := *v
		twin.Total = twin.Total.Add(dec("1"))
		w.venue.balances = append(w.venue.balances, twin)
		w.leave(reconcile.Duplicate, what)
	},
}

func (w *world) addBalance(t *rapid.T, currency string, fault int) {
	w.rules.Instruments[currency] = andon.Instrument{Lot: dec(lot)}
	balance := andon.Balance{Venue: "v", Currency: currency, Total: genNumber(t, "total", 10, 1000, 6), Reserved: genNumber(t, "reserved", 0, 9, 2)}
	b, v := balance, balance
	if fault >= 0 {
		balanceFaults[fault](w, &b, &v, reconcile.BalanceKey(balance).String())
	}
	w.book.Balances = append(w.book.Balances, b)
	w.venue.balances = append(w.venue.balances, v)
}

// desk opens a Reconciler over the world; strict leaves out every tolerance.
func (w *world) desk(t require.TestingT, strict bool) *desk {
	d := &desk{venue: w.venue, book: &memoryBook{records: w.book}, log: &timeline{}}
	c := reconcile.Config{
		Venue: "v", Account: w.venue, History: w.venue, Finder: w, Book: d.book, Recorder: d.log, Balances: true,
		Log: slog.New(slog.DiscardHandler),
	}
	if strict {
		c.InFlight = time.Nanosecond
	} else {
		c.InFlight, c.StaleAfter, c.Instruments = w.rules.InFlight, w.rules.StaleAfter, w.rules.Instruments
	}
	r, err := reconcile.New(c)
	require.NoError(t, err)
	d.Reconciler = r
	return d
}

func findings(ds []reconcile.Discrepancy) []finding {
	var all []finding
	for _, d := range ds {
		all = append(all, finding{d.Kind, d.Key.String()})
	}
	return all
}

// TestLaw_CompareIsEmptyExactlyWhenTheSidesAreEqual changes at most one value of the
// whole world by the smallest step, with zero tolerance and nothing young.
func TestLaw_CompareIsEmptyExactlyWhenTheSidesAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t, false)
		tiny := andon.NewDecimal(1, 9)
		var values []*andon.Decimal
		for i := range w.venue.positions {
			values = append(values, &w.venue.positions[i].Quantity, &w.venue.positions[i].Entry)
		}
		for i := range w.venue.orders {
			values = append(values, &w.venue.orders[i].Quantity, &w.venue.orders[i].Price, &w.venue.orders[i].Trigger)
		}
		for i := range w.venue.balances {
			values = append(values, &w.venue.balances[i].Total, &w.venue.balances[i].Reserved)
		}
		for i := range w.venue.reports {
			values = append(values, &w.venue.reports[i].Filled, &w.venue.reports[i].Value, &w.venue.reports[i].Fee)
		}
		equal := true
		if len(values) > 0 && rapid.Bool().Draw(t, "change one") {
			v := rapid.SampledFrom(values).Draw(t, "value")
			*v = v.Add(tiny)
			equal = false
		}
		report, err := w.desk(t, true).Compare(context.Background(), asked)
		require.NoError(t, err)
		require.Equal(t, equal, len(report.Discrepancies()) == 0, "%v", report.Discrepancies())
		require.Equal(t, equal, report.Clean())
		require.Empty(t, report.Pending())
		require.Empty(t, report.Unknown())
	})
}

// TestLaw_EverySeededDiscrepancyIsClassifiedAndNothingElse seeds all kinds over all
// subjects, young ones among them.
func TestLaw_EverySeededDiscrepancyIsClassifiedAndNothingElse(t *testing.T) {
	seen := map[reconcile.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t, true)
		report, err := w.desk(t, false).Compare(context.Background(), asked)
		require.NoError(t, err)
		require.ElementsMatch(t, w.want, findings(report.Discrepancies()))
		require.ElementsMatch(t, w.pending, findings(report.Pending()))
		for _, f := range w.want {
			seen[f.kind]++
		}
	})
	all := 0
	for _, n := range seen {
		all += n
	}
	for k := reconcile.Missing; k <= reconcile.Dust && all > 500; k++ {
		require.NotZero(t, seen[k], "of %d seeded none was %v", all, k)
	}
}

func TestLaw_OrderAndRepeatedPagesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t, true)
		report, err := w.desk(t, false).Compare(context.Background(), asked)
		require.NoError(t, err)
		v := w.venue
		v.positions = repeat(t, v.positions)
		v.orders = repeat(t, v.orders)
		v.balances = repeat(t, v.balances)
		v.reports = repeat(t, v.reports)
		w.book = reconcile.Records{
			Positions: rapid.Permutation(w.book.Positions).Draw(t, "positions"), Orders: rapid.Permutation(w.book.Orders).Draw(t, "orders"),
			Fills: rapid.Permutation(w.book.Fills).Draw(t, "fills"), Balances: rapid.Permutation(w.book.Balances).Draw(t, "balances"),
		}
		again, err := w.desk(t, false).Compare(context.Background(), asked)
		require.NoError(t, err)
		require.Equal(t, texts(report.Discrepancies()), texts(again.Discrepancies()))
		require.Equal(t, texts(report.Pending()), texts(again.Pending()))
		for i := range report.Comparisons {
			a, b := report.Comparisons[i], again.Comparisons[i]
			require.Equal(t, []int{a.InBook, a.OnVenue, a.Agreed}, []int{b.InBook, b.OnVenue, b.Agreed}, "%v", a.Subject)
		}
	})
}

// repeat shuffles a venue's list and gives a page of it again.
func repeat[T any](t *rapid.T, rows []T) []T {
	if n := len(rows); n > 0 {
		rows = append(slices.Clone(rows), rows[rapid.IntRange(0, n-1).Draw(t, "page"):]...)
	}
	return rapid.Permutation(rows).Draw(t, "order")
}

// texts says what was found.
func texts(ds []reconcile.Discrepancy) []string {
	var all []string
	for _, d := range ds {
		all = append(all, d.String())
	}
	return all
}

// TestLaw9_APlanLeavesOnlyWhatNoRepairExistsFor plans and applies every seeded world,
// wants left exactly the kinds that nobody can repair from here, each with its reason,
// and wants the second Apply to change nothing.
func TestLaw9_APlanLeavesOnlyWhatNoRepairExistsFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t, true)
		d := w.desk(t, false)
		p := d.plan(t)
		var left []finding
		for _, l := range p.Left {
			require.NotEmpty(t, l.Why)
			left = append(left, finding{l.Kind, l.Key.String()})
		}
		require.ElementsMatch(t, w.left, left)

		before := d.book.records
		dry, err := d.Apply(context.Background(), p, reconcile.Approval{}, asked)
		require.NoError(t, err)
		require.True(t, dry.DryRun)
		require.Equal(t, len(p.Repairs), dry.Repairs)
		require.Equal(t, before, d.book.records, "a dry run changed the book")
		require.Empty(t, d.log.lines)

		result, err := d.apply(p)
		require.NoError(t, err)
		require.False(t, result.DryRun)
		require.Equal(t, len(p.Repairs), result.Repairs)
		report, err := d.Compare(context.Background(), asked)
		require.NoError(t, err)
		require.ElementsMatch(t, w.left, findings(report.Discrepancies()))
		require.ElementsMatch(t, w.pending, findings(report.Pending()), "what is pending is not repaired")

		after := d.book.records
		result, err = d.apply(p)
		require.NoError(t, err)
		require.True(t, result.Already || p.Empty())
		require.Equal(t, after, d.book.records)
	})
}
