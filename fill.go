package andon

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Fill is one execution of an order. It is a value; sharing it between goroutines
// is safe as long as nobody writes to it.
type Fill struct {
	ID       string `json:"id"`        // the venue's id of the execution
	OrderID  string `json:"order_id"`  // the venue's id of the order
	ClientID string `json:"client_id"` // the bot's id of the order; empty where the venue does not say
	Venue    string `json:"venue"`
	Symbol   string `json:"symbol"`
	Leg      Leg    `json:"leg"`
	Side     Side   `json:"side"`

	// Quantity is positive, in units of the symbol's base; Price is in the quote
	// currency.
	Quantity Decimal `json:"quantity"`
	Price    Decimal `json:"price"`

	// Fee is what the venue took, in units of FeeCurrency: positive is a cost,
	// negative a rebate. It may be in the base currency.
	Fee         Decimal `json:"fee"`
	FeeCurrency string  `json:"fee_currency"`

	At time.Time `json:"at"`
}

// Key returns the leg that the fill changed.
func (f Fill) Key() LegKey { return LegKey{f.Venue, f.Symbol, f.Leg} }

// Signed returns the quantity with the sign of its side.
func (f Fill) Signed() Decimal {
	if f.Side == Sell {
		return f.Quantity.Neg()
	}
	return f.Quantity
}

// Value returns quantity × price in the quote currency, exactly, or
// ErrTooManyDigits.
func (f Fill) Value() (Decimal, error) { return f.Quantity.Mul(f.Price) }

// Validate reports every field that cannot be right, joined.
func (f Fill) Validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fill %q: "+format, append([]any{f.ID}, args...)...))
	}
	for _, v := range []struct{ name, value string }{
		{"id", f.ID}, {"order_id", f.OrderID + f.ClientID}, {"venue", f.Venue}, {"symbol", f.Symbol},
	} {
		if v.value == "" {
			add("%s is empty", v.name)
		}
	}
	if f.Leg > Short {
		add("leg: %v", f.Leg)
	}
	if f.Side.Sign() == 0 {
		add("side is missing")
	}
	if f.Quantity.Sign() <= 0 {
		add("quantity is %v, want more than zero", f.Quantity)
	}
	if f.Price.Sign() <= 0 {
		add("price is %v, want more than zero", f.Price)
	}
	if f.Fee.Sign() != 0 && f.FeeCurrency == "" {
		add("fee %v has no currency", f.Fee)
	}
	return errors.Join(errs...)
}

// UnmarshalJSON reads a fill and refuses one without a quantity, a price or a fee,
// since an amount that is missing is not zero.
func (f *Fill) UnmarshalJSON(b []byte) error {
	type plain Fill // without this method
	v := struct {
		*plain
		Quantity *Decimal `json:"quantity"`
		Price    *Decimal `json:"price"`
		Fee      *Decimal `json:"fee"`
	}{plain: (*plain)(&Fill{})}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	for _, a := range []struct {
		name string
		to   *Decimal
		from *Decimal
	}{{"quantity", &v.plain.Quantity, v.Quantity}, {"price", &v.plain.Price, v.Price}, {"fee", &v.plain.Fee, v.Fee}} {
		if a.from == nil {
			return fmt.Errorf("fill: %s is missing", a.name)
		}
		*a.to = *a.from
	}
	*f = Fill(*v.plain)
	return nil
}
