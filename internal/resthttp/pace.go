package resthttp

import (
	"context"
	"sync"
	"time"
)

// pace lets perSecond requests through in any second. The last third is for urgent ones.
type pace struct {
	mu     sync.Mutex
	last   []time.Time // when the last perSecond requests went, in a ring
	next   int         // where the oldest is
	closed time.Time   // nothing goes before
}

func newPace(perSecond int) *pace { return &pace{last: make([]time.Time, perSecond)} }

// wait returns when a request may go, or when the context ends.
func (p *pace) wait(ctx context.Context, urgent bool) error {
	for {
		d := p.take(time.Now(), urgent)
		if d <= 0 {
			return ctx.Err()
		}
		if err := Sleep(ctx, d); err != nil {
			return err
		}
	}
}

// take notes a request, or returns how long to wait before asking again.
func (p *pace) take(now time.Time, urgent bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.closed.Sub(now); d > 0 {
		return d
	}
	i := p.next
	if !urgent {
		i = (i + len(p.last)/3) % len(p.last)
	}
	if d := p.last[i].Add(time.Second).Sub(now); d > 0 {
		return d
	}
	p.last[p.next] = now
	p.next = (p.next + 1) % len(p.last)
	return 0
}

// close lets nothing through for d.
func (p *pace) close(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(d); until.After(p.closed) {
		p.closed = until
	}
}

// Sleep waits, or returns why the context has ended.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
