package reconcile

import (
	"github.com/andon-go/andon"
)

// judge is Rules with what the rows of the other subjects say.
type judge struct {
	Rules

	// moving are the legs on which an order or a fill is young, and fees the
	// currencies in which a young fill was charged.
	moving map[andon.LegKey]bool
	fees   map[string]bool

	// baseFees are what the fills in the book cost in the base of their symbol.
	baseFees map[andon.LegKey]andon.Decimal

	// found is what the venue said of orders that were looked up by their id, nil
	// where it knows none.
	found map[Key]*andon.Order
}

func newJudge(rules Rules, book Records, venue answers) *judge {
	j := &judge{
		Rules: rules, found: venue.found,
		moving: map[andon.LegKey]bool{}, fees: map[string]bool{}, baseFees: map[andon.LegKey]andon.Decimal{},
	}
	for _, orders := range [][]andon.Order{book.Orders, venue.orders} {
		for _, o := range orders {
			if j.young(o.At) {
				j.moving[o.Key()] = true
			}
		}
	}
	for _, o := range venue.found {
		if o != nil && j.young(o.At) {
			j.moving[o.Key()] = true
		}
	}
	for _, r := range venue.reports {
		if j.young(r.At) {
			j.moving[andon.LegKey{Venue: r.Venue, Symbol: r.Symbol, Leg: r.Leg}] = true
			j.fees[r.FeeCurrency] = true
		}
	}
	j.readFills(book.Fills)
	return j
}

func (j *judge) readFills(fills []andon.Fill) {
	seen := map[fillID]bool{}
	for i := range fills {
		f := &fills[i]
		if j.young(f.At) {
			j.moving[f.Key()] = true
			j.fees[f.FeeCurrency] = true
		}
		if base := j.Instruments[f.Symbol].Base; base != "" && f.FeeCurrency == base && !seen[fillID{f.Venue, f.ID}] {
			seen[fillID{f.Venue, f.ID}] = true
			j.baseFees[f.Key()] = j.baseFees[f.Key()].Add(f.Fee)
		}
	}
}

// movingCurrency reports whether a young order or fill may still move a balance. One
// on a symbol whose currencies are not known may move any.
func (j *judge) movingCurrency(currency string) bool {
	for leg := range j.moving {
		i := j.Instruments[leg.Symbol]
		if i.Base == "" || i.Quote == "" || i.Base == currency || i.Quote == currency {
			return true
		}
	}
	return j.fees[currency]
}

// file puts a difference where it belongs.
func (c *Comparison) file(d Discrepancy, young bool) {
	if young {
		c.Pending = append(c.Pending, d)
		return
	}
	c.Discrepancies = append(c.Discrepancies, d)
}
