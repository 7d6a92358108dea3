package andon

import (
	"context"
	"errors"
	"fmt"
)

// Account reads what a venue says. An error means that the answer is not known;
// it never means that there is nothing. A list that a venue gives in pages is
// complete or an error. Implementations are safe for concurrent use.
type Account interface {
	// Positions returns every leg that is not flat.
	Positions(ctx context.Context) ([]Position, error)

	// Orders returns every live order: resting ones and, from the venue's second
	// list, conditional ones.
	Orders(ctx context.Context) ([]Order, error)

	// Balances returns every currency that the account holds.
	Balances(ctx context.Context) ([]Balance, error)
}

// Trader changes what is on a venue. Implementations are safe for concurrent use.
type Trader interface {
	// Submit sends an order and returns it as the venue took it. A refusal by the
	// venue is a *RejectedError. ErrOutcomeUnknown means that the venue may have
	// taken it: look it up by its client id before anything else is sent for it.
	Submit(ctx context.Context, o Order) (Order, error)

	// Cancel asks the venue to cancel a live order. Nil means that the venue says
	// it is done, not that it was never filled; look it up for that.
	// ErrOutcomeUnknown and ErrOrderNotFound as for Submit and Lookup.
	Cancel(ctx context.Context, o Order) error

	// Lookup finds an order, live or done, by its symbol and client id.
	// ErrOrderNotFound is the venue's own word that there is none.
	Lookup(ctx context.Context, symbol, clientID string) (Order, error)
}

// Venue is an exchange account: what it says and what can be done there.
type Venue interface {
	Account
	Trader
}

var (
	// ErrOutcomeUnknown says that a call may or may not have taken effect: a
	// timeout, a broken connection, an answer that cannot be read. It is neither
	// success nor failure.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrOrderNotFound says that the venue knows no such order.
	ErrOrderNotFound = errors.New("order not found")

	// ErrRejected says that the venue refused an order.
	ErrRejected = errors.New("rejected by the venue")
)

// RejectedError is a venue's refusal of an order, with its reason. It is
// ErrRejected to errors.Is.
type RejectedError struct {
	Order  Order
	Reason string // the venue's own words
}

// Error names the order and the venue's reason.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("%s rejected order %s (%v %v %s): %s",
		e.Order.Venue, e.Order.ClientID, e.Order.Side, e.Order.Quantity, e.Order.Symbol, e.Reason)
}

// Is reports whether target is ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }
