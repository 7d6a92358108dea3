package severity

import "time"

// Signal is one observation that something is wrong.
type Signal struct {
	Condition Condition `json:"condition"`
	Component string    `json:"component"`        // what it is about, such as "venue/coinbase"
	Value     Value     `json:"value,omitzero"`   // what was measured; zero where nothing was, which is the worst for a condition that a rule judges
	At        time.Time `json:"at"`               // when it was observed
	Source    string    `json:"source"`           // who observed it: a detector, an operator, an alert
	Detail    string    `json:"detail,omitempty"` // for people

	// Ref is the source's own name for the thing that it saw, such as the fingerprint
	// of an alert. A signal with a Ref that was seen before is known as a repetition,
	// and can be cleared. Empty: neither.
	Ref string `json:"ref,omitempty"`

	// OurOwnHalt says of TradingHalted that a hold of our own switch is what halts
	// trading. Such a signal is no incident: else each halt would raise another.
	OurOwnHalt bool `json:"our_own_halt,omitempty"`
}
