package sim

import (
	"fmt"
	"slices"

	"github.com/andon-go/andon"
)

// order is an order that the venue took.
type order struct {
	andon.Order
	rested bool // it has waited with a price of its own, so it trades as maker
}

// take puts an order that passed the rules into its list, and lets it trade if it can.
func (x *Exchange) take(o andon.Order) *order {
	x.counts.Accepted++
	o.VenueID = fmt.Sprintf("%s-%d", x.cfg.Name, x.counts.Accepted)
	o.Status = andon.Live
	o.At = x.now
	n := &order{Order: o}
	x.orders[o.ClientID] = n
	x.accepted = append(x.accepted, o.ClientID)
	if o.Kind.Conditional() {
		x.conditional = append(x.conditional, n)
		return n
	}
	x.resting = append(x.resting, n)
	x.match(n)
	x.sweep()
	return n
}

// cancel ends an order where it stands.
func (x *Exchange) cancel(o *order) {
	o.Status = andon.Canceled
	o.At = x.now
}

// expire cancels what has run out.
func (x *Exchange) expire() {
	for _, list := range [][]*order{x.resting, x.conditional} {
		for _, o := range list {
			if !o.ExpiresAt.IsZero() && !x.now.Before(o.ExpiresAt) {
				x.cancel(o)
				x.counts.Expired++
			}
		}
	}
	x.sweep()
}

// wake moves conditional orders whose trigger the mark has reached to the first list.
func (x *Exchange) wake() {
	x.conditional = slices.DeleteFunc(x.conditional, func(o *order) bool {
		if !x.markets[o.Symbol].triggers(o.Order) {
			return false
		}
		x.counts.Triggered++
		o.At = x.now
		x.resting = append(x.resting, o)
		return true
	})
}

// work lets every order of the first list trade, the one that got there first first.
func (x *Exchange) work() {
	for _, o := range x.resting {
		x.match(o)
	}
	x.sweep()
}

// match lets an order trade as far as its price, the depth and, for an order that
// may only reduce, the position allow.
func (x *Exchange) match(o *order) {
	if x.exitOnly(o.Order) && x.reducible(o.Order).IsZero() {
		x.cancel(o)
		return
	}
	m := x.markets[o.Symbol]
	if o.Kind.Priced() && !m.crosses(o.Side, o.Price) {
		o.rested = true
		return
	}
	quantity := m.available(o.Remaining())
	if x.exitOnly(o.Order) {
		quantity = quantity.Min(x.reducible(o.Order))
	}
	if quantity.Sign() > 0 {
		x.fill(o, m, quantity)
	}
	o.rested = o.Kind.Priced()
}

// fill books one execution: everything is computed before anything is changed.
func (x *Exchange) fill(o *order, m *market, quantity andon.Decimal) {
	price, rate := m.best(o.Side), x.cfg.TakerFee
	if o.rested {
		price, rate = o.Price, x.cfg.MakerFee
	}
	f := andon.Fill{
		ID:      fmt.Sprintf("%s-f%d", x.cfg.Name, len(x.fills)+1),
		OrderID: o.VenueID, ClientID: o.ClientID,
		Venue: o.Venue, Symbol: o.Symbol, Leg: o.Leg, Side: o.Side,
		Quantity: quantity, Price: price, FeeCurrency: x.cfg.Currency, At: x.now,
	}
	var e exact
	f.Fee = e.mul(e.mul(quantity, price), rate)
	next, realised := x.legs[o.Key()].trade(&e, f.Signed(), price)
	if e.err != nil {
		x.fail(e.err)
		return
	}
	m.take(quantity)
	x.legs[o.Key()] = next
	x.wallet = x.wallet.Add(realised).Sub(f.Fee)
	x.fills = append(x.fills, f)
	x.counts.Fills++
	o.Filled, o.At = o.Filled.Add(quantity), x.now
	if o.Remaining().IsZero() {
		o.Status = andon.Filled
	} else {
		x.counts.PartialFills++
	}
}

// sweep cancels what trades and has nothing left to reduce, and takes what is done
// out of the lists.
func (x *Exchange) sweep() {
	for _, o := range x.resting {
		if !o.Status.Done() && x.exitOnly(o.Order) && x.reducible(o.Order).IsZero() {
			x.cancel(o)
		}
	}
	done := func(o *order) bool { return o.Status.Done() }
	x.resting = slices.DeleteFunc(x.resting, done)
	x.conditional = slices.DeleteFunc(x.conditional, done)
}

// exitOnly reports whether an order may only reduce: by its own word or, in hedge
// mode, because its side is the way out of its leg.
func (x *Exchange) exitOnly(o andon.Order) bool {
	return o.ReduceOnly || o.Leg == andon.Long && o.Side == andon.Sell || o.Leg == andon.Short && o.Side == andon.Buy
}

// reducible returns how much of the leg an order of that side can close.
func (x *Exchange) reducible(o andon.Order) andon.Decimal {
	q := x.legs[o.Key()].quantity
	if q.Sign()*o.Side.Sign() >= 0 {
		return andon.Decimal{}
	}
	return q.Abs()
}
