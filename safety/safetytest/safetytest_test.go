package safetytest

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFileStoreConforms(t *testing.T) {
	TestStore(t, func(t *testing.T) func() safety.Store {
		dir := t.TempDir()
		return func() safety.Store {
			f, err := safety.OpenFileStore(dir)
			require.NoError(t, err)
			return f
		}
	})
}

// failed runs a check as a test of its own and reports what it said.
func failed(t *testing.T, check func(tb testing.TB)) string {
	f := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(f)
	}()
	<-done
	return f.said
}

type fakeTB struct {
	testing.TB
	said string
}

func (f *fakeTB) Helper() {}
func (f *fakeTB) Fatalf(format string, _ ...any) {
	f.said = format
	runtime.Goexit()
}

// loose is a store that breaks one rule.
type loose struct {
	guess, forget, first, share, short bool
	st                                 *safety.State
}

func (l *loose) Load(context.Context) (safety.State, error) {
	if l.st == nil {
		if l.guess {
			return safety.State{}, nil
		}
		return safety.State{}, safety.ErrNoState
	}
	st := *l.st
	if !l.share {
		st.Holds = append([]safety.Hold{}, st.Holds...)
	}
	return st, nil
}

func (l *loose) Save(_ context.Context, st safety.State) error {
	if l.first && l.st != nil {
		return nil
	}
	if !l.share {
		st.Holds = append([]safety.Hold{}, st.Holds...)
	}
	if l.short && len(st.Holds) > 100 {
		st.Holds = st.Holds[:100]
	}
	l.st = &st
	return nil
}

func TestTheSuiteFindsBrokenRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		store loose
		check func(testing.TB, func() safety.Store)
		says  string
	}{
		{"a guess", loose{guess: true}, emptyIsNoState, "want ErrNoState"},
		{"a save that is not taken", loose{first: true}, savedIsLoaded, "does not give what was saved"},
		{"a state that is forgotten", loose{forget: true}, savedOutlives, "after a Save that returned nil"},
		{"an old state", loose{first: true}, newestWins, "does not give what was saved"},
		{"a state cut short", loose{short: true}, largeIsWhole, "does not give what was saved"},
		{"a shared state", loose{share: true}, loadedIsOwn, "does not give what was saved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(l loose) func() safety.Store {
				return func() safety.Store {
					if l.forget {
						return &loose{}
					}
					return &l
				}
			}
			require.Contains(t, failed(t, func(tb testing.TB) { c.check(tb, open(c.store)) }), c.says)
			require.Empty(t, failed(t, func(tb testing.TB) { c.check(tb, open(loose{})) }), "a store that keeps the rule passes")
		})
	}
}

func TestHelpers(t *testing.T) {
	dir := t.TempDir()
	sw := New(t, safety.Config{Flags: safety.FlagsIn(dir)})
	RequireActive(t, sw)
	require.Contains(t, failed(t, func(tb testing.TB) { RequireHalted(tb, sw) }), "want halted")
	require.Contains(t, failed(t, func(tb testing.TB) { RequireHold(tb, sw, "bob") }), "no hold by")
	require.NoError(t, sw.Engage("bob", "drill"))
	RequireHalted(t, sw)
	require.Equal(t, "drill", RequireHold(t, sw, "bob").Reason)
	require.Contains(t, failed(t, func(tb testing.TB) { RequireActive(tb, sw) }), "is not active")

	other := New(t, safety.Config{}) // nothing is shared
	RequireActive(t, other)
	require.NoError(t, os.WriteFile(other.Status().Flags[0].Path, nil, 0o600))
	require.Eventually(t, func() bool { return other.State() == safety.Halted }, time.Minute, time.Millisecond)
	require.Equal(t, safety.Halted, RequireHold(t, other, "EMERGENCY_STOP").State)
}
