package coinbase

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// CancelResult is what came of cancelling one order. Without an error the venue says
// that the order is done.
type CancelResult struct {
	Order andon.Order
	Err   error
}

// Cancel cancels a live order and returns when the venue says that it is done, which it
// may be because it was filled. After Config.CancelWait the outcome is
// andon.ErrOutcomeUnknown.
func (v *Venue) Cancel(ctx context.Context, o andon.Order) error {
	results, _ := v.CancelOrders(ctx, []andon.Order{o}) // its error is that of the one order
	return results[0].Err
}

// mostCancels is how many orders the venue cancels in one request.
const mostCancels = 100

// CancelOrders cancels orders, a hundred in a request, and returns what came of each in
// the order of the list. The error joins what went wrong, each behind its order.
func (v *Venue) CancelOrders(ctx context.Context, orders []andon.Order) ([]CancelResult, error) {
	results := make([]CancelResult, len(orders))
	pending := map[string]*cancel{}
	var ids []string
	for i, o := range orders {
		results[i].Order = o
		if o.VenueID == "" {
			if o, results[i].Err = v.Lookup(ctx, o.Symbol, o.ClientID); results[i].Err != nil || o.Status.Done() {
				continue
			}
			results[i].Order = o
		}
		if !plainID(o.VenueID) {
			results[i].Err = fmt.Errorf("coinbase: %q is no id of an order", o.VenueID)
			continue
		}
		if c := pending[o.VenueID]; c != nil {
			c.results = append(c.results, &results[i])
			continue
		}
		pending[o.VenueID] = &cancel{results: []*CancelResult{&results[i]}}
		ids = append(ids, o.VenueID)
	}
	for batch := range slices.Chunk(ids, mostCancels) {
		v.ask(ctx, batch, pending)
	}
	v.settle(ctx, ids, pending)
	var errs []error
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("cancel %s %s of %s: %w", r.Order.ClientID, r.Order.VenueID, r.Order.Symbol, r.Err))
		}
	}
	return results, errors.Join(errs...)
}

// cancel is one order that is being cancelled.
type cancel struct {
	results []*CancelResult
	refused string // why the venue will not
	err     error  // why it is not known whether it was asked
}

func (c *cancel) done(err error) {
	for _, r := range c.results {
		r.Err = err
	}
}

// ask asks the venue to cancel a batch. Asking twice is asking once.
func (v *Venue) ask(ctx context.Context, ids []string, pending map[string]*cancel) {
	answered := map[string]bool{}
	err := func() error {
		answer, err := v.post(ctx, "/orders/batch_cancel", map[string][]string{"order_ids": ids}, true, tokenLife)
		if err != nil {
			return v.named(err)
		}
		results, err := decodeCancels(answer.Body)
		if err != nil {
			return fmt.Errorf("coinbase: POST /orders/batch_cancel: %w", err)
		}
		for _, r := range results {
			c := pending[r.id]
			if answered[r.id] = true; c != nil && !r.success {
				c.refused = r.reason
			}
		}
		return errors.New("coinbase: POST /orders/batch_cancel: the answer says nothing of it")
	}()
	for _, id := range ids {
		if !answered[id] {
			pending[id].err = err
		}
	}
}

type cancelAnswer struct {
	id, reason string
	success    bool
}

// decodeCancels reads the answer of POST /orders/batch_cancel.
func decodeCancels(body []byte) ([]cancelAnswer, error) {
	var w struct {
		Results *[]struct {
			Success *bool   `json:"success"`
			Reason  string  `json:"failure_reason"`
			OrderID *string `json:"order_id"`
		} `json:"results"`
	}
	if err := decode(body, &w); err != nil {
		return nil, err
	}
	var f resthttp.Fields
	var all []cancelAnswer
	for _, r := range resthttp.Need(&f, "results", w.Results) {
		all = append(all, cancelAnswer{f.Text("order_id", r.OrderID), r.Reason, resthttp.Need(&f, "success", r.Success)})
	}
	return all, f.Err("the answer")
}

// The reasons that do not mean that the order stays.
const (
	reasonNoSuchOrder = "UNKNOWN_CANCEL_ORDER"
	reasonAskedBefore = "DUPLICATE_CANCEL_REQUEST"
	reasonFilled      = "ORDER_IS_FULLY_FILLED"
)

// settle looks at the orders until each is done, or refused, or the wait is over.
func (v *Venue) settle(ctx context.Context, ids []string, pending map[string]*cancel) {
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	deadline := time.Now().Add(v.config.CancelWait)
	for len(ids) > 0 {
		now, err := v.state(ctx, ids)
		ids = slices.DeleteFunc(ids, func(id string) bool { return settled(pending[id], id, now, err) })
		if len(ids) == 0 {
			return
		}
		if wait := waits.NextBackOff(); time.Now().Add(wait).After(deadline) || resthttp.Sleep(ctx, wait) != nil {
			for _, id := range ids {
				pending[id].done(outcome(pending[id], id, now, err))
			}
			return
		}
	}
}

// settled notes the outcome of an order that has one.
func settled(c *cancel, id string, now *found, err error) bool {
	if err != nil {
		return false
	}
	o, listed := now.get(id)
	switch {
	case listed && o.Status.Done():
		c.done(nil)
	case !listed && c.refused == reasonNoSuchOrder:
		c.done(fmt.Errorf("%w: %s", andon.ErrOrderNotFound, c.refused))
	case listed && c.refused != "" && c.refused != reasonAskedBefore && c.refused != reasonFilled:
		c.done(fmt.Errorf("coinbase will not cancel it: %s; it is %v", c.refused, o.Status))
	default:
		return false
	}
	return true
}

// outcome says why it is not known what became of an order.
func outcome(c *cancel, id string, now *found, err error) error {
	why := "it is in no list"
	if err == nil {
		if o, listed := now.get(id); listed {
			why = fmt.Sprintf("coinbase still says that it is %v with %v of %v filled", o.Status, o.Filled, o.Quantity)
		}
	}
	return fmt.Errorf("%w: %s: %w", andon.ErrOutcomeUnknown, why, errors.Join(c.err, err, errTime))
}

var errTime = errors.New("the cancel did not come to an end in time")

// state reads orders by the venue's ids.
func (v *Venue) state(ctx context.Context, ids []string) (*found, error) {
	now := newFound()
	for batch := range slices.Chunk(ids, mostCancels) {
		if err := v.list(ctx, url.Values{"order_ids": batch}, now.add); err != nil {
			return now, err
		}
	}
	return now, nil
}

// cancelRounds is how often CancelAll begins anew for orders that came meanwhile.
const cancelRounds = 3

// CancelAll cancels every live order of a symbol, protective stops too; of all symbols
// where symbol is empty. Coinbase has no such call, so the orders are listed and
// cancelled until a list has none left. Without an error the last list was empty.
func (v *Venue) CancelAll(ctx context.Context, symbol string) ([]CancelResult, error) {
	var all []CancelResult
	for range cancelRounds {
		live, err := v.live(ctx, symbol)
		if err != nil {
			return all, fmt.Errorf("cancel all: what is live is not known: %w", err)
		}
		if len(live) == 0 {
			return all, nil
		}
		results, err := v.CancelOrders(ctx, live)
		all = append(all, results...)
		if err != nil {
			return all, err
		}
	}
	live, err := v.live(ctx, symbol)
	if err != nil {
		return all, fmt.Errorf("cancel all: what is live is not known: %w", err)
	}
	if len(live) > 0 {
		return all, fmt.Errorf("coinbase: cancel all: new orders keep coming: %s of %s and %d more are live", live[0].ClientID, live[0].Symbol, len(live)-1)
	}
	return all, nil
}
