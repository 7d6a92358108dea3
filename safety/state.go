package safety

import "fmt"

// TradingState says what may be sent. It is the strictest of the holds in force.
//
// The zero value is Halted, so that a state that was never set, read or decided
// lets nothing through that adds exposure.
type TradingState uint8

// The trading states, strictest first.
const (
	Halted   TradingState = iota // protective orders, cancels and confirmed closes only
	Reducing                     // nothing that adds exposure
	Active                       // everything
)

var stateNames = [...]string{"halted", "reducing", "active"}

// String returns "halted", "reducing", "active" or "TradingState(n)".
func (s TradingState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("TradingState(%d)", uint8(s))
}

// MarshalText writes the state's name; a value that is none is an error.
func (s TradingState) MarshalText() ([]byte, error) {
	if int(s) < len(stateNames) {
		return []byte(stateNames[s]), nil
	}
	return nil, fmt.Errorf("trading state %d is not one of 0 to %d", uint8(s), len(stateNames)-1)
}

// UnmarshalText reads a state's name.
func (s *TradingState) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if name == string(b) {
			*s = TradingState(i)
			return nil
		}
	}
	return fmt.Errorf("trading state %q is not one of halted, reducing, active", b)
}

// Intent is what an order does to exposure. The gate derives it; nobody is asked.
// The zero value is Increase, the intent that is refused first.
type Intent uint8

// The intents.
const (
	Increase Intent = iota // adds exposure, or may
	Reduce                 // makes a position smaller and cannot flip it
	Protect                // waits for a trigger and only reduces
	Cancel                 // takes an order away
	Close                  // reduces, confirmed by a named operator
)

var intentNames = [...]string{"increase", "reduce", "protect", "cancel", "close"}

// String returns the intent's name or "Intent(n)".
func (i Intent) String() string {
	if int(i) < len(intentNames) {
		return intentNames[i]
	}
	return fmt.Sprintf("Intent(%d)", uint8(i))
}

// Admits is the table of law 4:
//
//	state      increase  reduce  protect  cancel  close
//	active     yes       yes     yes      yes     yes
//	reducing   no        yes     yes      yes     yes
//	halted     no        no      yes      yes     yes
//
// A state or an intent that is neither named above is refused.
func (s TradingState) Admits(i Intent) bool {
	switch i {
	case Increase:
		return s == Active
	case Reduce:
		return s == Active || s == Reducing
	case Protect, Cancel, Close:
		return s <= Active
	}
	return false
}
