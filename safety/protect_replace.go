package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// carryOut places the step's stop and cancels what it replaces. The new one is placed
// first. Where the gate or the venue does not take it beside the old ones, since both
// reserve the position, the old ones are cancelled and seen to be gone, and it is placed
// right after; if that fails the old ones are placed again. An outcome that is not known
// changes nothing more.
func (p Protector) carryOut(ctx context.Context, s ProtectStep) ProtectStepResult {
	r := p.place(ctx, s)
	if len(s.Replaces) == 0 {
		return r
	}
	if r.Outcome == ProtectPlaced || r.Outcome == ProtectAlready {
		r.Err = p.cancelAll(ctx, s.Replaces, &r)
		return r
	}
	if r.Outcome != ProtectDenied && r.Outcome != ProtectRefused {
		return r
	}
	// From here on the leg may be naked: what was begun is finished, whatever the caller's
	// context says.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 6*askAnywayWithin)
	defer cancel()
	why := r.Err
	var gone ProtectStepResult
	stuck := p.cancelAll(ctx, s.Replaces, &gone)
	if len(gone.Replaced) > 0 {
		why = errors.Join(why, p.show(ctx, s.Order.Venue))
	}
	if stuck != nil {
		r.Replaced = gone.Replaced
		r.Err = errors.Join(why, stuck, p.restore(ctx, s, gone.Replaced))
		return r
	}
	r = p.place(ctx, s)
	r.Replaced = gone.Replaced
	if r.Outcome == ProtectDenied || r.Outcome == ProtectRefused {
		r.Err = errors.Join(why, r.Err, p.restore(ctx, s, gone.Replaced))
	}
	return r
}

// show gives a gate that takes views one without the orders that were cancelled.
func (p Protector) show(ctx context.Context, venue string) error {
	gate, ok := p.Gate.(interface{ Observe(v View) error })
	if !ok {
		return nil
	}
	for {
		view, err := ReadView(ctx, venue, p.Venue)
		if err == nil {
			if err = gate.Observe(view); err == nil {
				return nil
			}
		}
		if !pause(ctx, cancelEvery) {
			return fmt.Errorf("the gate could not be shown that the old stop is gone: %w", err)
		}
	}
}

// cancelEvery is how long to wait before an order that was cancelled is looked up again.
const cancelEvery = 100 * time.Millisecond

// cancelTries bounds how often one order is cancelled and looked up.
const cancelTries = 20

// cancelAll cancels orders until the venue says that each is done.
func (p Protector) cancelAll(ctx context.Context, orders []andon.Order, r *ProtectStepResult) error {
	var errs []error
	for _, o := range orders {
		if err := p.cancelSurely(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("what it replaces, order %s, may still be there: %w", orderName(o), err))
			continue
		}
		r.Replaced = append(r.Replaced, orderName(o))
	}
	return errors.Join(errs...)
}

func (p Protector) cancelSurely(ctx context.Context, o andon.Order) error {
	var err error
	for range cancelTries {
		err = p.Venue.Cancel(ctx, o)
		if o.ClientID == "" { // it cannot be looked up: the venue's word has to do
			if err == nil || errors.Is(err, andon.ErrOrderNotFound) {
				return nil
			}
		} else if found, lookErr := p.Venue.Lookup(ctx, o.Symbol, o.ClientID); lookErr == nil && found.Status.Done() {
			return nil
		} else if lookErr != nil {
			err = lookErr
		} else if err == nil {
			err = fmt.Errorf("the venue says that it is %v", found.Status)
		}
		if !pause(ctx, cancelEvery) {
			break
		}
	}
	return err
}

// restore places orders again that were cancelled for a stop that could not be placed.
func (p Protector) restore(ctx context.Context, s ProtectStep, cancelled []string) error {
	var errs []error
	for i, o := range s.Replaces {
		name := orderName(o)
		if !slices.Contains(cancelled, name) {
			continue
		}
		o.Quantity, o.Filled, o.VenueID, o.Status = o.Remaining(), andon.Decimal{}, "", 0
		o.ClientID = fmt.Sprintf("%s-r%d", s.clientID(0), i)
		if r := p.send(ctx, o); r.Err != nil {
			errs = append(errs, fmt.Errorf("NAKED: order %s was cancelled and could not be placed again: %w", name, r.Err))
			continue
		}
		errs = append(errs, fmt.Errorf("order %s was placed again as %s", name, o.ClientID))
	}
	return errors.Join(errs...)
}
