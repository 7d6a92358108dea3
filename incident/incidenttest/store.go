package incidenttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
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
		{"ReadIncidentGivesThatIncidentAlone", testReadIncident},
		{"HostileTextsComeBackAsTheyWere", testHostile},
		{"EventsThatAreTooLongAreRefused", testTooLong},
		{"AnAppendIsTogether", testTogether},
		{"AClosedStoreSaysSo", testClosed},
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
	want = slices.Clone(want)
	if len(want) != len(got) {
		t.Fatalf("%s: want %d events, have %d", rule, len(want), len(got))
	}
	for i := range want {
		want[i].Cites = got[i].Cites // the store's own
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

func testReadIncident(t *testing.T, s incident.Store) {
	numbers := []string{"INC-20260301-001", "", "INC-20260301-002", "INC-20260301-0", `INC-"20260301\-001`, "INC-20260301-001\x00"}
	want := map[string][]incident.Event{}
	for i := range 60 {
		e := Event(i)
		e.Incident = numbers[i%len(numbers)]
		e.Data.Component = numbers[(i+1)%len(numbers)] // says another's number where it does not count
		got, err := s.Append(t.Context(), uint64(i), e)
		if err != nil {
			t.Fatalf("append: %v", err)
		}
		want[e.Incident] = append(want[e.Incident], got...)
	}
	for _, number := range numbers {
		same(t, want[number], readIncident(t, s, number), fmt.Sprintf("ReadIncident gives the events of %q and no other's", number))
	}
	same(t, nil, readIncident(t, s, "INC-20260301-003"), "an incident that is not there has no events, and that is no error")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, last = range s.ReadIncident(ctx, numbers[0]) {
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("ReadIncident with an ended context ends with its error, since less than all is never the end: %v", last)
	}
	for range s.ReadIncident(t.Context(), numbers[0]) {
		break // a reader may stop
	}
}

func readIncident(t *testing.T, s incident.Store, number string) []incident.Event {
	t.Helper()
	var events []incident.Event
	for e, err := range s.ReadIncident(t.Context(), number) {
		if err != nil {
			t.Fatalf("read incident %q: %v", number, err)
		}
		events = append(events, e)
	}
	return events
}

func testHostile(t *testing.T, s incident.Store) {
	var want []incident.Event
	for i, text := range []string{
		"\x00", "a\x00b", "\n", "\r\n{\"seq\":1}", `\u0000`, `"`, `\`, "'; DROP TABLE events; --", "%s%n$1", "\u2028\u2029", "\ufeff",
		"\U0001F6A8", "e\u0301", "\x7f\x1b[2J", `","prev":"`, `","hash":"`, strings.Repeat("x", 100<<10), " ", "\ufffd",
	} {
		e := Event(i)
		e.Incident, e.By, e.What, e.Why, e.Kind = text, text, text, text, incident.Kind(text)
		e.Data.Component, e.Data.Flight = text, []string{text, ""}
		got, err := s.Append(t.Context(), uint64(i), e)
		if err != nil {
			t.Fatalf("a text may be anything; %q: %v", text[:min(len(text), 30)], err)
		}
		e.Seq, e.Prev, e.Hash = got[0].Seq, got[0].Prev, got[0].Hash
		want = append(want, e)
		same(t, []incident.Event{e}, readIncident(t, s, text), "an incident's number may be anything")
	}
	same(t, want, read(t, s, 0), "texts come back as they were")
	bad := Event(99)
	bad.What = "a\xffb"
	if _, err := s.Append(t.Context(), uint64(len(want)), bad); err != nil {
		t.Fatalf("append of invalid UTF-8: %v", err)
	}
	if got := read(t, s, uint64(len(want))); len(got) != 1 || got[0].What != "a\ufffdb" {
		t.Fatalf("invalid UTF-8 is stored as U+FFFD: %+v", got)
	}
}

func testTooLong(t *testing.T, s incident.Store) {
	long := Event(1)
	long.What = strings.Repeat("x", incident.MaxLine)
	if _, err := s.Append(t.Context(), 0, Event(0), long); !errors.Is(err, incident.ErrEvent) {
		t.Fatalf("an event longer than MaxLine is ErrEvent: %v", err)
	}
	same(t, nil, read(t, s, 0), "one event that cannot be stored refuses the whole append")
	long.What = strings.Repeat("x", incident.MaxLine-4096)
	got, err := s.Append(t.Context(), 0, long)
	if err != nil {
		t.Fatalf("an event of nearly MaxLine is stored: %v", err)
	}
	same(t, got, read(t, s, 0), "an event of nearly MaxLine comes back")
}

func testTogether(t *testing.T, s incident.Store) {
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := w*1000 + i*10
				if _, err := s.Append(context.Background(), incident.Any, Event(n), Event(n+1), Event(n+2)); err != nil {
					t.Errorf("append with Any: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	got := read(t, s, 0)
	if len(got) != writers*each*3 {
		t.Fatalf("every append is there once: want %d events, have %d", writers*each*3, len(got))
	}
	for i, e := range got {
		if first := got[i-i%3]; e.At.Nanosecond() != first.At.Nanosecond()+i%3 {
			t.Fatalf("the events of one append stand together, in their order: event %d does not", e.Seq)
		}
	}
}

func testClosed(t *testing.T, s incident.Store) {
	fill(t, s, 1)
	if _, ok := s.(interface{ Close() error }); !ok {
		return // nothing to close
	}
	closeStore(t, s)
	closeStore(t, s)
	if _, err := s.Append(t.Context(), 1, Event(1)); err == nil || errors.Is(err, incident.ErrConflict) || errors.Is(err, incident.ErrRecordUnknown) {
		t.Fatalf("a closed store says that it is closed: %v", err)
	}
	for name, events := range map[string]func() (n int, last error){
		"Read": func() (n int, last error) {
			for _, last = range s.Read(t.Context(), 0) {
				n++
			}
			return
		},
		"ReadIncident": func() (n int, last error) {
			for _, last = range s.ReadIncident(t.Context(), "x") {
				n++
			}
			return
		},
	} {
		if _, err := events(); err == nil {
			t.Fatalf("%s of a closed store ends with an error, since nothing is never the end", name)
		}
	}
}
