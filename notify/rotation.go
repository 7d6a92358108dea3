package notify

import (
	"slices"
	"time"
)

// Rotation is a role that changes hands: who plays it is a pure function of the
// rotation and the instant. It is read in wall time of its zone, by these rules:
//
//   - Shifts are counted in days of the calendar, and a handoff is at a time of
//     day: "09:00 on Monday" is 09:00 before and after the clocks change, so that
//     the week of the change has 167 or 169 hours.
//   - A handoff takes place at the first instant at which the clock shows its time
//     or a later one. One in an hour that is skipped takes place when the clock has
//     jumped; one in an hour that is repeated, the first time round, and is not
//     undone when the clock goes back.
//   - A shift that lies wholly in a day that the calendar skips (Apia had no 30
//     December 2011) is not held. The shifts after it stay where they were.
//   - A window is open from the first instant at which the clock shows its
//     beginning or later to the first at which it shows its end or later; one
//     that is skipped never opens.
//   - An override wins over shifts, windows and the time before the first shift.
//     Of two at the same instant the later in the list wins.
//
// So at each instant at most one contact is on call, and shifts follow each other
// without a gap, unless a window or First makes one.
type Rotation struct {
	Name string
	Role Role // what who is on call plays

	// Members take turns, by Contact.Name, in this order; one may stand twice.
	Members []string

	// First is the day of the first handoff, to Members[0]. Nobody is on call before it.
	First Date

	// Handoff is the time of day at which a shift begins.
	Handoff Clock

	// Days is the length of a shift in calendar days. Defaults to 7.
	Days int

	// Zone is where the clock stands that the rotation is read by. Defaults to UTC.
	Zone *time.Location

	// Windows are the times of the week in which somebody is on call. Empty means always.
	Windows []Window

	// Overrides put somebody else on call for a time.
	Overrides []Override
}

// Window is a part of the day on some days of the week.
type Window struct {
	Days []time.Weekday // on which it begins; empty: every day

	// From and Until bound it: at From it is open, at Until no more. Where Until
	// is not later than From it ends on the next day.
	From, Until Clock
}

// Override puts a contact on call from an instant to another, whatever the shifts
// and windows say.
type Override struct {
	From, Until time.Time // at From it holds, at Until no more
	Contact     string    // by Contact.Name
}

// Shift is a time in which one contact, or nobody, is on call.
type Shift struct {
	From, Until time.Time // at From it has begun, at Until it has ended
	Contact     string    // by Contact.Name; empty: a gap, nobody is on call
}

// OnCall returns the name of who is on call at an instant, empty where nobody is.
func (r Rotation) OnCall(at time.Time) string {
	for _, o := range slices.Backward(r.Overrides) {
		if !at.Before(o.From) && at.Before(o.Until) {
			return o.Contact
		}
	}
	w := reading(at, r.zone())
	n, begun := r.turn(w)
	if !begun || len(r.Members) == 0 || !r.open(w) {
		return ""
	}
	return r.Members[n%len(r.Members)]
}

// Shifts returns who is on call from an instant to another: adjacent times without
// a hole, the gaps among them, as long as the same contact stays on call.
func (r Rotation) Shifts(from, until time.Time) []Shift {
	var shifts []Shift
	for at := from; at.Before(until); {
		end := r.nextChange(at)
		if end.IsZero() || end.After(until) {
			end = until
		}
		contact := r.OnCall(at)
		if last := len(shifts) - 1; last >= 0 && shifts[last].Contact == contact {
			shifts[last].Until = end
		} else {
			shifts = append(shifts, Shift{From: at, Until: end, Contact: contact})
		}
		at = end
	}
	return shifts
}

// nextChange returns the first instant after at at which who is on call may be
// another one.
func (r Rotation) nextChange(at time.Time) time.Time {
	var next time.Time
	for _, o := range r.Overrides {
		for _, edge := range []time.Time{o.From, o.Until} {
			if edge.After(at) {
				next = earliest(next, edge)
			}
		}
	}
	w := reading(at, r.zone())
	handoff := r.start()
	if n, begun := r.turn(w); begun {
		handoff = handoff.Add(time.Duration(n+1) * r.length())
	}
	edge := handoff
	if e := r.nextEdge(w); !e.IsZero() && e.Before(edge) {
		edge = e
	}
	return earliest(next, firstInstant(edge, r.zone()))
}

// turn returns the number of the shift that a wall time lies in, from 0, and
// whether the first one has begun.
func (r Rotation) turn(w time.Time) (n int, begun bool) {
	if w.Before(r.start()) {
		return 0, false
	}
	return int(w.Sub(r.start()) / r.length()), true
}

func (r Rotation) start() time.Time { return r.First.midnight().Add(r.Handoff.since()) }

const day = 24 * time.Hour // of wall time

func (r Rotation) length() time.Duration {
	if r.Days <= 0 {
		return 7 * day
	}
	return time.Duration(r.Days) * day
}

func (r Rotation) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// open reports whether a window is open at a wall time.
func (r Rotation) open(w time.Time) bool {
	if len(r.Windows) == 0 {
		return true
	}
	today := w.Truncate(day)
	for _, win := range r.Windows {
		for _, d := range []time.Time{today.Add(-day), today} { // yesterday's may last until today
			begin, end, ok := win.on(d)
			if ok && !w.Before(begin) && w.Before(end) {
				return true
			}
		}
	}
	return false
}

// nextEdge returns the first beginning or end of a window after a wall time, zero
// where there are no windows.
func (r Rotation) nextEdge(w time.Time) (next time.Time) {
	today := w.Truncate(day)
	for _, win := range r.Windows {
		for d := -1; d <= 7; d++ {
			begin, end, ok := win.on(today.Add(time.Duration(d) * day))
			for _, edge := range []time.Time{begin, end} {
				if ok && edge.After(w) {
					next = earliest(next, edge)
				}
			}
		}
	}
	return next
}

// on returns the wall times of the window that begins on a day, if one does.
func (w Window) on(midnight time.Time) (begin, end time.Time, ok bool) {
	if len(w.Days) > 0 && !slices.Contains(w.Days, midnight.Weekday()) {
		return time.Time{}, time.Time{}, false
	}
	end = midnight.Add(w.Until.since())
	if w.Until.since() <= w.From.since() {
		end = end.Add(day)
	}
	return midnight.Add(w.From.since()), end, true
}
