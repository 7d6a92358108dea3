package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Rules says what counts as a difference. With the zero Rules two amounts agree when
// they are the same number, and nothing is too young or too old to be judged.
type Rules struct {
	// Now is the moment of the comparison, by which the ages of rows are measured.
	Now time.Time

	// InFlight is how long an order or a fill may take to be seen by both sides. What
	// disagrees while one is younger than that, by the time in the row itself, is
	// pending and no discrepancy. A row without a time, and one from further in the
	// future than that, is not young.
	InFlight time.Duration

	// StaleAfter is how old the venue's row of a position may be, by its own time,
	// before it is Stale. Zero means that it is not judged, which is right for venues
	// whose rows carry the time of the last trade.
	StaleAfter time.Duration

	// Instruments has the tolerances, by symbol; for a balance by its currency. There
	// is none for what it does not name.
	Instruments map[string]Instrument
}

// Instrument is what a venue says of a symbol, as far as it limits what an order
// could put right. The zero Instrument has no tolerance.
type Instrument struct {
	// Base and Quote are the currencies, where the venue holds the symbol as a
	// currency; empty for derivatives. A position that differs from the venue's by
	// exactly the fees that were taken in Base is a Fee, not a Quantity.
	Base, Quote string

	// Lot is the smallest step of a quantity, in units of the base. A difference
	// below it is Dust.
	Lot andon.Decimal

	// MinNotional is the smallest value of an order, in units of the quote. A
	// difference whose value is below it, at the highest price that either side knows,
	// is Dust; where no price is known it is not.
	MinNotional andon.Decimal

	// EntryStep is the step to which the venue rounds an average entry price. Entry
	// prices that lie less than a step apart agree.
	EntryStep andon.Decimal
}

func (i Instrument) validate(name string) error {
	var errs []error
	for _, v := range []struct {
		name   string
		amount andon.Decimal
	}{{"Lot", i.Lot}, {"MinNotional", i.MinNotional}, {"EntryStep", i.EntryStep}} {
		if v.amount.Sign() < 0 {
			errs = append(errs, fmt.Errorf("Instruments: %s: %s: %v is negative", name, v.name, v.amount))
		}
	}
	return errors.Join(errs...)
}

// dust reports whether no order could make the difference good.
func (i Instrument) dust(difference andon.Decimal, prices ...andon.Decimal) bool {
	difference = difference.Abs()
	if difference.Less(i.Lot) {
		return true
	}
	var highest andon.Decimal
	for _, p := range prices {
		highest = highest.Max(p)
	}
	if highest.Sign() <= 0 {
		return false
	}
	value, err := difference.Mul(highest)
	return err == nil && value.Less(i.MinNotional) // what has no exact value here is not small
}

// young reports whether something may not have been seen by both sides yet.
func (r *Rules) young(at time.Time) bool {
	if r.InFlight <= 0 || at.IsZero() {
		return false
	}
	age := r.Now.Sub(at)
	return -r.InFlight < age && age < r.InFlight
}

// stale reports whether a venue's row is too old to be believed.
func (r *Rules) stale(at time.Time) bool {
	return r.StaleAfter > 0 && (at.IsZero() || r.Now.Sub(at) > r.StaleAfter)
}
