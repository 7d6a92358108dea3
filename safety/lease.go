package safety

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Lease is a right to add exposure that ends by itself unless it is renewed: what a
// switch needs of a stop that is not in this process. fleet.Member is one.
//
// Both methods are called by every Enter, so they are quick and allocate nothing. They
// are safe for concurrent use and do not call the switch.
type Lease interface {
	// Until returns when the lease ends, on its own clock. Zero is a lease that is
	// not held.
	Until() time.Duration

	// Now reads that clock, which goes on while the machine sleeps.
	Now() time.Duration
}

// leased reads the lease: until when it holds, and whether it holds now. Nothing else
// decides: there is no timer that could be late.
func (s *Switch) leased() (until time.Duration, ok bool) {
	if s.cfg.Lease == nil {
		return 0, true
	}
	until = s.cfg.Lease.Until()
	return until, until > s.cfg.Lease.Now()
}

// leasedState returns what the gate and the lease leave together.
func (s *Switch) leasedState(state TradingState) TradingState {
	if state == Active {
		if _, ok := s.leased(); !ok {
			return Reducing
		}
	}
	return state
}

// noLease says why nothing that adds exposure passes although no hold forbids it.
const noLease = "the lease is over or was never had: nothing that adds exposure passes until it is renewed"

var errNoLease = &DeniedError{State: Reducing, Intent: Increase, Reason: ReasonLease, Why: noLease}

// Lapsed reports whether the lease that the order entered under is over, so that the
// order must not be sent any more: Exit with Refused, and Enter again. It is for a
// process that was stopped, or a machine that slept, between Enter and the venue. An
// order that the gate found to be an exit, and every order of a switch without a
// Lease, never lapses.
func (p Permit) Lapsed() bool {
	return p.until != 0 && p.until <= p.order.book.sw.cfg.Lease.Now()
}

// Context returns the context for the venue call: ctx, which besides ends when the
// lease does that the order entered under. So a call that has not begun when the lease
// ends does not begin, and one that has gets no answer: its outcome is unknown. After
// the machine has slept, Err and Done say so at their next call, although timers do
// not count sleep. Call cancel once the answer is there.
func (p Permit) Context(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	if p.until == 0 {
		return ctx, func() {}
	}
	left := p.until - p.order.book.sw.cfg.Lease.Now()
	ctx, cancel = context.WithTimeout(ctx, left)
	return &leasedContext{Context: ctx, p: p, cancel: cancel}, cancel
}

// leasedContext reads the lease's clock whenever it is asked, beside the timer.
type leasedContext struct {
	context.Context
	p      Permit
	cancel context.CancelFunc
}

func (c *leasedContext) Done() <-chan struct{} {
	if c.p.Lapsed() {
		c.cancel()
	}
	return c.Context.Done()
}

func (c *leasedContext) Err() error {
	if err := c.Context.Err(); err != nil {
		if c.p.Lapsed() {
			return context.DeadlineExceeded // canceled by Done, because of it
		}
		return err
	}
	if c.p.Lapsed() {
		c.cancel()
		return context.DeadlineExceeded
	}
	return nil
}

// Condition sets what a component's condition makes of trading: a passing hold of that
// component, in place of the one it had; Active takes it away. A condition is for what
// goes when its cause does, such as a stop that is placed and lifted elsewhere: Resume
// does not lift it and a restart does not remember it, so whoever sets it looks for the
// cause anew. What a person or a fired rule decides is a halt; see Engage and Reduce.
//
// by is refused where it is empty or one of the switch's own components.
func (s *Switch) Condition(by string, state TradingState, reason string) error {
	if strings.TrimSpace(by) == "" || by == byState || by == byWatch || by == byClose || strings.HasPrefix(by, byFlag) {
		return fmt.Errorf("safety: a condition of %q: want the name of a component of the caller's own", by)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.condition(by, state, reason)
	return nil
}

// condition is Condition for any component. Called with mu held.
func (s *Switch) condition(by string, state TradingState, reason string) {
	reason = bounded(reason)
	mine := func(h Hold) bool { return h.Passing && h.By == by }
	if state == Active {
		if slices.ContainsFunc(s.holds, mine) {
			s.record(record{time.Now(), by, "condition over", reason})
			s.note(slog.LevelWarn, "safety: condition over", "by", by, "reason", reason)
		}
		s.dropAllBut(by, Hold{})
		return
	}
	want := Hold{State: state, By: by, Reason: reason, Passing: true}
	if !slices.ContainsFunc(s.holds, want.same) {
		s.record(record{time.Now(), by, "condition: " + state.String(), reason})
	}
	s.dropAllBut(by, s.place(want)) // after it, so that the gate is never open in between
}

// dropAllBut takes the passing holds of a component away, all but one. Called with mu
// held.
func (s *Switch) dropAllBut(by string, keep Hold) {
	kept := slices.DeleteFunc(slices.Clone(s.holds), func(h Hold) bool { return h.Passing && h.By == by && h.ID != keep.ID })
	if len(kept) < len(s.holds) {
		s.holds = kept
		s.changed()
	}
}
