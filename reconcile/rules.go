package reconcile

import (
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
	//
	// A difference below Lot is Dust, and so is one whose value, at the highest price that
	// either side knows, is below MinNotional; where no price is known it is not. Entry
	// prices that lie less than an EntryStep apart agree. A position that differs from the
	// venue's by exactly the fees that were taken in Base is a Fee, not a Quantity.
	Instruments map[string]andon.Instrument

	// took is how long after Now the sides were read: what happened meanwhile is young.
	took time.Duration
}

// dust reports whether no order could make the difference good.
func dust(i andon.Instrument, difference andon.Decimal, prices ...andon.Decimal) bool {
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
	return -r.InFlight-r.took < age && age < r.InFlight
}

// stale reports whether a venue's row is too old to be believed.
func (r *Rules) stale(at time.Time) bool {
	return r.StaleAfter > 0 && (at.IsZero() || r.Now.Sub(at) > r.StaleAfter)
}
