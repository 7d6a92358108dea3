package safety

import (
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// TripCount is what happened in one part of a window.
type TripCount struct {
	At     time.Time `json:"at"` // when the part begins
	Hits   int       `json:"hits"`
	Events int       `json:"events"`
}

// TripHigh is the highest equity of one part of a window.
type TripHigh struct {
	At     time.Time     `json:"at"` // when the part begins
	Equity andon.Decimal `json:"equity"`
}

// windowParts is into how many parts a window is cut, so that it takes the same
// memory at any rate of events. A part counts whole as long as the window reaches into
// it, which is the stricter side: a window of 5 min looks back up to 5 min and 5 s.
const windowParts = 60

func part(at time.Time, window time.Duration) time.Time {
	return at.Truncate(max(window/windowParts, 1))
}

// count adds an event to a window and drops what it no longer reaches. Times never
// go back.
func count(w []TripCount, now time.Time, window time.Duration, hit bool) []TripCount {
	w = recent(w, now, window)
	at := part(now, window)
	if n := len(w); n == 0 || w[n-1].At.Before(at) {
		w = append(w, TripCount{At: at})
	}
	last := &w[len(w)-1]
	last.Events++
	if hit {
		last.Hits++
	}
	return w
}

// recent returns the parts that the window reaches into.
func recent(w []TripCount, now time.Time, window time.Duration) []TripCount {
	first := part(now.Add(-window), window)
	return slices.DeleteFunc(w, func(c TripCount) bool { return c.At.Before(first) })
}

func total(w []TripCount) (hits, events int) {
	for _, c := range w {
		hits += c.Hits
		events += c.Events
	}
	return hits, events
}

// high adds a reading to a window of highs. The last part before the window stays as
// well, since its reading was in force when the window began.
func high(w []TripHigh, now time.Time, window time.Duration, equity andon.Decimal) []TripHigh {
	first := part(now.Add(-window), window)
	for len(w) > 1 && w[1].At.Before(first) {
		w = slices.Delete(w, 0, 1)
	}
	at := part(now, window)
	if n := len(w); n == 0 || w[n-1].At.Before(at) {
		return append(w, TripHigh{at, equity})
	}
	last := &w[len(w)-1]
	last.Equity = last.Equity.Max(equity)
	return w
}

// highest returns the highest part.
func highest(w []TripHigh) (h TripHigh) {
	for i, c := range w {
		if i == 0 || h.Equity.Less(c.Equity) {
			h = c
		}
	}
	return h
}
