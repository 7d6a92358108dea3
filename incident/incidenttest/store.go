package incidenttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
)

// TestStore runs the conformance suite. prepare makes a place for an empty store,
// and the function that it returns opens the store there; a second call has to
// open the same events, after the suite has closed the first where it has a Close
// method.
func TestStore(t *testing.T, prepare func(t *testing.T) (open func() incident.Store)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s incident.Store)
	}{
		{"EmptyReadsNothing", testEmpty},
		{"AppendedEventsComeBackAsTheyWere", testRoundTrip},
		{"ExpectedMustBeTheLast", testConflict},
		{"OneOfManyRacersWins", testRace},
		{"AnyNeverConflicts", testAny},
		{"EventsWithoutWhoWhatWhyWhenAreRefused", testIncomplete},
		{"AnEndedContextAppendsNothing", testEndedContext},
		{"ReadSeesWhatWasThereWhenItBegan", testReadWhileAppending},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepare(t)()
			defer closeStore(t, s)
			c.run(t, s)
		})
	}
	t.Run("ReopenedHasTheSameEvents", func(t *testing.T) {
		open := prepare(t)
		s := open()
		want := fill(t, s, 5)
		closeStore(t, s)
		s = open()
		defer closeStore(t, s)
		same(t, want, read(t, s, 0), "a store that is opened again has every event that Append returned")
		more := fill(t, s, 1)
		same(t, append(want, more...), read(t, s, 0), "a store that is opened again goes on where it was")
	})
}

// Event returns a valid event that uses many fields; n makes it different from
// others.
func Event(n int) incident.Event {
	trades := n
	return incident.Event{
		At:       time.Date(2026, 3, 1, 12, 0, 0, n, time.UTC),
		Incident: "INC-20260301-001", Kind: incident.Noted, By: "Ada Lovelace",
		What: fmt.Sprintf("event %d: <a> & \"b\"\n\\ | ` 🚨", n), Why: "the suite asked for it",
		Data: incident.Data{
			Condition: "trading-failures", Component: "venue/x", Level: severity.SEV2, DueAt: time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC),
			Flight: []string{"a", "b"}, Impact: &incident.Impact{Lost: incident.Money{"USDT": andon.NewDecimal(int64(n), 3)}, Trades: &trades},
		},
	}
}

func closeStore(t *testing.T, s incident.Store) {
	t.Helper()
	if c, ok := s.(interface{ Close() error }); ok {
		if err := c.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
}

func read(t *testing.T, s incident.Store, after uint64) []incident.Event {
	t.Helper()
	var events []incident.Event
	for e, err := range s.Read(t.Context(), after) {
		if err != nil {
			t.Fatalf("read after %d: %v", after, err)
		}
		events = append(events, e)
	}
	return events
}

// fill appends n events, one at a time, behind those that are there.
func fill(t *testing.T, s incident.Store, n int) []incident.Event {
	t.Helper()
	have := read(t, s, 0)
	var all []incident.Event
	for i := range n {
		expected := uint64(len(have) + i)
		got, err := s.Append(t.Context(), expected, Event(len(have)+i))
		if err != nil {
			t.Fatalf("append after %d: %v", expected, err)
		}
		all = append(all, got...)
	}
	return all
}

func same(t *testing.T, want, got []incident.Event, rule string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: want %d events, have %d", rule, len(want), len(got))
	}
	for i := range want {
		if !reflect.DeepEqual(want[i], got[i]) {
			t.Fatalf("%s: event %d:\nwant %+v\nhave %+v", rule, i+1, want[i], got[i])
		}
	}
}

func testEmpty(t *testing.T, s incident.Store) {
	same(t, nil, read(t, s, 0), "an empty store has no events")
	same(t, nil, read(t, s, 7), "behind the end there is nothing, and that is no error")
}

func testRoundTrip(t *testing.T, s incident.Store) {
	first, err := s.Append(t.Context(), 0, Event(1), Event(2))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	second, err := s.Append(t.Context(), 2, Event(3))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	all := append(first, second...)
	for i, e := range all {
		want := Event(i + 1)
		if e.Seq != uint64(i+1) || e.Hash == (incident.Hash{}) {
			t.Fatalf("Append gives each event the next number and its hash: event %d has %d and %v", i+1, e.Seq, e.Hash)
		}
		if i > 0 && e.Prev != all[i-1].Hash || i == 0 && e.Prev != (incident.Hash{}) {
			t.Fatalf("each event carries the hash of the one before: event %d does not", e.Seq)
		}
		want.Seq, want.Prev, want.Hash = e.Seq, e.Prev, e.Hash
		same(t, []incident.Event{want}, []incident.Event{e}, "Append returns the event as it was given")
	}
	same(t, all, read(t, s, 0), "Read gives what Append returned, in order")
	same(t, all[1:], read(t, s, 1), "Read begins behind the number it was given")
	same(t, nil, read(t, s, 3), "behind the end there is nothing, and that is no error")
}

func testConflict(t *testing.T, s incident.Store) {
	have := fill(t, s, 2)
	for _, expected := range []uint64{0, 1, 3, 99} {
		_, err := s.Append(t.Context(), expected, Event(9))
		if !errors.Is(err, incident.ErrConflict) {
			t.Fatalf("Append after %d of 2 events must be ErrConflict: %v", expected, err)
		}
		if c, ok := errors.AsType[*incident.ConflictError](err); !ok || c.Last != 2 || c.Expected != expected {
			t.Fatalf("the conflict names both numbers: %v", err)
		}
	}
	same(t, have, read(t, s, 0), "an append that conflicts adds nothing")
}

func testRace(t *testing.T, s incident.Store) {
	const racers = 16
	var wg sync.WaitGroup
	results := make(chan error, racers)
	for i := range racers {
		wg.Go(func() {
			_, err := s.Append(context.Background(), 0, Event(i), Event(i))
			results <- err
		})
	}
	wg.Wait()
	won := 0
	for range racers {
		err := <-results
		if err == nil {
			won++
		} else if !errors.Is(err, incident.ErrConflict) {
			t.Fatalf("a racer that lost gets ErrConflict: %v", err)
		}
	}
	if got := read(t, s, 0); won != 1 || len(got) != 2 || got[0].What != got[1].What {
		t.Fatalf("of %d appends that expect an empty store one wins, with all of its events: %d won, %d events", racers, won, len(got))
	}
}

func testAny(t *testing.T, s incident.Store) {
	const writers, each = 8, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	returned := map[uint64]string{}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				got, err := s.Append(context.Background(), incident.Any, Event(w*each+i))
				if err != nil || len(got) != 1 {
					t.Errorf("append with Any: %d events, %v", len(got), err)
					return
				}
				mu.Lock()
				returned[got[0].Seq] = got[0].What
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	got := read(t, s, 0)
	if len(got) != writers*each || len(returned) != len(got) {
		t.Fatalf("every append has a number of its own: %d appended, %d numbers, %d events", writers*each, len(returned), len(got))
	}
	for i, e := range got {
		if e.Seq != uint64(i+1) || returned[e.Seq] != e.What {
			t.Fatalf("event %d read is not the one that was appended as %d", i+1, e.Seq)
		}
		if i > 0 && e.Prev != got[i-1].Hash {
			t.Fatalf("each event carries the hash of the one before: event %d does not", e.Seq)
		}
	}
}

func testIncomplete(t *testing.T, s incident.Store) {
	for name, spoil := range map[string]func(*incident.Event){
		"who":  func(e *incident.Event) { e.By = "" },
		"what": func(e *incident.Event) { e.What = "" },
		"why":  func(e *incident.Event) { e.Why = "" },
		"when": func(e *incident.Event) { e.At = time.Time{} },
		"kind": func(e *incident.Event) { e.Kind = "" },
	} {
		bad := Event(2)
		spoil(&bad)
		if _, err := s.Append(t.Context(), 0, Event(1), bad); !errors.Is(err, incident.ErrEvent) {
			t.Fatalf("an event without %s is ErrEvent: %v", name, err)
		}
	}
	same(t, nil, read(t, s, 0), "one event that cannot be stored refuses the whole append")
}

func testEndedContext(t *testing.T, s incident.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, 0, Event(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("an append whose context has ended says so: %v", err)
	}
	same(t, nil, read(t, s, 0), "an append whose context has ended adds nothing")
	fill(t, s, 1)
	var last error
	for _, last = range s.Read(ctx, 0) {
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("Read with an ended context ends with its error, since less than all is never the end: %v", last)
	}
}

func testReadWhileAppending(t *testing.T, s incident.Store) {
	have := fill(t, s, 3)
	n := 0
	for e, err := range s.Read(t.Context(), 0) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if n == 0 {
			fill(t, s, 1)
		}
		if n == len(have) {
			break // a store may show later events too
		}
		same(t, have[n:n+1], []incident.Event{e}, "Read gives the events in order, also while others append")
		n++
	}
	if n != len(have) {
		t.Fatalf("Read gives every event that was there when it began: %d of %d", n, len(have))
	}
}
