package reconcile

import (
	"cmp"

	"github.com/andon-go/andon"
)

// Key names one thing that is compared: a leg, a live order, an order with its
// fills, or a currency.
type Key struct {
	Subject Subject `json:"subject"`
	Venue   string  `json:"venue"`

	// Symbol and Leg name a position; they are empty for orders, which an id names.
	Symbol string    `json:"symbol,omitempty"`
	Leg    andon.Leg `json:"leg"`

	// Order is the client id of a live order, or the venue's id where there is no
	// client id; for fills it is the venue's id of their order. Empty for positions.
	Order string `json:"order,omitempty"`

	// Currency names a balance; empty for everything else.
	Currency string `json:"currency,omitempty"`
}

// PositionKey names the position on a leg.
func PositionKey(k andon.LegKey) Key {
	return Key{Subject: Positions, Venue: k.Venue, Symbol: k.Symbol, Leg: k.Leg}
}

// OrderKey names a live order.
func OrderKey(o andon.Order) Key {
	id := o.ClientID
	if id == "" {
		id = o.VenueID
	}
	return Key{Subject: LiveOrders, Venue: o.Venue, Order: id}
}

// FillKey names the order that a fill belongs to.
func FillKey(f andon.Fill) Key {
	id := f.OrderID
	if id == "" {
		id = f.ClientID
	}
	return Key{Subject: Executions, Venue: f.Venue, Order: id}
}

// BalanceKey names the balance of a currency.
func BalanceKey(b andon.Balance) Key {
	return Key{Subject: Balances, Venue: b.Venue, Currency: b.Currency}
}

// String returns, for example, "position coinbase/BTC-USD", "fills of order
// coinbase/1f0c" or "balance coinbase/USD".
func (k Key) String() string {
	switch k.Subject {
	case Positions:
		return k.Subject.String() + " " + andon.LegKey{Venue: k.Venue, Symbol: k.Symbol, Leg: k.Leg}.String()
	case Balances:
		return k.Subject.String() + " " + k.Venue + "/" + k.Currency
	}
	return k.Subject.String() + " " + k.Venue + "/" + k.Order
}

func (k Key) compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Subject, o.Subject),
		cmp.Compare(k.Venue, o.Venue),
		cmp.Compare(k.Symbol, o.Symbol),
		cmp.Compare(k.Leg, o.Leg),
		cmp.Compare(k.Order, o.Order),
		cmp.Compare(k.Currency, o.Currency),
	)
}
