package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/severity"
)

// Declare says that something is wrong. The signals are classified; at SEV-1 the
// gate is closed before Declare returns, and the page goes out after it, by Run.
// Signals of a condition and component that has an open incident are attached to
// it, and stop trading again where they have to. The repetition of a signal, which
// a Ref and the time since which it fires tell apart from another, changes nothing.
// Of several signals the one that decides is the one whose Ref counts.
//
// by is the detector or the person, summary one line for people; neither is
// required, since nothing that stops is refused for its form. ErrNothing says that
// the signals are no incident. With any other error the incident is declared all
// the same: ErrStopUnconfirmed, ErrNotRecorded, or both.
func (m *Manager) Declare(ctx context.Context, by, summary string, signals ...severity.Signal) (in Incident, err error) {
	ctx, end := m.declaring(ctx)
	defer func() { end(in, err) }()
	m.mu.Lock()
	if len(m.board.live) == 0 { // nothing is ahead that a new time of day could move
		m.clock, m.tied = newSteady(time.Now()), false
	}
	now := m.now()
	m.mu.Unlock()
	a := m.assess(now, signals)
	if a.Nothing {
		return Incident{}, fmt.Errorf("%w: %s", ErrNothing, cmp.Or(a.Why, "no signal says that anything is wrong"))
	}
	r := newReport(by, summary, a, now)
	r.trace = traceparent(ctx)
	m.mu.Lock()
	number, last, known := m.repeated(r)
	if !known {
		number, last = m.declare(r)
	}
	halts := a.Halts() && !known
	halt := halts && m.haltDue(number, a.Why)
	m.mu.Unlock()

	var stopErr error
	if halts {
		stopErr = m.stop(ctx, number, halt)
	}
	err = m.settle(ctx, last)
	if !known {
		number = m.named(last)
	}
	in, getErr := m.Get(number)
	return in, errors.Join(stopErr, err, getErr)
}

// named returns the number that an event's incident has by now: where another process
// has declared one of the same number at the same time, ours may have another one.
func (m *Manager) named(e *entry) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.event.Incident
}

// assess asks the classifier. One that panics does not know, and what is not known
// is the worst.
func (m *Manager) assess(now time.Time, signals []severity.Signal) (a severity.Assessment) {
	err := guard(func() error { a = m.cfg.Classifier.Assess(now, signals...); return nil })
	if err != nil {
		targets := severity.Unclassified.Targets()
		a = severity.Assessment{
			Why: "the classifier gave no answer: " + err.Error(), Decided: signals,
			At: now, RespondBy: now.Add(targets.Respond), ResolveBy: now.Add(targets.Resolve),
		}
	}
	return a
}

// report is what Declare was told, with its assessment.
type report struct {
	by, summary string
	a           severity.Assessment
	lead        severity.Signal // the signal that decided
	at          time.Time
	now         time.Time
	trace       string
}

func newReport(by, summary string, a severity.Assessment, now time.Time) report {
	r := report{a: a, at: now, now: now}
	if len(a.Decided) > 0 {
		r.lead = a.Decided[0]
	}
	for _, s := range a.Decided {
		if !s.At.IsZero() && s.At.Before(r.at) {
			r.at = s.At
		}
	}
	r.by = cmp.Or(by, r.lead.Source, "unknown source")
	r.summary = cmp.Or(summary, r.lead.Detail, a.Why, string(r.lead.Condition))
	return r
}

// declare puts the events of a report, and returns the incident's number. Called
// with mu held.
func (m *Manager) declare(r report) (string, *entry) {
	data := Data{
		Condition: clip(string(r.lead.Condition), ""), Component: clip(r.lead.Component, ""), Ref: clip(r.lead.Ref, ""), Level: r.a.Level, NoHalt: r.a.PageOnly,
		SignalAt: r.at, RespondBy: r.a.RespondBy, ResolveBy: r.a.ResolveBy,
	}
	t := topic{severity.Condition(data.Condition), data.Component}
	number, attached := m.board.open[t]
	if !attached || m.closing[number] {
		number = m.board.number(r.now, m.provisional())
		data.Episode, data.Trace = m.board.episodes[t]+1, r.trace
		return number, m.put(Event{At: r.now, Incident: number, Kind: Declared, By: r.by, What: r.summary, Why: r.a.Why, Data: data})
	}
	last := m.put(Event{At: r.now, Incident: number, Kind: Signalled, By: r.by, What: r.summary, Why: r.a.Why, Data: data})
	in := m.board.incidents[number]
	if !in.Level.AtLeast(r.a.Level) || in.NoHalt && r.a.Halts() {
		last = m.put(in.assessed(r.by, r.a.Level, r.a.PageOnly, r.a.Why, r.now))
	}
	return number, last
}

// provisional is what a number ends in while the shared store is out of reach.
func (m *Manager) provisional() string {
	if p, ok := m.cfg.Store.(Provisional); ok {
		return p.Provisional()
	}
	return ""
}

// assessed is the event that gives an incident a level. Its targets count from the
// declaration.
func (in *Incident) assessed(by string, l severity.Level, noHalt bool, why string, now time.Time) Event {
	targets := l.Targets()
	return Event{
		At: now, Incident: in.Number, Kind: Assessed, By: by,
		What: fmt.Sprintf("%v, from %v", l, in.Level), Why: why,
		Data: Data{Level: l, NoHalt: noHalt, RespondBy: in.DeclaredAt.Add(targets.Respond), ResolveBy: in.DeclaredAt.Add(targets.Resolve)},
	}
}

// free says that something is no longer being performed.
func (m *Manager) free(number, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, key)
	m.plan.touch(number)
	nudge(m.wake)
}
