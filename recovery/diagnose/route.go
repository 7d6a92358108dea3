package diagnose

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/route"
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

// hopWait bounds the wait for one station.
const hopWait = 400 * time.Millisecond

// Route sends one small UDP datagram for each station on the way to an address and
// listens who says that it went no farther; it needs no right but that to send. A
// station may keep silent, and the last ones often do: that To did not answer does not
// say that it cannot be reached by TCP, which Network tries. It sends at most 30
// datagrams, waits at most 400 ms for each answer, gives up after five silent
// stations, and ends with ctx. It is errors.ErrUnsupported but on Linux, where alone the
// system tells a process without rights which station answered.
func Route(ctx context.Context, to netip.Addr) (Way, error) {
	w := Way{To: to.Unmap()}
	ended, err := route.Follow(ctx, w.To, hopWait, func(from netip.Addr, took time.Duration) {
		w.Hops = append(w.Hops, Hop{TTL: len(w.Hops) + 1, From: from, Took: took})
	})
	if err != nil {
		w.Ended = err.Error()
		return w, fmt.Errorf("route to %v: %w", to, err)
	}
	w.Reached, w.Ended = ended == "", ended
	return w, nil
}
