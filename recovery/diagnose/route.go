package diagnose

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Hop is one station on the way to an endpoint.
type Hop struct {
	TTL  int           `json:"ttl"`
	From netip.Addr    `json:"from"` // invalid when nobody answered
	Took time.Duration `json:"took"` // nanoseconds, until the answer
}

// Way is the route to an address, station by station.
type Way struct {
	To      netip.Addr `json:"to"`
	Hops    []Hop      `json:"hops"`
	Reached bool       `json:"reached"` // the address itself answered

	// Ended says why the look went no farther although To had not answered.
	Ended string `json:"ended"`
}

func (w Way) lines() string {
	var b strings.Builder
	for _, h := range w.Hops {
		if !h.From.IsValid() {
			fmt.Fprintf(&b, "%2d  no answer\n", h.TTL)
			continue
		}
		fmt.Fprintf(&b, "%2d  %v  %v\n", h.TTL, h.From, h.Took)
	}
	if !w.Reached {
		fmt.Fprintf(&b, "%v did not answer: %s\n", w.To, w.Ended)
	}
	return b.String()
}

// The bounds of a route: with one datagram a hop, more would only take time.
const (
	maxHops   = 30
	maxSilent = 5 // stations in a row
	hopWait   = 400 * time.Millisecond
)
