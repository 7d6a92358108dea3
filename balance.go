package andon

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Balance is what an account holds of one currency.
type Balance struct {
	Venue    string  `json:"venue"`
	Currency string  `json:"currency"`
	Total    Decimal `json:"total"` // available and reserved together
	Reserved Decimal `json:"reserved"`
}

// Available returns what is not reserved for orders.
func (b Balance) Available() Decimal { return b.Total.Sub(b.Reserved) }

// UnmarshalJSON reads a balance and refuses one without a total, since an amount that
// is missing is not zero.
func (b *Balance) UnmarshalJSON(data []byte) error {
	type plain Balance // without this method
	v := struct {
		*plain
		Total *Decimal `json:"total"`
	}{plain: (*plain)(&Balance{})}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	if v.Total == nil {
		return errors.New("balance: total is missing")
	}
	v.plain.Total = *v.Total
	*b = Balance(*v.plain)
	return nil
}
