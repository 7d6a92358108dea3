package fleettest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/safety/fleet"
)

// ErrDown is what a Memory answers that was told to fail.
var ErrDown = errors.New("fleettest: the backend is down")

// Memory keeps the records of a fleet in memory. Its zero value is empty and ready to
// use. Processes of a test share one; each may have its own line to it, see Line.
type Memory struct {
	mu       sync.Mutex
	last     int64
	records  map[string]fleet.Record
	watchers map[*watcher]bool
}

type watcher struct {
	prefix string
	keys   []string
	woken  chan struct{}
}

// Line returns a line to the memory, which can be cut apart from others.
func (m *Memory) Line() *Line { return &Line{m: m} }

// Read returns all records.
func (m *Memory) Read(ctx context.Context) ([]fleet.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []fleet.Record
	for _, r := range m.records {
		r.Value = bytes.Clone(r.Value)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b fleet.Record) int { return cmp.Compare(a.Key, b.Key) })
	return out, nil
}

// Write replaces, makes or deletes a record.
func (m *Memory) Write(ctx context.Context, r fleet.Record, quiet bool) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := m.records[r.Key]
	if was.Revision != r.Revision || !ok && r.Value == nil {
		return 0, fleet.ErrConflict
	}
	m.last++
	m.put(r.Key, r.Value)
	if !quiet {
		m.wake(r.Key)
	}
	return m.last, nil
}

// Set puts a value in the place of a record whatever it was, as a restored backup or a
// person with a shell would; nil deletes it.
func (m *Memory) Set(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.put(key, value)
	m.wake(key)
}

// put is called with mu held.
func (m *Memory) put(key string, value []byte) {
	if m.records == nil {
		m.records = map[string]fleet.Record{}
	}
	if value == nil {
		delete(m.records, key)
		return
	}
	m.records[key] = fleet.Record{Key: key, Value: bytes.Clone(value), Revision: m.last}
}

// wake is called with mu held.
func (m *Memory) wake(key string) {
	for w := range m.watchers {
		if strings.HasPrefix(key, w.prefix) {
			w.keys = append(w.keys, key)
			select {
			case w.woken <- struct{}{}:
			default:
			}
		}
	}
}

// Watch calls woken for every record that is written.
func (m *Memory) Watch(ctx context.Context, prefix string, woken func(key string)) error {
	w := &watcher{prefix: prefix, woken: make(chan struct{}, 1)}
	m.mu.Lock()
	if m.watchers == nil {
		m.watchers = map[*watcher]bool{}
	}
	m.watchers[w] = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.watchers, w)
		m.mu.Unlock()
	}()
	woken("")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.woken:
		}
		m.mu.Lock()
		keys := w.keys
		w.keys = nil
		m.mu.Unlock()
		for _, k := range keys {
			woken(k)
		}
	}
}

// Fault is what a Line does with what is sent over it.
type Fault int

// The faults.
const (
	None       Fault = iota
	Refuses          // every call fails at once
	Hangs            // every call takes until its context ends, and nothing is written
	Forgets          // writes are made and their answers lost; reads fail
	NoEvents         // reads and writes go on, and watches say nothing
	EventsOnly       // reads and writes take until their context ends, and watches go on
	Late             // what a read read arrives two seconds later, and watches say nothing
)

// Line is one process's line to a Memory.
type Line struct {
	m  *Memory
	mu sync.Mutex
	f  Fault
}

// Set makes the line faulty from the next call or event on.
func (l *Line) Set(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f = f
}

func (l *Line) fault() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f
}

func (l *Line) lost(ctx context.Context) error {
	switch l.fault() {
	case Refuses:
		return ErrDown
	case Hangs, EventsOnly:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// Read is Memory.Read where the line lets it.
func (l *Line) Read(ctx context.Context) ([]fleet.Record, error) {
	if err := l.lost(ctx); err != nil {
		return nil, err
	}
	if l.fault() == Forgets {
		return nil, ErrDown
	}
	rs, err := l.m.Read(ctx)
	if l.fault() == Late {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return rs, err
}

// Write is Memory.Write where the line lets it.
func (l *Line) Write(ctx context.Context, r fleet.Record, quiet bool) (int64, error) {
	if err := l.lost(ctx); err != nil {
		return 0, err
	}
	rev, err := l.m.Write(ctx, r, quiet)
	if l.fault() == Forgets {
		return 0, ErrDown
	}
	return rev, err
}

// Watch is Memory.Watch; what happens while the line is faulty is lost, as it is on a
// connection that is frozen.
func (l *Line) Watch(ctx context.Context, prefix string, woken func(key string)) error {
	if l.fault() != EventsOnly {
		if err := l.lost(ctx); err != nil {
			return err
		}
	}
	return l.m.Watch(ctx, prefix, func(key string) {
		if f := l.fault(); f == None || f == EventsOnly {
			woken(key)
		}
	})
}
