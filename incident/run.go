package incident

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	beside.Go(func() { m.telemetry.tell(telling) })
	unobserve, err := m.observe()
	if err != nil {
		m.cfg.Log.Error("incident: the gauges are not observed", "error", err) // nothing that stops or pages waits for it
	}
	m.respond(ctx)
	err = m.drainQueue()
	if unobserve != nil {
		err = errors.Join(err, unobserve())
	}
	stopTelling()
	beside.Wait()
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

// lookAfter performs what falls due, and audits, until ctx ends; then it waits for what
// is under way.
func (m *Manager) lookAfter(ctx context.Context) {
	audited := make(chan struct{})
	go func() {
		defer close(audited)
		m.audit(ctx)
	}()
	m.perform(ctx)
	<-audited // it may begin something, too
	m.work.Wait()
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
		for more := true; more && ctx.Err() == nil; {
			var wait time.Duration
			wait, more = m.begin(ctx)
			timer.Reset(wait)
		}
	}
}

// How many incidents are looked at before others may have the lock, and how long Run
// sleeps at most: a machine that slept meanwhile has not moved the timer.
const (
	atOnce    = 64
	longSleep = 30 * time.Second
)

// begin begins what is due of the incidents that have to be looked at, and returns
// how long to wait, or that there are more.
func (m *Manager) begin(ctx context.Context) (wait time.Duration, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for range atOnce {
		number, ok := m.plan.pop(now)
		if !ok {
			wait = longSleep
			if at := m.plan.soonest(); !at.IsZero() {
				wait = min(wait, max(at.Sub(now), time.Millisecond))
			}
			return wait, false
		}
		if in := m.board.incidents[number]; in != nil {
			m.look(ctx, in, now)
		}
	}
	return time.Millisecond, true
}

// look begins what is due of one incident and is not being performed already. Called
// with mu held.
func (m *Manager) look(ctx context.Context, in *Incident, now time.Time) {
	all, wake := in.next(m.book, now)
	for _, d := range all {
		if !m.busy[d.key] {
			m.busy[d.key] = true
			number, key := in.Number, d.key // all that the end of it needs
			m.work.Go(func() { m.handOver(m.do(ctx, d), func() { m.free(number, key) }) })
		}
	}
	m.plan.wait(in.Number, wake)
}

// handOver begins all that is left and frees what it was for behind the last. Nobody
// waits for any of it: in a storm thousands stand still until one gathered page is out.
func (m *Manager) handOver(left []func(done func()), free func()) {
	if len(left) == 0 {
		free()
		return
	}
	var open atomic.Int64
	open.Store(int64(len(left)))
	for _, begin := range left {
		m.work.Add(1)
		begin(func() {
			if open.Add(-1) == 0 {
				free()
			}
			m.work.Done()
		})
	}
}

// do performs one thing, and returns what is left of it that waits for others: each is
// begun, and calls done once it is over.
func (m *Manager) do(ctx context.Context, d due) (left []func(done func())) {
	switch d.kind {
	case dueHalt:
		m.mu.Lock()
		news := m.haltDue(d.incident, m.board.incidents[d.incident].Why)
		m.mu.Unlock()
		_ = m.halt(ctx, d.incident, news) // what it says is on the timeline, which the retry and the page go by
	case dueDrain:
		m.drain(ctx, d.incident)
	case duePage:
		return m.page(ctx, d)
	case dueNotice:
		return m.send(ctx, d)
	case dueResponseBreach:
		m.breach(d, ResponseBreach, "nobody acknowledged it within the target")
	case dueResolutionBreach:
		m.breach(d, ResolutionBreach, "it was not resolved within the target")
	case dueReopen:
		m.reopenPaging(d)
	}
	return nil
}

// reopenPaging records that an acknowledgement has expired, which opens the next
// round of paging at the time of expiry.
func (m *Manager) reopenPaging(d due) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[d.incident]
	expires := m.cfg.Policy.AckExpires(in.paging.Progress)
	if !in.open() || expires.IsZero() || expires.After(m.now()) && !in.paging.doubt {
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
