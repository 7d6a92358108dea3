package reconcile

import "fmt"

// Kind says in which way book and venue disagree. The zero value is no kind and is
// valid nowhere.
type Kind uint8

// The kinds. More may be added; a switch over them needs a default.
const (
	// Missing: the book has it, and the venue, asked for the whole, has not.
	Missing Kind = iota + 1

	// Unexpected: the venue has it and the book has not.
	Unexpected

	// Quantity: both have it, in another size.
	Quantity

	// WrongSide: one says long or buy, the other short or sell.
	WrongSide

	// WrongLeg: the book has fills of an order on another symbol or leg than the
	// venue.
	WrongLeg

	// Price: another entry price, order price or executed value.
	Price

	// Fee: the venue took another fee than the book has, or in another currency; a
	// fee that was never booked is the usual case.
	Fee

	// Terms: a live order is of another kind, or reduce-only on one side alone.
	Terms

	// State: book and venue give an order another state, and the venue's is known.
	State

	// StateUnknown: an order that the book holds for live is not among the venue's
	// live ones. It may have been filled, cancelled or never taken: only a look-up by
	// its id says which.
	StateUnknown

	// Stale: the venue's own row says that it is older than is believed, so that
	// neither a difference nor an agreement with it means anything.
	Stale

	// Duplicate: one side has several rows for the same thing, and they disagree.
	Duplicate

	// Dust: the sides differ by less than the instrument's lot size, or by less than
	// its minimum notional, so that no order could make the difference good.
	Dust
)

var kindNames = []string{
	"", "missing", "unexpected", "quantity", "side", "leg", "price", "fee", "terms", "state", "order state unknown",
	"stale", "duplicate", "dust",
}

// String returns the kind's name or "Kind(n)".
func (k Kind) String() string { return nameOf("Kind", kindNames, uint8(k)) }

// MarshalText writes the kind's name; a value that is none of them is an error.
func (k Kind) MarshalText() ([]byte, error) { return textOf("kind", kindNames, uint8(k)) }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) error { return parseName("kind", kindNames, (*uint8)(k), b) }

// Subject is what is compared. The zero value is none and is valid nowhere.
type Subject uint8

// The subjects.
const (
	Positions  Subject = iota + 1 // one leg
	LiveOrders                    // one live order, resting or conditional
	Executions                    // the fills of one order against the venue's totals of it
	Balances                      // one currency
)

var subjectNames = []string{"", "position", "live order", "fills of order", "balance"}

// String returns "position", "live order", "fills of order", "balance" or
// "Subject(n)".
func (s Subject) String() string { return nameOf("Subject", subjectNames, uint8(s)) }

// MarshalText writes what String returns; a value that is no subject is an error.
func (s Subject) MarshalText() ([]byte, error) { return textOf("subject", subjectNames, uint8(s)) }

// UnmarshalText reads what MarshalText writes.
func (s *Subject) UnmarshalText(b []byte) error {
	return parseName("subject", subjectNames, (*uint8)(s), b)
}

// Side is one of the two that are compared. The zero value is neither.
type Side uint8

// The sides.
const (
	BookSide Side = iota + 1
	VenueSide
)

var sideNames = []string{"", "book", "venue"}

// String returns "book", "venue" or "Side(n)".
func (s Side) String() string { return nameOf("Side", sideNames, uint8(s)) }

// MarshalText writes "book" or "venue"; anything else is an error.
func (s Side) MarshalText() ([]byte, error) { return textOf("side", sideNames, uint8(s)) }

// UnmarshalText reads "book" or "venue".
func (s *Side) UnmarshalText(b []byte) error { return parseName("side", sideNames, (*uint8)(s), b) }

// Action is what a repair does to the book. The zero value is none and is valid
// nowhere.
type Action uint8

// The actions. Each of them changes the book; none of them trades.
const (
	Adopt      Action = iota + 1 // take over what only the venue has
	Correct                      // change rows to what the venue says
	CloseOut                     // remove what the venue has not
	BookFee                      // book the fee that is missing
	InsertFill                   // insert a fill that is missing, under an id made from its content
	Rebook                       // replace all fills of an order by its totals
)

var actionNames = []string{"", "adopt", "correct", "close out", "book fee", "insert fill", "rebook"}

// String returns the action's name or "Action(n)".
func (a Action) String() string { return nameOf("Action", actionNames, uint8(a)) }

// MarshalText writes the action's name; a value that is none of them is an error.
func (a Action) MarshalText() ([]byte, error) { return textOf("action", actionNames, uint8(a)) }

// UnmarshalText reads an action's name.
func (a *Action) UnmarshalText(b []byte) error {
	return parseName("action", actionNames, (*uint8)(a), b)
}

func nameOf(typ string, names []string, v uint8) string {
	if v > 0 && int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", typ, v)
}

func textOf(what string, names []string, v uint8) ([]byte, error) {
	if v > 0 && int(v) < len(names) {
		return []byte(names[v]), nil
	}
	return nil, fmt.Errorf("%s %d is not one of the known ones", what, v)
}

func parseName(what string, names []string, v *uint8, b []byte) error {
	for i, name := range names {
		if i > 0 && name == string(b) {
			*v = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("%s %q is not one of %q", what, b, names[1:])
}
