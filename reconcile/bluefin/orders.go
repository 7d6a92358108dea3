package bluefin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// orderName is how the bot names an order.
type orderName struct{ symbol, clientID string }

// sentOrder is what this process knows of an order that it sent.
type sentOrder struct {
	order    andon.Order // as it was sent, with its hash
	at       time.Time   // when, or when Submit gave up on it
	sending  bool        // Submit has not returned
	accepted bool        // the venue said so, or a list had it
	gone     time.Time   // when it was first in no list; zero before
}

// The paths of the two lists, and of the two ways to cancel.
const (
	openPath    = "/api/v1/trade/openOrders"
	standbyPath = "/api/v1/trade/standbyOrders"
)

// Orders returns every live order: those in the book, and from the second list those
// that wait for their trigger. An order that the venue accepted less than Config.Settle
// ago and that neither list has, nor a trade, is given with StatusUnknown, since the lists
// lag.
func (v *Venue) Orders(ctx context.Context) ([]andon.Order, error) {
	l, err := v.lists(ctx, "")
	if err != nil {
		return nil, err
	}
	all := l.all()
	for _, s := range v.sent.Find(func(_ orderName, s sentOrder) bool {
		return s.accepted && s.gone.IsZero() && l.asOf.Sub(s.at) < v.config.Settle && !l.has(s.order.VenueID)
	}) {
		o, err := v.afterLists(ctx, orderName{s.order.Symbol, s.order.ClientID}, l.asOf)
		if err != nil {
			return nil, fmt.Errorf("order %s was accepted a moment ago and is in no list: %w", s.order.ClientID, err)
		}
		if !o.Status.Done() {
			all = append(all, o)
		}
	}
	return all, nil
}

// lists are the two lists of live orders, and when they began to be read: what they lack
// says nothing of a later moment, however long the reading took.
type lists struct {
	standby, open []andon.Order
	asOf          time.Time
}

// lists reads both, of one symbol or of all. Standby comes first: an order leaves it for
// the other when it is triggered, and so is seen in one of them.
func (v *Venue) lists(ctx context.Context, symbol string) (lists, error) {
	q := url.Values{}
	if symbol != "" {
		q.Set("symbol", symbol)
	}
	l := lists{asOf: time.Now()}
	for _, list := range []struct {
		path string
		to   *[]andon.Order
	}{{standbyPath, &l.standby}, {openPath, &l.open}} {
		body, err := v.get(ctx, v.trade, list.path, q)
		if err != nil {
			return lists{}, err
		}
		if *list.to, err = decodeOrders(body, v.config.Name, v.config.Account); err != nil {
			return lists{}, fmt.Errorf("bluefin: GET %s: %w", list.path, err)
		}
	}
	for _, o := range l.all() {
		v.sent.Change(orderName{o.Symbol, o.ClientID}, func(s *sentOrder) {
			if sameHash(s.order.VenueID, o.VenueID) {
				s.accepted, s.gone = true, time.Time{}
			}
		})
	}
	return l, nil
}

// all returns the orders of both lists, each once, and as the list of open orders has it.
func (l lists) all() []andon.Order {
	var all []andon.Order
	at := map[string]int{}
	for _, o := range slices.Concat(l.standby, l.open) {
		if o.Status.Done() {
			continue
		}
		hash := bareHash(o.VenueID)
		if i, ok := at[hash]; ok {
			all[i] = o
			continue
		}
		at[hash] = len(all)
		all = append(all, o)
	}
	return all
}

func (l lists) has(hash string) bool { return within(l.standby, hash) || within(l.open, hash) }

func within(orders []andon.Order, hash string) bool {
	return slices.ContainsFunc(orders, func(o andon.Order) bool { return sameHash(o.VenueID, hash) && !o.Status.Done() })
}

// Lookup finds an order by its symbol and client id: in the two lists, then by its trades.
//
//	in a list                          as the list has it
//	traded whole                       Filled
//	sent by this process, in no list   StatusUnknown for Config.Settle, since trades lag; then Canceled
//	sent by another, and traded        the same, with what it traded as its quantity
//	sent a moment ago, and nothing     andon.ErrOutcomeUnknown for Config.Settle
//	nothing                            andon.ErrOrderNotFound
//
// The venue keeps no list of orders that are done: one of another process that was
// cancelled before it traded, or that traded longer than Config.TradesBack ago, is not found.
func (v *Venue) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	l, err := v.lists(ctx, symbol)
	if err != nil {
		return andon.Order{}, err
	}
	if o, ok, err := v.listed(l, orderName{symbol, clientID}); err != nil || ok {
		return o, err
	}
	return v.afterLists(ctx, orderName{symbol, clientID}, l.asOf)
}

// listed finds an order in the lists. The venue does not refuse a client id that is used
// twice; which of two live orders is meant is known only for one that this process sent.
func (v *Venue) listed(l lists, name orderName) (o andon.Order, ok bool, err error) {
	known, sent := v.sent.Get(name)
	for _, row := range l.all() {
		switch {
		case row.Symbol != name.symbol:
		case sent && sameHash(row.VenueID, known.order.VenueID):
			row.ClientID = name.clientID
			return row, true, nil
		case row.ClientID == name.clientID && ok && !sent:
			return andon.Order{}, false, fmt.Errorf("bluefin: two live orders of %s have the client id %s: %s and %s", name.symbol, name.clientID, o.VenueID, row.VenueID)
		case row.ClientID == name.clientID:
			o, ok = row, true
		}
	}
	return o, ok, nil
}

// afterLists says what became of an order that was in neither list as of a moment.
func (v *Venue) afterLists(ctx context.Context, name orderName, asOf time.Time) (andon.Order, error) {
	s, sent := v.sent.Get(name)
	since := v.clock.Now().Add(-v.config.TradesBack)
	if sent && v.config.TradesBack > time.Since(s.at)+time.Minute {
		since = v.clock.Now().Add(-time.Since(s.at) - time.Minute)
	}
	trades, err := v.trades(ctx, name.symbol, since)
	if err != nil {
		return andon.Order{}, err
	}
	traded := ofOrder(trades, name, s.order.VenueID)
	switch {
	case !sent && len(traded) == 0:
		return andon.Order{}, notFound(name)
	case !s.accepted && len(traded) == 0:
		if wait := v.config.Settle - asOf.Sub(s.at); wait > 0 || s.sending {
			return andon.Order{}, fmt.Errorf("look up %s: bluefin does not list it and it was sent a moment ago: %w; ask again in %v",
				name.clientID, andon.ErrOutcomeUnknown, max(0, wait).Round(time.Second))
		}
		v.sent.Forget(name)
		return andon.Order{}, notFound(name)
	case !sent:
		now := time.Now()
		s = sentOrder{order: fromTrades(traded), at: now, gone: now}
		v.sent.Put(name, s)
	}
	return v.goneOrder(name, s, traded, asOf), nil
}

func notFound(name orderName) error {
	return fmt.Errorf("look up %s of %s at bluefin: %w", name.clientID, name.symbol, andon.ErrOrderNotFound)
}

// goneOrder is an order that is in no list any more, by trades that were asked for after
// a moment.
func (v *Venue) goneOrder(name orderName, s sentOrder, traded []trade, asOf time.Time) andon.Order {
	o := s.order
	o.Filled = andon.Decimal{}
	for _, t := range traded {
		o.Filled = o.Filled.Add(t.Quantity)
		if t.At.After(o.At) {
			o.At = t.At
		}
	}
	foreign := o.Quantity.IsZero() // its size is nowhere to be read
	if s.gone.IsZero() {
		now := time.Now()
		s.gone = now
		v.sent.Change(name, func(s *sentOrder) { s.accepted, s.gone = true, now })
	}
	switch {
	case !foreign && !o.Filled.Less(o.Quantity):
		o.Status = andon.Filled
	case asOf.Sub(s.gone) < v.config.Settle:
		o.Status = andon.StatusUnknown
	case foreign:
		o.Status = andon.Filled
	default:
		o.Status = andon.Canceled
	}
	if foreign {
		o.Quantity = o.Filled
	}
	return o
}

// ofOrder returns the trades of one order.
func ofOrder(trades []trade, name orderName, hash string) []trade {
	return slices.DeleteFunc(slices.Clone(trades), func(t trade) bool {
		byHash := hash != "" && t.OrderID != ""
		return t.Symbol != name.symbol || byHash && !sameHash(t.OrderID, hash) || !byHash && t.ClientID != name.clientID
	})
}

// fromTrades is what trades tell of their order; its quantity is not among it.
func fromTrades(traded []trade) andon.Order {
	t := traded[0]
	return andon.Order{ClientID: t.ClientID, VenueID: t.OrderID, Venue: t.Venue, Symbol: t.Symbol, Side: t.Side, Kind: t.kind}
}

// errUsed says that a client id has an order already.
var errUsed = errors.New("the client id was used before")
