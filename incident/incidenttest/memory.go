package incidenttest

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/andon-go/andon/incident"
)

// Memory is a Store for unit tests: it keeps events until the test ends, and can be
// made to fail. The zero value is empty and works. Safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	events []incident.Event
	err    error
}

// Fail makes every Append fail with err until it is called with nil.
func (s *Memory) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Append is incident.Store's.
func (s *Memory) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	if s.err != nil {
		return nil, s.err
	}
	last, prev := uint64(len(s.events)), incident.Hash{}
	if last > 0 {
		prev = s.events[last-1].Hash
	}
	if expected != incident.Any && expected != last {
		return nil, &incident.ConflictError{Expected: expected, Last: last}
	}
	stored := make([]incident.Event, len(events))
	for i, e := range events {
		body, err := e.Encode()
		if err != nil {
			return nil, fmt.Errorf("append: %w", err)
		}
		line, hash := body.Seal(nil, last+uint64(i)+1, prev)
		if stored[i], err = incident.ParseLine(line); err != nil {
			return nil, fmt.Errorf("append: %w", err)
		}
		prev = hash
	}
	s.events = append(s.events, stored...)
	return stored, nil
}

// Read is incident.Store's.
func (s *Memory) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		s.mu.Lock()
		events := s.events[min(after, uint64(len(s.events))):]
		s.mu.Unlock()
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				yield(incident.Event{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// ReadIncident is incident.Store's.
func (s *Memory) ReadIncident(ctx context.Context, number string) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		for e, err := range s.Read(ctx, 0) {
			if (err != nil || e.Incident == number) && !yield(e, err) {
				return
			}
		}
	}
}
