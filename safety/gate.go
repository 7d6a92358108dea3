package safety

import (
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// gate is what an order meets, replaced whole when anything in it changes.
type gate struct {
	state  TradingState
	timed  bool   // Enter needs to know the time
	open   bool   // active, and there is no lease to be read
	holds  []Hold // in force, strictest first
	err    error  // why an order that adds exposure is denied; nil while active
	limits *limitSet
	off    []string // features that a throttle has switched off
}

// regate publishes a new gate. Called with mu held.
func (s *Switch) regate() {
	g := &gate{state: strictest(s.holds), holds: s.sorted()}
	g.open = g.state == Active && s.cfg.Lease == nil
	if g.state != Active {
		g.err = &DeniedError{State: g.state, Intent: Increase, Holds: g.holds}
	}
	g.limits, g.off = s.throttled()
	g.timed = g.state != Active || g.limits.on
	s.gate.Store(g)
}

// Check returns nil while an order that adds exposure may be sent, and a
// *DeniedError with the holds while it may not. It is for code that wants to know
// before it computes a signal; only Enter and Submit count the order, so that Halt
// knows of it. It costs one atomic load, and the reading of the lease where there is
// one, and allocates nothing. Limits it does not judge, since they are of an order.
func (s *Switch) Check() error {
	if s.gate.Load().open {
		return nil // short enough to be inlined
	}
	return s.shut()
}

// shut says why the gate is not open, unless only the lease had to be read.
func (s *Switch) shut() error {
	if err := s.gate.Load().err; err != nil {
		return err
	}
	if _, ok := s.leased(); !ok {
		return errNoLease
	}
	return nil
}

// Outcome is what the venue's answer says of an order that passed the gate. The
// zero value is OutcomeUnknown.
type Outcome uint8

// The outcomes.
const (
	OutcomeUnknown Outcome = iota // it may or may not be on the venue: a timeout is not a refusal
	Accepted                      // the venue has it, or had it: live, filled or cancelled
	Refused                       // it is not on the venue: rejected, or never sent
)

// Permit is one order's way through the gate. It counts as in flight until Exit.
// The zero value is no permit, and its Exit does nothing.
type Permit struct {
	order *tracked
	use   uint64
	until time.Duration // the lease's end when the order entered; zero where it needs none

	// Intent is what the gate derived. Nothing is derived while active without
	// limits, and it is Increase then.
	Intent Intent

	// Unverified says that the order passed as an exit although the position of its
	// leg is not known.
	Unverified bool
}

// Enter lets an order through the gate or says in a *DeniedError why not. The
// order is not changed and not kept. On success the caller sends the order at once
// and calls Exit with what came of it; Submit does all three.
//
// After Halt has returned no Enter that began later succeeds for an order that
// adds exposure, and every order that entered before has exited or is named in
// Halt's report. The intent is derived from the order and the last verified
// position of its leg; see Observe. What adds exposure is judged by the Limits.
//
// An order that passes costs no allocation.
func (s *Switch) Enter(o *andon.Order) (Permit, error) { return s.enter(o, false) }

// enter takes an order through the gate. The gate is looked at under the ledger's
// lock, and whoever changes it looks through the ledgers after that: so either the
// change is seen here, or the order is seen there.
func (s *Switch) enter(o *andon.Order, confirmed bool) (Permit, error) {
	quantity, ok := wellFormed(o)
	if !ok {
		return Permit{}, s.malformed(o, Increase)
	}
	var now moment
	timed := confirmed || s.gate.Load().timed
	if timed {
		now = s.now()
	}
	b := s.ledger(o.Venue)
	hash := b.ids.hash(o.ClientID)

	b.mu.Lock()
	g := s.gate.Load()
	until, leased := s.leased()
	derived := confirmed || g.timed || !leased
	if derived && !timed {
		now = s.now()
	}
	t := b.unused()
	t.id, t.hash, t.symbol, t.remaining = o.ClientID, hash, b.symbol(o.Symbol), quantity
	t.leg, t.side, t.share, t.reduceOnly = o.Leg, uint8(sideIndex(o.Side)), shareOf(o.Kind, o.ReduceOnly), o.ReduceOnly
	v, d := b.admit(g, o, t, ask{confirmed, derived, leased, now})
	if d != nil {
		b.free = append(b.free, t)
		b.mu.Unlock()
		return Permit{}, s.denied(d)
	}
	use := t.use
	b.mu.Unlock()
	if v.intent != Increase || o.ReduceOnly {
		until = 0 // it adds no exposure, or the venue keeps it from that
	}
	return Permit{order: t, use: use, until: until, Intent: v.intent, Unverified: v.unverified}, nil
}

// ask is what an order is judged under besides the gate.
type ask struct {
	confirmed bool // by a person
	derived   bool // what it does to its leg matters
	leased    bool
	now       moment
}

// admit judges an order and keeps it, or says why not.
func (b *ledger) admit(g *gate, o *andon.Order, t *tracked, a ask) (v verdict, d *DeniedError) {
	c, now := &b.limits, a.now
	if c.set != g.limits {
		b.adopt(g.limits)
	}
	if now < c.clock { // another order was here between the clock and the lock
		now = c.clock
	} else {
		c.clock = now
	}
	e, at := b.ids.find(t.hash, t.id)
	if e != nil {
		return v, b.taken(g, o, e)
	}
	if b.hedge && o.Leg == andon.Net {
		return v, newDenied(g, o, ReasonLeg, Increase, "the venue is in hedge mode and the order names no leg")
	}
	if !t.symbol.legs[t.leg].own.reserved[t.side][t.share].hasRoom() {
		return v, newDenied(g, o, ReasonOrder, Increase, "the leg's orders are more than the gate can count")
	}
	if a.derived {
		v = b.derive(t, o.Kind.Conditional(), now)
		if a.confirmed {
			if v.intent == Increase {
				return v, newDenied(g, o, ReasonExit, Increase, b.causeText(v, t, o, now))
			}
			v.intent = Close
		}
		switch {
		case !g.state.Admits(v.intent):
			return v, newDenied(g, o, ReasonHold, v.intent, b.causeText(v, t, o, now))
		case !a.leased && !min(g.state, Reducing).Admits(v.intent):
			d := newDenied(g, o, ReasonLease, v.intent, strings.TrimSuffix(noLease+"; "+b.causeText(v, t, o, now), "; "))
			d.State = Reducing
			return v, d
		}
	}
	if g.limits.on {
		var p priced
		if d := b.limit(g, o, t, &p, v, now); d != nil {
			return v, d
		}
		b.enter(t, at)
		b.count(t, &p, now)
		if c.gross {
			b.grow(t, v)
		}
		return v, nil
	}
	b.enter(t, at)
	return v, nil
}

// limit judges an order by the limits: one that adds exposure is denied where it
// would break one, an exit is counted.
func (b *ledger) limit(g *gate, o *andon.Order, t *tracked, p *priced, v verdict, now moment) *DeniedError {
	p.kind = o.Kind
	if r := &t.symbol.rules; o.Kind != andon.Market && (r.repeats > 0 || r.collar.sign() > 0) {
		var okPrice, okTrigger bool
		p.price, okPrice = toUnits(o.Price)
		p.trigger, okTrigger = toUnits(o.Trigger)
		if (!okPrice || !okTrigger) && v.intent == Increase {
			return newDenied(g, o, ReasonOrder, v.intent, "price or trigger is "+maxWhole+" or more, which the gate does not count")
		}
	}
	br := b.judge(t, p, v.intent != Increase, now)
	if br.reason == 0 {
		return nil
	}
	if v.intent != Increase {
		b.sw.tally.past[br.reason].Add(1)
		return nil
	}
	bound, found, why := b.explain(br, t, p, now)
	d := newDenied(g, o, br.reason, v.intent, why)
	d.Bound, d.Found = bound, found
	return d
}

// taken says by what a client id is taken.
func (b *ledger) taken(g *gate, o *andon.Order, e *idEntry) *DeniedError {
	why := "this client id is taken by an order that was sent or seen before"
	if t := e.kept(); t != nil {
		why = "this client id is taken by an order that is in flight, or whose outcome is unknown, or that no view shows yet"
	}
	return newDenied(g, o, ReasonClientID, Increase, why)
}

// wellFormed returns what remains of an order of which Validate would find nothing
// wrong, and whose quantity the gate counts. It does not say what is wrong.
func wellFormed(o *andon.Order) (q units, ok bool) {
	q, ok = toUnits(o.Quantity)
	if !ok || q.sign() <= 0 || o.Side.Sign() == 0 || o.Leg > andon.Short || o.Kind == 0 || o.Kind > andon.TakeProfitLimit ||
		o.ClientID == "" || o.Venue == "" || o.Symbol == "" {
		return units{}, false
	}
	if o.Kind.Priced() != (some(&o.Price) && o.Price.Sign() > 0) || o.Kind.Conditional() != (some(&o.Trigger) && o.Trigger.Sign() > 0) {
		return units{}, false
	}
	if some(&o.Filled) {
		f, ok := toUnits(o.Filled)
		if !ok || f.sign() < 0 || q.less(f) {
			return units{}, false
		}
		q = q.sub(f)
	}
	return q, true
}

// some is quicker than the Sign of a decimal that is not set, as most are not.
func some(d *andon.Decimal) bool { return *d != (andon.Decimal{}) }

// malformed denies an order that is not whole, in the words of Validate.
func (s *Switch) malformed(o *andon.Order, i Intent) error {
	why := "its quantity is " + maxWhole + " or more, which the gate does not count"
	if err := o.Validate(); err != nil {
		why = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return s.deny(o, ReasonOrder, i, why)
}

func newDenied(g *gate, o *andon.Order, r Reason, i Intent, why string) *DeniedError {
	return &DeniedError{State: g.state, Intent: i, Order: o.ClientID, Leg: o.Key(), Holds: g.holds, Reason: r, Why: why}
}

func (s *Switch) deny(o *andon.Order, r Reason, i Intent, why string) error {
	return s.denied(newDenied(s.gate.Load(), o, r, i, why))
}

// denied counts a denial. The same order again and again holds: whoever sends it does
// not know what it is doing.
func (s *Switch) denied(d *DeniedError) error {
	s.tally.denied[d.Reason].Add(1)
	if d.Reason == ReasonMaxRepeats {
		s.engage(Reducing, byRepeats, d.Why+": order "+d.Order+" on "+d.Leg.String())
	}
	return d
}

// Exit says what came of the order. With OutcomeUnknown the order stays in flight,
// and listed, until Resolve. The first call counts; others do nothing.
func (p Permit) Exit(out Outcome) {
	if p.order == nil {
		return
	}
	if out > Refused {
		out = OutcomeUnknown
	}
	b := p.order.book
	b.mu.Lock()
	if p.order.use != p.use || p.order.phase != flying {
		b.mu.Unlock()
		return // settled before
	}
	b.settle(p.order, out)
	b.mu.Unlock()
	if b.sw.draining.Load() > 0 {
		b.sw.wake()
	}
}
