package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Positions returns every leg that is not flat, in the order of the configured
// symbols. At is the moment of the mark, which a stale price feed holds back.
func (x *Exchange) Positions(ctx context.Context) ([]andon.Position, error) {
	var list []andon.Position
	err := x.ask(ctx, "positions", "", func() error {
		for _, name := range x.symbols {
			for l := andon.Net; l <= andon.Short; l++ {
				list = x.appendPosition(list, andon.LegKey{Venue: x.cfg.Name, Symbol: name, Leg: l})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (x *Exchange) appendPosition(list []andon.Position, k andon.LegKey) []andon.Position {
	l := x.legs[k]
	if l.quantity.IsZero() {
		return list
	}
	q := x.feed(k.Symbol)
	return append(list, andon.Position{
		Venue: k.Venue, Symbol: k.Symbol, Leg: k.Leg,
		Quantity: l.quantity, Entry: l.entry, Mark: q.Mark, At: q.At,
	})
}

// Orders returns every live order: first those that trade, then, from the second
// list, the conditional ones that wait; each list from the oldest.
func (x *Exchange) Orders(ctx context.Context) ([]andon.Order, error) {
	var list []andon.Order
	err := x.ask(ctx, "orders", "", func() error {
		for _, o := range x.resting {
			list = append(list, o.Order)
		}
		for _, o := range x.conditional {
			list = append(list, o.Order)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Balances returns the one balance: deposit, realised profit and fees, without
// what open positions would give.
func (x *Exchange) Balances(ctx context.Context) ([]andon.Balance, error) {
	var b andon.Balance
	err := x.ask(ctx, "balances", "", func() error {
		reserved, err := x.reserved()
		b = andon.Balance{Venue: x.cfg.Name, Currency: x.cfg.Currency, Total: x.wallet, Reserved: reserved}
		return err
	})
	if err != nil {
		return nil, err
	}
	return []andon.Balance{b}, nil
}

// Fills returns the executions at or after since, oldest first; the zero time asks
// for all. Asking again from the moment of the last one repeats it, under the same id.
func (x *Exchange) Fills(ctx context.Context, since time.Time) ([]andon.Fill, error) {
	var list []andon.Fill
	err := x.ask(ctx, "fills", "", func() error {
		for _, f := range x.fills {
			if !f.At.Before(since) {
				list = append(list, f)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Quote returns what the price feed says of a symbol.
func (x *Exchange) Quote(ctx context.Context, symbol string) (Quote, error) {
	var q Quote
	err := x.ask(ctx, "quote", "", func() error {
		if x.markets[symbol] == nil {
			return fmt.Errorf("symbol %q is not traded here", symbol)
		}
		q = x.feed(symbol)
		return nil
	})
	return q, err
}

// feed returns the quote that is shown, and counts it when it is no longer true.
func (x *Exchange) feed(symbol string) Quote {
	m := x.markets[symbol]
	if m.shown != m.real {
		x.counts.StalePrices++
	}
	return m.shown
}

// reserved returns what positions and orders that may open hold back.
func (x *Exchange) reserved() (andon.Decimal, error) {
	var e exact
	var value andon.Decimal
	for _, l := range x.legs {
		value = value.Add(l.cost.Abs())
	}
	for _, list := range [][]*order{x.resting, x.conditional} {
		for _, o := range list {
			if !x.exitOnly(o.Order) {
				value = value.Add(e.mul(o.Remaining(), x.reference(o.Order)))
			}
		}
	}
	return e.mul(value, x.cfg.Margin), e.err
}

// reference returns the price at which an order is valued before it trades.
func (x *Exchange) reference(o andon.Order) andon.Decimal {
	switch {
	case o.Kind.Priced():
		return o.Price
	case o.Kind.Conditional():
		return o.Trigger
	}
	return x.markets[o.Symbol].real.Mark
}
