package safety

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// forgetful is a Store for switches whose state is not looked at.
type forgetful struct{}

func (forgetful) Load(context.Context) (State, error) { return State{}, ErrNoState }
func (forgetful) Save(context.Context, State) error   { return nil }

// resumed returns a switch that runs and is active, for a bubble of synctest.
func resumed(t *testing.T) *Switch {
	sw, err := Open(t.Context(), Config{Name: "test", Store: forgetful{}, NoFlags: true, FlagPoll: time.Minute, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sw.Close()) })
	aside(t, sw.Run)
	require.NoError(t, sw.Resume(t.Context(), "alice", "fine", sw.Status().Holds))
	synctest.Wait()
	require.Equal(t, Active, sw.State())
	return sw
}

// aside runs something until the returned function is called, or the test ends.
func aside(t *testing.T, run func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	synctest.Wait()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { require.NoError(t, stop()) })
	return stop
}

// by returns the holds of one source, those that last or those that pass.
func by(sw *Switch, source string, passing bool) (holds []Hold) {
	for _, h := range sw.Status().Holds {
		if h.By == source && h.Passing == passing {
			holds = append(holds, h)
		}
	}
	return holds
}

// Whenever a component stops, it has its hold after its period and within one tick more:
// neither earlier nor later.
func TestWatchdogNoticesWithinOneTick(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ms := func(name string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(r, name)) * time.Millisecond
		}
		period, tick := ms("period", 1, 5000), 2*ms("half a tick", 1, 1000)
		start := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
		cfg := WatchdogConfig{Tick: tick, Components: []Component{{Name: "strategy", Period: period}}}
		s := newWatchState(cfg, start)
		beats := []time.Duration{0} // the start counts as one
		for range rapid.IntRange(0, 20).Draw(r, "beats") {
			beats = append(beats, beats[len(beats)-1]+ms("gap", 0, int(period/time.Millisecond)))
		}
		last, next := beats[len(beats)-1], 1
		for look := tick / 2; ; look += tick / 2 {
			beaten := false
			for next < len(beats) && beats[next] <= look {
				next++
				beaten = true
			}
			out := s.look(look, start.Add(look), func(string) bool { return beaten })
			if len(out.holds) > 0 {
				require.GreaterOrEqual(r, look, last+period, "too early")
				require.LessOrEqual(r, look, last+period+tick, "too late")
				return
			}
			require.Less(r, look, last+period+tick, "never")
		}
	})
}

func TestWatchdogNamesTheComponentAndItsLastBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		dog, err := NewWatchdog(sw, WatchdogConfig{Components: []Component{
			{Name: "strategy", Period: 2 * time.Second}, {Name: "feed", Period: 3 * time.Second, State: Reducing}, {Name: "never", Period: time.Minute, State: Reducing},
		}})
		require.NoError(t, err)
		require.Equal(t, Halted, sw.State(), "nobody runs it")
		aside(t, dog.Run)
		require.Equal(t, Halted, sw.State(), "none has beaten yet")
		require.Empty(t, by(sw, "andon/watchdog", true))
		hearts := map[string]Heart{}
		for _, name := range []string{"strategy", "feed", "never"} {
			hearts[name], err = dog.Heart(name)
			require.NoError(t, err)
		}
		_, err = dog.Heart("nobody")
		require.ErrorContains(t, err, `"nobody"`)
		beat := func(seconds int, names ...string) {
			for range seconds {
				for _, name := range names {
					hearts[name].Beat()
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		beat(2, "strategy", "feed")
		require.Equal(t, Reducing, sw.State(), "one was not heard since the start: %v", sw.Status().Holds)
		beat(10, "strategy", "feed", "never")
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
		stopped := time.Now().Add(-500 * time.Millisecond).UTC() // when it was last noticed
		beat(3, "feed", "never")
		holds := by(sw, "andon/watchdog/strategy", false)
		require.Len(t, holds, 1)
		require.Equal(t, "strategy has not beaten since "+stopped.Format(time.RFC3339Nano)+"; it has to every 2s", holds[0].Reason)
		require.Len(t, by(sw, "andon/watchdog/strategy", true), 1)
		// A Resume does not open the gate for a bot of which a part is dead; a beat does then.
		require.NoError(t, sw.Resume(t.Context(), "alice", "seen", sw.Status().Holds))
		beat(1, "feed", "never")
		require.Equal(t, Halted, sw.State())
		require.Empty(t, by(sw, "andon/watchdog/strategy", false), "one hold for one silence")
		beat(1, "strategy", "feed", "never")
		require.Equal(t, Active, sw.State())
		// The next silence is another one, and one that starts to beat again stays held.
		beat(4, "feed", "never")
		beat(4, "strategy", "feed", "never")
		require.Equal(t, Halted, sw.State())
		require.Len(t, by(sw, "andon/watchdog/strategy", false), 1)
	})
}

func TestWatchdogCountsOneThatNeverBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		dog, err := NewWatchdog(sw, WatchdogConfig{Components: []Component{{Name: "strategy"}}})
		require.NoError(t, err)
		aside(t, dog.Run)
		time.Sleep(4999 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, by(sw, "andon/watchdog/strategy", false))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Contains(t, by(sw, "andon/watchdog/strategy", false)[0].Reason, "has not beaten since the start")
	})
}

// Go's clock stands still while the machine sleeps; the components were silent all the same.
func TestWatchdogCountsSleepAndAStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		dog, err := NewWatchdog(sw, WatchdogConfig{Components: []Component{{Name: "strategy"}}})
		require.NoError(t, err)
		asleep := make(chan time.Duration, 1)
		asleep <- 0
		dog.asleep = func() time.Duration { d := <-asleep; asleep <- d; return d }
		stop := aside(t, dog.Run)
		heart, err := dog.Heart("strategy")
		require.NoError(t, err)
		heart.Beat()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, Active, sw.State())
		<-asleep
		asleep <- 3 * time.Hour
		heart.Beat() // it wakes up before the watchdog does
		time.Sleep(time.Second)
		synctest.Wait()
		require.Contains(t, by(sw, "andon/watchdog", false)[0].Reason, "nobody was watching for 3h0m")
		require.Equal(t, Halted, sw.State())
		require.ErrorIs(t, dog.Run(t.Context()), ErrRunning)
		require.NoError(t, stop())
		require.Len(t, by(sw, "andon/watchdog", true), 1, "nobody watches any more")
	})
}

func TestWatchdogConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := NewWatchdog(nil, WatchdogConfig{Tick: -1, Components: []Component{{Period: -1}, {Name: "a", State: Active}, {Name: "a"}}})
	for _, says := range []string{`Components[0].Name ""`, "Components[0].Period -1ns", "Components[1].State active", `Components[2].Name "a"`, "Tick -1ns"} {
		require.ErrorContains(t, err, says)
	}
	_, err = NewWatchdog(nil, WatchdogConfig{})
	require.ErrorContains(t, err, "Components is empty")
}

func BenchmarkBeat(b *testing.B) {
	h := Heart{alive: new(atomic.Bool)}
	b.ReportAllocs()
	for b.Loop() {
		h.Beat()
	}
}
