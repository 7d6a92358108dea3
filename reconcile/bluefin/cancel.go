package bluefin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// CancelResult is what came of cancelling one order. Without an error the order is in
// no list any more.
type CancelResult struct {
	Order andon.Order
	Err   error
}

// Cancel cancels a live order and returns when neither list has it any more, which may be
// because it was filled. The venue answers before it has done a thing, so that the lists
// are read until then; after Config.CancelWait the outcome is andon.ErrOutcomeUnknown.
func (v *Venue) Cancel(ctx context.Context, o andon.Order) error {
	results, _ := v.CancelOrders(ctx, []andon.Order{o}) // its error is that of the one order
	return results[0].Err
}

// mostCancels is how many orders the venue cancels in one request.
const mostCancels = 10

const (
	cancelOpenPath    = "/api/v1/trade/orders/cancel"
	cancelStandbyPath = "/api/v1/trade/orders/cancel/standby"
)

// CancelOrders cancels orders, ten of a symbol in a request, each in the list that has it:
// a stop that is triggered meanwhile is cancelled in the other. It returns what came of
// each, in the order of the list. The error joins what went wrong, each behind its order.
func (v *Venue) CancelOrders(ctx context.Context, orders []andon.Order) ([]CancelResult, error) {
	results := make([]CancelResult, len(orders))
	pending := map[string]*cancel{}
	for i, o := range orders {
		results[i].Order = o
		hash, err := v.hashOf(ctx, o)
		if results[i].Err = err; err != nil || hash == "" {
			continue
		}
		c := pending[bareHash(hash)]
		if c == nil {
			c = &cancel{hash: hash, symbol: o.Symbol, clientID: o.ClientID}
			pending[bareHash(hash)] = c
		}
		c.results = append(c.results, &results[i])
	}
	v.settle(ctx, pending)
	return results, joined(results)
}

func joined(results []CancelResult) error {
	var errs []error
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("cancel %s %s of %s: %w", r.Order.ClientID, r.Order.VenueID, r.Order.Symbol, r.Err))
		}
	}
	return errors.Join(errs...)
}

// hashOf returns the hash of an order, or "" for one that is done.
func (v *Venue) hashOf(ctx context.Context, o andon.Order) (string, error) {
	if o.VenueID != "" {
		return o.VenueID, nil
	}
	if s, sent := v.sent.Get(orderName{o.Symbol, o.ClientID}); sent {
		return s.order.VenueID, nil
	}
	found, err := v.Lookup(ctx, o.Symbol, o.ClientID)
	if err != nil || found.Status.Done() {
		return "", err
	}
	return found.VenueID, nil
}

// cancel is one order that is being cancelled.
type cancel struct {
	hash, symbol, clientID string
	results                []*CancelResult
	seen                   bool            // a list has had it
	asked                  map[string]bool // by path
	err                    error           // of asking
}

func (c *cancel) done(err error) {
	for _, r := range c.results {
		r.Err = err
	}
}

// settle reads the lists until they have none of the orders, and asks for each in the
// list that has it.
func (v *Venue) settle(ctx context.Context, pending map[string]*cancel) {
	waits := pollWaits()
	deadline := time.Now().Add(v.config.CancelWait)
	for len(pending) > 0 {
		l, err := v.lists(ctx, oneSymbol(pending))
		if err == nil {
			for hash, c := range pending {
				if gone, err := v.absent(ctx, l, c); gone {
					c.done(err)
					delete(pending, hash)
				}
			}
			v.askWhere(ctx, l, pending)
		}
		if len(pending) == 0 {
			return
		}
		if wait := waits.NextBackOff(); time.Now().Add(wait).After(deadline) || resthttp.Sleep(ctx, wait) != nil {
			for _, c := range pending {
				c.done(c.outcome(l, err))
			}
			return
		}
	}
}

// oneSymbol returns the symbol of all orders, or "" where they are of several.
func oneSymbol(pending map[string]*cancel) string {
	symbols := map[string]bool{}
	for _, c := range pending {
		symbols[c.symbol] = true
	}
	if len(symbols) != 1 {
		return ""
	}
	return slices.Collect(maps.Keys(symbols))[0]
}

// absent reports whether an order is gone for good, and what that means. One that was sent a
// moment ago and was never seen may be in the lists yet.
func (v *Venue) absent(ctx context.Context, l lists, c *cancel) (bool, error) {
	if l.has(c.hash) {
		c.seen = true
		return false, nil
	}
	name := orderName{c.symbol, c.clientID}
	s, sent := v.sent.Get(name)
	if c.seen {
		if sent && s.gone.IsZero() {
			v.sent.Change(name, func(s *sentOrder) { s.gone = time.Now() })
		}
		return true, nil
	}
	o, err := v.afterLists(ctx, name, l.asOf)
	switch {
	case errors.Is(err, andon.ErrOrderNotFound):
		return true, err
	case err == nil && (o.Status.Done() || !sent):
		return true, nil
	}
	return false, nil
}

// outcome says why it is not known what became of an order.
func (c *cancel) outcome(l lists, err error) error {
	why := "neither list has it, and it was sent a moment ago"
	switch {
	case err != nil:
		why = "the lists could not be read"
	case within(l.open, c.hash):
		why = "it is still among the open orders"
	case within(l.standby, c.hash):
		why = "it is still among the standby orders"
	}
	return fmt.Errorf("%w: %s: %w", andon.ErrOutcomeUnknown, why, errors.Join(c.err, err, errTime))
}

var errTime = errors.New("the cancel did not come to an end in time")

// askWhere asks for each order in the list that has it, once, and for one that no list has
// in both.
func (v *Venue) askWhere(ctx context.Context, l lists, pending map[string]*cancel) {
	batches := map[string]map[string][]*cancel{cancelStandbyPath: {}, cancelOpenPath: {}}
	for _, hash := range slices.Sorted(maps.Keys(pending)) {
		c := pending[hash]
		for path, has := range map[string]bool{cancelStandbyPath: within(l.standby, c.hash), cancelOpenPath: within(l.open, c.hash)} {
			if (has || !l.has(c.hash)) && !c.asked[path] {
				batches[path][c.symbol] = append(batches[path][c.symbol], c)
			}
		}
	}
	for _, path := range []string{cancelStandbyPath, cancelOpenPath} {
		for _, symbol := range slices.Sorted(maps.Keys(batches[path])) {
			for batch := range slices.Chunk(batches[path][symbol], mostCancels) {
				v.askBatch(ctx, path, symbol, batch)
			}
		}
	}
}

// askBatch asks for some orders of a symbol. It never asks for none, which would cancel
// all of them.
func (v *Venue) askBatch(ctx context.Context, path, symbol string, batch []*cancel) {
	var hashes []string
	for _, c := range batch {
		hashes = append(hashes, c.hash)
	}
	if len(hashes) == 0 {
		return
	}
	err := v.ask(ctx, path, cancelRequest{Symbol: symbol, OrderHashes: hashes})
	for _, c := range batch {
		if c.err = err; err == nil {
			if c.asked == nil {
				c.asked = map[string]bool{}
			}
			c.asked[path] = true
		}
	}
}

// cancelRequest is the body of both calls. Without hashes it cancels every order of the
// symbol.
type cancelRequest struct {
	Symbol      string   `json:"symbol"`
	OrderHashes []string `json:"orderHashes,omitempty"`
}

// ask asks the venue to cancel. Asking twice is asking once.
func (v *Venue) ask(ctx context.Context, path string, r cancelRequest) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("bluefin: %w", err)
	}
	_, err = v.do(ctx, v.trade, resthttp.Request{Method: http.MethodPut, Path: path, Body: body, Repeat: true, Urgent: true})
	return v.named(err)
}

// CancelAll cancels every live order of a symbol in both lists, protective stops too; of
// all symbols that have one where symbol is empty. It returns when both lists have none,
// and asks again for orders that come meanwhile. What is left after Config.CancelWait is
// andon.ErrOutcomeUnknown, each order by its name. One call that fails keeps no other from
// being made.
func (v *Venue) CancelAll(ctx context.Context, symbol string) ([]CancelResult, error) {
	waits := pollWaits()
	deadline := time.Now().Add(v.config.CancelWait)
	all := &cancelAll{venue: v, at: map[string]int{}, asked: map[string]bool{}}
	if symbol != "" {
		all.ask(ctx, symbol) // before looking, so that it does not depend on the lists
	}
	for {
		l, err := v.lists(ctx, symbol)
		left := l.all()
		if err == nil {
			if all.note(left); len(left) == 0 {
				return all.results, nil
			}
			for _, s := range symbolsOf(left) {
				all.ask(ctx, s)
			}
		}
		if wait := waits.NextBackOff(); time.Now().Add(wait).After(deadline) || resthttp.Sleep(ctx, wait) != nil {
			return all.unfinished(symbol, left, err)
		}
	}
}

// cancelAll is one call of CancelAll.
type cancelAll struct {
	venue   *Venue
	results []CancelResult
	at      map[string]int  // where a hash is in results
	asked   map[string]bool // symbols of which every order that was seen is asked for
	err     error           // of the last asking
}

// ask asks both lists to drop every order of a symbol, unless that was done since the last
// new one was seen.
func (a *cancelAll) ask(ctx context.Context, symbol string) {
	if a.asked[symbol] {
		return
	}
	a.err = errors.Join(
		a.venue.ask(ctx, cancelOpenPath, cancelRequest{Symbol: symbol}),
		a.venue.ask(ctx, cancelStandbyPath, cancelRequest{Symbol: symbol}))
	a.asked[symbol] = a.err == nil
}

// note adds orders that were not seen before.
func (a *cancelAll) note(orders []andon.Order) {
	for _, o := range orders {
		hash := bareHash(o.VenueID)
		if _, ok := a.at[hash]; !ok {
			a.at[hash] = len(a.results)
			a.results = append(a.results, CancelResult{Order: o})
			a.asked[o.Symbol] = false
		}
	}
}

// unfinished gives the orders that are left their error; all of them where the lists could
// not be read.
func (a *cancelAll) unfinished(symbol string, left []andon.Order, err error) ([]CancelResult, error) {
	if err != nil {
		for i := range a.results {
			a.results[i].Err = fmt.Errorf("%w: the lists could not be read: %w", andon.ErrOutcomeUnknown, err)
		}
		return a.results, errors.Join(joined(a.results), fmt.Errorf("cancel all of %q: %w: what is live is not known: %w",
			symbol, andon.ErrOutcomeUnknown, errors.Join(a.err, err)))
	}
	for _, o := range left {
		a.results[a.at[bareHash(o.VenueID)]].Err = fmt.Errorf("%w: it is still live: %w", andon.ErrOutcomeUnknown, errors.Join(a.err, errTime))
	}
	return a.results, joined(a.results)
}

func symbolsOf(orders []andon.Order) []string {
	symbols := map[string]bool{}
	for _, o := range orders {
		symbols[o.Symbol] = true
	}
	return slices.Sorted(maps.Keys(symbols))
}
