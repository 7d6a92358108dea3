package safety

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// View is what one venue said when it was read whole: what the gate derives
// intents from.
type View struct {
	Venue     string
	Asked     time.Time        // before the first query was sent
	Positions []andon.Position // every leg that is not flat
	Orders    []andon.Order    // every live order, conditional ones included
}

// ReadView reads a venue whole. An error means that nothing is known anew.
func ReadView(ctx context.Context, venue string, a andon.Account) (View, error) {
	v := View{Venue: venue, Asked: time.Now()}
	var err error
	if v.Orders, err = a.Orders(ctx); err != nil {
		return View{}, fmt.Errorf("view of %s: orders: %w", venue, err)
	}
	if v.Positions, err = a.Positions(ctx); err != nil {
		return View{}, fmt.Errorf("view of %s: positions: %w", venue, err)
	}
	return v, nil
}

// Observe gives the gate a verified view of a venue; it counts until the next one
// or until MaxViewAge has passed. Give one whenever the venue was read: without it
// the gate knows no position, so only what the venue itself keeps from opening
// passes as an exit.
//
// While the gate is active, has no limits and was never given a view, it does not
// keep what it lets through. A first view that was asked for in that time, or while
// such an order was in flight, may not show it: that is ErrStaleView, and the
// remedy is to read the venue again.
func (s *Switch) Observe(v View) error {
	if err := v.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.keep = true // from here on every order is kept
	s.regateIfIdle()
	s.noteQuiet()
	if now := time.Now(); v.Asked.After(now) {
		return fmt.Errorf("view of %s asked at %s, which is %v from now: one of the clocks is wrong", v.Venue, v.Asked.Format(time.RFC3339Nano), v.Asked.Sub(now))
	}
	if s.quiet.IsZero() || !s.book.observed(v.Venue) && (v.Asked.Before(s.quiet) || v.Asked.Before(s.book.moved[v.Venue])) {
		return fmt.Errorf("view of %s asked at %s: %w: read the venue again", v.Venue, v.Asked.Format(time.RFC3339Nano), ErrStaleView)
	}
	if v.Asked.Before(s.book.venues[v.Venue].asked) {
		return fmt.Errorf("view of %s asked at %s, a newer one is known: %w", v.Venue, v.Asked.Format(time.RFC3339Nano), ErrStaleView)
	}
	s.book.observe(v)
	s.regateIfIdle()
	return nil
}

// validate reports what would mislead the gate.
func (v View) validate() error {
	var errs []error
	if v.Venue == "" {
		errs = append(errs, errors.New("Venue is empty"))
	}
	if v.Asked.IsZero() {
		errs = append(errs, errors.New("Asked is zero: when was the venue asked?"))
	}
	legs := map[andon.LegKey]bool{}
	for i, p := range v.Positions {
		if err := p.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("Positions[%d]: %w", i, err))
		}
		if p.Venue != v.Venue {
			errs = append(errs, fmt.Errorf("Positions[%d]: venue %q", i, p.Venue))
		}
		if legs[p.Key()] {
			errs = append(errs, fmt.Errorf("Positions[%d]: leg %v is there twice", i, p.Key()))
		}
		legs[p.Key()] = true
	}
	for i, o := range v.Orders {
		if o.Venue != v.Venue {
			errs = append(errs, fmt.Errorf("Orders[%d]: venue %q", i, o.Venue))
		}
		if o.Side.Sign() == 0 || o.Remaining().Sign() < 0 {
			errs = append(errs, fmt.Errorf("Orders[%d]: order %q: side %v, remaining %v", i, o.ClientID, o.Side, o.Remaining()))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("view of %q: %w", v.Venue, errors.Join(errs...))
	}
	return nil
}
