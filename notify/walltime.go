package notify

import "time"

// A rotation is written in wall time: what a clock in its zone shows. Wall times
// are held here as a time.Time in UTC, so that days have 24 hours and arithmetic
// is plain. Two functions lead from instants to wall time and back, and whatever a
// rotation says about daylight saving follows from them:
//
//   - reading is the latest wall time that the clock has shown up to an instant. It
//     never goes back: while an hour is repeated it stands still.
//   - firstInstant is the first instant at which reading is a wall time or later. A
//     wall time that is skipped, or a whole day, begins when the clock has jumped over it.

// wall returns what a clock in the zone shows at an instant.
func wall(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// lookBack is more than a clock has ever been set back: a day, at the date line.
const lookBack = 48 * time.Hour

// reading returns the latest wall time shown up to an instant, that instant included.
func reading(at time.Time, zone *time.Location) time.Time {
	latest := wall(at, zone)
	for before := at; ; {
		begin, _ := before.In(zone).ZoneBounds()
		if begin.IsZero() || at.Sub(begin) > lookBack {
			return latest
		}
		before = begin.Add(-1) // the last moment of the offset before
		if w := wall(before, zone); w.After(latest) {
			latest = w
		}
	}
}

// widest is more than any zone differs from UTC.
const widest = 26 * time.Hour

// firstInstant returns the first instant at which the clock shows w or later.
func firstInstant(w time.Time, zone *time.Location) time.Time {
	for at := w.Add(-widest); ; { // the clock shows less than w here
		_, offset := at.In(zone).Zone()
		_, end := at.In(zone).ZoneBounds()
		hit := w.Add(-time.Duration(offset) * time.Second)
		if hit.Before(at) {
			hit = at // the clock jumped over w
		}
		if end.IsZero() || hit.Before(end) {
			return hit
		}
		at = end.UTC()
	}
}
