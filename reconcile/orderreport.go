package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// OrderReport is a venue's word on one order that can trade no more: what it came
// to in all. It is a value.
type OrderReport struct {
	ID       string `json:"id"`                  // the venue's id of the order
	ClientID string `json:"client_id,omitempty"` // the bot's id, where the venue says it
	Venue    string `json:"venue"`
	Symbol   string `json:"symbol"`

	Leg  andon.Leg  `json:"leg"`
	Side andon.Side `json:"side"`

	// Size is what was asked for and Filled what was traded, both positive or zero
	// and in units of the symbol's base. A venue that took an amount of money
	// instead of a size may leave Size zero.
	Size   andon.Decimal `json:"size"`
	Filled andon.Decimal `json:"filled"`

	// Value is the sum of quantity × price over all executions, in the quote
	// currency. Fee is what the venue took in all, in FeeCurrency: positive is a
	// cost, negative a rebate.
	Value       andon.Decimal `json:"value"`
	Fee         andon.Decimal `json:"fee"`
	FeeCurrency string        `json:"fee_currency"`

	Status andon.Status `json:"status"`
	At     time.Time    `json:"at"` // when it was done
}

// Key returns the key under which its fills are compared.
func (r OrderReport) Key() Key { return Key{Subject: Executions, Venue: r.Venue, Order: r.ID} }

// Validate reports every field that cannot be right, joined.
func (r OrderReport) Validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("order report %q: "+format, append([]any{r.ID}, args...)...))
	}
	for _, v := range []struct{ name, value string }{{"id", r.ID}, {"venue", r.Venue}, {"symbol", r.Symbol}} {
		if v.value == "" {
			add("%s is empty", v.name)
		}
	}
	if r.Leg > andon.Short {
		add("leg: %v", r.Leg)
	}
	if r.Side.Sign() == 0 {
		add("side is missing")
	}
	if r.Size.Sign() < 0 {
		add("size %v is negative", r.Size)
	}
	if r.Filled.Sign() < 0 {
		add("filled %v is negative", r.Filled)
	}
	if r.Value.Sign() != r.Filled.Sign() {
		add("value is %v with %v filled", r.Value, r.Filled)
	}
	if r.Fee.Sign() != 0 && r.FeeCurrency == "" {
		add("fee %v has no currency", r.Fee)
	}
	return errors.Join(errs...)
}

func (r OrderReport) same(o OrderReport) bool {
	return r.ID == o.ID && r.Venue == o.Venue && r.Symbol == o.Symbol && r.Leg == o.Leg && r.Side == o.Side &&
		r.Filled.Equal(o.Filled) && r.Value.Equal(o.Value) && r.Fee.Equal(o.Fee) &&
		(r.FeeCurrency == o.FeeCurrency || r.Fee.IsZero()) && r.Status == o.Status
}

// says is the fact that a plan rests on.
func (r OrderReport) says() string {
	return fmt.Sprintf("%v %v %s/%v for %v, fee %v %s, %v",
		r.Side, r.Filled, r.Symbol, r.Leg, r.Value, r.Fee, r.FeeCurrency, r.Status)
}

// Window is the span in which a venue's list of done orders is complete: every
// order with an execution at From or later, and before To, is in the list. The zero
// Window is complete nowhere.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Covers reports whether at lies in the window.
func (w Window) Covers(at time.Time) bool {
	return !at.Before(w.From) && at.Before(w.To)
}

// coversAll reports whether the venue's list must have an order with these fills.
func (w Window) coversAll(fills []andon.Fill) bool {
	for _, f := range fills {
		if !w.Covers(f.At) {
			return false
		}
	}
	return len(fills) > 0
}
