package safety

import (
	"fmt"
	"sort"
	"time"

	"github.com/andon-go/andon"
)

// ledger is what the gate knows of positions and orders: the last verified view of
// each venue, and every order that entered since. All of it is below Switch.mu.
type ledger struct {
	limits  map[string]andon.Decimal
	hedge   map[string]bool
	maxAge  time.Duration
	venues  map[string]venueView
	legs    map[andon.LegKey]*leg
	byID    map[orderID]*tracked
	free    []*tracked
	unknown int                  // how many tracked orders have an unknown outcome
	keep    bool                 // a view was given once, so every order is kept
	moved   map[string]time.Time // when an order of a venue without a view was last forgotten
}

type orderID struct{ venue, client string }

type venueView struct {
	asked time.Time
	hedge bool
}

// leg is one leg's verified quantity and the orders that may change it, added up:
// those that the last view shows, and those kept since they entered.
type leg struct {
	quantity   andon.Decimal
	shown, own sums
}

// sums adds up the orders of one leg, by side: index 0 buys, 1 sells.
type sums struct {
	reserved [2][shares]andon.Decimal // what reduces, by whom it shares with
	reach    [2]andon.Decimal         // what the venue does not keep from opening
	orders   [2]int
	sizeless int // orders of which only the name is known
}

// share says which exits draw on the same leg. An order that waits for a trigger
// and that the venue keeps from opening shares only with its like, so that a stop
// over the whole leg does not stand in the way of closing it; every other exit
// shares with all that are not so. An exit that the venue does not keep from opening
// shares with everything: a stop that fires first would leave it nothing to reduce,
// and it would open the other side.
type share uint8

const (
	plain share = iota
	guardedStop
	guardedProfit
	shares = 3
)

func shareOf(k andon.Kind, reduceOnly bool) share {
	switch {
	case !k.Conditional() || !reduceOnly:
		return plain
	case k.Stop():
		return guardedStop
	}
	return guardedProfit
}

func sideIndex(s andon.Side) int {
	if s == andon.Sell {
		return 1
	}
	return 0
}

// phase says how far a kept order is.
type phase uint8

const (
	flying   phase = iota // entered, not exited
	lost                  // its outcome is unknown
	accepted              // the venue answered; a view asked for after that shows what it did
)

// tracked is one order that is kept, from Enter until a view shows what it did.
type tracked struct {
	id         orderID
	key        andon.LegKey
	side       andon.Side
	share      share
	reduceOnly bool
	sizeless   bool // it went the fast way, so its side and size are not known
	remaining  andon.Decimal
	phase      phase
	exited     time.Time
	use        uint64 // tells the permit of an earlier use of this value apart
}

func newLedger(cfg Config) ledger {
	b := ledger{
		limits: cfg.MaxPosition,
		hedge:  map[string]bool{},
		maxAge: cfg.MaxViewAge,
		venues: map[string]venueView{},
		legs:   map[andon.LegKey]*leg{},
		byID:   map[orderID]*tracked{},
		moved:  map[string]time.Time{},
	}
	for _, v := range cfg.HedgeVenues {
		b.hedge[v] = true
	}
	return b
}

// needed reports whether orders have to be kept although trading is active.
func (b *ledger) needed() bool {
	return b.keep || len(b.limits) > 0 || len(b.hedge) > 0 || len(b.byID) > 0
}

// observed reports whether a view of the venue was ever given.
func (b *ledger) observed(venue string) bool { _, ok := b.venues[venue]; return ok }

// hedged reports whether the venue's symbols have two legs.
func (b *ledger) hedged(venue string) bool { return b.hedge[venue] || b.venues[venue].hedge }

// unresolved returns the client ids of the orders whose outcome is unknown.
func (b *ledger) unresolved() []string {
	var ids []string
	if b.unknown > 0 {
		for id, t := range b.byID {
			if t.phase == lost {
				ids = append(ids, id.client)
			}
		}
		sort.Strings(ids)
	}
	return ids
}

// inFlight counts the orders that are not settled.
func (b *ledger) inFlight() (n int) {
	for _, t := range b.byID {
		if t.phase != accepted {
			n++
		}
	}
	return n
}

func (b *ledger) leg(k andon.LegKey) *leg {
	l := b.legs[k]
	if l == nil {
		l = &leg{}
		b.legs[k] = l
	}
	return l
}

// reserved returns what the exits take that share the leg with o.
func (l *leg) reserved(o *andon.Order) (sum andon.Decimal) {
	i, own := sideIndex(o.Side), shareOf(o.Kind, o.ReduceOnly)
	for sh := range share(shares) {
		if sh == own || !o.ReduceOnly {
			sum = sum.Add(l.shown.reserved[i][sh]).Add(l.own.reserved[i][sh])
		}
	}
	return sum
}

func (s *sums) add(t *tracked) {
	if t.sizeless {
		s.sizeless++
		return
	}
	i := sideIndex(t.side)
	s.orders[i]++
	s.reserved[i][t.share] = s.reserved[i][t.share].Add(t.remaining)
	if !t.reduceOnly {
		s.reach[i] = s.reach[i].Add(t.remaining)
	}
}

func (s *sums) take(t *tracked) {
	if t.sizeless {
		s.sizeless--
		return
	}
	i := sideIndex(t.side)
	s.orders[i]--
	s.reserved[i][t.share] = s.reserved[i][t.share].Sub(t.remaining)
	if !t.reduceOnly {
		s.reach[i] = s.reach[i].Sub(t.remaining)
	}
}

func makeTracked(o *andon.Order) tracked {
	return tracked{
		id: orderID{o.Venue, o.ClientID}, key: o.Key(), side: o.Side,
		share: shareOf(o.Kind, o.ReduceOnly), reduceOnly: o.ReduceOnly, remaining: o.Remaining(),
	}
}

// enter keeps an order from now on.
func (b *ledger) enter(o *andon.Order, sizeless bool) *tracked {
	var t *tracked
	if n := len(b.free); n > 0 {
		t, b.free = b.free[n-1], b.free[:n-1]
	} else {
		t = &tracked{}
	}
	use := t.use + 1
	*t = makeTracked(o)
	t.use, t.sizeless = use, sizeless
	b.byID[t.id] = t
	b.leg(t.key).own.add(t)
	return t
}

// forget drops an order.
func (b *ledger) forget(t *tracked) {
	b.legs[t.key].own.take(t)
	delete(b.byID, t.id)
	t.use++ // a permit that exits again finds another order
	b.free = append(b.free, t)
}

// lose marks an order's outcome as unknown.
func (b *ledger) lose(t *tracked, now time.Time) {
	t.phase, t.exited = lost, now
	b.unknown++
}

// observe replaces what is known of a venue by a view of it. Orders that had not
// exited when the view was asked for are kept on, since it may not show them.
func (b *ledger) observe(v View) {
	for k := range b.legs {
		if k.Venue == v.Venue {
			delete(b.legs, k)
		}
	}
	for _, t := range b.byID {
		if t.id.venue != v.Venue {
			continue
		}
		if t.phase == accepted && t.exited.Before(v.Asked) {
			delete(b.byID, t.id)
			t.use++
			b.free = append(b.free, t)
			continue
		}
		b.leg(t.key).own.add(t)
	}
	hedge := b.hedge[v.Venue]
	for _, p := range v.Positions {
		b.leg(p.Key()).quantity = p.Quantity
		hedge = hedge || p.Leg != andon.Net
	}
	for i := range v.Orders {
		t := makeTracked(&v.Orders[i])
		hedge = hedge || t.key.Leg != andon.Net
		if own := b.byID[t.id]; own == nil || own.sizeless {
			b.leg(t.key).shown.add(&t)
		}
	}
	b.venues[v.Venue] = venueView{asked: v.Asked, hedge: hedge}
	delete(b.moved, v.Venue)
}

// verdict is what the ledger makes of an order.
type verdict struct {
	intent     Intent
	unverified bool
	why        string // where the intent is Increase: what kept it from being an exit
}

// derive says what an order does to its leg, by the last verified position and by
// every order that may change it in the meantime.
func (b *ledger) derive(o *andon.Order, now time.Time) verdict {
	exit := Reduce
	if o.Kind.Conditional() {
		exit = Protect
	}
	doubt := b.doubt(o, now)
	if doubt != "" && o.ReduceOnly {
		return verdict{intent: exit, unverified: true} // the venue keeps it from opening
	}
	l := b.legs[o.Key()]
	if l == nil {
		l = &leg{}
	}
	if o.Side.Sign()*l.quantity.Sign() >= 0 {
		why := fmt.Sprintf("%v does not reduce a leg of %v", o.Side, l.quantity)
		if doubt != "" {
			why = doubt + "; an exit must be reduce-only, or wait for a view"
		}
		return verdict{why: why}
	}
	reserved := l.reserved(o)
	if l.quantity.Abs().Sub(reserved).Less(o.Remaining()) {
		return verdict{why: fmt.Sprintf("%v is more than the leg of %v less the %v of orders that are live or in flight: cancel one of them first",
			o.Remaining(), l.quantity, reserved)}
	}
	return verdict{intent: exit, unverified: doubt != ""}
}

// stale says why a venue's positions are not known, or nothing.
func (b *ledger) stale(o *andon.Order, now time.Time) string {
	view, ok := b.venues[o.Venue]
	switch {
	case !ok:
		return fmt.Sprintf("the position of %v is not known: no view of venue %q was observed", o.Key(), o.Venue)
	case now.Sub(view.asked) > b.maxAge:
		return fmt.Sprintf("the position of %v is not known: the last view is of %s", o.Key(), view.asked.UTC().Format(time.RFC3339Nano))
	}
	return ""
}

// doubt says why the position of the order's leg is not known, or nothing. Orders
// kept since the last view leave no doubt as long as all they can do is to make the
// leg smaller, since what they take is reserved.
func (b *ledger) doubt(o *andon.Order, now time.Time) string {
	if why := b.stale(o, now); why != "" {
		return why
	}
	l := b.legs[o.Key()]
	if l == nil {
		return ""
	}
	buys, sells := l.own.orders[0] > 0, l.own.orders[1] > 0
	moved := l.own.sizeless > 0
	switch l.quantity.Sign() {
	case 0:
		moved = moved || buys || sells
	case 1:
		moved = moved || buys || l.quantity.Less(l.own.reach[1])
	case -1:
		moved = moved || sells || l.quantity.Abs().Less(l.own.reach[0])
	}
	if !moved {
		return ""
	}
	return fmt.Sprintf("the position of %v is not known: an order sent since the last view may have moved it", o.Key())
}

// overLimit says why an order would take its leg beyond the largest position, or
// nothing. Every live order is counted as if it traded whole, but for those that
// the venue keeps from opening.
func (b *ledger) overLimit(o *andon.Order, now time.Time) string {
	limit, ok := b.limits[o.Symbol]
	if !ok {
		return fmt.Sprintf("MaxPosition has no entry for symbol %q", o.Symbol)
	}
	if why := b.stale(o, now); why != "" {
		return why
	}
	reach := o.Signed()
	if l := b.legs[o.Key()]; l != nil {
		if l.own.sizeless > 0 {
			return fmt.Sprintf("the position of %v is not known: the outcome of an order on it is unknown", o.Key())
		}
		i := sideIndex(o.Side)
		others := l.shown.reach[i].Add(l.own.reach[i])
		if o.Side == andon.Sell {
			others = others.Neg()
		}
		reach = reach.Add(others).Add(l.quantity)
	}
	if reach.Sign() == o.Side.Sign() && limit.Less(reach.Abs()) {
		return fmt.Sprintf("the leg could reach %v, MaxPosition is %v", reach, limit)
	}
	return ""
}
