package safety

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// enterDerived is Enter wherever more than the state decides.
func (s *Switch) enterDerived(o *andon.Order) (Permit, error) {
	if err := o.Validate(); err != nil {
		return Permit{}, s.deny(o, Increase, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enterLocked(o, false)
}

// EnterClose lets an exit through that a named person has confirmed, in every
// state. It is for closing positions while halted: the order must reduce its leg
// as for Enter, so it never opens and never flips. The decision is recorded first,
// and the order is denied when it cannot be.
func (s *Switch) EnterClose(ctx context.Context, o *andon.Order, by string) (Permit, error) {
	if err := o.Validate(); err != nil {
		return Permit{}, s.deny(o, Close, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if strings.TrimSpace(by) == "" {
		return Permit{}, s.deny(o, Close, "nobody is named who confirmed it")
	}
	what := fmt.Sprintf("close %v by order %s: %v %v", o.Key(), o.ClientID, o.Side, o.Remaining())
	if err := s.recordNow(ctx, by, what, "confirmed by the operator"); err != nil {
		return Permit{}, s.deny(o, Close, "the decision cannot be recorded: "+err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enterLocked(o, true)
}

func (s *Switch) enterLocked(o *andon.Order, confirmed bool) (Permit, error) {
	state, now := s.gate.Load().state, time.Now()
	until, leased := s.leased()
	if state == Active && !leased {
		state = Reducing
	}
	if t := s.book.byID[orderID{o.Venue, o.ClientID}]; t != nil {
		return Permit{}, s.denyLocked(o, Increase, "this client id is taken by an order that is in flight, or whose outcome is unknown, or that no view shows yet")
	}
	if o.Leg == andon.Net && s.book.hedged(o.Venue) {
		return Permit{}, s.denyLocked(o, Increase, "the venue is in hedge mode and the order names no leg")
	}
	p := Permit{sw: s}
	if state != Active || len(s.book.limits) > 0 || confirmed {
		v := s.book.derive(o, now)
		if confirmed && v.intent == Increase {
			return Permit{}, s.denyLocked(o, Increase, v.why)
		}
		if confirmed {
			v.intent = Close
		}
		if !state.Admits(v.intent) {
			if !leased {
				v.why = strings.TrimSuffix(noLease+"; "+v.why, "; ")
			}
			return Permit{}, s.denyLocked(o, v.intent, v.why)
		}
		if v.intent == Increase {
			if why := s.book.overLimit(o, now); len(s.book.limits) > 0 && why != "" {
				return Permit{}, s.denyLocked(o, v.intent, why)
			}
		}
		p.Intent, p.Unverified = v.intent, v.unverified
	}
	if p.Intent == Increase && !o.ReduceOnly {
		p.until = until
	}
	wasFast := s.gate.Load().fast
	p.order = s.book.enter(o, false)
	p.word = p.order.use
	if wasFast {
		s.regate() // a full row of slots: from here on orders are kept
	}
	return p, nil
}

func (s *Switch) deny(o *andon.Order, i Intent, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denyLocked(o, i, why)
}

func (s *Switch) denyLocked(o *andon.Order, i Intent, why string) error {
	return &DeniedError{State: s.leasedState(s.gate.Load().state), Intent: i, Order: o.ClientID, Leg: o.Key(), Holds: s.sorted(), Why: why}
}

// exitTracked settles an order that was kept.
func (s *Switch) exitTracked(t *tracked, use uint64, out Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.use != use || t.phase != flying {
		return // settled before
	}
	s.settle(t, out)
}

// settle moves an order on by its outcome. Called with mu held.
func (s *Switch) settle(t *tracked, out Outcome) {
	if t.phase == lost {
		s.book.unknown--
	}
	switch {
	case out == OutcomeUnknown:
		s.book.lose(t, time.Now())
	case out == Refused:
		s.book.forget(t)
	case s.book.observed(t.id.venue):
		t.phase, t.exited = accepted, time.Now()
	default: // nothing to add it to; the first view must be of later
		s.book.moved[t.id.venue] = time.Now()
		s.book.forget(t)
	}
	s.regateIfIdle()
	s.wakeLocked()
}

// regateIfIdle opens the fast way again once nothing has to be kept.
func (s *Switch) regateIfIdle() {
	if g := s.gate.Load(); g.state == Active && g.fast == s.book.needed() {
		s.regate()
	}
}

// exitUnknown keeps an order that went the fast way and whose outcome is unknown.
func (s *Switch) exitUnknown(p Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.slot.word.Load() != p.word {
		return // settled before
	}
	// The slot is this permit's until its word changes, so its names are whole.
	o := andon.Order{ClientID: p.slot.id, Venue: p.slot.venue, Symbol: p.slot.symbol, Leg: p.slot.leg}
	t := s.book.byID[orderID{o.Venue, o.ClientID}]
	if t == nil {
		t = s.book.enter(&o, true)
		s.book.lose(t, time.Now())
		s.regate()
	}
	if p.slot.word.CompareAndSwap(p.word, p.word&^slotMask+slotMask+1) {
		s.wakeLocked()
	}
}

// Submit takes an order through the gate and to the venue. It is the whole of
// Enter, Trader.Submit and Exit, and law 6: after an answer that does not come, the
// order is looked up by its client id, and what the venue then says of it is
// returned. Where that does not settle it the error is andon.ErrOutcomeUnknown, the
// order stays in flight and listed, and Resolve settles it; until then nothing else
// passes under its client id.
func (s *Switch) Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error) {
	if err := o.Validate(); err != nil {
		return o, s.deny(&o, Increase, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	p, err := s.Enter(&o)
	if err != nil {
		return o, err
	}
	return s.send(ctx, t, o, p)
}

// SubmitClose is Submit for an exit that a named person has confirmed; see
// EnterClose.
func (s *Switch) SubmitClose(ctx context.Context, t andon.Trader, o andon.Order, by string) (andon.Order, error) {
	p, err := s.EnterClose(ctx, &o, by)
	if err != nil {
		return o, err
	}
	return s.send(ctx, t, o, p)
}

func (s *Switch) send(ctx context.Context, t andon.Trader, o andon.Order, p Permit) (andon.Order, error) {
	if p.Lapsed() {
		// Stopped or asleep since Enter: much may have been decided meanwhile.
		p.Exit(Refused)
		var err error
		if p, err = s.Enter(&o); err != nil {
			return o, err
		}
	}
	out := OutcomeUnknown // what a panic in the venue's code leaves behind
	defer func() { p.Exit(out) }()
	call, done := p.Context(ctx)
	got, err := t.Submit(call, o)
	done()
	switch {
	case err == nil:
		out = Accepted
		return got, nil
	case errors.Is(err, andon.ErrRejected) && !errors.Is(err, andon.ErrOutcomeUnknown):
		out = Refused
		return o, err
	}
	// Any other error leaves open whether the order arrived. ctx may be over, and the
	// look-up must still be made.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.LookupWithin)
	defer cancel()
	if found, lookErr := t.Lookup(ctx, o.Symbol, o.ClientID); lookErr == nil {
		out = outcomeOf(found)
		if out == Refused {
			return found, &andon.RejectedError{Order: found, Reason: "found rejected after an unknown outcome: " + err.Error()}
		}
		if out == Accepted {
			return found, nil
		}
	}
	if !errors.Is(err, andon.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	return o, fmt.Errorf("order %s on %v: %w", o.ClientID, o.Key(), err)
}

// outcomeOf reads a venue's word on an order.
func outcomeOf(o andon.Order) Outcome {
	switch o.Status {
	case andon.Live, andon.Filled, andon.Canceled:
		return Accepted
	case andon.Rejected:
		return Refused
	}
	return OutcomeUnknown
}

// Resolve looks up every order of a venue whose outcome is unknown, and settles
// those that the venue knows. That it knows none is believed only SettleAfter after
// the order was lost. It returns the client ids still unknown; an error names the
// look-ups that gave no answer.
func (s *Switch) Resolve(ctx context.Context, venue string, t andon.Trader) ([]string, error) {
	type lostOrder struct {
		t      *tracked
		use    uint64
		id     orderID
		symbol string
		since  time.Time
	}
	var todo []lostOrder
	s.mu.Lock()
	for id, t := range s.book.byID {
		if t.phase == lost && id.venue == venue {
			todo = append(todo, lostOrder{t, t.use, id, t.key.Symbol, t.exited})
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, l := range todo {
		asked := time.Now()
		o, err := t.Lookup(ctx, l.symbol, l.id.client)
		out := OutcomeUnknown
		switch {
		case err == nil:
			out = outcomeOf(o)
		case errors.Is(err, andon.ErrOrderNotFound):
			if asked.Sub(l.since) >= s.cfg.SettleAfter {
				out = Refused
			}
		default:
			errs = append(errs, fmt.Errorf("look up order %s: %w", l.id.client, err))
		}
		if out == OutcomeUnknown {
			continue
		}
		s.mu.Lock()
		if l.t.use == l.use && l.t.phase == lost {
			s.settle(l.t, out)
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.unresolved(), errors.Join(errs...)
}
