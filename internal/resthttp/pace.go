package resthttp

import (
	"context"
	"sync"
	"time"
)

// pace lets perSecond requests through a second, and as many at once after a pause.
// The last third is for urgent ones.
type pace struct {
	every   time.Duration // what one request costs
	burst   time.Duration // the most that is saved up
	reserve time.Duration // what others leave for urgent ones

	mu     sync.Mutex
	credit time.Duration
	last   time.Time
	closed time.Time // nothing goes before
}

func newPace(perSecond int) *pace {
	every := time.Second / time.Duration(perSecond)
	burst := every * time.Duration(perSecond)
	return &pace{every: every, burst: burst, credit: burst, reserve: every * time.Duration(perSecond/3), last: time.Now()}
}

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

// take takes one request's worth, or returns how long to wait before asking again.
func (p *pace) take(now time.Time, urgent bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.closed.Sub(now); d > 0 {
		return d
	}
	p.credit = min(p.burst, p.credit+max(0, now.Sub(p.last)))
	p.last = now
	need := p.every
	if !urgent {
		need += p.reserve
	}
	if p.credit < need {
		return need - p.credit
	}
	p.credit -= p.every
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
