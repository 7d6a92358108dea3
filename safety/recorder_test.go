package safety_test

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// recorder is a Recorder that keeps what it is given, and can be made to fail and to
// hang.
type recorder struct {
	mu     sync.Mutex
	lines  []string
	err    error
	hang   bool
	during func(what string)
}

func (r *recorder) Record(ctx context.Context, at time.Time, who, what, why string) error {
	r.mu.Lock()
	err, hang, during := r.err, r.hang, r.during
	r.mu.Unlock()
	if during != nil {
		during(what)
	}
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.IsZero() {
		return fmt.Errorf("%s %s: no time", who, what)
	}
	r.lines = append(r.lines, who+" | "+what+" | "+why)
	return nil
}

func (r *recorder) set(err error, hang bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.hang = err, hang
}

// meanwhile has f called within each Record from now on.
func (r *recorder) meanwhile(f func(what string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.during = f
}

func (r *recorder) recorded() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}
