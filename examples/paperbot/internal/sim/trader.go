package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/andon-go/andon"
)

// Submit sends an order; see the package comment for how it trades. The order that
// comes back says how far it has. Status, VenueID and At of o are ignored.
func (x *Exchange) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	var got andon.Order
	err := x.act(ctx, "submit", o.ClientID, func() error {
		if reason := x.refusal(o); reason != "" {
			x.counts.Rejected++
			return &andon.RejectedError{Order: o, Reason: reason}
		}
		n := x.take(o)
		got = n.Order
		return x.broken
	})
	if err != nil {
		return andon.Order{}, err
	}
	return got, nil
}

// Cancel cancels the live order with o's symbol and client id. Nil means that the
// order is done, which may be because it was filled before.
func (x *Exchange) Cancel(ctx context.Context, o andon.Order) error {
	return x.act(ctx, "cancel", o.ClientID, func() error {
		n, err := x.find(o.Symbol, o.ClientID)
		if err != nil {
			return err
		}
		if !n.Status.Done() {
			x.cancel(n)
			x.sweep()
		}
		return nil
	})
}

// Lookup finds an order, live or done, by its symbol and client id.
// andon.ErrOrderNotFound is certain: the venue never took it.
func (x *Exchange) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	var got andon.Order
	err := x.ask(ctx, "lookup", clientID, func() error {
		n, err := x.find(symbol, clientID)
		if err != nil {
			return err
		}
		got = n.Order
		return nil
	})
	if err != nil {
		return andon.Order{}, err
	}
	return got, nil
}

func (x *Exchange) find(symbol, clientID string) (*order, error) {
	o := x.orders[clientID]
	if o == nil || o.Symbol != symbol {
		return nil, fmt.Errorf("symbol %s: %w", symbol, andon.ErrOrderNotFound)
	}
	return o, nil
}

// act makes a call that changes something. Its outcome is unknown from the moment
// it leaves until the answer is back; only a refusal by the venue, a wrong key and a
// context that was over before are certain.
func (x *Exchange) act(ctx context.Context, call, clientID string, do func() error) error {
	wrap := func(err error, unknown bool) error {
		return &CallError{Venue: x.cfg.Name, Call: call, ClientID: clientID, Unknown: unknown, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return wrap(err, false)
	}
	slow := x.slow()
	if err := x.travel(ctx, slow); err != nil {
		return wrap(err, true)
	}
	f := answered
	err := x.locked(func() error {
		if f = x.fate(call, clientID); f == absent {
			x.counts.TimeoutsAbsent++
			return nil
		}
		return x.count(f, do())
	})
	if f != answered {
		return wrap(errNoAnswer, true)
	}
	if back := x.travel(ctx, slow); back != nil {
		return wrap(back, true)
	}
	return x.answer(err, wrap)
}

// count counts a lost answer by whether the call took effect.
func (x *Exchange) count(f fate, err error) error {
	switch {
	case f == answered:
	case err == nil:
		x.counts.TimeoutsTaken++
	default:
		x.counts.TimeoutsAbsent++
	}
	return err
}

// answer returns the venue's answer to a call that reached it. A refusal and an
// order that is not there are its own word; what an outage did is anybody's guess.
func (x *Exchange) answer(err error, wrap func(error, bool) error) error {
	if err == nil || errors.Is(err, andon.ErrRejected) {
		return err
	}
	return wrap(err, errors.Is(err, ErrOutage) || errors.Is(err, ErrBroken))
}
