package andon

// Balance is what an account holds of one currency.
type Balance struct {
	Venue    string  `json:"venue"`
	Currency string  `json:"currency"`
	Total    Decimal `json:"total"` // available and reserved together
	Reserved Decimal `json:"reserved"`
}

// Available returns what is not reserved for orders.
func (b Balance) Available() Decimal { return b.Total.Sub(b.Reserved) }
