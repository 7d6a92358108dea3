package andon

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Order is an order as it is sent to a venue and as the venue gives it back. It is
// a value; sharing it between goroutines is safe as long as nobody writes to it.
type Order struct {
	// ClientID is the id that the bot chose, unique for the venue and never used
	// twice. An order whose outcome is not known is looked up by it.
	ClientID string `json:"client_id"`

	// VenueID is the id that the venue gave; empty before it has.
	VenueID string `json:"venue_id,omitempty"`

	Venue  string `json:"venue"`
	Symbol string `json:"symbol"`
	Leg    Leg    `json:"leg"`
	Side   Side   `json:"side"`
	Kind   Kind   `json:"kind"`

	// Quantity is the whole size and Filled the part already traded, both positive
	// and in units of the symbol's base.
	Quantity Decimal `json:"quantity"`
	Filled   Decimal `json:"filled"`

	// Price is the limit price and Trigger the price that wakes a conditional
	// order, both in the quote currency; zero where the kind has none.
	Price   Decimal `json:"price"`
	Trigger Decimal `json:"trigger"`

	// ReduceOnly asks the venue to enforce that the order never opens or flips.
	ReduceOnly bool `json:"reduce_only,omitempty"`

	// ExpiresAt is when the venue drops the order by itself; zero means never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	Status Status    `json:"status"`
	At     time.Time `json:"at,omitzero"` // when the venue last changed it
}

// Key returns the leg that the order trades.
func (o Order) Key() LegKey { return LegKey{o.Venue, o.Symbol, o.Leg} }

// Remaining returns the quantity that can still trade.
func (o Order) Remaining() Decimal { return o.Quantity.Sub(o.Filled) }

// Signed returns the remaining quantity with the sign of its side.
func (o Order) Signed() Decimal {
	if o.Side == Sell {
		return o.Remaining().Neg()
	}
	return o.Remaining()
}

// Validate reports everything that keeps the order from being sent, joined.
func (o Order) Validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("order %q: "+format, append([]any{o.ClientID}, args...)...))
	}
	if o.ClientID == "" {
		add("client_id is empty, so a lost answer could never be resolved")
	}
	if o.Venue == "" {
		add("venue is empty")
	}
	if o.Symbol == "" {
		add("symbol is empty")
	}
	if o.Leg > Short {
		add("leg: %v", o.Leg)
	}
	if o.Side.Sign() == 0 {
		add("side is missing")
	}
	if o.Kind == 0 || o.Kind > TakeProfitLimit {
		add("kind is missing or unknown: %v", o.Kind)
	}
	if o.Quantity.Sign() <= 0 {
		add("quantity is %v, want more than zero", o.Quantity)
	}
	if o.Filled.Sign() < 0 || o.Quantity.Less(o.Filled) {
		add("filled is %v of %v", o.Filled, o.Quantity)
	}
	if o.Kind.Priced() != (o.Price.Sign() > 0) {
		add("price is %v on a %v order", o.Price, o.Kind)
	}
	if o.Kind.Conditional() != (o.Trigger.Sign() > 0) {
		add("trigger is %v on a %v order", o.Trigger, o.Kind)
	}
	return errors.Join(errs...)
}

// UnmarshalJSON reads an order and refuses one without a quantity, since a
// quantity that is missing is not zero.
func (o *Order) UnmarshalJSON(b []byte) error {
	type plain Order // without this method
	v := struct {
		*plain
		Quantity *Decimal `json:"quantity"`
	}{plain: (*plain)(&Order{})}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	if v.Quantity == nil {
		return errors.New("order: quantity is missing")
	}
	v.plain.Quantity = *v.Quantity
	*o = Order(*v.plain)
	return nil
}
