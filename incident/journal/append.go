package journal

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/andon-go/andon/incident"
)

// waiter is one call of Append until it is answered.
type waiter struct {
	expected uint64
	events   []incident.Event
	bodies   []byte // encoded, one behind another
	ends     []int  // where in bodies each ends
	err      error
	wake     chan bool // true: you write now, for all who wait; false: you are answered
}

// waiter returns one to use, again where there is one: a busy journal would make a
// thousand an instant. Each journal has its own, since in a test the channel of one
// belongs to the bubble of that test.
func (j *Journal) waiter() *waiter {
	if w, ok := j.waiters.Get().(*waiter); ok {
		return w
	}
	return &waiter{wake: make(chan bool, 1)}
}

// keepBodies is the longest buffer that is used again, in bytes: a Manager in a storm
// appends a thousand events at once, again and again.
const keepBodies = 1 << 20

// free takes a waiter back whom nobody will answer any more.
func (j *Journal) free(w *waiter) {
	if cap(w.bodies) > keepBodies {
		w.bodies = nil
	}
	w.events, w.bodies, w.ends, w.err = nil, w.bodies[:0], w.ends[:0], nil
	j.waiters.Put(w)
}

// take has a waiter stand for events, encoded by their own writer so that many do it at
// the same time.
func (w *waiter) take(expected uint64, events []incident.Event) error {
	for i := range events {
		bodies, err := events[i].AppendBody(w.bodies)
		if err != nil {
			return fmt.Errorf("journal: append: %w", err)
		}
		w.bodies, w.ends = bodies, append(w.ends, len(bodies))
	}
	w.expected, w.events = expected, append([]incident.Event(nil), events...)
	return nil
}

// Append is incident.Store's. It waits for the disk; ctx is looked at before, and
// an append that has begun is not given up.
func (j *Journal) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("journal: append: %w", err)
	}
	w := j.waiter()
	err := w.take(expected, events)
	if err == nil {
		if j.enter(w) {
			j.lead()
		}
		err = w.err
	}
	stored := w.events
	j.free(w)
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// enter queues a writer and waits for its turn or its answer. True means that it
// has to write, for itself and for all who wait.
func (j *Journal) enter(w *waiter) bool {
	j.queueMu.Lock()
	j.queue = append(j.queue, w)
	first := !j.leading
	j.leading = true
	j.queueMu.Unlock()
	return first || <-w.wake
}

// crowd is how many one write is for, at about, and patience how often it looks in vain
// for another.
const (
	crowd    = 256
	patience = 2
)

// lead writes for everybody who waits, answers them, and hands on to the next.
func (j *Journal) lead() {
	batch := j.commit(j.batch[:0])
	// They are about to come again, and the next to write gathers them: it begins once
	// all of them can run.
	for _, w := range batch[1:] { // the first is the caller
		w.wake <- false // and it is no longer ours
	}
	clear(batch)
	j.queueMu.Lock()
	j.batch = batch
	if j.leading = len(j.queue) > 0; j.leading {
		j.queue[0].wake <- true
	}
	j.queueMu.Unlock()
}

// commit writes all who wait with one write and one fdatasync, and returns them.
func (j *Journal) commit(batch []*waiter) []*waiter {
	j.fileMu.Lock()
	defer j.fileMu.Unlock()
	next := j.extent // only commit changes it, and fileMu is held
	old := next
	j.buf, j.found = j.buf[:0], j.found[:0]
	batch = j.gather(batch, &next)
	if len(j.buf) == 0 {
		return batch
	}
	next.segments = j.turn(&old)
	if err := j.write(next.last(), old.size); err != nil {
		for _, w := range batch {
			if w.err == nil {
				w.err = fmt.Errorf("journal: %s: append: %w", j.path, err)
			}
		}
		return batch
	}
	j.extentMu.Lock()
	j.extent = next
	for _, f := range j.found {
		j.index.add([]byte(f.number), f.entry)
	}
	j.extentMu.Unlock()
	return batch
}

// gather gives those who wait their places behind next, and those who come meanwhile
// theirs, as long as they keep coming: those whom the last write has answered are about
// to come again, and one fdatasync does for all.
func (j *Journal) gather(batch []*waiter, next *extent) []*waiter {
	for quiet := 0; quiet < patience && len(batch) < crowd; {
		j.queueMu.Lock()
		j.queue, j.come = j.come[:0], j.queue
		j.queueMu.Unlock()
		for _, w := range j.come {
			j.seal(w, next)
		}
		batch = append(batch, j.come...)
		if quiet++; len(j.come) > 0 {
			quiet = 0
		}
		clear(j.come)
		runtime.Gosched()
	}
	return batch
}

// found is what the index is to know of a record once it is durable.
type found struct {
	number string
	entry  entry
}

// turn begins the next file behind x where its last one is full, and returns all of
// them. Where that does not succeed the last one gets longer, and the next append tries
// again: no event waits for it.
func (j *Journal) turn(x *extent) []segment {
	if s := x.last(); j.dirty || j.closed.Load() || x.size-s.at < j.segmentBytes {
		return x.segments
	}
	s, err := begin(j.path, x.tip.Seq+1, x.size)
	if err != nil {
		return x.segments
	}
	segments := append(x.segments, s)
	j.extentMu.Lock()
	j.extent.segments = segments // closed with the journal, whatever becomes of the append
	j.extentMu.Unlock()
	return segments
}

// seal gives a writer's events their place behind next, or says that they have none.
func (j *Journal) seal(w *waiter, next *extent) {
	if w.expected != incident.Any && w.expected != next.tip.Seq {
		w.err = &incident.ConflictError{Expected: w.expected, Last: next.tip.Seq}
		return
	}
	begin := 0
	for i, end := range w.ends {
		start, prev, body := len(j.buf), next.tip, incident.Body(w.bodies[begin:end])
		begin = end
		var own incident.Hash
		j.buf, own = body.Seal(j.buf, prev.Seq+1, prev.Hash)
		j.buf = append(j.buf, '\n')
		e := &w.events[i]
		j.found = append(j.found, found{e.Incident, newEntry(next.size, len(j.buf)-start, own)})
		next.add(prev.Seq+1, own, len(j.buf)-start)
		e.Seq, e.Prev, e.Hash = prev.Seq+1, prev.Hash, own
	}
}

// write makes the buffer durable at offset at of the journal, which is the end of s.
// When that fails the file is cut back, by this call or before the next write.
func (j *Journal) write(s segment, at int64) error {
	at -= s.at
	if j.closed.Load() {
		return ErrClosed
	}
	if err := j.repair(s, at); err != nil {
		return err
	}
	if err := intact(s, at); err != nil {
		return err
	}
	j.dirty = true
	if _, err := s.f.WriteAt(j.buf, at); err != nil {
		return j.undo(s, at, err)
	}
	if err := datasync(s.f); err != nil {
		// What the disk has is not known. The next write starts with a file that
		// was cut back and synced anew, so no page counts as clean that is not.
		return j.undo(s, at, fmt.Errorf("fdatasync: %w", err))
	}
	j.dirty = false
	return nil
}

// undo takes back what a failed write left, if it can.
func (j *Journal) undo(s segment, at int64, cause error) error {
	if err := j.repair(s, at); err != nil {
		return fmt.Errorf("%w; the next append cuts the file back (now: %w)", cause, err)
	}
	return cause
}

// repair cuts the file back to its last durable record.
func (j *Journal) repair(s segment, at int64) error {
	if !j.dirty {
		return nil
	}
	if err := s.f.Truncate(at); err != nil {
		return fmt.Errorf("cutting it back to the last durable record: %w", err)
	}
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("cutting it back to the last durable record: fsync: %w", err)
	}
	j.dirty = false
	return nil
}

// intact says if the file is no longer the one that was opened, so that records do
// not go where nobody will find them.
func intact(s segment, size int64) error {
	there, err := os.Stat(s.path)
	if err != nil {
		return &DamagedError{Path: s.path, Why: "it was removed underneath: " + err.Error()}
	}
	mine, err := s.f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(there, mine) {
		return &DamagedError{Path: s.path, Why: "another file stands in its place"}
	}
	if mine.Size() != size {
		return &DamagedError{Path: s.path, Why: fmt.Sprintf("it has %d bytes and its records %d: somebody else wrote to it", mine.Size(), size)}
	}
	return nil
}
