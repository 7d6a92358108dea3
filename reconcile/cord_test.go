package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// rope is a Cord that remembers what holds it, as a switch does.
type rope struct {
	mu      sync.Mutex
	reduce  []string // reasons of the Reducing holds in force
	halt    []string // reasons of the halts in force
	relaxed int
	fail    error
	pulls   int    // calls of Reduce and Engage
	onCall  func() // called with every call, if it is there
}

func (r *rope) Reduce(_, reason string) error { return r.place(&r.reduce, reason) }
func (r *rope) Engage(_, reason string) error { return r.place(&r.halt, reason) }

func (r *rope) called() {
	if r.onCall != nil {
		r.onCall()
	}
}

func (r *rope) place(holds *[]string, reason string) error {
	r.called()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulls++
	if r.fail != nil {
		return r.fail
	}
	if !slices.Contains(*holds, reason) {
		*holds = append(*holds, reason)
	}
	return nil
}

func (r *rope) Relax(_ context.Context, _, reason, _ string) error {
	r.called()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.reduce = slices.DeleteFunc(r.reduce, func(h string) bool { return h == reason })
	r.relaxed++
	return nil
}

// state is "active", "reducing" or "halted", as a switch would say.
func (r *rope) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.halt) > 0:
		return "halted"
	case len(r.reduce) > 0:
		return "reducing"
	}
	return "active"
}

func (r *rope) String() string { return fmt.Sprintf("reduce %q, halt %q", r.reduce, r.halt) }
