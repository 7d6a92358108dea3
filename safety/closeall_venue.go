package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
)

// pacedVenue bounds each call to a venue, makes a panic of it an error, and keeps to the
// venue's own Retry-After. An
// error says how long to wait by a method RetryAfter() time.Duration.
type pacedVenue struct {
	venue  andon.Venue
	within time.Duration

	mu    sync.Mutex
	until time.Time // before which the venue does not want to be asked
}

func paced[T any](ctx context.Context, p *pacedVenue, call func(ctx context.Context) (T, error)) (T, error) {
	p.mu.Lock()
	wait := time.Until(p.until)
	p.mu.Unlock()
	if wait > 0 && !pause(ctx, wait) {
		var zero T
		return zero, fmt.Errorf("not asked: the venue wants to be left alone for %v more: %w", wait, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	var got T
	err := calm("the venue", func() (err error) {
		got, err = call(ctx)
		return err
	})
	var limited interface{ RetryAfter() time.Duration }
	if errors.As(err, &limited) {
		p.mu.Lock()
		p.until = time.Now().Add(limited.RetryAfter())
		p.mu.Unlock()
	}
	return got, err
}

// pause waits and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *pacedVenue) Positions(ctx context.Context) ([]andon.Position, error) {
	return paced(ctx, p, p.venue.Positions)
}

func (p *pacedVenue) Orders(ctx context.Context) ([]andon.Order, error) {
	return paced(ctx, p, p.venue.Orders)
}

func (p *pacedVenue) Balances(ctx context.Context) ([]andon.Balance, error) {
	return paced(ctx, p, p.venue.Balances)
}

func (p *pacedVenue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	return paced(ctx, p, func(ctx context.Context) (andon.Order, error) { return p.venue.Submit(ctx, o) })
}

func (p *pacedVenue) Cancel(ctx context.Context, o andon.Order) error {
	_, err := paced(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.venue.Cancel(ctx, o) })
	return err
}

func (p *pacedVenue) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	return paced(ctx, p, func(ctx context.Context) (andon.Order, error) { return p.venue.Lookup(ctx, symbol, clientID) })
}

// reading is what one reading of a venue says.
type reading struct {
	FlatReport            // its positions are those that can be right, its orders those and the wrong ones to cancel
	wrong      []wrongRow // those that cannot, or that contradict each other
	view       View       // for the gate, if nothing is wrong: a leg that is left out would be flat to it
}

// readVenue reads a venue whole. A row that is there twice is one row. What is wrong with
// single rows stands in nobody else's way; a query without an answer is the error.
func readVenue(ctx context.Context, name string, a andon.Account) (reading, error) {
	r := reading{view: View{Venue: name, Asked: time.Now()}}
	all, wrong, err := readFlat(ctx, a)
	r.FlatReport, r.wrong = all, wrong
	if err != nil {
		return r, err
	}
	r.Positions = nil
	for i, p := range all.Positions {
		say := func(format string, args ...any) {
			r.wrong = append(r.wrong, wrongRow{true, p.Key(), fmt.Errorf(format, args...)})
		}
		sameLeg := func(o andon.Position) bool { return o.Key() == p.Key() }
		contradicts := func(o andon.Position) bool { return sameLeg(o) && !o.Quantity.Equal(p.Quantity) }
		_, counted := toUnits(p.Quantity)
		switch {
		case p.Validate() != nil: // said already
		case p.Venue != name:
			say("a position of %v is of venue %q", p.Key(), p.Venue)
		case slices.ContainsFunc(all.Positions, contradicts):
			say("the venue says that %v is %v, and something else too", p.Key(), p.Quantity)
		case !counted:
			say("the position of %v, %v, is %s or more, which the gate does not count", p.Key(), p.Quantity, maxWhole)
		case slices.IndexFunc(all.Positions, sameLeg) == i:
			r.Positions = append(r.Positions, p)
		}
	}
	r.Orders = nil
	for _, o := range all.Orders {
		err := (View{Venue: name, Asked: r.view.Asked, Orders: []andon.Order{o}}).validate()
		if err != nil {
			r.wrong = append(r.wrong, wrongRow{false, o.Key(), fmt.Errorf("order %s: %w", orderName(o), err)})
		}
		if err == nil || o.Venue == name && !o.Kind.Conditional() { // to be cancelled it need not be right
			r.Orders = append(r.Orders, o)
		}
	}
	r.Flat = r.Flat && len(r.wrong) == 0
	r.view.Positions, r.view.Orders = r.Positions, r.Orders
	return r, nil
}

// wrongRows says what is wrong, or nothing.
func (r reading) wrongRows() error {
	var errs []error
	for _, w := range r.wrong {
		errs = append(errs, w)
	}
	return errors.Join(errs...)
}

// inFlightOn returns the client ids of the orders of a venue that passed the gate and
// are not settled.
func (s *Switch) inFlightOn(venue string) []string {
	names, _ := s.ledger(venue).unsettled()
	slices.Sort(names)
	return names
}
