package coinbase

import (
	"bytes"
	"encoding/json"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// amount is a number that the venue writes as a string, a number, or as {value,
// currency}. Null and "" are no number: the venue writes "" where it has none.
type amount struct {
	value    andon.Decimal
	currency string
	known    bool
}

// UnmarshalJSON reads an amount exactly.
func (a *amount) UnmarshalJSON(b []byte) error {
	*a = amount{}
	switch {
	case bytes.Equal(b, []byte("null")), bytes.Equal(b, []byte(`""`)):
		return nil
	case b[0] == '{':
		var v struct {
			Value    amountText `json:"value"`
			Currency string     `json:"currency"`
		}
		if err := json.Unmarshal(b, &v); err != nil {
			return err
		}
		*a = amount(v.Value)
		a.currency = v.Currency
		return nil
	}
	var v amountText
	if err := v.UnmarshalJSON(b); err != nil {
		return err
	}
	*a = amount(v)
	return nil
}

// amountText is an amount without a currency.
type amountText amount

// UnmarshalJSON reads a string or a number.
func (a *amountText) UnmarshalJSON(b []byte) error {
	*a = amountText{}
	if bytes.Equal(b, []byte("null")) || bytes.Equal(b, []byte(`""`)) {
		return nil
	}
	a.known = true
	return a.value.UnmarshalJSON(b)
}

// need returns the number, or notes that it is missing.
func (a amount) need(f *resthttp.Fields, name string) andon.Decimal {
	if !a.known {
		f.Wrong("%s is missing", name)
	}
	return a.value
}
