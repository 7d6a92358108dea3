package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/andon-go/andon"
)

// EnterClose lets an exit through that a named person has confirmed, in every
// state. It is for closing positions while halted: the order must reduce its leg
// as for Enter, so it never opens and never flips. The decision is recorded first,
// and the order is denied when it cannot be.
func (s *Switch) EnterClose(ctx context.Context, o *andon.Order, by string) (Permit, error) {
	if _, ok := wellFormed(o); !ok {
		return Permit{}, s.malformed(o, Close)
	}
	if strings.TrimSpace(by) == "" {
		return Permit{}, s.deny(o, ReasonRecord, Close, "nobody is named who confirmed it")
	}
	what := fmt.Sprintf("close %v by order %s: %v %v", o.Key(), o.ClientID, o.Side, o.Remaining())
	if err := s.recordNow(ctx, by, what, "confirmed by the operator"); err != nil {
		return Permit{}, s.deny(o, ReasonRecord, Close, "the decision cannot be recorded: "+err.Error())
	}
	return s.enter(o, true)
}

// Submit takes an order through the gate and to the venue. It is the whole of
// Enter, Trader.Submit and Exit, and law 6: after an answer that does not come, the
// order is looked up by its client id, and what the venue then says of it is
// returned. Where that does not settle it the error is andon.ErrOutcomeUnknown, the
// order stays in flight and listed, and Resolve settles it; until then nothing else
// passes under its client id.
func (s *Switch) Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error) {
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
		id     string
		symbol string
		since  moment
	}
	var todo []lostOrder
	b := s.ledger(venue)
	b.mu.Lock()
	for _, t := range b.orders {
		if t.phase == lost {
			todo = append(todo, lostOrder{t, t.use, t.id, t.symbol.name, t.exited})
		}
	}
	b.mu.Unlock()
	var errs []error
	for _, l := range todo {
		asked := s.now()
		o, err := t.Lookup(ctx, l.symbol, l.id)
		out := OutcomeUnknown
		switch {
		case err == nil:
			out = outcomeOf(o)
		case errors.Is(err, andon.ErrOrderNotFound):
			if asked-l.since >= moment(s.cfg.SettleAfter) {
				out = Refused
			}
		default:
			errs = append(errs, fmt.Errorf("look up order %s: %w", l.id, err))
		}
		if out == OutcomeUnknown {
			continue
		}
		b.mu.Lock()
		if l.t.use == l.use && l.t.phase == lost {
			b.settle(l.t, out)
		}
		b.mu.Unlock()
	}
	s.wake()
	return s.unresolved(), errors.Join(errs...)
}

// unresolved returns the client ids of the orders whose outcome is unknown.
func (s *Switch) unresolved() []string {
	var names []string
	for _, b := range s.books.list() {
		b.mu.Lock()
		for _, t := range b.orders {
			if t.phase == lost {
				names = append(names, t.id)
			}
		}
		b.mu.Unlock()
	}
	slices.Sort(names)
	return names
}

// inFlight counts the orders that are not settled.
func (s *Switch) inFlight() (n int) {
	for _, b := range s.books.list() {
		names, _ := b.unsettled()
		n += len(names)
	}
	return n
}
