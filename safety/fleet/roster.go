package fleet

import (
	"fmt"
	"strings"
	"time"
)

// Roster is what a halt says of every member of the fleet.
type Roster struct {
	Hold       Hold
	Generation uint64 // of the order that halts the fleet

	// Settled are the members that have confirmed: the gate is closed, and nothing is in
	// flight.
	Settled []Standing

	// Unsettled are the members that have admitted nothing that adds exposure since a
	// time. Orders of theirs may be in flight: resolve them by client id.
	Unsettled []Standing
}

// Standing is one member's place in a roster.
type Standing struct {
	ID, Name, Host string
	PID            int

	// Since when it has admitted nothing that adds exposure, at the latest. By this
	// machine's wall clock, which did not decide it.
	Since time.Time

	// Confirmed says that the member has said so itself; InFlight is then all it has in
	// flight. Otherwise its lease ran out, and what it has in flight is not known.
	Confirmed bool
	InFlight  []string
}

// String returns the standing in one line.
func (s Standing) String() string {
	switch {
	case !s.Confirmed:
		return fmt.Sprintf("%s (%s): its lease ran out, nothing admitted since %s; what it has in flight is unknown, look it up by client id",
			s.Name, s.ID, s.Since.UTC().Format(time.RFC3339Nano))
	case len(s.InFlight) > 0:
		return fmt.Sprintf("%s (%s): closed, nothing admitted since %s; in flight, to be looked up by client id: %s",
			s.Name, s.ID, s.Since.UTC().Format(time.RFC3339Nano), strings.Join(s.InFlight, ", "))
	}
	return fmt.Sprintf("%s (%s): closed, nothing in flight", s.Name, s.ID)
}

// String returns the roster, one member a line.
func (r Roster) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the fleet is %v", r.Hold)
	for _, s := range append(r.Unsettled[:len(r.Unsettled):len(r.Unsettled)], r.Settled...) {
		b.WriteString("\n" + s.String())
	}
	return b.String()
}
