package notify

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/andon-go/andon/severity"
)

// Limit is how fast one address on a channel is written to. What comes faster
// waits: the first page of an incident before any other, then pages, then notices,
// then updates, a worse level before a lesser one.
type Limit struct {
	// Burst is how many messages may go out at once. Defaults to 60.
	Burst int

	// Every is how often one more may, once Burst is used up. Defaults to 500 ms,
	// which is what PagerDuty allows an integration.
	Every time.Duration
}

func (l Limit) withDefaults() Limit {
	setDefault(&l.Burst, 60)
	setDefault(&l.Every, 500*time.Millisecond)
	return l
}

func (l Limit) validate(where string) []error {
	var problems []error
	if l.Burst < 0 {
		problems = append(problems, fmt.Errorf("%s: Burst is %d, want at least 1", where, l.Burst))
	}
	if l.Every < 0 {
		problems = append(problems, fmt.Errorf("%s: Every is %v, want a positive duration", where, l.Every))
	}
	if l.Every > 0 && int64(l.Burst) > int64(century/l.Every) {
		problems = append(problems, fmt.Errorf("%s: Burst is %d, of which each counts for Every, %v: that is more than a century", where, l.Burst, l.Every))
	}
	return problems
}

const century = 100 * 365 * 24 * time.Hour

// rank says which of two waiting messages goes first: the smaller.
func (m Message) rank() int {
	rank := 3
	switch {
	case m.First:
		rank = 0
	case m.Kind.pages(), m.Kind == AckNotice: // an ack keeps a pager from ringing on
		rank = 1
	case m.Kind == BreachNotice, m.Kind == ResolutionNotice:
		rank = 2
	}
	level := severity.SEV1
	for level < severity.SEV4 && !m.Level.AtLeast(level) {
		level++
	}
	return rank<<8 | int(level)
}

// pace is when the next message may go out: a pure function of those before it.
type pace struct {
	limit  Limit
	paid   time.Time // when a whole burst is free again
	closed time.Time // the receiver asked not to be called before
}

// next returns the earliest time for a message.
func (p *pace) next() time.Time {
	free := p.paid.Add(-time.Duration(p.limit.Burst-1) * p.limit.Every)
	if p.closed.After(free) {
		return p.closed
	}
	return free
}

// take counts a message that goes out now.
func (p *pace) take(now time.Time) {
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(p.limit.Every)
}

// idle reports whether forgetting it would change nothing.
func (p *pace) idle(now time.Time) bool { return !p.paid.After(now) && !p.closed.After(now) }

// target is one address, and the messages that wait for their turn to go there.
type target struct {
	mu    sync.Mutex
	pace  pace
	queue queue
	count uint64
}

// heldError says that the receiver asked for silence until after the delivery's end.
func heldError(until time.Time) error {
	return &DeliveryError{RetryAfter: time.Until(until), Err: fmt.Errorf("the receiver asked not to be called before %s", until.UTC().Format(time.RFC3339))}
}

// wait returns nil when it is the message's turn. It gives up at once where that
// can only be after ctx. Held is called if the receiver has asked for silence.
func (t *target) wait(ctx context.Context, rank int, held func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	deadline, bounded := ctx.Deadline()
	t.count++
	w := &waiter{rank: rank, seq: t.count, moved: make(chan struct{}, 1)}
	heap.Push(&t.queue, w)
	defer t.wakeFirst()
	defer t.remove(w)
	for {
		now := time.Now()
		if t.pace.closed.After(now) {
			held()
			if bounded && !t.pace.closed.Before(deadline) {
				return heldError(t.pace.closed)
			}
		}
		var turn <-chan time.Time
		if t.queue[0] == w {
			at := t.pace.next()
			if !at.After(now) && ctx.Err() == nil {
				t.pace.take(now)
				return nil
			}
			turn = time.After(at.Sub(now))
		}
		t.mu.Unlock()
		select {
		case <-turn:
		case <-w.moved:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if err := ctx.Err(); err != nil {
			return &DeliveryError{Err: fmt.Errorf("it was still waiting for its turn: %w", err)}
		}
	}
}

// wakeFirst lets the first in the queue look at the clock. Called with mu held.
func (t *target) wakeFirst() {
	if len(t.queue) > 0 {
		select {
		case t.queue[0].moved <- struct{}{}:
		default: // it has been told
		}
	}
}

// remove takes a waiter out of the queue. Called with mu held.
func (t *target) remove(w *waiter) { heap.Remove(&t.queue, w.index) }

// close keeps everybody from calling before a time.
func (t *target) close(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until.After(t.pace.closed) {
		t.pace.closed = until
	}
}

// waiter is a message in the queue.
type waiter struct {
	rank  int
	seq   uint64 // of two of the same rank the older goes first
	index int
	moved chan struct{} // it may be the first now
}

// queue is a heap.Interface: the first is next.
type queue []*waiter

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].rank, q[j].rank), cmp.Compare(q[i].seq, q[j].seq)) < 0
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *queue) Push(x any) {
	w := x.(*waiter)
	w.index = len(*q)
	*q = append(*q, w)
}
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}

// targets holds the addresses that have been written to lately.
type targets struct {
	mu    sync.Mutex
	limit func(channel string) Limit
	all   map[Address]*target
}

// manyTargets is when those are forgotten that hold nothing back.
const manyTargets = 1024

func (t *targets) get(a Address) *target {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.all[a]; ok {
		return known
	}
	if len(t.all) >= manyTargets {
		t.forget(time.Now())
	}
	if t.all == nil {
		t.all = map[Address]*target{}
	}
	fresh := &target{pace: pace{limit: t.limit(a.Channel)}}
	t.all[a] = fresh
	return fresh
}

// forget drops what holds nothing back. Called with mu held. A message that is just
// about to queue at a dropped one is not slowed down, and no more than that.
func (t *targets) forget(now time.Time) {
	for a, x := range t.all {
		x.mu.Lock()
		if len(x.queue) == 0 && x.pace.idle(now) {
			delete(t.all, a)
		}
		x.mu.Unlock()
	}
}
