package pgbackup

import (
	"context"
	"sync"
	"time"
)

// limiter spreads bytes over time, for all that share it.
type limiter struct {
	rate int64 // bytes per second; 0: no bound

	mu   sync.Mutex
	free time.Time // when what was taken so far is paid for
}

// burst is how far ahead of its rate a limiter lets its users be.
const burst = 50 * time.Millisecond

// take waits until n bytes more may have been read.
func (l *limiter) take(ctx context.Context, n int) error {
	if l.rate <= 0 {
		return ctx.Err()
	}
	now := time.Now()
	l.mu.Lock()
	if earliest := now.Add(-burst); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	wait := l.free.Sub(now)
	l.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
