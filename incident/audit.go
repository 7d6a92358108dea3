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

// An audit finds what fell due longer ago than overdue and was not begun, or was begun
// longer ago than stalled and has no outcome: longer than any delivery takes.
const (
	overdue = 10 * time.Second
	stalled = 10 * time.Minute
)

// audit looks after the runner until ctx ends. It reads the timeline into a board of
// its own, so that nothing that the runner has forgotten, or believes to be doing, is
// lost for longer than Config.AuditEvery.
func (m *Manager) audit(ctx context.Context) {
	ticker := time.NewTicker(m.cfg.AuditEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := m.auditOnce(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.Error("incident: the audit of the timeline failed; it is tried again", "error", err)
		}
	}
}

func (m *Manager) auditOnce(ctx context.Context) error {
	if err := m.auditor.read(ctx, m.cfg.Store); err != nil {
		return err
	}
	m.mu.Lock()
	now := m.now()
	m.mu.Unlock()
	var errs []error
	for _, number := range m.auditor.suspects(m.book, now) {
		if err := m.check(ctx, number); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", number, err))
		}
	}
	return errors.Join(errs...)
}

// auditor is the timeline as an audit reads it. Only one goroutine uses it.
type auditor struct {
	board *board
	last  uint64
}

func (a *auditor) apply(e Event) {
	a.board.apply(e)
	a.last = e.Seq
}

// read takes in what the store has got since.
func (a *auditor) read(ctx context.Context, s Store) error {
	for e, err := range s.Read(ctx, a.last) {
		if err != nil {
			return err
		}
		a.apply(e)
	}
	return nil
}

// suspects returns the incidents of which something seems to have been missed.
func (a *auditor) suspects(k book, now time.Time) (some []string) {
	for _, number := range a.board.order {
		in := a.board.incidents[number]
		if (in.open() || len(in.paging.owed) > 0) && len(in.missed(k, now)) > 0 {
			some = append(some, number)
		}
	}
	return some
}

// missed returns what fell due and was not begun.
func (in *Incident) missed(k book, now time.Time) []due {
	all, _ := in.dueAt(k, now.Add(-overdue))
	return slices.DeleteFunc(all, func(d due) bool {
		at, begun := in.paging.begun.get(d.key)
		return begun && now.Sub(at) < stalled
	})
}

// check looks at one suspect again, at a moment at which the audit has read what the
// runner has, with the events that wait for the store. What was missed is performed
// from what the timeline says, whatever the runner believed.
func (m *Manager) check(ctx context.Context, number string) error {
	for range 100 {
		m.mu.Lock()
		if m.last == m.auditor.last {
			m.makeUp(ctx, number)
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if err := m.auditor.read(ctx, m.cfg.Store); err != nil {
			return err
		}
	}
	return errors.New("the timeline grows too fast to be audited")
}

// makeUp performs what was missed of an incident. Called with mu held.
func (m *Manager) makeUp(ctx context.Context, number string) {
	in, now := m.auditor.board.incidents[number].fork(), m.now()
	for _, w := range m.queue {
		if w.taken && w.event.Incident == number {
			in.apply(w.event)
		}
	}
	missed := in.missed(m.book, now)
	if len(missed) == 0 {
		return
	}
	var keys []string
	for _, d := range missed {
		keys = append(keys, d.key)
		delete(m.busy, d.key)
	}
	m.board.adopt(in)
	m.put(Event{
		At: now, Incident: number, Kind: Audited, By: self,
		What: fmt.Sprintf("an audit found what had fallen due and was not begun: %s", strings.Join(keys, ", ")),
		Why:  "the timeline was read from the store, and says so",
	})
	m.look(ctx, in, now)
}

// adopt puts an incident in the place of the one of its number, or beside the others.
func (b *board) adopt(in *Incident) {
	if old := b.incidents[in.Number]; old != nil {
		in.ordinal = old.ordinal
	} else {
		in.ordinal = len(b.order)
		b.order = append(b.order, in.Number)
		if in.open() && b.open[in.topic()] == "" {
			b.open[in.topic()] = in.Number
		}
		b.episodes[in.topic()] = max(b.episodes[in.topic()], in.Episode)
		if day, n, ok := parseNumber(in.Number); ok {
			b.days[day] = max(b.days[day], n)
		}
	}
	b.incidents[in.Number] = in
	delete(b.live, in.Number)
	if in.open() {
		b.live[in.Number] = in
	}
}

// fork returns a copy that shares nothing and can go on by itself.
func (in *Incident) fork() *Incident {
	c := in.clone()
	p := in.paging
	p.Done, p.reached, p.pages = slices.Clone(p.Done), slices.Clone(p.reached), slices.Clone(p.pages)
	p.begun, p.retry, p.owed = p.begun.clone(), p.retry.clone(), maps.Clone(p.owed)
	c.paging, c.refs = p, in.refs.clone()
	return &c
}
