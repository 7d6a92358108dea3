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

// pacedVenue bounds each call to a venue and keeps to the venue's own Retry-After. An
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
	got, err := call(ctx)
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

// readVenue reads a venue by ReadFlat, and makes the gate's view of it. A row that is
// there twice is one row; rows that contradict each other, or are of another venue, are
// an error.
func readVenue(ctx context.Context, name string, a andon.Account) (FlatReport, View, error) {
	v := View{Venue: name, Asked: time.Now()}
	f, err := ReadFlat(ctx, a)
	if err != nil {
		return f, v, err
	}
	var kept []andon.Position
	for _, p := range f.Positions {
		i := slices.IndexFunc(kept, func(k andon.Position) bool { return k.Key() == p.Key() })
		if i < 0 {
			kept = append(kept, p)
		} else if !kept[i].Quantity.Equal(p.Quantity) {
			f.Flat = false
			return f, v, fmt.Errorf("not known to be flat: the venue says that %v is %v and %v", p.Key(), kept[i].Quantity, p.Quantity)
		}
	}
	f.Positions = kept
	v.Positions, v.Orders = f.Positions, f.Orders
	if err := v.validate(); err != nil {
		f.Flat = false
		return f, v, err
	}
	return f, v, nil
}

// inFlightOn returns the client ids of the orders of a venue that passed the gate and
// are not settled.
func (s *Switch) inFlightOn(venue string) []string {
	names, _ := s.ledger(venue).unsettled()
	slices.Sort(names)
	return names
}
