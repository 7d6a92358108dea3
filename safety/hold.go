package safety

import (
	"fmt"
	"strings"
	"time"
)

// Hold is one reason not to trade freely. The trading state is the strictest of
// the holds in force, and lifting one leaves the others.
type Hold struct {
	// ID rises with every hold that a switch places and is never used again, across
	// restarts too. It is how Resume knows what its caller has seen.
	ID uint64 `json:"id"`

	State  TradingState `json:"state"`  // Halted or Reducing; Active where it only throttles
	By     string       `json:"by"`     // the person or component that placed it
	Reason string       `json:"reason"` // in words for the person who resumes
	At     time.Time    `json:"at"`

	// Write says that the hold closes the write gate too.
	Write bool `json:"write,omitempty"`

	// Throttle is what the hold narrows while trading stays active; nil where it does
	// not. It is not changed once the hold is placed.
	Throttle *Throttle `json:"throttle,omitempty"`

	// Passing says that the hold is a condition: it goes when its cause does and is
	// not kept across a restart, which looks for the cause anew. Every other hold
	// stays until a named person lifts it.
	Passing bool `json:"-"`
}

// String returns the hold in one line.
func (h Hold) String() string {
	write := ""
	if h.Write {
		write = ", no writes"
	}
	if h.Throttle != nil {
		write += " (" + h.Throttle.String() + ")"
	}
	return fmt.Sprintf("#%d %v%s by %s since %s: %s", h.ID, h.what(), write, h.By, h.At.UTC().Format(time.RFC3339), h.Reason)
}

// what says in a word what the hold does.
func (h Hold) what() string {
	if h.Throttle != nil && h.State == Active {
		return "throttle"
	}
	return h.State.String()
}

func (h Hold) throttlesAs(o Hold) bool {
	if h.Throttle == nil || o.Throttle == nil {
		return h.Throttle == o.Throttle
	}
	return h.Throttle.equal(*o.Throttle)
}

// is reports whether o is this very hold. The id alone is not enough: after the state
// was deleted it counts from the beginning again.
func (h Hold) is(o Hold) bool {
	return o.ID == h.ID && o.State == h.State && o.By == h.By && o.Reason == h.Reason && o.At.Equal(h.At) && h.throttlesAs(o)
}

// same reports whether two holds say the same thing: the newer one then takes the
// place of the older.
func (h Hold) same(o Hold) bool {
	return h.State == o.State && h.By == o.By && h.Reason == o.Reason && h.Write == o.Write && h.Passing == o.Passing && h.throttlesAs(o)
}

// strictest returns the state that the holds leave.
func strictest(holds []Hold) TradingState {
	s := Active
	for _, h := range holds {
		s = min(s, h.State)
	}
	return s
}

func holdList(holds []Hold) string {
	lines := make([]string, len(holds))
	for i, h := range holds {
		lines[i] = h.String()
	}
	return strings.Join(lines, "; ")
}
