package incident

import (
	"context"
	"fmt"
	"slices"
)

// own are the kinds that only a Manager writes, since they move an incident on.
var own = []Kind{
	Declared, Signalled, Cleared, Assessed, HaltDue, Halted, Unconfirmed, DrainDue, Drained, PageDue, Paged, PageFailed,
	NoticeDue, Notified, NoticeFailed, ResponseBreach, ResolutionBreach, Acknowledged, AckExpired, RoleGiven, Noted, Updated,
	ItemProven, Mitigated, Resolved, Reopened, Audited, Decision, Recovered,
}

// Append puts an event of a package above this one, such as runbook, on the timeline of
// an incident, open or resolved. The manager itself does nothing about it. At is when it
// is called where the event has none. Nil means that it is durable. After ErrNotRecorded
// it is not on the timeline; ErrRecordUnknown says that it may be.
func (m *Manager) Append(ctx context.Context, number string, e Event) error {
	if slices.Contains(own, e.Kind) {
		return fmt.Errorf("%s: %w: %q is a kind of the manager's own", number, ErrEvent, e.Kind)
	}
	if err := person(e.By, e.Why); err != nil {
		return fmt.Errorf("%s %s: %w", number, e.Kind, err)
	}
	m.mu.Lock()
	_, err := m.find(number, false)
	if e.At.IsZero() {
		e.At = m.now()
	}
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", e.Kind, err)
	}
	e.Incident = number
	if _, err := e.Encode(); err != nil {
		return fmt.Errorf("%s %s: %w", number, e.Kind, err)
	}
	return m.commit(ctx, e)
}
