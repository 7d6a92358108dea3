package safety

import (
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// TripState is what trips keep across restarts, within the State of their switch, so
// that a hold and the windows that it explains are saved by one and the same write.
// A Store keeps it, people may read it, and only Trips writes it.
type TripState struct {
	// Clock is the trips' own clock when this was saved. It never goes back. Boot and
	// Uptime say where the machine's clock stood then, the time it slept included.
	Clock  time.Time     `json:"clock"`
	Boot   string        `json:"boot,omitempty"`
	Uptime time.Duration `json:"uptime,omitempty"`

	// Day is the day that is counted, such as 2026-11-24, in the zone of the trips.
	// Opening is the equity with which it opened, zero while not known; Net what its
	// trades made net of fees; Named the part of the loss that a hold has named.
	Day     string        `json:"day"`
	Opening andon.Decimal `json:"opening"`
	Net     andon.Decimal `json:"net"`
	Named   andon.Decimal `json:"named"`

	// Equity is the last reading; Peak the highest since the last drawdown that a
	// hold has named, zero while not known; Highs the window of rapid losses.
	Equity andon.Decimal `json:"equity"`
	Peak   andon.Decimal `json:"peak"`
	Highs  []TripHigh    `json:"highs,omitempty"`

	Streak int                    `json:"streak"` // trades in a row that lost
	Orders []TripCount            `json:"orders,omitempty"`
	Slow   []TripCount            `json:"slow,omitempty"`
	Venues map[string][]TripCount `json:"venues,omitempty"` // calls that failed, by venue

	// Viewed are the venues of which a view was given, and Legs the positions that
	// the first view and the fills since add up to.
	Viewed []string         `json:"viewed,omitempty"`
	Legs   []andon.Position `json:"legs,omitempty"`

	// Seen are the ids of what was counted, 16 bytes each, and Forgotten the newest
	// time of one that is no longer among them.
	Seen      []byte    `json:"seen,omitempty"`
	Forgotten time.Time `json:"forgotten,omitzero"`

	// Fired says when each trip last placed a hold and how often it has.
	Fired map[Trip]TripFired `json:"fired,omitempty"`
}

// TripFired says when a trip last placed a hold.
type TripFired struct {
	At    time.Time `json:"at"`
	Times int       `json:"times"`
}

const dayForm = "2006-01-02"

// The most that a state holds of what grows with what is traded.
const (
	maxTripVenues = 64
	maxTripLegs   = 2048
)

// validate reports what no trips ever save.
func (s *TripState) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("trips: "+format, args...)) }
	if s.Clock.IsZero() {
		add("clock is missing")
	}
	if _, err := time.Parse(dayForm, s.Day); err != nil {
		add("day %q is none", s.Day)
	}
	if s.Opening.Sign() < 0 || s.Peak.Sign() < 0 || s.Named.Sign() < 0 || s.Streak < 0 || s.Uptime < 0 {
		add("opening %v, peak %v, named %v, streak %d, uptime %v: none may be negative", s.Opening, s.Peak, s.Named, s.Streak, s.Uptime)
	}
	if len(s.Seen)%16 != 0 || len(s.Seen) > 16*maxSeen {
		add("seen has %d bytes", len(s.Seen))
	}
	windows := map[string][]TripCount{"orders": s.Orders, "slow": s.Slow}
	for venue, w := range s.Venues {
		windows["venue "+venue] = w
	}
	for name, w := range windows {
		for i, c := range w {
			if c.Hits < 0 || c.Events < c.Hits || i > 0 && !w[i-1].At.Before(c.At) || c.At.After(s.Clock) {
				add("%s[%d]: %d of %d at %s cannot be", name, i, c.Hits, c.Events, c.At)
			}
		}
	}
	for i, h := range s.Highs {
		if h.Equity.Sign() <= 0 || i > 0 && !s.Highs[i-1].At.Before(h.At) || h.At.After(s.Clock) {
			add("highs[%d]: %v at %s cannot be", i, h.Equity, h.At)
		}
	}
	legs := map[andon.LegKey]bool{}
	for i, p := range s.Legs {
		if err := p.Validate(); err != nil || p.Quantity.IsZero() || legs[p.Key()] {
			add("legs[%d]: %v of %v cannot be: %v", i, p.Quantity, p.Key(), err)
		}
		legs[p.Key()] = true
	}
	return errors.Join(errs...)
}
