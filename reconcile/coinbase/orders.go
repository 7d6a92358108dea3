package coinbase

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/andon-go/andon"
)

// Orders returns every order that is not done: resting, conditional, and those that are
// pending or queued, which can still be cancelled. A bracket is given as a stop-market.
// One that this process sent less than Config.Settle ago is asked for by its id where the
// lists, which lag, leave it out. An order whose status or form is not known is given with
// StatusUnknown or without a kind, since it may be live.
func (v *Venue) Orders(ctx context.Context) ([]andon.Order, error) {
	return v.live(ctx, "")
}

// live returns the orders of a symbol that are not done, or of all symbols.
func (v *Venue) live(ctx context.Context, symbol string) ([]andon.Order, error) {
	q := url.Values{}
	if symbol != "" {
		q.Set("product_ids", symbol)
	}
	found := newFound()
	since := time.Now().Add(-v.config.Settle) // before the lists are read, which may take longer than that
	if err := v.lists(ctx, q, found); err != nil {
		return nil, err
	}
	for _, sent := range v.sent.Find(func(n orderName, o sentOrder) bool {
		return o.venueID != "" && o.at.After(since) && (symbol == "" || n.symbol == symbol)
	}) {
		if _, listed := found.get(sent.venueID); listed {
			continue
		}
		o, err := v.byID(ctx, sent.venueID)
		if err != nil {
			return nil, fmt.Errorf("order %s was taken a moment ago and is in no list: %w", sent.venueID, err)
		}
		found.add(o)
	}
	return found.live(), nil
}

// lists reads the lists in which a live order may be.
func (v *Venue) lists(ctx context.Context, q url.Values, found *found) error {
	if v.config.History == 0 {
		return v.list(ctx, q, found.add)
	}
	// The open ones of all times come first: what is opened meanwhile is recent and in
	// the second list, and that list has the newer word on an order in both.
	open := clone(q)
	open.Set("order_status", "OPEN")
	if err := v.list(ctx, open, found.add); err != nil {
		return err
	}
	recent := clone(q)
	recent.Set("start_date", v.client.Clock().Now().Add(-v.config.History).UTC().Format(time.RFC3339))
	return v.list(ctx, recent, found.add)
}

// list gives every order that a query finds to use, until it returns false.
func (v *Venue) list(ctx context.Context, q url.Values, use func(andon.Order) bool) error {
	return v.listWire(ctx, q, func(_ wireOrder, o andon.Order) (bool, error) { return use(o), nil })
}

const ordersPath = "/orders/historical/batch"

func (v *Venue) listWire(ctx context.Context, q url.Values, use func(wireOrder, andon.Order) (bool, error)) error {
	return pages(ctx, v, ordersPath, clone(q), decodeOrders, func(w wireOrder) (bool, error) {
		o, err := v.ours(ctx, w)
		if err != nil {
			return false, err
		}
		return use(w, o)
	})
}

// ours turns an order into ours and remembers its id.
func (v *Venue) ours(ctx context.Context, w wireOrder) (andon.Order, error) {
	p, err := v.productOf(ctx, w.ProductID, w.ProductType)
	if err != nil {
		return andon.Order{}, err
	}
	o, err := w.order(v.config.Name, p)
	if err != nil {
		return andon.Order{}, fmt.Errorf("coinbase: %w", err)
	}
	if o.ClientID != "" && !o.Status.Done() {
		name := orderName{o.Symbol, o.ClientID}
		known, _ := v.sent.Get(name)
		v.sent.Put(name, sentOrder{venueID: o.VenueID, at: known.at})
	}
	return o, nil
}

// found keeps orders by the venue's id, in the order in which they came first, each as
// it came last.
type found struct {
	at  map[string]int
	all []andon.Order
}

func newFound() *found { return &found{at: map[string]int{}} }

func (f *found) add(o andon.Order) bool {
	if i, ok := f.at[o.VenueID]; ok {
		f.all[i] = o
		return true
	}
	f.at[o.VenueID] = len(f.all)
	f.all = append(f.all, o)
	return true
}

func (f *found) get(venueID string) (andon.Order, bool) {
	i, ok := f.at[venueID]
	if !ok {
		return andon.Order{}, false
	}
	return f.all[i], true
}

func (f *found) live() []andon.Order {
	var live []andon.Order
	for _, o := range f.all {
		if !o.Status.Done() {
			live = append(live, o)
		}
	}
	return live
}

func clone(q url.Values) url.Values {
	c := url.Values{}
	for k, v := range q {
		c[k] = append([]string(nil), v...)
	}
	return c
}

// Lookup finds an order, live or done, by its symbol and client id. The venue finds
// orders by their own id only, so one that this process has not seen takes a search
// through the product's orders, newest first. An order that was sent less than
// Config.Settle ago and is in no list is andon.ErrOutcomeUnknown, not
// andon.ErrOrderNotFound: lists lag, and a request may be under way.
func (v *Venue) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	name := orderName{symbol, clientID}
	known, _ := v.sent.Get(name)
	asOf := time.Now() // what a search does not find was not there then, however long it takes
	if known.venueID != "" {
		o, err := v.byID(ctx, known.venueID)
		if err == nil && (o.ClientID != clientID || o.Symbol != symbol) {
			return andon.Order{}, fmt.Errorf("coinbase: look up %s: the venue gives %s of %s for its id %s", clientID, o.ClientID, o.Symbol, known.venueID)
		}
		if !errors.Is(err, andon.ErrOrderNotFound) {
			return o, err
		}
	} else if o, ok, err := v.search(ctx, symbol, clientID); err != nil || ok {
		return o, err
	}
	if wait := v.config.Settle - asOf.Sub(known.at); !known.at.IsZero() && wait > 0 {
		return andon.Order{}, fmt.Errorf("look up %s: coinbase does not list it and it was sent a moment ago: %w; ask again in %v",
			clientID, andon.ErrOutcomeUnknown, wait.Round(time.Second))
	}
	return andon.Order{}, fmt.Errorf("look up %s of %s at coinbase: %w", clientID, symbol, andon.ErrOrderNotFound)
}

func (v *Venue) search(ctx context.Context, symbol, clientID string) (o andon.Order, ok bool, err error) {
	err = v.list(ctx, url.Values{"product_ids": {symbol}}, func(row andon.Order) bool {
		if row.ClientID == clientID && row.Symbol == symbol {
			o, ok = row, true
		}
		return !ok
	})
	return o, ok, err
}

// byID asks for one order by the venue's id.
func (v *Venue) byID(ctx context.Context, venueID string) (andon.Order, error) {
	if !plainID(venueID) {
		return andon.Order{}, fmt.Errorf("coinbase: %q is no id of an order", venueID)
	}
	path := "/orders/historical/" + venueID
	var body rawJSON
	if _, err := v.get(ctx, path, nil, &body); err != nil {
		if notFound(err) {
			return andon.Order{}, fmt.Errorf("coinbase order %s: %w: %w", venueID, andon.ErrOrderNotFound, err)
		}
		return andon.Order{}, err
	}
	w, err := decodeOrder(body)
	if err != nil {
		return andon.Order{}, fmt.Errorf("coinbase: GET %s: %w", path, err)
	}
	return v.ours(ctx, w)
}
