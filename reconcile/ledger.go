package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// EntryPlaces is how many digits an average entry price keeps after the point when
// it has no exact value; it is rounded half to even then, and nothing else ever is.
const EntryPlaces = 8

// Ledger is what a list of fills comes to. Every sum in it is exact.
type Ledger struct {
	// Positions has every leg that is not flat, ordered by venue, symbol and leg, with
	// the signed sum of its fills. Fees are not taken out of the quantity, whatever
	// their currency.
	Positions []andon.Position

	// Rounded are the legs of Positions whose entry price was rounded on the way.
	Rounded []andon.LegKey

	// Orders has the totals of every order, ordered by venue and order id.
	Orders []OrderTotal

	// Fees has the sum of all fees in each currency, ordered by currency.
	Fees []Amount

	Fills   int // different fills
	Repeats int // rows that were there before with the same content
}

// Amount is money in one currency.
type Amount struct {
	Currency string        `json:"currency"`
	Amount   andon.Decimal `json:"amount"`
}

// OrderTotal is what the fills of one order come to.
type OrderTotal struct {
	Venue   string `json:"venue"`
	OrderID string `json:"order_id"`

	Size  andon.Decimal `json:"size"`  // sum of the quantities
	Value andon.Decimal `json:"value"` // sum of quantity × price
	Fees  []Amount      `json:"fees"`  // ordered by currency, zero sums left out
	Fills int           `json:"fills"`
	First time.Time     `json:"first"` // time of the earliest fill
	Last  time.Time     `json:"last"`  // time of the latest fill
}

// Derive builds positions, order totals and fees from fills alone. The same fill
// given twice counts once.
//
// The entry price of a leg is the average over the fills that opened and enlarged it,
// in the order of their times; a fill that makes it smaller leaves the entry as it is,
// and one that turns it over starts again at its own price. See EntryPlaces.
//
// Fills that cannot be right, the same id with other content (ErrConflict) and sums that
// do not fit a Decimal are errors that name the fill.
func Derive(fills []andon.Fill) (*Ledger, error) {
	unique, repeats, err := uniqueFills(fills)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Fills: len(unique), Repeats: repeats}
	if err := l.derivePositions(unique); err != nil {
		return nil, err
	}
	if err := l.deriveOrders(unique); err != nil {
		return nil, err
	}
	l.Fees = feesOf(unique)
	return l, nil
}

type fillID struct{ venue, id string }

// uniqueFills returns the fills in the order of their times.
func uniqueFills(fills []andon.Fill) (unique []andon.Fill, repeats int, err error) {
	var errs []error
	seen := make(map[fillID]int, len(fills))
	for _, f := range fills {
		if err := f.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		i, ok := seen[fillID{f.Venue, f.ID}]
		switch {
		case !ok:
			seen[fillID{f.Venue, f.ID}] = len(unique)
			unique = append(unique, f)
		case sameFill(unique[i], f):
			repeats++
		default:
			errs = append(errs, &ConflictError{ID: f.ID, Have: fillSays(unique[i]), Got: fillSays(f)})
		}
	}
	if len(errs) > 0 {
		return nil, 0, errors.Join(errs...)
	}
	sortFills(unique)
	return unique, repeats, nil
}

// sortFills orders by time and then by id, so that numbers count as numbers.
func sortFills(fills []andon.Fill) {
	slices.SortFunc(fills, func(a, b andon.Fill) int {
		c := cmp.Or(a.At.Compare(b.At), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
		if c == 0 { // two rows under one id
			c = strings.Compare(rowText(a), rowText(b))
		}
		return c
	})
}

func sameFill(a, b andon.Fill) bool {
	at := a.At.Equal(b.At)
	a.At, b.At = time.Time{}, time.Time{}
	equal := a.Quantity.Equal(b.Quantity) && a.Price.Equal(b.Price) && a.Fee.Equal(b.Fee)
	a.Quantity, a.Price, a.Fee = b.Quantity, b.Price, b.Fee
	return at && equal && a == b
}

func fillSays(f andon.Fill) string {
	return fmt.Sprintf("%v %v %v at %v, fee %v %s", f.Side, f.Quantity, f.Key(), f.Price, f.Fee, f.FeeCurrency)
}

func (l *Ledger) derivePositions(fills []andon.Fill) error {
	legs := map[andon.LegKey]andon.Position{}
	rounded := map[andon.LegKey]bool{}
	for _, f := range fills {
		before := legs[f.Key()]
		p, inexact, err := AddFill(before, f)
		if err != nil {
			return err
		}
		opened := before.Quantity.Sign() != p.Quantity.Sign()
		legs[f.Key()] = p
		rounded[f.Key()] = inexact || rounded[f.Key()] && !opened
	}
	for key, p := range legs {
		if p.Quantity.IsZero() {
			continue
		}
		l.Positions = append(l.Positions, p)
		if rounded[key] {
			l.Rounded = append(l.Rounded, key)
		}
	}
	slices.SortFunc(l.Positions, func(a, b andon.Position) int {
		return PositionKey(a.Key()).compare(PositionKey(b.Key()))
	})
	slices.SortFunc(l.Rounded, func(a, b andon.LegKey) int { return PositionKey(a).compare(PositionKey(b)) })
	return nil
}

// AddFill returns the position after one more fill, by the rule of Derive, and
// whether its entry price had to be rounded by this fill. The zero Position is a
// leg without any fill. A position whose entry price is not known keeps it so until
// the leg has been flat.
func AddFill(p andon.Position, f andon.Fill) (next andon.Position, rounded bool, err error) {
	if p.Venue == "" {
		p.Venue, p.Symbol, p.Leg = f.Venue, f.Symbol, f.Leg
	}
	if p.Key() != f.Key() {
		return p, false, fmt.Errorf("fill %q is of %v, not of %v", f.ID, f.Key(), p.Key())
	}
	next = p
	next.Quantity = p.Quantity.Add(f.Signed())
	if f.At.After(p.At) {
		next.At = f.At
	}
	switch {
	case next.Quantity.IsZero():
		next.Entry = andon.Decimal{}
	case p.Quantity.Sign() != next.Quantity.Sign(): // opened, or turned over
		next.Entry = f.Price
	case p.Quantity.Sign() == f.Side.Sign() && p.Entry.Sign() > 0:
		next.Entry, rounded, err = averageEntry(p, f, next.Quantity)
	}
	if err == nil {
		err = next.Validate()
	}
	if err != nil {
		return p, false, fmt.Errorf("fill %q on %v: %w", f.ID, p.Key(), err)
	}
	return next, rounded, nil
}

func averageEntry(p andon.Position, f andon.Fill, total andon.Decimal) (andon.Decimal, bool, error) {
	held, err := p.Quantity.Abs().Mul(p.Entry)
	if err != nil {
		return andon.Decimal{}, false, err
	}
	added, err := f.Value()
	if err != nil {
		return andon.Decimal{}, false, err
	}
	cost := held.Add(added)
	entry, err := cost.Quo(total.Abs(), EntryPlaces, andon.Exact)
	if err == nil || !errors.Is(err, andon.ErrInexact) {
		return entry, false, err
	}
	entry, err = cost.Quo(total.Abs(), EntryPlaces, andon.HalfEven)
	return entry, true, err
}

func (l *Ledger) deriveOrders(fills []andon.Fill) error {
	byOrder := map[Key][]andon.Fill{}
	for _, f := range fills {
		byOrder[FillKey(f)] = append(byOrder[FillKey(f)], f)
	}
	for _, fs := range byOrder {
		t, err := totalOf(fs)
		if err != nil {
			return err
		}
		l.Orders = append(l.Orders, t)
	}
	slices.SortFunc(l.Orders, func(a, b OrderTotal) int {
		return cmp.Or(cmp.Compare(a.Venue, b.Venue), cmp.Compare(a.OrderID, b.OrderID))
	})
	return nil
}

// totalOf sums fills of one order; there is at least one.
func totalOf(fills []andon.Fill) (OrderTotal, error) {
	key := FillKey(fills[0])
	t := OrderTotal{Venue: key.Venue, OrderID: key.Order, Fills: len(fills), First: fills[0].At, Last: fills[0].At}
	for _, f := range fills {
		v, err := f.Value()
		if err != nil {
			return t, fmt.Errorf("fill %q: value: %w", f.ID, err)
		}
		t.Size, t.Value = t.Size.Add(f.Quantity), t.Value.Add(v)
		if f.At.Before(t.First) {
			t.First = f.At
		}
		if f.At.After(t.Last) {
			t.Last = f.At
		}
	}
	t.Fees = feesOf(fills)
	return t, nil
}

func feesOf(fills []andon.Fill) []Amount {
	sums := map[string]andon.Decimal{}
	for _, f := range fills {
		sums[f.FeeCurrency] = sums[f.FeeCurrency].Add(f.Fee)
	}
	var fees []Amount
	for currency, sum := range sums {
		if !sum.IsZero() {
			fees = append(fees, Amount{currency, sum})
		}
	}
	slices.SortFunc(fees, func(a, b Amount) int { return cmp.Compare(a.Currency, b.Currency) })
	return fees
}
