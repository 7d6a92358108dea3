package andon

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// LegKey names one leg: the smallest thing that can have a position.
type LegKey struct {
	Venue  string `json:"venue"`
	Symbol string `json:"symbol"`
	Leg    Leg    `json:"leg"`
}

// String returns "venue/symbol", with "/long" or "/short" in hedge mode.
func (k LegKey) String() string {
	if k.Leg == Net {
		return k.Venue + "/" + k.Symbol
	}
	return k.Venue + "/" + k.Symbol + "/" + k.Leg.String()
}

// Position is what is held on one leg. It is a value; sharing it between
// goroutines is safe as long as nobody writes to it.
type Position struct {
	Venue  string `json:"venue"`
	Symbol string `json:"symbol"`
	Leg    Leg    `json:"leg"`

	// Quantity is signed: positive is long, negative is short, in units of the
	// symbol's base. The short leg of hedge mode is negative too.
	Quantity Decimal `json:"quantity"`

	// Entry is the average price at which the position was opened, Mark the price
	// at which the venue values it, both in the quote currency. Zero means that
	// the price is not known; it is never a price.
	Entry Decimal `json:"entry"`
	Mark  Decimal `json:"mark"`

	// At is the moment for which the venue, or the book, says this.
	At time.Time `json:"at"`
}

// Key returns the leg that the position is on.
func (p Position) Key() LegKey { return LegKey{p.Venue, p.Symbol, p.Leg} }

// ExitSide returns the side of an order that makes the position smaller; it is the
// zero Side when there is no quantity.
func (p Position) ExitSide() Side {
	switch p.Quantity.Sign() {
	case 1:
		return Sell
	case -1:
		return Buy
	}
	return 0
}

// Validate reports every field that cannot be right, joined.
func (p Position) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("position: "+format, args...)) }
	if p.Venue == "" {
		add("venue is empty")
	}
	if p.Symbol == "" {
		add("symbol is empty")
	}
	switch s := p.Quantity.Sign(); {
	case p.Leg > Short:
		add("leg: %v", p.Leg)
	case p.Leg == Long && s < 0, p.Leg == Short && s > 0:
		add("quantity %v on the %v leg has the wrong sign", p.Quantity, p.Leg)
	}
	if p.Entry.Sign() < 0 {
		add("entry %v is negative", p.Entry)
	}
	if p.Mark.Sign() < 0 {
		add("mark %v is negative", p.Mark)
	}
	return errors.Join(errs...)
}

// UnmarshalJSON reads a position and refuses one without a quantity, since a
// quantity that is missing is not zero.
func (p *Position) UnmarshalJSON(b []byte) error {
	type plain Position // without this method
	v := struct {
		*plain
		Quantity *Decimal `json:"quantity"`
	}{plain: (*plain)(&Position{})}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("position: %w", err)
	}
	if v.Quantity == nil {
		return errors.New("position: quantity is missing")
	}
	v.plain.Quantity = *v.Quantity
	*p = Position(*v.plain)
	return nil
}
