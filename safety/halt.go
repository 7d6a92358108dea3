package safety

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Report says what a halt did.
type Report struct {
	Hold     Hold          // as placed; it takes the place of one that said the same
	Closed   time.Duration // from the call to the closed gate
	Durable  time.Duration // from the call to the hold on disk; zero while it is not
	Drained  time.Duration // from the call to the last order settled; zero while some are in flight
	InFlight []string      // client ids of orders that passed before and are not settled
}

// Halt stops trading. It closes the gate first; then it makes the hold durable and
// waits for the orders that had passed the gate, both at once, each within its
// bound and within ctx. When it returns, whatever it returns, no order that adds
// exposure passes any more, and every order that had passed has exited or is named
// in Report.InFlight. Only Resume undoes it.
//
// The error is ErrNotDurable when the hold is not on disk within the bound; the
// gate is closed all the same, and the switch goes on trying. An empty by or reason
// is filled in rather than refused.
func (s *Switch) Halt(ctx context.Context, by, reason string) (Report, error) {
	start := time.Now()
	r := Report{Hold: s.engage(Halted, by, reason)}
	r.Closed = time.Since(start)
	err := s.drain(ctx, start, &r)
	return r, err
}

// Engage closes the gate as Halt does, and returns without waiting for disk or
// orders; Drain waits for them. The error is always nil: it is there for interfaces
// over switches that are not in this process.
func (s *Switch) Engage(by, reason string) error {
	s.engage(Halted, by, reason)
	return nil
}

// Reduce narrows trading to what makes positions smaller. It waits for nothing, and
// Relax, Lift or Resume undoes it.
func (s *Switch) Reduce(by, reason string) error {
	s.engage(Reducing, by, reason)
	return nil
}

// Drain waits until the holds are durable and the orders that had passed the gate
// have settled, within DurableWithin, DrainWithin and ctx, and returns the client
// ids of those that have not. The error is ErrNotDurable.
func (s *Switch) Drain(ctx context.Context) (inFlight []string, err error) {
	var r Report
	err = s.drain(ctx, time.Now(), &r)
	return r.InFlight, err
}

// named fills in what a hold may not lack: stopping is not refused for a form.
func named(by, reason string) (string, string) {
	if strings.TrimSpace(by) == "" {
		by = "somebody who gave no name"
	}
	if strings.TrimSpace(reason) == "" {
		reason = "no reason given"
	}
	return by, reason
}

func (s *Switch) engage(state TradingState, by, reason string) Hold {
	by, reason = named(by, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(Hold{State: state, By: by, Reason: reason})
}

func (s *Switch) drain(ctx context.Context, start time.Time, r *Report) error {
	s.mu.Lock()
	want := s.dirty
	s.mu.Unlock()
	durable := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.DurableWithin)
		defer cancel()
		err := s.waitDurable(ctx, want)
		if err == nil {
			r.Durable = time.Since(start)
		}
		durable <- err
	}()
	orders, cancel := context.WithTimeout(ctx, s.cfg.DrainWithin)
	defer cancel()
	r.InFlight = s.waitSettled(orders)
	if len(r.InFlight) == 0 {
		r.Drained = time.Since(start)
	}
	return <-durable
}

// waitSettled waits until no order is in flight, or names those that are. Orders
// whose outcome is unknown are named at once when they are all that is left: no
// waiting settles them.
func (s *Switch) waitSettled(ctx context.Context) []string {
	s.draining.Add(1) // before the first look, so that no exit after it is missed
	defer s.draining.Add(-1)
	var last []string
	for look := 0; ; look++ {
		s.mu.Lock()
		open := s.gate.Load().state == Active
		names, waiting := s.names()
		if s.settled == nil {
			s.settled = make(chan struct{})
		}
		settled := s.settled
		s.mu.Unlock()
		switch {
		case waiting == 0:
			return names
		case open && look > 0:
			return last // resumed meanwhile: what was in flight before may be so still
		}
		last = names
		select {
		case <-settled:
		case <-ctx.Done():
			return names
		}
	}
}

// names returns the client ids of the orders that have passed the gate and are not
// settled, and how many of them may still settle by themselves.
func (s *Switch) names() (names []string, waiting int) {
	for _, b := range s.books.list() {
		unsettled, flying := b.unsettled()
		names, waiting = append(names, unsettled...), waiting+flying
	}
	slices.Sort(names)
	return slices.Compact(names), waiting
}

// unsettled is names of one venue, in no order.
func (b *ledger) unsettled() (names []string, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.orders {
		if t.phase != accepted {
			names = append(names, t.id)
		}
		if t.phase == flying {
			waiting++
		}
	}
	return names, waiting
}

// wake tells those who drain that an order has exited.
func (s *Switch) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled != nil {
		close(s.settled)
		s.settled = nil
	}
}

// waitDurable waits until the disk has all that was dirty at want.
func (s *Switch) waitDurable(ctx context.Context, want uint64) error {
	for {
		s.mu.Lock()
		done, saved, err := s.clean >= want, s.saved, s.saveErr
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-saved:
		case <-ctx.Done():
			return errors.Join(ErrNotDurable, err)
		case <-s.ctx.Done():
			return errors.Join(ErrNotDurable, ErrClosed, err)
		}
	}
}
