package postmortem

import (
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon/incident"
)

// Prompt begins each place that waits for a person.
const Prompt = "TO WRITE:"

// Report is what the timeline says of one incident. New makes it; it is a value.
type Report struct {
	Incident incident.Incident
	Events   []incident.Event // of the incident, in order
	At       time.Time        // the report says what was so at this time

	// Text is what people have written, in Markdown, by the place. A place that is not
	// there has its prompt. Read gives it back from a report that was written before.
	Text map[Place]string
}

// New gathers the report on an incident from its events; others are left out. The
// error is incident.ErrUnknown where its declaration is not among them.
func New(number string, events []incident.Event, now time.Time) (Report, error) {
	all, err := incident.Replay(func(yield func(incident.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		return Report{}, err
	}
	i := slices.IndexFunc(all, func(in incident.Incident) bool { return in.Number == number })
	if i < 0 {
		return Report{}, fmt.Errorf("post-mortem of %q: %w", number, incident.ErrUnknown)
	}
	r := Report{Incident: all[i], At: now}
	for _, e := range events {
		if e.Incident == number {
			r.Events = append(r.Events, e)
		}
	}
	return r, nil
}

// first returns the first event that fits.
func (r Report) first(fits func(incident.Event) bool) (incident.Event, bool) {
	i := slices.IndexFunc(r.Events, fits)
	if i < 0 {
		return incident.Event{}, false
	}
	return r.Events[i], true
}

// count returns how many events have the kind.
func (r Report) count(kind incident.Kind) int {
	n := 0
	for _, e := range r.Events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// verdict says whether a target was met.
type verdict int

const (
	pending verdict = iota // neither done nor late
	met
	missed
)

// judge compares what was done, zero if it was not, with its target. On the target
// it is missed.
func (r Report) judge(done, target time.Time) verdict {
	switch {
	case target.IsZero():
		return pending
	case !done.IsZero() && done.Before(target):
		return met
	case !done.IsZero() || !r.At.Before(target):
		return missed
	}
	return pending
}

// restored is when the last item of the checklist was proven, if the incident was
// resolved with all of them; nobody can say earlier that the service was restored.
func (r Report) restored() time.Time {
	end, ok := r.first(func(e incident.Event) bool { return e.Kind == incident.Resolved })
	if !ok || len(end.Data.Unproven) > 0 {
		return time.Time{}
	}
	var last time.Time
	for _, e := range r.Events {
		if e.Kind == incident.ItemProven && e.At.After(last) {
			last = e.At
		}
	}
	return last
}
