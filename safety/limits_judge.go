package safety

import (
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// priced is what the limits read of an order besides what is kept of it.
type priced struct {
	kind           andon.Kind
	price, trigger units
}

// breach is the limit that an order would break, and what was not known where that is
// why. Its zero value is none: ReasonHold is no limit.
type breach struct {
	reason  Reason
	missing missing
}

// missing says which datum a limit lacks.
type missing uint8

const (
	nothing missing = iota
	theView
	theMark
	theEquity
	theEntry  // of MaxPosition
	theWindow // what passed before the switch, or a throttle, began to count
	otherMark // of another symbol of the venue
)

// judge returns the first limit that an order would break, in the order of the
// configuration. Of an exit only those are asked that could keep it from being sent.
func (b *ledger) judge(t *tracked, o *priced, exit bool, now moment) breach {
	c, y := &b.limits, t.symbol
	r := &y.rules
	l := &y.legs[t.leg]
	var reach units
	sized := !exit && (r.capped || r.size.some() || c.gross)
	if sized {
		if r.capped && r.unlisted {
			return breach{ReasonMaxPosition, theEntry}
		}
		if b.viewDoubt(now) != known {
			return breach{r.firstSized(), theView}
		}
		reach = l.reachWith(t)
	}
	// An order that only makes a leg of the other side smaller takes it to no size on its
	// own.
	crosses := (reach.hi < 0) == (t.side == 1)
	if sized && r.capped && crosses && r.largest.less(reach.abs()) {
		return breach{reason: ReasonMaxPosition}
	}
	if r.gap > 0 && now-y.passed < r.gap {
		return breach{reason: ReasonMinTimeBetweenTrades}
	}
	if sized && r.size.some() {
		switch {
		case !b.marked(y, now):
			return breach{ReasonMaxPositionSize, theMark}
		case !c.current(now, b.maxEquity):
			return breach{ReasonMaxPositionSize, theEquity}
		}
		if crosses {
			if reach.worthMore(y.mark, &r.most) {
				return breach{reason: ReasonMaxPositionSize}
			}
		}
	}
	if r.collar.some() {
		if !b.marked(y, now) {
			return breach{ReasonPriceCollar, theMark}
		}
		if o.outside(y.mark, r.collar) {
			return breach{reason: ReasonPriceCollar}
		}
	}
	if r.repeats > 0 {
		if last := &l.repeats[t.side]; last.n >= r.repeats && last.is(o, t, r.within, now) {
			return breach{reason: ReasonMaxRepeats}
		}
	}
	if sized && c.gross {
		if br := b.judgeGross(t, reach, now); br.reason != 0 {
			return br
		}
	}
	if n := c.maxOrders; n > 0 && c.nth(n-1) > now-c.ordersIn {
		return breach{reason: ReasonMaxOrders}
	}
	if r.worth {
		return b.judgeNotional(t, now)
	}
	return breach{}
}

// firstSized returns the first of the limits of a symbol that bound a size.
func (r *rules) firstSized() Reason {
	switch {
	case r.capped:
		return ReasonMaxPosition
	case r.size.some():
		return ReasonMaxPositionSize
	}
	return ReasonMaxLeverage
}

func (b *ledger) marked(y *symbol, now moment) bool {
	return y.mark.some() && now-y.markedAt <= b.maxMark
}

func (c *counts) current(now moment, age moment) bool {
	return c.valued && now-c.equityAt <= age
}

// outside reports whether a price lies further from its reference than the collar.
func (o *priced) outside(mark, collar units) bool {
	if !o.kind.Priced() {
		return false
	}
	if o.kind.Conditional() {
		mark = o.trigger
	}
	off, may := o.price.sub(mark).worth(one), mark.worth(collar)
	return off.exceeds(&may)
}

func (b *ledger) judgeGross(t *tracked, reach units, now moment) breach {
	c, y := &b.limits, t.symbol
	if now > c.fresh { // perhaps: fresh is the earliest it can be
		c.fresh = maxMoment
		for _, other := range b.symbols {
			if other.open {
				c.fresh = min(c.fresh, other.markedAt+b.maxMark)
			}
		}
	}
	switch {
	case !b.marked(y, now):
		return breach{ReasonMaxLeverage, theMark}
	case c.unmarked > 0 || now > c.fresh:
		return breach{ReasonMaxLeverage, otherMark}
	case !c.current(now, b.maxEquity):
		return breach{ReasonMaxLeverage, theEquity}
	}
	l := &y.legs[t.leg]
	before, after := l.worst(), reach.abs()
	if after.less(before) {
		after = before
	}
	c.growth = value{}
	if after != before {
		c.growth = after.sub(before).worth(y.mark)
	}
	if total := c.total.plus(c.growth); total.exceeds(&c.most) {
		return breach{reason: ReasonMaxLeverage}
	}
	return breach{}
}

func (b *ledger) judgeNotional(t *tracked, now moment) breach {
	c := &b.limits
	if !b.marked(t.symbol, now) {
		return breach{ReasonMaxNotional, theMark}
	}
	c.age(now)
	if now-c.notionalIn < c.since {
		return breach{ReasonMaxNotional, theWindow}
	}
	if sum := c.sum.plus(t.remaining.worth(t.symbol.mark)); sum.exceeds(&c.notional) {
		return breach{reason: ReasonMaxNotional}
	}
	return breach{}
}

// explain says in words what an order would break: the limit's value, what was found,
// and both as a sentence.
func (b *ledger) explain(br breach, t *tracked, o *priced, now moment) (bound, found, why string) {
	c, y := &b.limits, t.symbol
	l := &y.legs[t.leg]
	set := c.set.of(y.name)
	key := andon.LegKey{Venue: b.venue, Symbol: y.name, Leg: t.leg}
	reach := l.reachWith(t)
	switch br.reason {
	case ReasonMaxPosition:
		bound, found = y.rules.largest.String(), reach.String()
		why = fmt.Sprintf("the leg could reach %s, MaxPosition is %s", found, bound)
	case ReasonMinTimeBetweenTrades:
		bound = set.MinTimeBetweenTrades.String()
		found = time.Duration(now - y.passed).String()
		why = fmt.Sprintf("MinTimeBetweenTrades is %s, and the last order on %s/%s passed %s ago", bound, b.venue, y.name, found)
		if y.passed <= c.floor {
			why = fmt.Sprintf("MinTimeBetweenTrades is %s, and it is counted since %s ago: what passed on %s/%s before is not known", bound, found, b.venue, y.name)
		}
	case ReasonMaxPositionSize:
		bound = set.MaxPositionSize.String()
		found = reach.abs().worth(y.mark).String()
		why = fmt.Sprintf("the leg could be worth %s, MaxPositionSize is %s of an equity of %s", found, bound, c.equity)
	case ReasonPriceCollar:
		bound, found = set.PriceCollar.String(), o.price.String()
		reference, name := y.mark, "mark"
		if o.kind.Conditional() {
			reference, name = o.trigger, "trigger"
		}
		why = fmt.Sprintf("the price %s is further from the %s of %s than PriceCollar, %s of it", found, name, reference, bound)
	case ReasonMaxRepeats:
		bound, found = fmt.Sprint(y.rules.repeats), fmt.Sprint(l.repeats[t.side].n+1)
		why = fmt.Sprintf("the same order for time %s in a row, MaxRepeats is %s within %v of each other", found, bound, set.RepeatWithin)
	case ReasonMaxLeverage:
		before, after := l.worst(), reach.abs()
		if after.less(before) {
			after = before
		}
		bound = set.MaxLeverage.String()
		found = c.total.minus(before.worth(y.mark)).plus(after.worth(y.mark)).String()
		why = fmt.Sprintf("the legs of %s could be worth %s, MaxLeverage is %s times an equity of %s", b.venue, found, bound, c.equity)
	case ReasonMaxOrders:
		n := 0
		for _, at := range c.orders {
			if at > now-c.ordersIn {
				n++
			}
		}
		bound, found = fmt.Sprint(c.maxOrders), fmt.Sprint(n+1)
		why = fmt.Sprintf("order %s on %s within %v, MaxOrders is %s", found, b.venue, set.OrdersWithin, bound)
		if c.nth(c.maxOrders-1) <= c.floor {
			why += "; what passed before counting began is not known and counts as full"
		}
	case ReasonMaxNotional:
		bound, found = set.MaxNotional.String(), c.sum.plus(t.remaining.worth(y.mark)).String()
		why = fmt.Sprintf("%s would pass on %s within %v, MaxNotional is %s", found, b.venue, set.NotionalWithin, bound)
	}
	switch br.missing {
	case nothing:
		return bound, found, why
	case theView:
		found = b.doubtText(b.viewDoubt(now), key)
	case theMark:
		found = b.markText(y)
	case otherMark:
		found = b.markText(b.unmarked(now))
	case theEquity:
		found = fmt.Sprintf("the equity of %s is not known: none was given", b.venue)
		if c.valued {
			found = fmt.Sprintf("the equity of %s is not known: the last is of %s", b.venue, b.utc(c.equityAt))
		}
	case theEntry:
		bound, found = "", fmt.Sprintf("MaxPosition has no entry for symbol %q", y.name)
	case theWindow:
		found = fmt.Sprintf("what passed on %s before %s is not known, and counts for %v", b.venue, b.utc(c.since), set.NotionalWithin)
	}
	return bound, found, fmt.Sprintf("%s is %s: %s", br.reason, bound, found)
}

// unmarked returns a symbol that is open and whose mark is not known.
func (b *ledger) unmarked(now moment) *symbol {
	for _, y := range b.symbols {
		if y.open && (y.unmarked || now-y.markedAt > b.maxMark) {
			return y
		}
	}
	return b.last
}

func (b *ledger) markText(y *symbol) string {
	if y.mark.sign() == 0 {
		return fmt.Sprintf("the mark of %s/%s is not known: none was given", b.venue, y.name)
	}
	return fmt.Sprintf("the mark of %s/%s is not known: the last is of %s", b.venue, y.name, b.utc(y.markedAt))
}

func (b *ledger) utc(m moment) string { return b.sw.time(m).UTC().Format(time.RFC3339Nano) }

// doubtText says why the position of a leg is not known.
func (b *ledger) doubtText(d doubt, k andon.LegKey) string {
	switch d {
	case noView:
		return fmt.Sprintf("the position of %v is not known: no view of venue %q was observed", k, b.venue)
	case staleView:
		return fmt.Sprintf("the position of %v is not known: the last view is of %s", k, b.utc(b.asked))
	}
	return fmt.Sprintf("the position of %v is not known: an order sent since the last view may have moved it", k)
}

// causeText says why an order is no exit.
func (b *ledger) causeText(v verdict, t *tracked, o *andon.Order, now moment) string {
	l := &t.symbol.legs[t.leg]
	switch v.cause {
	case wrongSide:
		if d := b.doubt(l, now); d != known {
			return b.doubtText(d, o.Key()) + "; an exit must be reduce-only, or wait for a view"
		}
		return fmt.Sprintf("%v does not reduce a leg of %v", o.Side, l.quantity)
	case tooMuch:
		return fmt.Sprintf("%v is more than the leg of %v less the %v of orders that are live or in flight: cancel one of them first",
			o.Remaining(), l.quantity, l.reserved(t.side, t.share, t.reduceOnly))
	}
	return ""
}
