package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Clear says that what a signal saw has ended at the time given; ref is the signal's
// Ref, by who says so. Where that was the last signal of its incident and the
// checklist is proven, the incident is resolved; where the checklist is not, the
// timeline says what keeps it open. It is never resolved against the checklist, nor
// while one of its signals had no Ref, since nobody will say that it has ended.
//
// A signal that began to fire after at goes on firing. A second Clear of a signal
// adds nothing. ErrUnknown says that no open incident has such a signal. With
// ErrNotRecorded it holds in this process and a crash could forget it: say it again.
func (m *Manager) Clear(ctx context.Context, by, ref string, at time.Time, why string) (Incident, error) {
	if err := person(by, why); err != nil {
		return Incident{}, fmt.Errorf("clear %q: %w", ref, err)
	}
	m.mu.Lock()
	in := m.board.incidents[m.board.refs[clip(ref, "")]]
	if in == nil {
		last := m.tail()
		m.mu.Unlock()
		return Incident{}, errors.Join(fmt.Errorf("clear: %w has a signal %q", ErrUnknown, ref), m.settle(ctx, last))
	}
	last := m.clear(in, Event{
		At: m.now(), Incident: in.Number, Kind: Cleared, By: by, What: "a signal has cleared", Why: why,
		Data: Data{Ref: clip(ref, ""), SignalAt: at},
	})
	end := in.quiet() && len(m.obstacles(in)) == 0 && !m.closing[in.Number]
	if end {
		m.closing[in.Number] = true
	}
	over := Event{At: m.now(), Incident: in.Number, Kind: Resolved, By: by, What: "resolved: every signal has cleared", Why: why}
	number := in.Number
	m.mu.Unlock()

	err := m.settle(ctx, last)
	if end {
		err = errors.Join(err, m.close(ctx, over))
	}
	after, getErr := m.Get(number)
	return after, errors.Join(err, getErr)
}

// clear puts the event, unless it says nothing new, and what keeps the incident
// open after it. It returns what has to be durable. Called with mu held.
func (m *Manager) clear(in *Incident, e Event) *entry {
	since := in.refs.at(e.Data.Ref)
	if since.IsZero() || since.After(e.Data.SignalAt) {
		return m.tail()
	}
	last := m.put(e)
	if left := m.obstacles(in); in.quiet() && len(left) > 0 {
		last = m.put(Event{
			At: e.At, Incident: in.Number, Kind: Noted, By: self,
			What: "every signal has cleared; the incident stays open", Why: "unproven: " + strings.Join(left, "; "),
		})
	}
	return last
}

// repeated reports whether a report says nothing that is not known: its signal
// belongs to the open incident already, has fired since no later a time, and is no
// worse. What it returns then has to be durable before the report counts as taken.
// Called with mu held.
func (m *Manager) repeated(r report) (number string, last *entry, known bool) {
	ref := clip(r.lead.Ref, "")
	number = m.board.refs[ref]
	in := m.board.incidents[number]
	if ref == "" || in == nil || m.closing[number] || string(in.Condition) != clip(string(r.lead.Condition), "") || in.Component != clip(r.lead.Component, "") {
		return "", nil, false
	}
	since := in.refs.at(ref)
	if since.IsZero() || r.lead.At.After(since) || !in.Level.AtLeast(r.a.Level) || in.NoHalt && r.a.Halts() {
		return "", nil, false
	}
	return number, m.tail(), true
}

// tail returns the last event in force that waits to be recorded, nil where none
// does. Called with mu held.
func (m *Manager) tail() *entry {
	for _, w := range slices.Backward(m.queue) {
		if w.taken {
			return w
		}
	}
	return nil
}

// obstacles returns what keeps an incident from being resolved without a reason.
// Called with mu held.
func (m *Manager) obstacles(in *Incident) []string {
	left := m.unproven(in)
	if in.Firing > 0 {
		left = append(left, fmt.Sprintf("%d signals still fire", in.Firing))
	}
	return left
}

// quiet reports whether all that the incident was declared for has ended.
func (in *Incident) quiet() bool { return in.open() && in.Firing == 0 && in.unsaid == 0 }

// fires takes in a signal with a Ref. One that moves to another incident, as when
// it is mapped to another condition, ends in the one before.
func (b *board) fires(in *Incident, e Event) {
	ref := e.Data.Ref
	if ref == "" {
		in.unsaid++
		return
	}
	if before := b.incidents[b.refs[ref]]; before != nil && before != in {
		before.clear(ref)
	}
	if !in.open() {
		return
	}
	if in.refs.at(ref).IsZero() {
		in.Firing++
	}
	put(&in.refs, ref, first(e.Data.SignalAt, e.At))
	b.refs[ref] = in.Number
}

// clear takes in that a signal has ended.
func (in *Incident) clear(ref string) {
	if !in.refs.at(ref).IsZero() {
		put(&in.refs, ref, time.Time{})
		in.Firing--
	}
}

// quench forgets the signals of an incident that is over.
func (b *board) quench(in *Incident) {
	for ref := range in.refs.all() {
		if b.refs[ref] == in.Number {
			delete(b.refs, ref)
		}
	}
	in.refs, in.Firing = nil, 0
}

// Firing is a signal with a Ref that has not been cleared.
type Firing struct {
	Ref      string
	Incident string
	Since    time.Time
}

// Firing returns the signals with a Ref that belong to open incidents and have not
// been cleared, in the order of their Refs.
func (m *Manager) Firing() []Firing {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Firing
	for _, ref := range slices.Sorted(maps.Keys(m.board.refs)) {
		number := m.board.refs[ref]
		if since := m.board.incidents[number].refs.at(ref); !since.IsZero() {
			all = append(all, Firing{ref, number, since})
		}
	}
	return all
}

// ByRef returns the open incident that a signal with that Ref belongs to.
func (m *Manager) ByRef(ref string) (Incident, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[m.board.refs[clip(ref, "")]]
	if in == nil {
		return Incident{}, false
	}
	return in.clone(), true
}
