package andontest

import (
	"fmt"
	"slices"

	"github.com/andon-go/andon"
)

// SetPrice moves a symbol's price. Orders that it reaches trade: limits at their price,
// conditional ones at the new one.
func (v *Venue) SetPrice(symbol string, price andon.Decimal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.prices[symbol] = price
	for k, p := range v.positions {
		if k.Symbol == symbol {
			p.Mark = price
			v.positions[k] = p
		}
	}
	v.trade()
}

func (v *Venue) price(symbol string) andon.Decimal {
	if p, ok := v.prices[symbol]; ok {
		return p
	}
	if s, ok := v.cfg.Symbols[symbol]; ok {
		return s.Price
	}
	return v.cfg.Price
}

// refusal says why the venue does not take an order, or nothing.
func (v *Venue) refusal(o andon.Order) string {
	if err := o.Validate(); err != nil {
		return err.Error()
	}
	s, known := v.cfg.Symbols[o.Symbol]
	held := v.quantity(o.Key())
	exit := held.Sign()*o.Side.Sign() < 0
	value, err := o.Quantity.Mul(v.price(o.Symbol))
	switch {
	case o.Venue != v.cfg.Name:
		return "this is " + v.cfg.Name
	case v.cfg.Spot && !known:
		return "unknown symbol"
	case v.find(o.Symbol, o.ClientID, "") != nil:
		return "client id was used before"
	case v.cfg.Hedge != (o.Leg != andon.Net):
		return fmt.Sprintf("leg %v does not fit the account's mode", o.Leg)
	case v.cfg.Hedge && (o.Leg == andon.Long) != (o.Side == andon.Buy) && held.Abs().Less(o.Quantity):
		return fmt.Sprintf("the leg is %v", held)
	case !multiple(o.Quantity, s.Lot):
		return fmt.Sprintf("quantity is no multiple of the lot %v", s.Lot)
	case !multiple(o.Price, s.Tick) || !multiple(o.Trigger, s.Tick):
		return fmt.Sprintf("price is no multiple of the tick %v", s.Tick)
	case err != nil:
		return err.Error()
	case value.Less(s.MinNotional):
		return fmt.Sprintf("notional %v is below the minimum of %v", value, s.MinNotional)
	case v.cfg.Spot && o.ReduceOnly:
		return "there is no reduce-only on spot"
	case v.cfg.Spot:
		return v.unaffordable(o, s)
	case o.ReduceOnly && !exit:
		return "reduce-only: nothing to reduce"
	}
	return ""
}

func (v *Venue) unaffordable(o andon.Order, s Symbol) string {
	currency, need := s.Base, o.Quantity
	if o.Side == andon.Buy {
		currency, need = s.Quote, v.worth(o)
	}
	if free := v.balances[currency].Sub(v.reserved(currency)); free.Less(need) {
		return fmt.Sprintf("insufficient balance: %v %s are free, %v are needed", free, currency, need)
	}
	return ""
}

// worth is what an order may still cost, in the quote currency.
func (v *Venue) worth(o andon.Order) andon.Decimal {
	price := v.price(o.Symbol)
	if o.Kind.Priced() {
		price = o.Price
	} else if o.Kind.Conditional() {
		price = o.Trigger
	}
	return must(o.Remaining().Mul(price))
}

// reserved is what live orders keep of a currency. Only a spot account keeps any.
func (v *Venue) reserved(currency string) (sum andon.Decimal) {
	for _, r := range v.orders {
		if !v.cfg.Spot || r.Status.Done() {
			continue
		}
		switch s := v.cfg.Symbols[r.Symbol]; {
		case r.Side == andon.Sell && s.Base == currency:
			sum = sum.Add(r.Remaining())
		case r.Side == andon.Buy && s.Quote == currency:
			sum = sum.Add(v.worth(r.Order))
		}
	}
	return sum
}

// quantity is the signed quantity of a leg.
func (v *Venue) quantity(k andon.LegKey) andon.Decimal {
	if v.cfg.Spot {
		return v.balances[v.cfg.Symbols[k.Symbol].Base]
	}
	return v.positions[k].Quantity
}

// adds says whether an order could make its leg larger, open it or turn it over.
func (v *Venue) adds(o andon.Order) bool {
	if v.cfg.Spot {
		return o.Side == andon.Buy
	}
	held := v.quantity(o.Key())
	return !o.ReduceOnly && (held.Sign()*o.Side.Sign() >= 0 || held.Abs().Less(o.Quantity))
}

// take books an order, and trades what trades at once.
func (v *Venue) take(o andon.Order, part bool) *record {
	v.next++
	o.VenueID, o.Status, o.At, o.Filled = fmt.Sprintf("%s-%d", v.cfg.Name, v.next), andon.Live, v.now(), andon.Decimal{}
	r := &record{Order: o, born: len(v.calls)}
	v.orders = append(v.orders, r)
	switch {
	case part:
		v.fill(r, v.half(o))
		if v.rng.IntN(2) == 0 && !r.Status.Done() {
			v.set(r, func(o *andon.Order) { o.Status = andon.Canceled })
		}
	default:
		v.match(r)
	}
	return r
}

// half is about half of an order in whole lots, and never all of it unless it is one.
func (v *Venue) half(o andon.Order) andon.Decimal {
	lot := v.cfg.Symbols[o.Symbol].Lot
	if lot.IsZero() {
		return must(o.Quantity.Quo(andon.NewDecimal(2, 0), 8, andon.Up))
	}
	lots := must(must(o.Quantity.Quo(lot, 0, andon.Down)).Quo(andon.NewDecimal(2, 0), 0, andon.Up))
	return must(lots.Mul(lot))
}

// trade matches every live order once. Only an order for which it is time trades.
func (v *Venue) trade() {
	for _, r := range slices.Clone(v.orders) {
		if !r.Status.Done() {
			v.match(r)
		}
	}
}

func (v *Venue) match(r *record) {
	if v.reached(r) {
		r.triggered = true
		v.fill(r, r.Remaining())
	}
}

// trades says whether an order would trade at once.
func (v *Venue) trades(o andon.Order) bool { return v.reached(&record{Order: o}) }

// reached says whether the price lets an order trade now.
func (v *Venue) reached(r *record) bool {
	price := v.price(r.Symbol)
	above := func(level andon.Decimal) bool { return !price.Less(level) }
	below := func(level andon.Decimal) bool { return !level.Less(price) }
	awake := r.triggered
	switch r.Kind {
	case andon.Market:
		return true
	case andon.Limit:
		awake = true
	case andon.StopMarket, andon.StopLimit:
		awake = awake || r.Side == andon.Sell && below(r.Trigger) || r.Side == andon.Buy && above(r.Trigger)
	case andon.TakeProfitMarket, andon.TakeProfitLimit:
		awake = awake || r.Side == andon.Sell && above(r.Trigger) || r.Side == andon.Buy && below(r.Trigger)
	}
	if !r.Kind.Priced() || !awake {
		return awake
	}
	return r.Side == andon.Buy && below(r.Price) || r.Side == andon.Sell && above(r.Price)
}

// fill trades a part of an order. What a reduce-only order, or one of a leg in hedge
// mode, has no position for is cancelled.
func (v *Venue) fill(r *record, q andon.Decimal) {
	held := v.quantity(r.Key())
	exitOnly := r.ReduceOnly || v.cfg.Hedge && (r.Leg == andon.Long) != (r.Side == andon.Buy)
	if exitOnly {
		room := held.Abs()
		if held.Sign()*r.Side.Sign() >= 0 {
			room = andon.Decimal{}
		}
		q = q.Min(room)
	}
	if q.Sign() > 0 {
		v.execute(r.Order, q)
	}
	v.set(r, func(o *andon.Order) {
		o.Filled = o.Filled.Add(q)
		switch {
		case o.Remaining().IsZero():
			o.Status = andon.Filled
		case exitOnly && v.quantity(o.Key()).IsZero():
			o.Status = andon.Canceled
		}
	})
}

// execute moves position and balances.
func (v *Venue) execute(o andon.Order, q andon.Decimal) {
	price, s := v.price(o.Symbol), v.cfg.Symbols[o.Symbol]
	if o.Kind == andon.Limit {
		price = betterOf(o, price)
	}
	value := must(q.Mul(price))
	f := andon.Fill{
		ID: fmt.Sprintf("f%d", len(v.fills)+1), OrderID: o.VenueID, ClientID: o.ClientID, Venue: v.cfg.Name, Symbol: o.Symbol,
		Leg: o.Leg, Side: o.Side, Quantity: q, Price: price, FeeCurrency: "USD", At: v.now(),
	}
	f.Fee = must(value.Mul(s.Fee))
	if s.Quote != "" {
		f.FeeCurrency = s.Quote
	}
	if v.cfg.Spot {
		paid := value
		if o.Side == andon.Buy {
			f.Fee, f.FeeCurrency = must(q.Mul(s.Fee)), s.Base
			paid = paid.Neg()
		}
		v.balances[s.Base] = v.balances[s.Base].Add(f.Signed())
		v.balances[s.Quote] = v.balances[s.Quote].Add(paid)
		v.balances[f.FeeCurrency] = v.balances[f.FeeCurrency].Sub(f.Fee)
	} else {
		v.hold(moved(v.positions[o.Key()], f, v.price(o.Symbol), s.EntryStep))
	}
	v.fills = append(v.fills, f)
}

// betterOf is the price at which a limit order trades: the market's, where that is
// better than its own.
func betterOf(o andon.Order, market andon.Decimal) andon.Decimal {
	if o.Side == andon.Buy {
		return market.Min(o.Price)
	}
	return market.Max(o.Price)
}

// entryPlaces is how many digits after the point an entry price is rounded to, half to
// even, where its symbol has no step for it.
const entryPlaces = 8

// moved returns a position after a fill.
func moved(p andon.Position, f andon.Fill, mark, step andon.Decimal) andon.Position {
	next := andon.Position{Venue: f.Venue, Symbol: f.Symbol, Leg: f.Leg, Quantity: p.Quantity.Add(f.Signed()), Entry: p.Entry, Mark: mark, At: f.At}
	switch {
	case p.Quantity.Sign() != next.Quantity.Sign():
		next.Entry = f.Price
	case p.Quantity.Sign() == f.Side.Sign() && p.Entry.Sign() > 0:
		cost := must(p.Quantity.Abs().Mul(p.Entry)).Add(must(f.Value()))
		next.Entry = must(cost.Quo(next.Quantity.Abs(), entryPlaces, andon.HalfEven))
		if !step.IsZero() {
			next.Entry = must(must(next.Entry.Quo(step, 0, andon.HalfEven)).Mul(step))
		}
	}
	return next
}

// liquidate closes a leg by the venue's own decision and reports whether there was one.
func (v *Venue) liquidate() bool {
	legs := v.legs()
	if len(legs) == 0 {
		return false
	}
	p := v.positions[legs[v.rng.IntN(len(legs))]]
	v.next++
	v.execute(andon.Order{
		VenueID: fmt.Sprintf("liquidation-%d", v.next), Venue: p.Venue, Symbol: p.Symbol, Leg: p.Leg,
		Side: p.ExitSide(), Kind: andon.Market, Quantity: p.Quantity.Abs(),
	}, p.Quantity.Abs())
	return true
}

// multiple reports whether d is whole steps; any amount is, where there is no step.
func multiple(d, step andon.Decimal) bool {
	if step.IsZero() {
		return true
	}
	_, err := d.Quo(step, 0, andon.Exact)
	return err == nil
}

// must takes an amount that Validate and the venue's rules keep within bounds. One that
// is not is a mistake in the test, which asked for it.
func must(d andon.Decimal, err error) andon.Decimal {
	if err != nil {
		panic("andontest: an amount does not fit: " + err.Error())
	}
	return d
}
