package recoverytest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Entry is one decision that a Recorder kept.
type Entry struct {
	At             time.Time
	Who, What, Why string
}

// Recorder is a recovery.Recorder in memory. The zero value keeps everything. It
// is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	entries []Entry
	err     error
}

// Record keeps an entry, or gives the error that Fail set.
func (r *Recorder) Record(ctx context.Context, at time.Time, who, what, why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.entries = append(r.entries, Entry{at, who, what, why})
	return nil
}

// Fail makes Record give err from now on; nil makes it work again.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// Entries returns what was kept, in order.
func (r *Recorder) Entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}

// Whats returns the What of each entry, in order.
func (r *Recorder) Whats() []string {
	var whats []string
	for _, e := range r.Entries() {
		whats = append(whats, e.What)
	}
	return whats
}
