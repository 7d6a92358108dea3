package safety

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// Limits bound what the gate lets through. They are judged inside Enter, exactly, for
// an order that adds exposure; an exit passes all of them and counts in their windows.
// A field that is zero is no limit. On its bound an order passes.
//
// What is not known denies and is named: a view, a mark or an equity that was never
// given or is too old. So it is with the time before a limit began to count, at the
// start of the switch or with a throttle: its window is taken to be used up, since
// a bot that dies and restarts in a loop must not get a fresh one each time.
type Limits struct {
	// MinTimeBetweenTrades is the shortest time between two orders on one symbol of a
	// venue: the playbook's TRADING__MIN_TIME_BETWEEN_TRADES.
	MinTimeBetweenTrades time.Duration `json:"min_time_between_trades_ns,omitzero"`

	// MaxPositionSize is the largest worth of a leg as a fraction of the venue's
	// equity, 0.1 for a tenth, counting every order that is live or in flight as if it
	// traded whole: the playbook's RISK__MAX_POSITION_SIZE. It needs the view, the mark
	// of the symbol and the equity.
	MaxPositionSize andon.Decimal `json:"max_position_size,omitzero"`

	// PriceCollar is how far an order's limit price may lie from the mark, as a
	// fraction of the mark, either way; for a conditional order, from its trigger. It
	// needs the mark, for orders without a price too.
	PriceCollar andon.Decimal `json:"price_collar,omitzero"`

	// MaxRepeats is how often in a row the same order may pass on one side of a leg:
	// the same kind, quantity, price and trigger, each within RepeatWithin of the one
	// before. One more is denied and places a Reducing hold, since a bot that
	// repeats itself does not stop by itself.
	MaxRepeats int `json:"max_repeats,omitzero"`

	// RepeatWithin defaults to 1 min.
	RepeatWithin time.Duration `json:"repeat_within_ns,omitzero"`

	// MaxLeverage is the largest worth of all legs of a venue as a multiple of its
	// equity, counting orders as MaxPositionSize does. It needs the view, the equity
	// and the mark of every symbol that has a position or an order. Of a whole venue.
	MaxLeverage andon.Decimal `json:"max_leverage,omitzero"`

	// MaxOrders is how many orders may pass within any OrdersWithin. At most 65,536.
	// Of a whole venue.
	MaxOrders int `json:"max_orders,omitzero"`

	// OrdersWithin defaults to 1 s.
	OrdersWithin time.Duration `json:"orders_within_ns,omitzero"`

	// MaxNotional is how much may pass within any NotionalWithin, in the quote
	// currency, each order at the mark of its moment. It is exact for 1,024 orders in
	// the window, and stricter than exact beyond. Of a whole venue.
	MaxNotional andon.Decimal `json:"max_notional,omitzero"`

	// NotionalWithin defaults to 1 min.
	NotionalWithin time.Duration `json:"notional_within_ns,omitzero"`
}

const maxOrdersBound = 1 << 16

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, on bool, to time.Duration) {
		if on && *d == 0 {
			*d = to
		}
	}
	def(&l.RepeatWithin, l.MaxRepeats != 0, time.Minute)
	def(&l.OrdersWithin, l.MaxOrders != 0, time.Second)
	def(&l.NotionalWithin, !l.MaxNotional.IsZero(), time.Minute)
	return l
}

// each calls f for every field of the limits: its name, whether it says anything, and
// its value.
func (l Limits) each(f func(name string, set bool, v any)) {
	f("MinTimeBetweenTrades", l.MinTimeBetweenTrades != 0, l.MinTimeBetweenTrades)
	f("MaxPositionSize", !l.MaxPositionSize.IsZero(), l.MaxPositionSize)
	f("PriceCollar", !l.PriceCollar.IsZero(), l.PriceCollar)
	f("MaxRepeats", l.MaxRepeats != 0, l.MaxRepeats)
	f("RepeatWithin", l.RepeatWithin != 0, l.RepeatWithin)
	f("MaxLeverage", !l.MaxLeverage.IsZero(), l.MaxLeverage)
	f("MaxOrders", l.MaxOrders != 0, l.MaxOrders)
	f("OrdersWithin", l.OrdersWithin != 0, l.OrdersWithin)
	f("MaxNotional", !l.MaxNotional.IsZero(), l.MaxNotional)
	f("NotionalWithin", l.NotionalWithin != 0, l.NotionalWithin)
}

// ofVenue are the fields that bound a whole venue, and so cannot be a symbol's.
var ofVenue = []string{"MaxLeverage", "MaxOrders", "OrdersWithin", "MaxNotional", "NotionalWithin"}

// String lists the limits that are set, such as "MinTimeBetweenTrades 5m0s,
// MaxPositionSize 0.1".
func (l Limits) String() string {
	var parts []string
	l.each(func(name string, set bool, v any) {
		if set {
			parts = append(parts, fmt.Sprintf("%s %v", name, v))
		}
	})
	return strings.Join(parts, ", ")
}

// validate reports every field that cannot be meant, each beginning with prefix and
// its name.
func (l Limits) validate(prefix string) error {
	var errs []error
	add := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s%s "+format, append([]any{prefix, name}, args...)...))
	}
	l.each(func(name string, _ bool, v any) {
		switch v := v.(type) {
		case time.Duration:
			if v < 0 {
				add(name, "%v is negative", v)
			}
		case int:
			if v < 0 {
				add(name, "%v is negative", v)
			}
		case andon.Decimal:
			if v.Sign() < 0 {
				add(name, "%v is negative", v)
			} else if _, ok := toUnits(v); !ok {
				add(name, "%v is %s or more, which the gate does not count", v, maxWhole)
			}
		}
	})
	if l.MaxOrders > maxOrdersBound {
		add("MaxOrders", "%d is more than %d", l.MaxOrders, maxOrdersBound)
	}
	for _, w := range []struct {
		name, of string
		set, on  bool
	}{
		{"RepeatWithin", "MaxRepeats", l.RepeatWithin != 0, l.MaxRepeats != 0},
		{"OrdersWithin", "MaxOrders", l.OrdersWithin != 0, l.MaxOrders != 0},
		{"NotionalWithin", "MaxNotional", l.NotionalWithin != 0, !l.MaxNotional.IsZero()},
	} {
		if w.set && !w.on {
			add(w.name, "is set without %s", w.of)
		}
	}
	return errors.Join(errs...)
}

// validateSymbol is validate for the limits of one symbol.
func (l Limits) validateSymbol(prefix string) error {
	errs := []error{l.validate(prefix)}
	l.each(func(name string, set bool, _ any) {
		if set && slices.Contains(ofVenue, name) {
			errs = append(errs, fmt.Errorf("%s%s is of a whole venue: set it in Limits", prefix, name))
		}
	})
	return errors.Join(errs...)
}

// over returns l with what o sets in its place.
func (l Limits) over(o Limits) Limits {
	if o.MinTimeBetweenTrades != 0 {
		l.MinTimeBetweenTrades = o.MinTimeBetweenTrades
	}
	if !o.MaxPositionSize.IsZero() {
		l.MaxPositionSize = o.MaxPositionSize
	}
	if !o.PriceCollar.IsZero() {
		l.PriceCollar = o.PriceCollar
	}
	if o.MaxRepeats != 0 {
		l.MaxRepeats, l.RepeatWithin = o.MaxRepeats, o.RepeatWithin
	}
	return l
}

// stricter returns the stricter of each field: the smaller bound, the longer window.
func (l Limits) stricter(o Limits) Limits {
	l.MinTimeBetweenTrades = max(l.MinTimeBetweenTrades, o.MinTimeBetweenTrades)
	l.MaxPositionSize = smaller(l.MaxPositionSize, o.MaxPositionSize)
	l.PriceCollar = smaller(l.PriceCollar, o.PriceCollar)
	l.MaxRepeats, l.RepeatWithin = fewer(l.MaxRepeats, o.MaxRepeats), max(l.RepeatWithin, o.RepeatWithin)
	l.MaxLeverage = smaller(l.MaxLeverage, o.MaxLeverage)
	l.MaxOrders, l.OrdersWithin = fewer(l.MaxOrders, o.MaxOrders), max(l.OrdersWithin, o.OrdersWithin)
	l.MaxNotional, l.NotionalWithin = smaller(l.MaxNotional, o.MaxNotional), max(l.NotionalWithin, o.NotionalWithin)
	return l
}

// smaller returns the smaller of two bounds, where zero is none.
func smaller(a, b andon.Decimal) andon.Decimal {
	if a.IsZero() || !b.IsZero() && b.Less(a) {
		return b
	}
	return a
}

func fewer(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// limitSet is all limits in force at one time. It is not changed once it is made;
// the gate carries it.
type limitSet struct {
	base     Limits            // of every symbol that has none of its own, and of each venue
	symbols  map[string]Limits // of single symbols, instead of base
	throttle Limits            // the strictest of the throttles, on top of both
	largest  map[string]andon.Decimal
	from     moment // when it came into force
	on       bool   // there is any limit at all
}

func newLimitSet(cfg *Config, throttle Limits, from moment) *limitSet {
	ls := &limitSet{base: cfg.Limits, symbols: cfg.SymbolLimits, throttle: throttle, largest: cfg.MaxPosition, from: from}
	ls.on = len(ls.largest) > 0 || ls.base != (Limits{}) || len(ls.symbols) > 0 || ls.throttle != (Limits{})
	return ls
}

// of returns the limits of one symbol and its venue.
func (ls *limitSet) of(symbol string) Limits {
	return ls.base.over(ls.symbols[symbol]).stricter(ls.throttle)
}

// Limits returns the limits in force for a symbol, throttles counted, so that a
// strategy can size its orders. MaxPosition is apart from them.
func (s *Switch) Limits(symbol string) Limits { return s.gate.Load().limits.of(symbol) }
