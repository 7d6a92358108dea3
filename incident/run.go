package incident

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run performs what falls due and records it, until ctx ends. It then waits for
// what is under way: sends are cut off, and are due again at the next start. The
// error is nil, ErrRunning, or ErrNotRecorded with how many events the store did
// not take within RecordWithin.
func (m *Manager) Run(ctx context.Context) error {
	m.mu.Lock()
	if m.running {
		m.mu.Unlock()
		return fmt.Errorf("incident: %w", ErrRunning)
	}
	m.running = true
	m.mu.Unlock()

	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		defer close(written)
		m.write(writing)
	}()
	m.perform(ctx)
	m.work.Wait()
	err := m.drainQueue()
	stopWriting()
	select {
	case <-written:
		m.mu.Lock()
		m.running = false
		m.mu.Unlock()
	case <-time.After(m.cfg.RecordWithin):
		// The store hangs in a call. Another Run would be a second writer.
	}
	return err
}

// drainQueue waits for the last events to be recorded.
func (m *Manager) drainQueue() error {
	m.mu.Lock()
	var last *entry
	if n := len(m.queue); n > 0 {
		last = m.queue[n-1]
	}
	m.mu.Unlock()
	if last == nil {
		return nil
	}
	err := m.settle(context.Background(), last)
	if n, cause := m.Unrecorded(); n > 0 {
		return errors.Join(fmt.Errorf("incident: stopped with %d events %w", n, ErrNotRecorded), cause, err)
	}
	return nil
}

// perform begins everything that falls due, each in a goroutine of its own, so
// that nothing waits for anything else.
func (m *Manager) perform(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		m.mu.Lock()
		now := m.now()
		all, wake := m.board.next(m.book, now)
		for _, d := range all {
			if !m.busy[d.key] {
				m.busy[d.key] = true
				m.work.Go(func() {
					defer m.free(d.key)
					m.do(ctx, d)
				})
			}
		}
		m.mu.Unlock()
		if !wake.IsZero() {
			timer.Reset(max(wake.Sub(now), time.Millisecond))
		}
	}
}

// do performs one thing.
func (m *Manager) do(ctx context.Context, d due) {
	switch d.kind {
	case dueHalt:
		m.mu.Lock()
		news := m.haltDue(d.incident, m.board.incidents[d.incident].Why)
		m.mu.Unlock()
		m.halt(d.incident, news)
	case dueDrain:
		m.drain(ctx, d.incident)
	case duePage:
		m.page(ctx, d)
	case dueNotice:
		m.send(ctx, d)
	case dueResponseBreach:
		m.breach(d, ResponseBreach, "nobody acknowledged it within the target")
	case dueResolutionBreach:
		m.breach(d, ResolutionBreach, "it was not resolved within the target")
	case dueReopen:
		m.reopenPaging(d)
	}
}

// reopenPaging records that an acknowledgement has expired, which opens the next
// round of paging at the time of expiry.
func (m *Manager) reopenPaging(d due) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[d.incident]
	expires := m.cfg.Policy.AckExpires(in.paging.Progress)
	if !in.open() || expires.IsZero() || expires.After(m.now()) {
		return // resolved, or acknowledged anew meanwhile
	}
	m.put(Event{
		At: m.now(), Incident: in.Number, Kind: AckExpired, By: self, What: "the acknowledgement has expired, and paging opens again",
		Why: fmt.Sprintf("acknowledged at %s and not resolved by %s", clock(in.paging.AckedAt), clock(expires)), Data: Data{Key: d.key, DueAt: expires},
	})
}

// breach records that a target was missed; the notice of it is owed by that.
func (m *Manager) breach(d due, kind Kind, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[d.incident]
	if !in.open() || kind == ResponseBreach && !in.AckedAt.IsZero() {
		return
	}
	m.put(Event{
		At: m.now(), Incident: in.Number, Kind: kind, By: self, What: what,
		Why: fmt.Sprintf("the target of %v ended at %s", in.Level, d.at.UTC().Format(time.RFC3339)), Data: Data{DueAt: d.at},
	})
}
