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
// The first view counts only if it was asked for after the orders that were let
// through and settled before anybody gave one, since those are not kept; so it is
// after a view that is older than MaxViewAge. One that may not show such an order is
// ErrStaleView, and the remedy is to read the venue again.
//
// A position's mark counts as Mark does, and so do the client ids of the orders:
// nothing else passes under them.
func (s *Switch) Observe(v View) error {
	r, err := v.read()
	if err != nil {
		return err
	}
	b := s.ledger(v.Venue)
	b.mu.Lock()
	defer b.mu.Unlock()
	r.asked = s.moment(v.Asked)
	now := s.now()
	if !b.keep {
		b.keep = true // from here on every order is kept
		if b.blind {
			b.from = now
		}
	}
	switch {
	case r.asked > now:
		return fmt.Errorf("view of %s asked at %s, which is %v from now: one of the clocks is wrong", v.Venue, v.Asked.Format(time.RFC3339Nano), time.Duration(r.asked-now))
	case r.asked < b.from:
		return fmt.Errorf("view of %s asked at %s: %w: read the venue again", v.Venue, v.Asked.Format(time.RFC3339Nano), ErrStaleView)
	case b.seen && r.asked < b.asked:
		return fmt.Errorf("view of %s asked at %s, a newer one is known: %w", v.Venue, v.Asked.Format(time.RFC3339Nano), ErrStaleView)
	}
	b.observe(&r)
	return nil
}

// distrust has the last view of a venue count as too old: until the next one the leg's
// positions are not known, so that what passes as an exit is what the venue itself keeps
// from opening, or what the leg has left by the last view.
func (s *Switch) distrust(venue string) {
	b := s.ledger(venue)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.void = true
}

// readView is a view in the form in which the gate counts.
type readView struct {
	asked     moment
	positions []readPosition
	orders    []readOrder
}

type readPosition struct {
	symbol         string
	leg            andon.Leg
	quantity, mark units
}

type readOrder struct {
	tracked
	symbolName string
}

// read converts a view, or reports what would mislead the gate.
func (v View) read() (readView, error) {
	if err := v.validate(); err != nil {
		return readView{}, err
	}
	r := readView{positions: make([]readPosition, len(v.Positions)), orders: make([]readOrder, len(v.Orders))}
	for i, p := range v.Positions {
		q, ok := toUnits(p.Quantity)
		if !ok {
			return r, fmt.Errorf("view of %q: Positions[%d]: quantity %v is %s or more, which the gate does not count", v.Venue, i, p.Quantity, maxWhole)
		}
		mark, _ := toUnits(p.Mark) // one that is too large is not known
		r.positions[i] = readPosition{p.Symbol, p.Leg, q, mark}
	}
	if len(v.Orders) > maxShown {
		return r, fmt.Errorf("view of %q: %d orders are more than the %d that the gate counts", v.Venue, len(v.Orders), maxShown)
	}
	for i, o := range v.Orders {
		q, ok := toUnits(o.Remaining())
		if !ok {
			return r, fmt.Errorf("view of %q: Orders[%d]: order %q: remaining %v is %s or more, which the gate does not count", v.Venue, i, o.ClientID, o.Remaining(), maxWhole)
		}
		r.orders[i] = readOrder{tracked{
			id: o.ClientID, leg: o.Leg, side: uint8(sideIndex(o.Side)), share: shareOf(o.Kind, o.ReduceOnly), reduceOnly: o.ReduceOnly, remaining: q,
		}, o.Symbol}
	}
	return r, nil
}

// maxShown keeps the sum of a view's orders, each below maxWhole, within what is
// counted.
const maxShown = 1 << 12

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
		if o.Leg > andon.Short {
			errs = append(errs, fmt.Errorf("Orders[%d]: order %q: leg %v", i, o.ClientID, o.Leg))
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
