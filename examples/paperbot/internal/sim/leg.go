package sim

import "github.com/andon-go/andon"

// leg is what is held on one leg. Quantity and cost have the same sign. Cost is
// exact; entry is the average price, rounded each time the leg grows.
type leg struct {
	quantity, cost, entry andon.Decimal
}

// trade returns the leg after a fill of the signed quantity at price, and the
// profit that the fill realised. A fill that flips the leg closes it first.
//
// Growing averages the entry, by the rule of reconcile.Derive, so that a book made
// of the fills agrees to the last digit. Shrinking realises against the entry, which
// stays; what its rounding left over is realised with the last part.
func (l leg) trade(e *exact, signed, price andon.Decimal) (next leg, realised andon.Decimal) {
	if l.quantity.Sign()*signed.Sign() >= 0 {
		value := e.mul(signed, price)
		next = leg{quantity: l.quantity.Add(signed), cost: l.cost.Add(value)}
		next.entry = e.entry(e.mul(l.quantity, l.entry).Add(value), next.quantity)
		return next, andon.Decimal{}
	}
	switch part := signed.Neg(); part.Abs().Cmp(l.quantity.Abs()) {
	case -1:
		released := e.mul(part, l.entry)
		next = leg{quantity: l.quantity.Add(signed), cost: l.cost.Sub(released), entry: l.entry}
		return next, e.mul(part, price).Sub(released)
	case 0:
		return leg{}, e.mul(part, price).Sub(l.cost)
	}
	realised = e.mul(l.quantity, price).Sub(l.cost)
	next, _ = leg{}.trade(e, l.quantity.Add(signed), price)
	return next, realised
}
