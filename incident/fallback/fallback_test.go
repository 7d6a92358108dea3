package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/fallback"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if work := os.Getenv(botWork); work != "" {
		if err := bot(work); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var (
	ctx     = context.Background()
	errDown = errors.New("no route to host")
	quiet   = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// line is the way to a shared store: it can be cut, and it can lose an answer.
type line struct {
	incident.Store
	down atomic.Bool
	slow atomic.Bool // an append finds out after a second that it is
	lose atomic.Bool // the next append is done, and nobody hears of it
}

func (l *line) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	if l.down.Load() {
		if l.slow.Load() {
			time.Sleep(time.Second)
		}
		return nil, errDown
	}
	got, err := l.Store.Append(ctx, expected, events...)
	if l.lose.Swap(false) {
		l.down.Store(true)
		return nil, fmt.Errorf("%w: %w", incident.ErrRecordUnknown, errDown)
	}
	return got, err
}

func (l *line) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	if l.down.Load() {
		return func(yield func(incident.Event, error) bool) { yield(incident.Event{}, errDown) }
	}
	return l.Store.Read(ctx, after)
}

func open(t require.TestingT, shared, local incident.Store, name string) *fallback.Store {
	s, err := fallback.New(ctx, fallback.Config{Shared: shared, Local: local, Name: name, Log: quiet})
	require.NoError(t, err)
	return s
}

func read(t require.TestingT, s incident.Store) (all []incident.Event) {
	for e, err := range s.Read(ctx, 0) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// whats are what the events say, without those about copying.
func whats(t require.TestingT, s incident.Store) (all []string) {
	for _, e := range read(t, s) {
		if e.Kind != incident.Copied {
			all = append(all, e.What)
		}
	}
	return all
}

func note(what string) incident.Event {
	return incident.Event{At: time.Now(), Incident: "INC-20260301-001", Kind: incident.Noted, By: "Ada", What: what, Why: "seen"}
}

// closing closes what lies below, for the suite.
type closing struct {
	*fallback.Store
	close func() error
}

func (c closing) Close() error { return c.close() }

func TestItIsAStore(t *testing.T) {
	onJournal := func(t *testing.T, shared func() (incident.Store, func() error)) func() incident.Store {
		path := filepath.Join(t.TempDir(), "journal")
		return func() incident.Store {
			there, hangUp := shared()
			local, err := journal.Open(path)
			require.NoError(t, err)
			s := open(t, there, local, "a")
			return closing{s, func() error { return errors.Join(s.Close(), local.Close(), hangUp()) }}
		}
	}
	t.Run("with the shared one", func(t *testing.T) {
		incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
			m := &incidenttest.Memory{}
			return onJournal(t, func() (incident.Store, func() error) { return m, func() error { return nil } })
		})
	})
	t.Run("without", func(t *testing.T) {
		incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
			m := &line{Store: &incidenttest.Memory{}}
			m.down.Store(true)
			return onJournal(t, func() (incident.Store, func() error) { return m, func() error { return nil } })
		})
	})
	t.Run("with PostgreSQL", func(t *testing.T) {
		pg := pgtest.Start(t)
		n := 0
		incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
			n++
			cfg := pgstore.Config{ConnString: pg.ConnString(), Schema: fmt.Sprintf("andon_%d", n)}
			return onJournal(t, func() (incident.Store, func() error) {
				s, err := pgstore.Open(cfg)
				require.NoError(t, err)
				require.NoError(t, s.Migrate(ctx))
				return s, s.Close
			})
		})
	})
}

func TestLaw11_AProcessGoesOnByItselfAndNothingIsLost(t *testing.T) {
	there := &line{Store: &incidenttest.Memory{}}
	here, other := &incidenttest.Memory{}, &incidenttest.Memory{}
	s, o := open(t, there, here, "a"), open(t, there.Store, other, "b")
	_, err := s.Append(ctx, 0, note("1"))
	require.NoError(t, err)
	there.down.Store(true)
	kept, err := s.Append(ctx, 1, note("2"), note("3"))
	require.NoError(t, err)
	require.Equal(t, "a", s.Provisional())
	_, err = o.Append(ctx, incident.Any, note("of another"))
	require.NoError(t, err)
	require.ErrorIs(t, s.Sync(ctx), errDown)

	// A restart in the middle of the outage begins with everything that was known.
	s = open(t, there, here, "a")
	require.Equal(t, []string{"1", "2", "3"}, whats(t, s))
	_, err = s.Append(ctx, 3, note("4"))
	require.NoError(t, err)

	there.down.Store(false)
	require.NoError(t, s.Sync(ctx))
	require.Empty(t, s.Provisional())
	require.Equal(t, []string{"1", "of another", "2", "3", "4"}, whats(t, there))
	require.Equal(t, kept[0].Tip(), read(t, there)[2].Cites, "a copy cites the event that was kept")
	require.Equal(t, []string{"1", "2", "3", "4", "of another"}, whats(t, s), "here they stay where they are")
	require.NoError(t, o.Sync(ctx))
	require.Equal(t, whats(t, there), whats(t, o))
	before := read(t, there)
	for range 2 {
		require.NoError(t, s.Sync(ctx))
		require.NoError(t, open(t, there, here, "a").Sync(ctx))
	}
	require.Equal(t, before, read(t, there), "once")
	_, err = s.Append(ctx, 4, note("5"))
	require.ErrorIs(t, err, incident.ErrConflict, "what came from the other is to be read first")
}

func TestAnAppendWhoseAnswerWasLostIsThereOnce(t *testing.T) {
	there := &line{Store: &incidenttest.Memory{}}
	s := open(t, there, &incidenttest.Memory{}, "a")
	there.lose.Store(true)
	_, err := s.Append(ctx, 0, note("1"), note("2"))
	require.NoError(t, err, "it is kept here in any case")
	there.down.Store(false)
	_, err = s.Append(ctx, 2, note("3"))
	require.NoError(t, err)
	require.NoError(t, s.Sync(ctx))
	require.Equal(t, []string{"1", "2", "3"}, whats(t, there))
	require.Equal(t, []string{"1", "2", "3"}, whats(t, s))
}

func TestWhatWaitsGoesToTheSharedStoreFirst(t *testing.T) {
	there, here := &line{Store: &incidenttest.Memory{}}, &incidenttest.Memory{}
	there.down.Store(true)
	_, err := open(t, there, here, "a").Append(ctx, 0, note("1"))
	require.NoError(t, err)
	there.down.Store(false)
	s := open(t, there, here, "a") // started anew, and nothing has been asked yet
	_, err = s.Append(ctx, 1, note("2"))
	require.NoError(t, err)
	require.NoError(t, s.Sync(ctx))
	require.Equal(t, []string{"1", "2"}, whats(t, there))
}

// Whatever is cut when: in the end all have the same events, each once, and every one
// that was acknowledged.
func TestTwoProcessesAlwaysComeTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shared := &incidenttest.Memory{}
		lines := []*line{{Store: shared}, {Store: shared}}
		local := []*incidenttest.Memory{{}, {}}
		stores := []*fallback.Store{open(t, lines[0], local[0], "a"), open(t, lines[1], local[1], "b")}
		var acknowledged []string
		who := rapid.IntRange(0, 1)
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				i := who.Draw(t, "who")
				events := make([]incident.Event, rapid.IntRange(1, 3).Draw(t, "events"))
				for k := range events {
					n++
					events[k] = note(fmt.Sprint(n))
				}
				expected := uint64(len(read(t, stores[i])))
				if rapid.Bool().Draw(t, "any") {
					expected = incident.Any
				}
				got, err := stores[i].Append(ctx, expected, events...)
				if expected != incident.Any && errors.Is(err, incident.ErrConflict) {
					return
				}
				require.NoError(t, err)
				for _, e := range got {
					acknowledged = append(acknowledged, e.What)
				}
			},
			"cut":     func(t *rapid.T) { lines[who.Draw(t, "who")].down.Store(true) },
			"mend":    func(t *rapid.T) { lines[who.Draw(t, "who")].down.Store(false) },
			"lose":    func(t *rapid.T) { lines[who.Draw(t, "who")].lose.Store(true) },
			"sync":    func(t *rapid.T) { _ = stores[who.Draw(t, "who")].Sync(ctx) },
			"restart": func(t *rapid.T) { i := who.Draw(t, "who"); stores[i] = open(t, lines[i], local[i], "a") },
		})
		for range 2 {
			for i, s := range stores {
				lines[i].lose.Store(false)
				lines[i].down.Store(false)
				require.NoError(t, s.Sync(ctx))
			}
		}
		slices.Sort(acknowledged)
		for _, s := range []incident.Store{shared, stores[0], stores[1]} {
			got := whats(t, s)
			slices.Sort(got)
			require.Equal(t, acknowledged, got)
		}
	})
}

// Kills between any two durable steps of either store: before and after the copy, the
// note of it, the mirror of an event.
func TestLaw10_AKillWhileStoresComeTogetherLosesAndDoublesNothing(t *testing.T) {
	both := func(dir string) (*line, *journal.Journal, *fallback.Store, error) {
		shared, err := journal.Open(filepath.Join(dir, "shared"))
		if err != nil {
			return nil, nil, nil, err
		}
		local, err := journal.Open(filepath.Join(dir, "local"))
		if err != nil {
			return nil, nil, nil, errors.Join(err, shared.Close())
		}
		l := &line{Store: shared}
		s, err := fallback.New(ctx, fallback.Config{Shared: l, Local: local, Name: "a", Log: quiet})
		return l, local, s, err
	}
	crashtest.Run(t, crashtest.Config{}, func(dir string) error {
		l, _, s, err := both(dir)
		if err != nil {
			return err
		}
		add := func(what ...string) error {
			for _, w := range what {
				if _, err := s.Append(ctx, incident.Any, note(w)); err != nil {
					return err
				}
				fmt.Println(w)
			}
			return nil
		}
		err = add("1", "2")
		l.down.Store(true)
		err = errors.Join(err, add("3", "4"))
		l.down.Store(false)
		_, err2 := l.Append(ctx, incident.Any, note("of another"))
		return errors.Join(err, err2, s.Sync(ctx), add("5"))
	}, func(t *testing.T, dir string, at crashtest.Step) {
		l, local, s, err := both(dir)
		require.NoError(t, err)
		require.NoError(t, s.Sync(ctx))
		there, here := whats(t, l), whats(t, s)
		for _, what := range at.Lines {
			require.Contains(t, there, what)
			require.Contains(t, here, what)
		}
		recovered := func(s string) bool { return len(s) > 20 } // a torn tail's report
		there, here = slices.DeleteFunc(there, recovered), slices.DeleteFunc(here, recovered)
		slices.Sort(there)
		slices.Sort(here)
		require.Equal(t, slices.Compact(slices.Clone(there)), there, "each once")
		require.Equal(t, there, here)
		require.NoError(t, errors.Join(local.Close(), l.Store.(*journal.Journal).Close()))
	})
}

// leading is a shared store whose responder is whoever has the key.
type leading struct {
	line
	key    chan struct{}
	denied atomic.Bool // nobody may be the responder
}

func (l *leading) Lead(ctx context.Context, _ string, lead func(ctx context.Context) error) error {
	if l.down.Load() {
		return errDown
	}
	if l.denied.Load() {
		time.Sleep(time.Millisecond) // the way there and back
		return errors.New("permission denied for table responder")
	}
	select {
	case <-l.key:
		defer func() { l.key <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for !l.down.Load() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
		stop()
	})
	return lead(ctx)
}

// Watch hears nothing.
func (l *leading) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

var (
	_ incident.Shared      = (*fallback.Store)(nil)
	_ incident.Shared      = (*pgstore.Store)(nil)
	_ incident.Provisional = (*fallback.Store)(nil)
)

func TestLaw11_SomebodyLeadsWhileNobodyCanSayWho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leading{line: line{Store: &incidenttest.Memory{}}, key: make(chan struct{}, 1)}
		l.key <- struct{}{}
		run, stop := context.WithCancel(t.Context())
		var leads [2]atomic.Bool
		ended := make(chan error, 2)
		for i, name := range []string{"a", "b"} {
			s := open(t, l, &incidenttest.Memory{}, name)
			go func() {
				ended <- s.Lead(run, name, func(ctx context.Context) error {
					leads[i].Store(true)
					defer leads[i].Store(false)
					<-ctx.Done()
					return ctx.Err()
				})
			}()
		}
		count := func() (n int) {
			time.Sleep(5 * time.Second)
			for i := range leads {
				if leads[i].Load() {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, count())
		l.down.Store(true)
		require.GreaterOrEqual(t, count(), 1)
		l.down.Store(false)
		require.Equal(t, 1, count())
		stop()
		for range 2 {
			require.ErrorIs(t, <-ended, context.Canceled)
		}
	})
}

// The shared store takes events, and lets nobody become the responder.
func TestLaw7_WhereNobodyMayLeadEachProcessPagesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leading{line: line{Store: &incidenttest.Memory{}}, key: make(chan struct{}, 1)}
		l.denied.Store(true)
		m := incidenttest.NewManager(t, func(c *incident.Config) { c.Store = open(t, l, &incidenttest.Memory{}, "a") })
		_, err := m.Declare(t.Context(), "watchdog", "down", offline("risk"))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NotEmpty(t, pages(m.Pager.Messages()))
	})
}

func TestLeadEndsWithWhatItLeads(t *testing.T) {
	failed := errors.New("failed")
	l := &leading{line: line{Store: &incidenttest.Memory{}}, key: make(chan struct{}, 1)}
	l.key <- struct{}{}
	for _, shared := range []incident.Store{l, l.Store} {
		s := open(t, shared, &incidenttest.Memory{}, "a")
		require.ErrorIs(t, s.Lead(ctx, "a", func(context.Context) error { return failed }), failed)
	}
}

// Two processes see the same thing while they do not see each other: two numbers, one
// dedup key.
func TestLaw7_TwoRespondersPagesAreOneAtTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &line{Store: &incidenttest.Memory{}}
		there.down.Store(true)
		signal := severity.Signal{Condition: severity.RiskOffline, Component: "risk", At: time.Now(), Source: "watchdog"}
		var numbers, keys []string
		var stores []*fallback.Store
		for _, name := range []string{"a", "b"} {
			s := open(t, there, &incidenttest.Memory{}, name)
			stores = append(stores, s)
			_, err := s.Append(ctx, 0, note("before")) // finds out that it is alone
			require.NoError(t, err)
			m := incidenttest.NewManager(t, func(c *incident.Config) { c.Store = s })
			in, err := m.Declare(t.Context(), "watchdog", "down", signal)
			require.NoError(t, err)
			synctest.Wait()
			numbers = append(numbers, in.Number)
			keys = append(keys, m.Pager.Messages()[0].Key)
		}
		require.Regexp(t, `^INC-\d{8}-001-a$`, numbers[0])
		require.Regexp(t, `^INC-\d{8}-001-b$`, numbers[1])
		require.Equal(t, keys[0], keys[1])
		there.down.Store(false)
		for _, s := range append(stores, stores...) {
			require.NoError(t, s.Sync(ctx))
		}
		for _, s := range stores {
			all, err := incident.Replay(s.Read(ctx, 0))
			require.NoError(t, err)
			require.Len(t, all, 2, "both are known to both")
		}
	})
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := fallback.New(ctx, fallback.Config{Name: "A b", AskEvery: -1})
	for _, want := range []string{"Shared is", "Local is", "Name ", "AskEvery "} {
		require.ErrorContains(t, err, want)
	}
}

func TestRunBringsThemTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &line{Store: &incidenttest.Memory{}}
		s := open(t, there, &incidenttest.Memory{}, "a")
		run, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(run) }()
		there.down.Store(true)
		time.Sleep(10 * time.Second)
		_, err := s.Append(ctx, 0, note("1"))
		require.NoError(t, err)
		there.down.Store(false)
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"1"}, whats(t, there))
		stop()
		require.NoError(t, <-ended)
	})
}
