package sim

import (
	"fmt"

	"github.com/andon-go/andon"
)

// refusal returns the venue's reason not to take an order, in its own words, or "".
func (x *Exchange) refusal(o andon.Order) string {
	if err := o.Validate(); err != nil {
		return err.Error()
	}
	m := x.markets[o.Symbol]
	switch {
	case o.Venue != x.cfg.Name:
		return fmt.Sprintf("this is venue %q", x.cfg.Name)
	case m == nil:
		return "symbol is not traded here"
	case x.cfg.Hedge != (o.Leg != andon.Net):
		return fmt.Sprintf("leg %v does not exist: hedge mode is %v", o.Leg, x.cfg.Hedge)
	case x.orders[o.ClientID] != nil:
		x.counts.Duplicates++
		return "duplicate client order id"
	case !o.Filled.IsZero():
		return "a new order is filled already"
	case !o.ExpiresAt.IsZero() && !x.now.Before(o.ExpiresAt):
		return "order has expired"
	}
	if reason := x.refusalBySize(m, o); reason != "" {
		return reason
	}
	switch {
	case o.Kind.Conditional() && m.triggers(o):
		return "order would trigger immediately"
	case x.exitOnly(o) && x.reducible(o).IsZero():
		return "reduce-only order would not reduce"
	case !x.exitOnly(o):
		return x.refusalByMargin(o)
	}
	return ""
}

// refusalBySize looks at steps and bounds.
func (x *Exchange) refusalBySize(m *market, o andon.Order) string {
	switch {
	case !multiple(o.Quantity, m.Lot) || maxAmount.Less(o.Quantity):
		return fmt.Sprintf("quantity is not a multiple of the lot %v up to %v", m.Lot, maxAmount)
	case !multiple(o.Price, m.Tick) || maxAmount.Less(o.Price):
		return fmt.Sprintf("price is not a multiple of the tick %v up to %v", m.Tick, maxAmount)
	case !multiple(o.Trigger, m.Tick) || maxAmount.Less(o.Trigger):
		return fmt.Sprintf("trigger is not a multiple of the tick %v up to %v", m.Tick, maxAmount)
	}
	return ""
}

// refusalByMargin looks at the value of an order that may open.
func (x *Exchange) refusalByMargin(o andon.Order) string {
	reserved, err := x.reserved()
	if err != nil {
		return "margin cannot be computed: " + err.Error()
	}
	var e exact
	value := e.mul(o.Quantity, x.reference(o))
	need := e.mul(value, x.cfg.Margin)
	switch least := x.markets[o.Symbol].MinValue; {
	case e.err != nil:
		return "margin cannot be computed: " + e.err.Error()
	case value.Less(least):
		return fmt.Sprintf("value %v is below the least value %v", value, least)
	case x.wallet.Sub(reserved).Less(need):
		return fmt.Sprintf("margin %v needed, %v available", need, x.wallet.Sub(reserved))
	}
	return ""
}
