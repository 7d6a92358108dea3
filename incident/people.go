package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/severity"
)

// Acknowledge says that a person has the incident. No escalation page starts after
// it, and those under way are stopped. ErrNotRecorded means that it holds in this
// process and that a crash could forget it, and page again.
func (m *Manager) Acknowledge(ctx context.Context, number, by string) (err error) {
	ctx, end := m.span(ctx, "incident.acknowledge", number)
	defer func() { end(err) }()
	return m.decide(ctx, number, Event{Kind: Acknowledged, By: by, What: "acknowledged", Why: "paged"}, false)
}

// Assess sets the level anew, better or worse. A worse one opens paging again and,
// at SEV-1, closes the gate.
func (m *Manager) Assess(ctx context.Context, number, by string, l severity.Level, why string) error {
	if err := person(by, why); err != nil {
		return err
	}
	m.mu.Lock()
	in, err := m.find(number, true)
	if err != nil {
		m.mu.Unlock()
		return err
	}
	w := m.put(in.assessed(by, l, false, why, m.now()))
	halts := in.halts()
	news := halts && m.haltDue(number, why)
	m.mu.Unlock()
	var stopErr error
	if halts {
		stopErr = m.stop(ctx, number, news) // somebody may have resumed since it was closed
	}
	return errors.Join(stopErr, m.settle(ctx, w))
}

// Reopen takes the resolution back: the incident was not over. It pages as a new
// round, closes the gate again where its level halts, and has to be proven anew; the
// targets count from the declaration as before. The number and the timeline are the
// old ones.
//
// ErrOpen refuses it where the incident is open, or another one of the same condition
// and component is. Otherwise the errors are those of Declare.
func (m *Manager) Reopen(ctx context.Context, number, by, why string) error {
	if err := person(by, why); err != nil {
		return fmt.Errorf("%s reopen: %w", number, err)
	}
	m.mu.Lock()
	in, err := m.find(number, false)
	if err == nil && in.open() {
		err = fmt.Errorf("%s: %w", number, ErrOpen)
	}
	if err == nil && m.board.open[in.topic()] != "" {
		err = fmt.Errorf("%s: %w: %s of the same condition and component", number, ErrOpen, m.board.open[in.topic()])
	}
	if err != nil {
		m.mu.Unlock()
		return fmt.Errorf("reopen: %w", err)
	}
	w := m.put(Event{At: m.now(), Incident: number, Kind: Reopened, By: by, What: "reopened", Why: why})
	halts := in.halts()
	news := halts && m.haltDue(number, why)
	m.mu.Unlock()
	var stopErr error
	if halts {
		stopErr = m.stop(ctx, number, news)
	}
	return errors.Join(stopErr, m.settle(ctx, w))
}

// Assign gives a role to a person; Commander is the one who leads.
func (m *Manager) Assign(ctx context.Context, number, by, role, to string) error {
	if strings.TrimSpace(to) == "" || strings.TrimSpace(role) == "" {
		return fmt.Errorf("role %q to %q: %w", role, to, ErrUnnamed)
	}
	return m.decide(ctx, number, Event{
		Kind: RoleGiven, By: by, What: fmt.Sprintf("%s is %s", to, role), Why: "the response needs one", Data: Data{Role: role, Contact: to},
	}, false)
}

// Note puts what a person, or a component, has to say on the timeline. It works
// after the resolution too.
func (m *Manager) Note(ctx context.Context, number, by, text, why string) error {
	return m.decide(ctx, number, Event{Kind: Noted, By: by, What: text, Why: cmp.Or(why, "noted by "+by)}, true)
}

// RootCause says what the cause was found to be. It works after the resolution too.
func (m *Manager) RootCause(ctx context.Context, number, by, cause, why string) error {
	return m.decide(ctx, number, Event{
		Kind: Noted, By: by, What: "root cause: " + cause, Why: cmp.Or(why, "found by "+by), Data: Data{RootCause: cause},
	}, true)
}

// Impact says what the incident has cost, in place of what was said before. It works
// after the resolution too. The error is ErrEvent where a field cannot be right.
func (m *Manager) Impact(ctx context.Context, number, by string, i Impact, why string) error {
	if err := i.validate(); err != nil {
		return fmt.Errorf("impact of %s: %w: %w", number, ErrEvent, err)
	}
	i = i.clone()
	return m.decide(ctx, number, Event{Kind: Noted, By: by, What: "impact: " + i.String(), Why: why, Data: Data{Impact: &i}}, true)
}

// Update sends a status update now, with a person's words; the next one is due a
// cadence later.
func (m *Manager) Update(ctx context.Context, number, by string, u Update) error {
	m.mu.Lock()
	in, err := m.find(number, true)
	if err != nil {
		m.mu.Unlock()
		return err
	}
	key := in.paging.Key.Status(m.now())
	m.mu.Unlock()
	return m.decide(ctx, number, Event{
		Kind: Updated, By: by, What: cmp.Or(u.Status, "status update"), Why: "the stakeholders are to know", Data: Data{Update: &u, Key: key},
	}, false)
}

// Prove says that an item of the checklist holds, with the evidence. attested says
// that it is a person's word and no check.
func (m *Manager) Prove(ctx context.Context, number, by, item, evidence string, attested bool) error {
	return m.decide(ctx, number, Event{
		Kind: ItemProven, By: by, What: item, Why: evidence, Data: Data{Item: item, Attested: attested},
	}, false)
}

// Mitigate says that the harm has stopped.
func (m *Manager) Mitigate(ctx context.Context, number, by, how string) error {
	return m.decide(ctx, number, Event{Kind: Mitigated, By: by, What: "mitigated", Why: how}, false)
}

// decide checks, records and waits. Called without mu.
func (m *Manager) decide(ctx context.Context, number string, e Event, closedToo bool) error {
	if err := person(e.By, e.Why); err != nil {
		return fmt.Errorf("%s %s: %w", number, e.Kind, err)
	}
	if _, err := e.withTime(time.Now()).Encode(); err != nil {
		return fmt.Errorf("%s %s: %w", number, e.Kind, err)
	}
	m.mu.Lock()
	if _, err := m.find(number, !closedToo); err != nil {
		m.mu.Unlock()
		return fmt.Errorf("%s: %w", e.Kind, err)
	}
	e.Incident = number
	w := m.put(e.withTime(m.now()))
	m.mu.Unlock()
	return m.settle(ctx, w)
}

func (e Event) withTime(at time.Time) Event {
	e.At = at
	return e
}

// find returns an incident, and refuses one that is over where open is asked for.
// Called with mu held.
func (m *Manager) find(number string, open bool) (*Incident, error) {
	in := m.board.incidents[number]
	switch {
	case in == nil:
		return nil, fmt.Errorf("%w: %q", ErrUnknown, number)
	case open && !in.open():
		return nil, fmt.Errorf("%s: %w since %s", number, ErrResolved, in.ResolvedAt.UTC().Format(time.RFC3339))
	}
	return in, nil
}

// person refuses a decision that nobody stands for.
func person(by, why string) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(why) == "" {
		return fmt.Errorf("by %q, because %q: %w", by, why, ErrUnnamed)
	}
	return nil
}

// Resolution is how an incident ends.
type Resolution struct {
	By        string // the person; required
	Note      string // what was done; required
	RootCause string // brief; empty where it is not known yet

	// Despite says why the incident is resolved although items of the checklist are
	// unproven. Empty refuses it then.
	Despite string

	PostMortem time.Time // when it is held; zero: not scheduled
}

// Resolve ends an incident, once that is durable: an incident whose end cannot be
// recorded stays open. ErrUnproven refuses it while the checklist has open items,
// or signals that can be cleared still fire, and nobody says why it is over all the
// same.
func (m *Manager) Resolve(ctx context.Context, number string, r Resolution) (err error) {
	ctx, end := m.span(ctx, "incident.resolve", number)
	defer func() { end(err) }()
	if err := person(r.By, r.Note); err != nil {
		return fmt.Errorf("%s resolve: %w", number, err)
	}
	m.mu.Lock()
	in, err := m.find(number, true)
	if err != nil {
		m.mu.Unlock()
		return fmt.Errorf("resolve: %w", err)
	}
	unproven, now := m.obstacles(in), m.now()
	if len(unproven) > 0 && strings.TrimSpace(r.Despite) == "" {
		m.mu.Unlock()
		return &UnprovenError{number, unproven}
	}
	m.closing[number] = true
	m.mu.Unlock()
	why := r.Note
	if len(unproven) > 0 {
		why += "; resolved although the checklist has open items, because: " + r.Despite
	}
	return m.close(ctx, Event{
		At: now, Incident: number, Kind: Resolved, By: r.By, What: "resolved", Why: why,
		Data: Data{RootCause: r.RootCause, PostMortem: r.PostMortem, Unproven: unproven},
	})
}

// close records the end of an incident that was put on closing in the same moment
// in which the end was decided: a signal that comes in the meantime is an incident
// of its own, and is not buried with this one. Called without mu.
func (m *Manager) close(ctx context.Context, e Event) error {
	err := m.commit(ctx, e)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !errors.Is(err, ErrRecordUnknown) {
		delete(m.closing, e.Incident)
	}
	return err
}
