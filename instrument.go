package andon

import (
	"errors"
	"fmt"
	"strings"
)

// Instrument is what a venue says of one symbol: its currencies, the steps in which it
// counts, and which order is too small for it. It is kept in maps by symbol. An amount
// that is zero is one that the venue has not, or that nobody has looked up; where one
// is needed the reader of the map says so.
type Instrument struct {
	// Base and Quote are the currencies of a spot symbol, which the venue holds as a
	// balance of Base: there is no reduce-only, and an order reserves the balance that it
	// needs. Both are empty for derivatives.
	Base  string `json:"base,omitempty"`
	Quote string `json:"quote,omitempty"`

	// Tick is the step of a price, in the quote currency, and Lot that of a quantity,
	// in units of the base.
	Tick Decimal `json:"tick"`
	Lot  Decimal `json:"lot"`

	// MinNotional is the least quantity × price of an order that closes, in the quote
	// currency. It is zero too where the venue lets reduce-only orders off.
	MinNotional Decimal `json:"min_notional"`

	// EntryStep is the step to which the venue rounds the average entry price that it
	// gives with a position, in the quote currency.
	EntryStep Decimal `json:"entry_step"`
}

// Validate names every amount that cannot be right, in one line.
func (i Instrument) Validate() error {
	var wrong []string
	for _, v := range []struct {
		name   string
		amount Decimal
	}{{"Tick", i.Tick}, {"Lot", i.Lot}, {"MinNotional", i.MinNotional}, {"EntryStep", i.EntryStep}} {
		if v.amount.Sign() < 0 {
			wrong = append(wrong, fmt.Sprintf("%s %v is negative", v.name, v.amount))
		}
	}
	if wrong == nil {
		return nil
	}
	return errors.New(strings.Join(wrong, ", "))
}
