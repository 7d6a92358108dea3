package safetytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

// TestStore checks that a Store keeps its contract. fresh is called once for each
// rule and returns what opens a store in one and the same empty place: every call of
// that is a start of the process anew. A store that has a Close method is closed
// before it is opened again.
func TestStore(t *testing.T, fresh func(t *testing.T) (open func() safety.Store)) {
	for _, rule := range []struct {
		name  string
		check func(t testing.TB, open func() safety.Store)
	}{
		{"an empty place is ErrNoState", emptyIsNoState},
		{"what was saved is loaded", savedIsLoaded},
		{"what was saved outlives a restart", savedOutlives},
		{"the newest save wins", newestWins},
		{"a large state is kept whole", largeIsWhole},
		{"a loaded state is the caller's own", loadedIsOwn},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, fresh(t)) })
	}
}

func emptyIsNoState(t testing.TB, open func() safety.Store) {
	s := open()
	defer closeStore(t, s)
	if st, err := s.Load(context.Background()); !errors.Is(err, safety.ErrNoState) {
		t.Fatalf("Load in an empty place gives %+v and %v, want ErrNoState: a guess would start a bot that nobody resumed", st, err)
	}
}

func savedIsLoaded(t testing.TB, open func() safety.Store) {
	s := open()
	defer closeStore(t, s)
	for _, st := range []safety.State{sample(1, 1), sample(2, 0)} {
		save(t, s, st)
		wantLoaded(t, s, st)
	}
}

func savedOutlives(t testing.TB, open func() safety.Store) {
	s := open()
	st := sample(1, 3)
	save(t, s, st)
	closeStore(t, s)
	s = open()
	defer closeStore(t, s)
	wantLoaded(t, s, st)
}

func newestWins(t testing.TB, open func() safety.Store) {
	for seq := uint64(1); seq <= 20; seq++ {
		s := open()
		save(t, s, sample(seq, int(seq)%3))
		save(t, s, sample(seq+100, int(seq)%4))
		closeStore(t, s)
		s = open()
		wantLoaded(t, s, sample(seq+100, int(seq)%4))
		closeStore(t, s)
	}
}

func largeIsWhole(t testing.TB, open func() safety.Store) {
	s := open()
	defer closeStore(t, s)
	st := sample(1, 1000)
	save(t, s, st)
	wantLoaded(t, s, st)
}

func loadedIsOwn(t testing.TB, open func() safety.Store) {
	s := open()
	defer closeStore(t, s)
	st := sample(1, 2)
	save(t, s, st)
	st.Holds[0].State = safety.Reducing // the caller goes on with its own
	got, err := s.Load(context.Background())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	got.Holds[1].State = safety.Reducing
	wantLoaded(t, s, sample(1, 2))
}

// sample is a state with a number of holds that uses every field.
func sample(seq uint64, holds int) safety.State {
	at := time.Date(2026, 11, 24, 3, 0, 0, 123456789, time.UTC)
	st := safety.State{
		Name: "bot “one”", Seq: seq, LastHold: uint64(holds) + 7, SavedAt: at, Holds: []safety.Hold{},
		Resumed: safety.Resumption{By: "alice", Note: "looked\nat everything", At: at},
		Trips: &safety.TripState{
			Clock: at, Boot: "b", Uptime: time.Hour, Day: "2026-11-24", Opening: andon.NewDecimal(1, 0), Net: andon.NewDecimal(-int64(seq), 2),
			Equity: andon.NewDecimal(99, 2), Peak: andon.NewDecimal(2, 0), Highs: []safety.TripHigh{{At: at, Equity: andon.NewDecimal(1, 0)}},
			Streak: 1, Orders: []safety.TripCount{{At: at, Hits: 1, Events: 2}}, Venues: map[string][]safety.TripCount{"kraken": {{At: at, Hits: 1, Events: 1}}},
			Viewed: []string{"kraken"}, Legs: []andon.Position{{Venue: "kraken", Symbol: "BTC", Quantity: andon.NewDecimal(-5, 1)}},
			Seen: make([]byte, 32), Forgotten: at, Fired: map[safety.Trip]safety.TripFired{safety.TripDrawdown: {At: at, Times: 3}},
		},
	}
	for i := range holds {
		st.Holds = append(st.Holds, safety.Hold{
			ID: uint64(i) + 1, State: safety.Halted, By: fmt.Sprintf("person %d", i), Reason: "a \"reason\"\n日本", At: at, Write: i%2 == 1,
		})
	}
	return st
}

func save(t testing.TB, s safety.Store, st safety.State) {
	t.Helper()
	if err := s.Save(context.Background(), st); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func wantLoaded(t testing.TB, s safety.Store, want safety.State) {
	t.Helper()
	got, err := s.Load(context.Background())
	if err != nil {
		t.Fatalf("Load after a Save that returned nil: %v", err)
	}
	if g, w := text(t, got), text(t, want); g != w {
		t.Fatalf("Load does not give what was saved:\n got %.600s\nwant %.600s", g, w)
	}
}

func text(t testing.TB, st safety.State) string {
	t.Helper()
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatalf("state: %v", err)
	}
	return string(b)
}

func closeStore(t testing.TB, s safety.Store) {
	t.Helper()
	if c, ok := s.(interface{ Close() error }); ok {
		if err := c.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}
