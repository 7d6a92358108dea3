package safety

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon"
)

// moment is an instant as nanoseconds since the switch was opened, by the monotonic
// clock. Its zero value is the opening, which is the stricter answer wherever
// something did not happen yet.
type moment int64

func (s *Switch) now() moment { return moment(time.Since(s.opened)) }

// moment converts a time of anybody's clock: by its age, so that the wall clock may
// have been set since.
func (s *Switch) moment(t time.Time) moment {
	now := time.Now() // once, so that nothing lies between two readings
	return moment(now.Sub(s.opened) - now.Sub(t))
}

func (s *Switch) time(m moment) time.Time { return s.opened.Add(time.Duration(m)) }

// ledger is what the gate knows of one venue: the last verified view, every order
// that entered since, and what the limits count. All of it is below mu, which is
// held for less time than a clock is read in, and inside which Switch.mu is never
// taken.
type ledger struct {
	sw    *Switch
	venue string

	// Who looks for a ledger reads the names of all of them, and is not to wait for the
	// orders that pass another.
	_ cacheLine

	mu      sync.Mutex
	symbols map[string]*symbol
	last    *symbol // that was asked for
	orders  []*tracked
	free    []*tracked
	ids     ids

	maxView, maxMark, maxEquity moment // how long each counts, from the configuration

	seen  bool   // a view was observed
	asked moment // when the last one was asked for
	void  bool   // a later reading of the venue was not fit to be observed
	hedge bool   // symbols have a long and a short leg
	keep  bool   // a view was tried once: from here on it matters what orders did
	blind bool   // an order was accepted before that and not kept
	from  moment // a view asked for before it may not show what was not kept

	limits counts

	_ cacheLine
}

// cacheLine keeps what one core writes apart from what another reads.
type cacheLine [64]byte

// symbol is one symbol of a venue and its legs.
type symbol struct {
	name string
	legs [andon.Short + 1]leg

	rules    rules
	mark     units  // zero while none was given
	markedAt moment // of the mark
	passed   moment // when the last order passed, exits counted
	gross    value  // what its legs could be worth at the mark; see ledger.regross
	open     bool   // a leg has a position or an order
	unmarked bool   // and there is no mark
}

// leg is one leg's verified quantity and the orders that may change it, added up:
// those that the last view shows, and those kept since they entered.
type leg struct {
	quantity   units
	shown, own sums
	repeats    [2]repeat
}

// sums adds up the orders of one leg, by side: index 0 buys, 1 sells.
type sums struct {
	reserved [2][shares]units // what reduces, by whom it shares with
	reach    [2]units         // what the venue does not keep from opening
	orders   [2]int
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
	free     phase = iota // it is no order
	flying                // entered, not exited
	lost                  // its outcome is unknown
	accepted              // the venue answered; a view asked for after that shows what it did
)

// tracked is one order that is kept, from Enter until a view shows what it did.
type tracked struct {
	book       *ledger // never another, whatever order it is used for
	id         string
	hash       uint64 // of the id
	symbol     *symbol
	remaining  units
	leg        andon.Leg
	side       uint8
	share      share
	reduceOnly bool
	phase      phase
	exited     moment
	use        uint64 // tells the permit of an earlier use of this value apart
	at         int    // its place in ledger.orders
}

// ledgers finds the ledger of a venue without a lock. There are as many as the bot
// has venues, so they are looked through.
type ledgers struct {
	all atomic.Pointer[[]*ledger]
	mu  sync.Mutex // of whoever adds one
}

func (ls *ledgers) list() []*ledger {
	if p := ls.all.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *Switch) ledger(venue string) *ledger {
	for _, b := range s.books.list() {
		if b.venue == venue {
			return b
		}
	}
	return s.newLedger(venue)
}

func (s *Switch) newLedger(venue string) *ledger {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	old := s.books.list()
	for _, b := range old {
		if b.venue == venue {
			return b
		}
	}
	b := &ledger{
		sw: s, venue: venue, symbols: map[string]*symbol{}, ids: newIDs(s.cfg.RememberIDs),
		maxView: moment(s.cfg.MaxViewAge), maxMark: moment(s.cfg.MaxMarkAge), maxEquity: moment(s.cfg.MaxEquityAge),
	}
	for _, v := range s.cfg.HedgeVenues {
		b.hedge = b.hedge || v == venue
	}
	all := append(old[:len(old):len(old)], b)
	s.books.all.Store(&all)
	return b
}

// symbol finds or makes a symbol's book.
func (b *ledger) symbol(name string) *symbol {
	if y := b.last; y != nil && y.name == name {
		return y
	}
	y := b.symbols[name]
	if y == nil {
		y = &symbol{name: name}
		b.symbols[name] = y
		b.learn(y)
	}
	b.last = y
	return y
}

// reserved returns what the exits take that share the leg with an order.
func (l *leg) reserved(side uint8, own share, reduceOnly bool) (sum units) {
	for sh := range share(shares) {
		if sh == own || !reduceOnly {
			sum = sum.add(l.shown.reserved[side][sh]).add(l.own.reserved[side][sh])
		}
	}
	return sum
}

// reach returns the quantity that the leg could have once every buy, or every sell,
// has traded whole, but for those that the venue keeps from opening.
func (l *leg) reach(side uint8) units {
	r := l.shown.reach[side].add(l.own.reach[side])
	if side == 1 {
		return l.quantity.sub(r)
	}
	return l.quantity.add(r)
}

// reachWith is reach with one more order.
func (l *leg) reachWith(t *tracked) units {
	if t.side == 1 {
		return l.reach(1).sub(t.remaining)
	}
	return l.reach(0).add(t.remaining)
}

func (s *sums) add(t *tracked) {
	s.orders[t.side]++
	s.reserved[t.side][t.share] = s.reserved[t.side][t.share].add(t.remaining)
	if !t.reduceOnly {
		s.reach[t.side] = s.reach[t.side].add(t.remaining)
	}
}

func (s *sums) take(t *tracked) {
	s.orders[t.side]--
	s.reserved[t.side][t.share] = s.reserved[t.side][t.share].sub(t.remaining)
	if !t.reduceOnly {
		s.reach[t.side] = s.reach[t.side].sub(t.remaining)
	}
}

// unused returns an order that is not used, to be filled and entered.
func (b *ledger) unused() *tracked {
	if n := len(b.free); n > 0 {
		t := b.free[n-1]
		b.free = b.free[:n-1]
		return t
	}
	return &tracked{book: b}
}

// enter keeps an order from now on; at is the place that ids.find found for it.
func (b *ledger) enter(t *tracked, at int) {
	t.phase, t.at = flying, len(b.orders)
	t.use++
	b.ids.add(t.hash, t.id, at, t, b.orders)
	b.orders = append(b.orders, t)
	t.symbol.legs[t.leg].own.add(t)
}

// drop keeps an order no more. What it adds up to is left as it is.
func (b *ledger) drop(t *tracked) {
	last := len(b.orders) - 1
	moved := b.orders[last]
	b.orders[t.at], moved.at = moved, t.at
	b.orders[last] = nil
	b.orders = b.orders[:last]
	t.phase = free
	t.use++ // a permit that exits again finds another order
	b.free = append(b.free, t)
}

// settle moves an order on by its outcome.
func (b *ledger) settle(t *tracked, out Outcome) {
	own := &t.symbol.legs[t.leg].own
	switch {
	case out == OutcomeUnknown:
		t.phase, t.exited = lost, b.sw.now()
		return
	case out == Refused:
		b.ids.forget(t.hash, t.id)
		own.take(t)
		b.drop(t)
	case !b.keep: // nobody asks yet what it did; the first view must be of later
		b.blind = true
		own.take(t)
		b.drop(t)
	default:
		now := b.sw.now()
		if b.viewDoubt(now) == known {
			t.phase, t.exited = accepted, now
			return
		}
		// The leg is not known anyway. So that a bot that never looks again does not
		// keep every order for ever, only the sum is kept, and the next view must be
		// of later.
		b.from = now
		if !b.seen {
			own.take(t)
		}
		b.drop(t)
	}
	if b.limits.gross {
		b.regross(t.symbol)
	}
}

// observe replaces what is known of the venue by a view of it. Orders that had not
// exited when the view was asked for are kept on, since it may not show them.
func (b *ledger) observe(v *readView) {
	for _, y := range b.symbols {
		for i := range y.legs {
			l := &y.legs[i]
			l.quantity, l.shown, l.own = units{}, sums{}, sums{}
		}
	}
	for i := len(b.orders) - 1; i >= 0; i-- {
		t := b.orders[i]
		if t.phase == accepted && t.exited < v.asked {
			b.drop(t)
			continue
		}
		t.symbol.legs[t.leg].own.add(t)
	}
	for _, p := range v.positions {
		y := b.symbol(p.symbol)
		y.legs[p.leg].quantity = p.quantity
		b.hedge = b.hedge || p.leg != andon.Net
		if p.mark.sign() > 0 && (y.mark.sign() == 0 || y.markedAt <= v.asked) {
			y.mark, y.markedAt = p.mark, v.asked
		}
	}
	for i := range v.orders {
		o := &v.orders[i]
		o.symbol = b.symbol(o.symbolName)
		b.hedge = b.hedge || o.leg != andon.Net
		if o.id == "" {
			o.symbol.legs[o.leg].shown.add(&o.tracked)
			continue
		}
		h := b.ids.hash(o.id)
		e, at := b.ids.find(h, o.id)
		if e == nil {
			b.ids.add(h, o.id, at, nil, b.orders)
		}
		if e.kept() == nil {
			o.symbol.legs[o.leg].shown.add(&o.tracked)
		}
	}
	b.seen, b.asked, b.void, b.blind = true, v.asked, false, false
	if b.limits.gross {
		b.regrossAll()
	}
}

// verdict is what the ledger makes of an order.
type verdict struct {
	intent     Intent
	unverified bool
	cause      cause // where the intent is Increase: what kept it from being an exit
}

// cause says why an order is no exit.
type cause uint8

const (
	isExit    cause = iota
	wrongSide       // it does not make the leg smaller, as far as the leg is known
	tooMuch         // other exits have reserved the leg
)

// doubt says why a position is not known.
type doubt uint8

const (
	known doubt = iota
	noView
	staleView
	movedSince // an order sent since the last view may have moved it
)

// derive says what an order does to its leg, by the last verified position and by
// every order that may change it in the meantime.
func (b *ledger) derive(t *tracked, conditional bool, now moment) verdict {
	l := &t.symbol.legs[t.leg]
	s := l.quantity.sign()
	reduces := s != 0 && (s < 0) == (t.side == 0)
	if !reduces && !t.reduceOnly {
		return verdict{cause: wrongSide}
	}
	exit := Reduce
	if conditional {
		exit = Protect
	}
	d := b.doubt(l, now)
	if d != known && t.reduceOnly {
		return verdict{intent: exit, unverified: true} // the venue keeps it from opening
	}
	if !reduces {
		return verdict{cause: wrongSide}
	}
	if l.quantity.abs().sub(l.reserved(t.side, t.share, t.reduceOnly)).less(t.remaining) {
		return verdict{cause: tooMuch}
	}
	return verdict{intent: exit, unverified: d != known}
}

// viewDoubt says why the venue's positions are not known.
func (b *ledger) viewDoubt(now moment) doubt {
	switch {
	case !b.seen:
		return noView
	case b.void || now-b.asked > b.maxView:
		return staleView
	}
	return known
}

// doubt says why the position of a leg is not known. Orders kept since the last view
// leave no doubt as long as all they can do is to make the leg smaller, since what
// they take is reserved.
func (b *ledger) doubt(l *leg, now moment) doubt {
	if d := b.viewDoubt(now); d != known {
		return d
	}
	buys, sells := l.own.orders[0] > 0, l.own.orders[1] > 0
	moved := false
	switch l.quantity.sign() {
	case 0:
		moved = buys || sells
	case 1:
		moved = buys || l.quantity.less(l.own.reach[1])
	case -1:
		moved = sells || l.quantity.neg().less(l.own.reach[0])
	}
	if moved {
		return movedSince
	}
	return known
}
