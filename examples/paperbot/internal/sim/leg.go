package sim

import "github.com/andon-go/andon"

// leg is what is held on one leg. Quantity and cost have the same sign; cost is
// exact and entry is cost / quantity as it was, rounded, when the leg last grew.
type leg struct {
	quantity, cost, entry andon.Decimal
}

// trade returns the leg after a fill of the signed quantity at price, and the
// profit that the fill realised. A fill that flips the leg closes it first.
//
// Growing adds to the cost. Shrinking realises against the entry, which stays, as
// venues do it; what the entry's rounding left over is realised with the last part.
func (l leg) trade(e *exact, signed, price andon.Decimal) (next leg, realised andon.Decimal) {
	if l.quantity.Sign()*signed.Sign() >= 0 {
		next = leg{quantity: l.quantity.Add(signed), cost: l.cost.Add(e.mul(signed, price))}
		next.entry = e.entry(next.cost, next.quantity)
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
