package safety

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/andon-go/andon"
)

// gate is what the hot path needs to know, replaced whole when anything in it
// changes. Two loads that give the same pointer mean that nothing changed between
// them, since the first load keeps the old one from being used again.
type gate struct {
	state TradingState
	fast  bool  // active, and nothing to derive, limit or keep
	err   error // why an order that adds exposure is denied; nil while active
}

// regate publishes a new gate. Called with mu held.
func (s *Switch) regate() {
	g := &gate{state: strictest(s.holds)}
	if g.state != Active {
		g.err = &DeniedError{State: g.state, Intent: Increase, Holds: s.sorted()}
	}
	g.fast = g.state == Active && !s.book.needed()
	s.gate.Store(g)
	if g.fast {
		s.quiet = time.Time{}
	} else {
		s.noteQuiet()
	}
}

// noteQuiet notes the first moment from which on no order is in flight that went
// the fast way: a view asked for later shows all that those orders did. Called with
// mu held.
func (s *Switch) noteQuiet() {
	if s.quiet.IsZero() && !s.gate.Load().fast && s.slotsBusy() == 0 {
		s.quiet = time.Now()
	}
}

// Check returns nil while an order that adds exposure may be sent, and a
// *DeniedError with the holds while it may not. It is for code that wants to know
// before it computes a signal; only Enter and Submit count the order, so that Halt
// knows of it. It costs one atomic load and allocates nothing.
func (s *Switch) Check() error {
	if err := s.gate.Load().err; err != nil {
		return err
	}
	if _, ok := s.leased(); !ok {
		return errNoLease
	}
	return nil
}

const (
	slotCount = 128 // a power of two; beyond it permits are kept under the lock
	slotTries = 4   // neighbours looked at before that
)

// A slot is one order in flight while nothing but the state decides. It fills a
// cache line, so that cores that trade do not share one.
//
// Its word counts up by four with every use, and its low bits say: free, claimed,
// in flight. The names are written by the claimant after its second look at the
// gate, and read by whoever closed the gate: a claimant that looked before the
// closing has a slot that nobody else can get afterwards, and one that looks after
// it writes nothing.
type slot struct {
	word              atomic.Uint64
	id, venue, symbol string
	leg               andon.Leg
	_                 [7]byte
}

const (
	slotFree    = 0
	slotClaimed = 1
	slotFlying  = 2
	slotMask    = 3
)

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
	sw    *Switch
	slot  *slot
	word  uint64
	order *tracked
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
// position of its leg; see Observe.
func (s *Switch) Enter(o *andon.Order) (Permit, error) {
	if g := s.gate.Load(); g.fast && o.ClientID != "" {
		return s.pass(g, o)
	}
	return s.enterDerived(o)
}

// pass counts the order in a slot if the gate is still g once it is counted.
// Whoever changes the gate looks at the slots after that. So either the change is
// seen here, and the order starts again below the lock, or the order is seen there.
func (s *Switch) pass(g *gate, o *andon.Order) (Permit, error) {
	until, ok := s.leased()
	if !ok {
		return s.enterDerived(o)
	}
	if o.ReduceOnly {
		until = 0 // the venue keeps it from adding exposure
	}
	i := stackHint()
	for range slotTries {
		sl := &s.slots[i%slotCount]
		w := sl.word.Load()
		if w&slotMask != slotFree || !sl.word.CompareAndSwap(w, w|slotClaimed) {
			i++
			continue
		}
		if s.gate.Load() != g {
			sl.word.Store(w + slotMask + 1)
			s.wake()
			break
		}
		sl.id, sl.venue, sl.symbol, sl.leg = o.ClientID, o.Venue, o.Symbol, o.Leg
		sl.word.Store(w | slotFlying)
		return Permit{sw: s, slot: sl, word: w | slotFlying, until: until}, nil
	}
	return s.enterDerived(o)
}

// Exit says what came of the order. With OutcomeUnknown the order stays in flight,
// and listed, until Resolve. The first call counts; others do nothing.
func (p Permit) Exit(out Outcome) {
	if out > Refused {
		out = OutcomeUnknown
	}
	switch {
	case p.sw == nil:
	case p.slot == nil:
		p.sw.exitTracked(p.order, p.word, out)
	case out == OutcomeUnknown:
		p.sw.exitUnknown(p)
	case p.slot.word.CompareAndSwap(p.word, p.word&^slotMask+slotMask+1):
		if !p.sw.gate.Load().fast {
			p.sw.wake()
		}
	}
}

// stackHint returns a number that is the same for one goroutine most of the time
// and differs between goroutines: the page of its stack. Goroutines on different
// cores so use different cache lines without asking anybody.
func stackHint() uint64 {
	var here byte
	return (uint64(uintptr(unsafe.Pointer(&here))) >> 11) * 0x9e3779b97f4a7c15 >> 57
}

// slotsBusy counts the slots that are not free.
func (s *Switch) slotsBusy() (n int) {
	for i := range s.slots {
		if s.slots[i].word.Load()&slotMask != slotFree {
			n++
		}
	}
	return n
}
