package safety

import "github.com/andon-go/andon"

// counts is what the limits of a venue have counted, and what they judge by.
type counts struct {
	set   *limitSet
	clock moment // the latest moment that Enter saw
	floor moment // what passed before is not known

	equity   units
	equityAt moment
	valued   bool // an equity was given

	gross    bool   // MaxLeverage is set, so gross is kept
	leverage units  // MaxLeverage
	most     value  // what equity × MaxLeverage allows
	total    value  // what all legs could be worth
	growth   value  // what the order that was judged last would add
	unmarked int    // open symbols without a mark
	fresh    moment // until then, at least, every open symbol's mark counts

	maxOrders int
	ordersIn  moment
	orders    []moment // when the last orders passed, in a ring: the newest before next
	next      int

	notional   value // MaxNotional
	notionalIn moment
	ring       []worthy // the last orders that passed, n of them from first on
	first, n   int
	out        int    // how many of them have left the window
	sum        value  // of the others
	since      moment // what passed before is not in ring
}

// worthy is what one order was worth when it passed.
type worthy struct {
	at    moment
	worth value
}

// maxRing is how many orders MaxNotional keeps apart.
const maxRing = 1 << 10

// rules are the limits of one symbol, in the form in which they are judged.
type rules struct {
	capped   bool  // MaxPosition has entries
	unlisted bool  // but none for this symbol
	largest  units // MaxPosition
	gap      moment
	size     units // MaxPositionSize
	most     value // what equity × MaxPositionSize allows
	collar   units
	repeats  int
	within   moment
	worth    bool // MaxNotional needs the mark
}

// repeat is the order that passed last on one side of a leg, and how often in a row.
type repeat struct {
	quantity, price, trigger units
	n                        int
	at                       moment
	kind                     andon.Kind
}

func (r *repeat) is(o *priced, t *tracked, within, now moment) bool {
	return r.n > 0 && r.kind == o.kind && r.quantity == t.remaining && r.price == o.price && r.trigger == o.trigger && now-r.at <= within
}

// adopt takes over the limits that have come into force. It is called before the
// first order is judged by them.
func (b *ledger) adopt(set *limitSet) {
	c := &b.limits
	uncounted := c.set == nil || !c.set.on
	c.set = set
	l := set.base.stricter(set.throttle)
	if uncounted {
		c.floor, c.orders = set.from, nil
	}
	for _, y := range b.symbols {
		b.learn(y)
	}

	c.leverage, _ = toUnits(l.MaxLeverage)
	c.gross = c.leverage.sign() > 0
	c.appraise()
	if c.gross {
		b.regrossAll()
	}

	c.maxOrders, c.ordersIn = l.MaxOrders, moment(l.OrdersWithin)
	c.makeRoom(set.from)

	u, _ := toUnits(l.MaxNotional)
	was := c.notional
	c.notional, c.notionalIn = u.worth(one), moment(l.NotionalWithin)
	if was == (value{}) && u.sign() > 0 {
		c.ring, c.n, c.since = make([]worthy, maxRing), 0, set.from
	}
	c.out, c.sum = 0, value{} // the window may have become another
	for i := range c.n {
		c.sum = c.sum.plus(c.entry(i).worth)
	}
}

var one = units{lo: 1e19}

// learn takes over the limits of one symbol.
func (b *ledger) learn(y *symbol) {
	c := &b.limits
	y.passed = max(y.passed, c.floor)
	if c.set == nil {
		return
	}
	l := c.set.of(y.name)
	if y.rules.repeats == 0 { // they were not counted
		for i := range y.legs {
			y.legs[i].repeats = [2]repeat{}
		}
	}
	largest, listed := c.set.largest[y.name]
	r := rules{
		capped: len(c.set.largest) > 0, unlisted: !listed, gap: moment(l.MinTimeBetweenTrades),
		repeats: l.MaxRepeats, within: moment(l.RepeatWithin), worth: !l.MaxNotional.IsZero(),
	}
	r.largest, _ = toUnits(largest) // validate has seen that they fit
	r.size, _ = toUnits(l.MaxPositionSize)
	r.collar, _ = toUnits(l.PriceCollar)
	y.rules = r
	c.appraiseSymbol(y)
}

// appraise works out what the equity allows.
func (c *counts) appraise() { c.most = c.allowed(c.leverage) }

func (c *counts) appraiseSymbol(y *symbol) { y.rules.most = c.allowed(y.rules.size) }

func (c *counts) allowed(times units) value {
	if c.equity.sign() <= 0 {
		return value{}
	}
	return c.equity.worth(times)
}

// makeRoom makes the ring as long as it has to be. What is not known is taken to have
// passed as late as it can have.
func (c *counts) makeRoom(from moment) {
	// Room for the configured limit too, so that lifting a throttle finds it counted.
	n, old := max(c.maxOrders, c.set.base.MaxOrders), len(c.orders)
	if n <= old {
		return
	}
	orders := make([]moment, n)
	for i := range orders { // 0 is the newest
		m := from
		if old > 0 {
			m = c.nth(min(i, old-1))
		}
		orders[n-1-i] = m
	}
	c.orders, c.next = orders, 0
}

// nth returns when the newest order but n passed.
func (c *counts) nth(n int) moment {
	i := c.next - 1 - n
	if i < 0 {
		i += len(c.orders)
	}
	return c.orders[i]
}

// worst returns the largest quantity that the leg could have, either way.
func (l *leg) worst() units {
	a, b := l.reach(0).abs(), l.reach(1).abs()
	if a.less(b) {
		return b
	}
	return a
}

// regross works out again what the legs of a symbol could be worth.
func (b *ledger) regross(y *symbol) {
	c := &b.limits
	var g value
	open := false
	for i := range y.legs {
		if w := y.legs[i].worst(); w.sign() != 0 {
			open = true
			g = g.plus(w.worth(y.mark))
		}
	}
	c.total = c.total.minus(y.gross).plus(g)
	y.gross = g
	unmarked := open && y.mark.sign() == 0
	if unmarked != y.unmarked {
		y.unmarked = unmarked
		if unmarked {
			c.unmarked++
		} else {
			c.unmarked--
		}
	}
	if y.open = open; open {
		c.fresh = min(c.fresh, y.markedAt+b.maxMark)
	}
}

// grow is regross after an order has entered that was judged just now.
func (b *ledger) grow(t *tracked, v verdict) {
	y := t.symbol
	if v.intent != Increase || t.reduceOnly || !y.open {
		b.regross(y)
		return
	}
	b.limits.total = b.limits.total.plus(b.limits.growth)
	y.gross = y.gross.plus(b.limits.growth)
}

func (b *ledger) regrossAll() {
	c := &b.limits
	c.total, c.unmarked, c.fresh = value{}, 0, maxMoment
	for _, y := range b.symbols {
		y.gross, y.unmarked = value{}, false
		b.regross(y)
	}
}

const maxMoment = moment(1<<63 - 1)

// count counts an order that passes.
func (b *ledger) count(t *tracked, o *priced, now moment) {
	c, y := &b.limits, t.symbol
	y.passed = now
	if n := len(c.orders); n > 0 {
		c.orders[c.next] = now
		if c.next++; c.next == n {
			c.next = 0
		}
	}
	if y.rules.worth {
		c.add(t.remaining.worth(y.mark), now)
	}
	if y.rules.repeats > 0 {
		r := &y.legs[t.leg].repeats[t.side]
		if r.is(o, t, y.rules.within, now) {
			r.n++
			r.at = now
		} else {
			*r = repeat{quantity: t.remaining, price: o.price, trigger: o.trigger, n: 1, at: now, kind: o.kind}
		}
	}
}

func (c *counts) entry(i int) *worthy { return &c.ring[(c.first+i)%maxRing] }

// age takes off the sum what has left the window.
func (c *counts) age(now moment) {
	for c.out < c.n && c.entry(c.out).at <= now-c.notionalIn {
		c.sum = c.sum.minus(c.entry(c.out).worth)
		c.out++
	}
}

// add adds what an order is worth to the window. When the ring is full of what is in
// the window, it counts as part of the newest, and as of now, which is never too early.
func (c *counts) add(w value, now moment) {
	c.age(now)
	c.sum = c.sum.plus(w)
	if c.n == maxRing && c.out == 0 {
		newest := c.entry(c.n - 1)
		newest.at, newest.worth = now, newest.worth.plus(w)
		return
	}
	if c.n == maxRing {
		c.since = c.entry(0).at
		c.first = (c.first + 1) % maxRing
		c.n--
		c.out--
	}
	*c.entry(c.n) = worthy{now, w}
	c.n++
}
