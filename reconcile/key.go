package reconcile

import (
	"cmp"

	"github.com/andon-go/andon"
)

// Key names one thing that is compared: a leg, a live order, or an order with its
// fills.
type Key struct {
	Subject Subject `json:"subject"`
	Venue   string  `json:"venue"`

	// Symbol and Leg name a position; they are empty for orders, which an id names.
	Symbol string    `json:"symbol,omitempty"`
	Leg    andon.Leg `json:"leg"`

	// Order is the client id of a live order, or the venue's id where there is no
	// client id; for fills it is the venue's id of their order. Empty for positions.
	Order string `json:"order,omitempty"`
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

// String returns, for example, "position coinbase/BTC-USD" or "fills of order
// coinbase/1f0c".
func (k Key) String() string {
	if k.Subject == Positions {
		return k.Subject.String() + " " + andon.LegKey{Venue: k.Venue, Symbol: k.Symbol, Leg: k.Leg}.String()
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
	)
}
