package safety

import (
	"time"

	"github.com/andon-go/andon/internal/boottime"
)

// tripClock is the clock of the windows. It goes on by the machine's monotonic clock,
// the time it slept included, so that a step of the wall clock neither empties a window
// nor fills it, and it never goes back, across restarts either.
type tripClock struct {
	base  time.Time     // what it shows at start
	start time.Time     // with Go's monotonic reading
	slept time.Duration // what the machine had slept by then
	nap   time.Duration // what it has slept since, as of the last wake
	boot  string        // which boot of the machine this is
	last  time.Time     // the newest that it has shown
}

// newTripClock goes on from a saved state, or from the wall clock where there is none.
// On the same boot of the machine the time between is what the machine counted; after
// another boot it is what the wall clock says, but never less than none.
func newTripClock(s *TripState) tripClock {
	c := tripClock{start: time.Now(), slept: boottime.Slept(), boot: boottime.BootID()}
	c.base = c.start.UTC().Round(0)
	if s == nil {
		return c
	}
	switch up := boottime.Uptime(); {
	case c.boot != "" && c.boot == s.Boot && up >= s.Uptime:
		c.base = s.Clock.Add(up - s.Uptime)
	case c.base.Before(s.Clock):
		c.base = s.Clock
	}
	return c
}

// tripNow is one instant on both clocks.
type tripNow struct {
	clock time.Time // of the windows
	wall  time.Time // of the machine, for what is written for people and for days
}

func (c *tripClock) now() tripNow {
	now := time.Now()
	if clock := c.base.Add(now.Sub(c.start) + c.nap); clock.After(c.last) {
		c.last = clock
	}
	return tripNow{clock: c.last, wall: now.UTC().Round(0)}
}

// wake takes notice of what the machine has slept. It is not done at every reading, which
// would take system calls; until then a window reaches back further, by that sleep.
func (c *tripClock) wake() { c.nap = boottime.Slept() - c.slept }
