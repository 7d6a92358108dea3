package andon

import (
	"fmt"
	"strings"
)

// Side is the side of an order or a fill. The zero value is no side at all and is
// valid nowhere.
type Side uint8

// The two sides.
const (
	Buy Side = iota + 1
	Sell
)

var sideNames = []string{"", "buy", "sell"}

// Sign returns +1 for Buy, -1 for Sell and 0 for the zero value.
func (s Side) Sign() int {
	switch s {
	case Buy:
		return 1
	case Sell:
		return -1
	}
	return 0
}

// Opposite returns the other side; the zero value stays what it is.
func (s Side) Opposite() Side {
	switch s {
	case Buy:
		return Sell
	case Sell:
		return Buy
	}
	return s
}

// String returns "buy", "sell" or "Side(n)".
func (s Side) String() string { return enumString("Side", sideNames, uint8(s)) }

// MarshalText writes "buy" or "sell"; anything else is an error.
func (s Side) MarshalText() ([]byte, error) { return enumText("side", sideNames, uint8(s)) }

// UnmarshalText reads "buy" or "sell".
func (s *Side) UnmarshalText(b []byte) error { return enumParse("side", sideNames, (*uint8)(s), b) }

// Leg tells the two positions apart that a symbol has in hedge mode. The zero
// value, Net, is the single position of one-way mode; it is never assumed for a
// symbol in hedge mode.
type Leg uint8

// The legs.
const (
	Net Leg = iota
	Long
	Short
)

var legNames = []string{"net", "long", "short"}

// String returns "net", "long", "short" or "Leg(n)".
func (l Leg) String() string { return enumString("Leg", legNames, uint8(l)) }

// MarshalText writes "net", "long" or "short"; anything else is an error.
func (l Leg) MarshalText() ([]byte, error) { return enumText("leg", legNames, uint8(l)) }

// UnmarshalText reads "net", "long" or "short".
func (l *Leg) UnmarshalText(b []byte) error { return enumParse("leg", legNames, (*uint8)(l), b) }

// Kind is the kind of an order. The zero value is no kind and is valid nowhere.
type Kind uint8

// The kinds. The conditional ones wait on the venue until the mark reaches their
// trigger; venues keep them in a list of their own.
const (
	Market Kind = iota + 1
	Limit
	StopMarket       // conditional: trades at market once the mark has moved against the position
	StopLimit        // conditional: a limit order once the mark has moved against the position
	TakeProfitMarket // conditional: trades at market once the mark has moved in favour of the position
	TakeProfitLimit  // conditional: a limit order once the mark has moved in favour of the position
)

var kindNames = []string{"", "market", "limit", "stop-market", "stop-limit", "take-profit-market", "take-profit-limit"}

// Conditional reports whether an order of this kind waits for a trigger.
func (k Kind) Conditional() bool { return k >= StopMarket && k <= TakeProfitLimit }

// Stop reports whether an order of this kind limits a loss.
func (k Kind) Stop() bool { return k == StopMarket || k == StopLimit }

// Priced reports whether an order of this kind needs a limit price.
func (k Kind) Priced() bool { return k == Limit || k == StopLimit || k == TakeProfitLimit }

// String returns the kind's name, such as "stop-market", or "Kind(n)".
func (k Kind) String() string { return enumString("Kind", kindNames, uint8(k)) }

// MarshalText writes the kind's name; an unknown kind is an error.
func (k Kind) MarshalText() ([]byte, error) { return enumText("kind", kindNames, uint8(k)) }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) error { return enumParse("kind", kindNames, (*uint8)(k), b) }

// Status is what the venue says of an order. The zero value is StatusUnknown,
// which is never taken for done.
type Status uint8

// The states of an order on a venue.
const (
	StatusUnknown Status = iota
	Live                 // accepted and resting, triggered or partly filled
	Filled               // done: filled whole
	Canceled             // done: cancelled or expired, perhaps after a part was filled
	Rejected             // done: the venue never took it
)

var statusNames = []string{"unknown", "live", "filled", "canceled", "rejected"}

// Done reports whether the order can trade no more.
func (s Status) Done() bool { return s >= Filled && s <= Rejected }

// String returns the state's name or "Status(n)".
func (s Status) String() string { return enumString("Status", statusNames, uint8(s)) }

// MarshalText writes the state's name; a value that is none of them is an error.
func (s Status) MarshalText() ([]byte, error) { return enumText("status", statusNames, uint8(s)) }

// UnmarshalText reads a state's name.
func (s *Status) UnmarshalText(b []byte) error {
	return enumParse("status", statusNames, (*uint8)(s), b)
}

func enumString(typ string, names []string, v uint8) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", typ, v)
}

func enumText(what string, names []string, v uint8) ([]byte, error) {
	if int(v) < len(names) && names[v] != "" {
		return []byte(names[v]), nil
	}
	return nil, fmt.Errorf("%s %d is not one of the known ones", what, v)
}

func enumParse(what string, names []string, v *uint8, b []byte) error {
	for i, name := range names {
		if name != "" && name == string(b) {
			*v = uint8(i)
			return nil
		}
	}
	var known strings.Builder
	for _, name := range names {
		if name != "" {
			known.WriteString(", " + name)
		}
	}
	return fmt.Errorf("%s %q is not one of %s", what, b, known.String()[2:])
}
