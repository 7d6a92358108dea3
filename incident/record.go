package incident

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entry is an event that waits to be recorded.
type entry struct {
	event Event
	taken bool // board has it already
	stub  bool // it stands for an event that the store refused
	// durable says that the store has it, and done is closed then; done is nil while nobody
	// waits for it. Both under Manager.mu.
	durable bool
	done    chan struct{}
}

// land tells those who wait for it that it is durable. Called with mu held.
func (w *entry) land() {
	w.durable = true
	if w.done != nil {
		close(w.done)
	}
}

// self is who the manager is on the timeline.
const self = "andon/incident"

// put takes events into effect and has them recorded later. It waits for nothing
// and is never taken back. Called with mu held.
func (m *Manager) put(events ...Event) (last *entry) {
	for _, e := range events {
		e = m.tie(e.fit())
		e.Incident = m.current(e.Incident)
		m.take(e)
		m.hear(e)
		last = &entry{event: e, taken: true}
		m.queue = append(m.queue, last)
	}
	nudge(m.pend)
	nudge(m.wake)
	return last
}

// tie has the first event of this manager's clock say what the machine's own clock
// reads, so that a later process on the same machine knows how much time has passed,
// whatever the time of day was set to. Called with mu held.
func (m *Manager) tie(e Event) Event {
	if m.tied {
		return e
	}
	m.tied = true
	boot, up := machine()
	if boot == "" {
		return e
	}
	e.Data.Boot, e.Data.Uptime = boot, up+e.At.Sub(m.clock.now())
	return e
}

// nudge makes a channel of capacity one ready to receive from.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// settle waits until an entry of the queue is durable. Its effect stays in any case.
// Called without mu.
func (m *Manager) settle(ctx context.Context, w *entry) error {
	if w == nil {
		return nil // nothing waits
	}
	m.mu.Lock()
	if w.durable {
		m.mu.Unlock()
		return nil
	}
	if w.done == nil {
		w.done = make(chan struct{})
	}
	done := w.done
	m.mu.Unlock()
	timer := time.NewTimer(m.cfg.RecordWithin)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return m.unrecorded(w, ctx.Err())
	case <-timer.C:
		return m.unrecorded(w, fmt.Errorf("the store did not answer within %v", m.cfg.RecordWithin))
	}
}

// unrecorded says why an event is not durable yet.
func (m *Manager) unrecorded(w *entry, why error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.durable {
		return nil
	}
	if m.err != nil {
		why = m.err
	}
	if !m.running {
		why = errors.Join(why, errors.New("Run is not running: nothing is recorded and nobody is paged"))
	}
	return fmt.Errorf("%s %s is in force and %w: %w", w.event.Incident, w.event.Kind, ErrNotRecorded, why)
}

// commit records an event first and takes it into effect after. Where the store
// does not confirm it in time it is withdrawn and the error is ErrNotRecorded, or
// ErrRecordUnknown where the store is writing it. Called without mu.
func (m *Manager) commit(ctx context.Context, e Event) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	w := &entry{event: e.fit()}
	m.mu.Lock()
	w.event.Incident = m.current(w.event.Incident)
	m.queue = append(m.queue, w)
	nudge(m.pend)
	m.mu.Unlock()
	err := m.settle(ctx, w)
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.Index(m.queue, w)
	switch {
	case at < 0: // it was confirmed between the two
		return nil
	case at < m.flying:
		return fmt.Errorf("%s %s: %w", e.Incident, e.Kind, ErrRecordUnknown)
	}
	m.queue = slices.Delete(m.queue, at, at+1)
	return fmt.Errorf("%s %s is refused: %w", e.Incident, e.Kind, err)
}

// Record puts a decision of another part of the program on the timeline: of the
// worst open incident, the oldest among equals, or of none where none is open. Nil
// means that it is durable. After ErrNotRecorded it is not on the timeline;
// ErrRecordUnknown says that it may be. It is the Recorder of safety, reconcile and
// recovery.
func (m *Manager) Record(ctx context.Context, at time.Time, who, what, why string) error {
	m.mu.Lock()
	number := m.worst()
	m.mu.Unlock()
	return m.commit(ctx, Event{At: at, Incident: number, Kind: Decision, By: who, What: what, Why: why})
}

// worst returns the number of the worst open incident. Called with mu held.
func (m *Manager) worst() string {
	var worst *Incident
	for _, in := range m.board.live {
		if worst == nil || !worst.Level.AtLeast(in.Level) || in.Level.AtLeast(worst.Level) && in.ordinal < worst.ordinal {
			worst = in
		}
	}
	if worst == nil {
		return ""
	}
	return worst.Number
}

// Unrecorded returns how many events wait for the store, and its last error.
func (m *Manager) Unrecorded() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue), m.err
}

// write records what waits until ctx ends, in order, many events with one append,
// and then once more what came last.
func (m *Manager) write(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.pend:
		case <-again.C:
		case <-m.news:
			if err := m.catchUp(context.WithoutCancel(ctx)); err != nil {
				m.cfg.Log.Error("incident: the events of others could not be read; it is tried again", "error", err)
				time.AfterFunc(writeAgain, func() { nudge(m.news) })
			}
			nudge(m.wake)
		}
		if err := m.flush(context.WithoutCancel(ctx)); err != nil {
			m.cfg.Log.Error("incident: the timeline is not recorded; it is kept in memory and tried again", "error", err)
			again.Reset(writeAgain)
		}
	}
}

// writeAgain is how soon a store that failed is tried again, and maxBatch how many
// events one append has at most.
const (
	writeAgain = 250 * time.Millisecond
	maxBatch   = 1024
)

// flush appends what is queued. One call at a time.
func (m *Manager) flush(ctx context.Context) error {
	for {
		m.mu.Lock()
		n := min(len(m.queue), maxBatch)
		if m.single > 0 {
			n, m.single = min(n, 1), m.single-1
		}
		m.flying = n
		events := make([]Event, n)
		for i, w := range m.queue[:n] {
			events[i] = w.event
		}
		last := m.last
		m.mu.Unlock()
		if n == 0 {
			return nil
		}
		stored, err := m.cfg.Store.Append(ctx, last, events...)
		if err := m.landed(ctx, stored, err); err != nil {
			return err
		}
	}
}

// landed takes in what the store answered.
func (m *Manager) landed(ctx context.Context, stored []Event, err error) error {
	conflict := errors.Is(err, ErrConflict)
	if conflict {
		err = m.catchUp(ctx)
		stored = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if conflict && err == nil {
		m.goAlone()
	}
	n := m.flying
	if !errors.Is(err, ErrRecordUnknown) { // else the store may still have it
		m.flying = 0
	}
	if errors.Is(err, ErrEvent) && m.defuse(n, err) {
		return nil
	}
	if m.err = err; err != nil {
		return err
	}
	for i, e := range stored {
		w := m.queue[i]
		if !w.taken {
			m.take(e)
			m.hear(e)
		}
		m.last = e.Seq
		w.land()
	}
	m.queue = slices.Delete(m.queue, 0, len(stored))
	nudge(m.wake)
	return nil
}

// read takes in an event that the store has. It may be the one that waits first: then
// an append that the store did not answer had succeeded. Called with mu held.
func (m *Manager) read(e Event) {
	m.last = e.Seq
	if len(m.queue) == 0 || !m.queue[0].event.Same(e) {
		m.giveWay(e)
		m.take(e)
		return
	}
	w := m.queue[0]
	if !w.taken {
		m.take(e)
		m.hear(e)
	}
	w.land()
	m.queue, m.flying = slices.Delete(m.queue, 0, 1), max(m.flying-1, 0)
}

// Same reports whether two events say the same to the nanosecond, wherever they are
// stored and whatever they cite.
func (e Event) Same(other Event) bool {
	if e.Kind != other.Kind || !e.At.Equal(other.At) {
		return false
	}
	e.Cites, other.Cites = Tip{}, Tip{}
	a, err := e.Encode()
	b, err2 := other.Encode()
	return err == nil && err2 == nil && bytes.Equal(a, b)
}

// catchUp takes in the events that others have appended.
func (m *Manager) catchUp(ctx context.Context) error {
	m.mu.Lock()
	last := m.last
	m.mu.Unlock()
	for e, err := range m.cfg.Store.Read(ctx, last) {
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.read(e)
		m.mu.Unlock()
	}
	return nil
}

// defuse deals with an event, among the first n, that the store will never take,
// since behind it nothing else would be recorded: it has them tried one by one, and
// puts one that says so in the place of the one refused. It is false where that was
// refused too. Called with mu held.
func (m *Manager) defuse(n int, why error) bool {
	if n > 1 {
		m.single = n
		return true
	}
	w := m.queue[0]
	if w.stub {
		return false
	}
	w.stub = true
	w.event.Data = Data{}
	w.event.What = "an event of kind " + string(w.event.Kind) + " could not be stored"
	w.event.Why = why.Error()
	w.event = w.event.fit()
	return true
}

// What an event may hold, so that no alert is refused for its size.
const (
	maxText = 8 << 10 // bytes
	maxList = 1000
)

// fit makes an event storable: texts of bounded length, nobody and nothing named
// as such.
func (e Event) fit() Event {
	e.At = e.At.UTC().Round(0)
	e.By, e.What, e.Why = clip(e.By, "unknown"), clip(e.What, "not said"), clip(e.Why, "not said")
	e.Data.Component, e.Data.Error = clip(e.Data.Component, ""), clip(e.Data.Error, "")
	e.Data.Condition = clip(e.Data.Condition, "")
	if n := len(e.Data.Flight); n > maxList {
		e.Data.Flight = append(slices.Clone(e.Data.Flight[:maxList]), fmt.Sprintf("and %d more", n-maxList))
	}
	return e
}

// clip bounds a text, and says so in it.
func clip(s, empty string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.TrimSpace(s) == "" {
		return empty
	}
	if len(s) <= maxText {
		return s
	}
	note := fmt.Sprintf(" … (%d bytes in all)", len(s))
	return strings.ToValidUTF8(s[:maxText-len(note)], "") + note
}
