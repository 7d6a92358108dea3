package safety_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// What a reviewer broke, each as it was broken.

// An exit that is called twice settles nothing the second time, whatever took the
// order's place.
func TestLaw4_ASecondExitFreesNothing(t *testing.T) {
	sw := active(t, quiet(t))
	observe(t, sw, []andon.Position{position("10")})
	require.NoError(t, sw.Reduce("bob", "drill"))
	p, err := enter(sw, order("a", andon.Sell, "10"))
	require.NoError(t, err)
	p.Exit(safety.Refused)
	p.Exit(safety.Refused)
	p.Exit(safety.Accepted)
	_, err = enter(sw, order("b", andon.Sell, "20"))
	require.ErrorIs(t, err, safety.ErrDenied, "more than the leg")
	first, err := enter(sw, order("c", andon.Sell, "5"))
	require.NoError(t, err)
	p.Exit(safety.Refused)
	_, err = enter(sw, order("d", andon.Sell, "5"))
	require.NoError(t, err)
	require.Equal(t, 2, sw.Status().InFlight)
	first.Exit(safety.Refused)
	require.Equal(t, 1, sw.Status().InFlight)
}

// Closing the switch while somebody resumes leaves the halt on disk, wherever in the
// resume it comes.
func TestLaw3_CloseDuringAResumeKeepsTheHalt(t *testing.T) {
	for _, where := range []string{"in the recorder", "in the store"} {
		t.Run(where, func(t *testing.T) {
			store, rec := &memoryStore{}, &recorder{}
			cfg := inMemory()
			cfg.Store, cfg.Recorder = store, rec
			sw := active(t, cfg)
			_, err := sw.Halt(t.Context(), "bob", "drill")
			require.NoError(t, err)
			closed := make(chan error, 1)
			var once atomic.Bool
			closing := func() {
				if once.CompareAndSwap(false, true) {
					go func() { closed <- sw.Close() }()
					for sw.Lift(t.Context(), "x", "is it closed", safety.Hold{}).Error() != "resume refused: this switch is closed: switch is closed" {
						time.Sleep(time.Millisecond)
					}
				}
			}
			if where == "in the recorder" {
				rec.meanwhile(func(what string) {
					if what == "resume" {
						closing()
					}
				})
			} else {
				store.during(closing)
			}
			require.ErrorIs(t, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), safety.ErrResumeRefused)
			require.NoError(t, <-closed)
			require.Len(t, store.stored().Holds, 1, "bob's halt")
		})
	}
}

// A switch that is closed writes no more: its directory may be another's by now.
func TestLaw3_AClosedSwitchWritesNothing(t *testing.T) {
	cfg := quiet(t)
	old := active(t, cfg)
	require.NoError(t, old.Reduce("bob", "slow"))
	_, err := old.Drain(t.Context())
	require.NoError(t, err)
	reducing := lasting(old)[0]
	require.NoError(t, old.Close())

	now := open(t, cfg)
	_, err = now.Halt(t.Context(), "carol", "stop")
	require.NoError(t, err)
	require.ErrorIs(t, old.Lift(t.Context(), "alice", "fast again", reducing), safety.ErrClosed)
	require.NoError(t, now.Close())
	require.Len(t, lasting(open(t, cfg)), 2)

	f, err := safety.OpenFileStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Save(t.Context(), safety.State{Name: "x"}), safety.ErrClosed)
}

// The first view of a venue counts only if it was asked for after everything that was
// let through without being kept.
func TestLaw4_AFirstViewOlderThanAnExitIsStale(t *testing.T) {
	sw := active(t, quiet(t))
	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	v := safety.View{Venue: "sim", Asked: time.Now(), Positions: []andon.Position{position("10")}}
	p, err := enter(sw, reduceOnly(stopOrder("a", andon.Sell, "10")))
	require.NoError(t, err, "protection passes")
	p.Exit(safety.Accepted)
	require.ErrorIs(t, sw.Observe(v), safety.ErrStaleView, "it may have closed the leg since")
	v.Asked = time.Now()
	require.NoError(t, sw.Observe(v))
}

// A view from the future would be trusted for ever.
func TestLaw1_AViewFromTheFutureIsRefused(t *testing.T) {
	sw := open(t, quiet(t))
	require.ErrorContains(t, sw.Observe(safety.View{Venue: "sim", Asked: time.Now().Add(time.Hour)}), "clocks is wrong")
}

// While the state cannot be saved the gate is never open, not between two failures
// that read differently either.
func TestLaw1_FailedSavesNeverOpenTheGate(t *testing.T) {
	store := &memoryStore{}
	cfg := inMemory()
	cfg.Store = store
	sw := active(t, cfg)
	var n atomic.Int64
	store.failWith(func() error { return fmt.Errorf("disk error %d", n.Add(1)) })
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		opened := 0
		for {
			select {
			case <-stop:
				done <- opened
				return
			default:
			}
			if n.Load() > 1 && sw.State() == safety.Active {
				opened++
			}
		}
	}()
	for range 300 {
		// Each refused resume is one more save that fails.
		require.ErrorIs(t, sw.Resume(t.Context(), "alice", "try", sw.Status().Holds), safety.ErrResumeRefused)
	}
	close(stop)
	require.Zero(t, <-done)
	store.failWith(nil)
	_, err := sw.Halt(t.Context(), "bob", "the disk is back")
	require.NoError(t, err)
}

// A log that blocks holds nothing up.
func TestLaw11_ALogThatBlocksDoesNotHoldUpTheStop(t *testing.T) {
	cfg := quiet(t)
	release := make(chan struct{})
	h := &blockingLog{release: release}
	cfg.Log = slog.New(h)
	sw := active(t, cfg)
	h.block.Store(true)
	halted := make(chan error, 1)
	go func() {
		_, err := sw.Halt(t.Context(), "bob", "drill")
		halted <- err
	}()
	blocked := true
	select {
	case err := <-halted:
		require.NoError(t, err)
		require.Error(t, sw.Check())
		blocked = false
	case <-time.After(20 * time.Second): // not a measure: it would wait for ever
	}
	h.block.Store(false)
	close(release)
	require.False(t, blocked, "the stop waits for the log")
}

type blockingLog struct {
	slog.Handler
	block   atomic.Bool
	release chan struct{}
}

func (h *blockingLog) Enabled(context.Context, slog.Level) bool { return true }
func (h *blockingLog) Handle(context.Context, slog.Record) error {
	if h.block.Load() {
		<-h.release
	}
	return nil
}

// What holds trading because nothing is known holds writes too: the flag that held
// them may be what was lost.
func TestLaw1_WritesAreHeldWhileNothingIsKnown(t *testing.T) {
	cfg := quiet(t)
	sw := open(t, cfg)
	require.ErrorIs(t, sw.CheckWrite(), safety.ErrDenied, "no state, and nobody listens")
	stop := run(t, sw)
	require.ErrorIs(t, sw.CheckWrite(), safety.ErrDenied, "no state")
	resume(t, sw)
	require.NoError(t, sw.CheckWrite())
	stop()
	require.ErrorIs(t, sw.CheckWrite(), safety.ErrDenied, "nobody listens")
	run(t, sw)
	require.NoError(t, sw.CheckWrite())
	require.NoError(t, sw.Close())
	require.ErrorIs(t, sw.CheckWrite(), safety.ErrDenied, "closed")
}

// An error that says both is the uncertain one.
func TestLaw6_UnknownWinsOverRejected(t *testing.T) {
	sw := active(t, quiet(t))
	tr := &trader{
		submit: func(andon.Order) (andon.Order, error) {
			return andon.Order{}, errors.Join(andon.ErrOutcomeUnknown, andon.ErrRejected)
		},
		lookup: func(string) (andon.Order, error) { return andon.Order{}, andon.ErrOrderNotFound },
	}
	_, err := sw.Submit(t.Context(), tr, order("a", andon.Buy, "1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.Equal(t, []string{"a"}, sw.Status().Unresolved)
}

// A value that is no outcome is not known.
func TestLaw6_AnOutcomeThatIsNoneIsUnknown(t *testing.T) {
	sw := active(t, quiet(t))
	p, err := enter(sw, order("a", andon.Buy, "1"))
	require.NoError(t, err)
	p.Exit(safety.Outcome(9))
	require.Equal(t, []string{"a"}, sw.Status().Unresolved)
}

// Trading that is resumed while a halt waits does not make its orders settled.
func TestLaw2_AResumeDuringTheDrainHidesNothing(t *testing.T) {
	sw := active(t, quiet(t))
	p, err := enter(sw, order("slow", andon.Buy, "1"))
	require.NoError(t, err)
	reports := make(chan safety.Report, 1)
	go func() {
		r, err := sw.Halt(context.Background(), "bob", "drill")
		if err != nil {
			r.InFlight = []string{err.Error()}
		}
		reports <- r
	}()
	eventually(t, func() bool { return sw.State() == safety.Halted && sw.Status().Durable }, "halted")
	resume(t, sw)
	other, err := enter(sw, order("other", andon.Buy, "1"))
	require.NoError(t, err)
	other.Exit(safety.Refused)
	sw.Engage("carol", "again") //nolint:errcheck // always nil
	p.Exit(safety.Accepted)
	r := <-reports
	require.Subset(t, []string{"slow"}, r.InFlight)
}

// A thousand pulls with a thousand reasons leave a state that can be read back.
func TestLaw3_ManyHoldsStayReadable(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	for i := range 1000 {
		require.NoError(t, sw.Reduce("bob", fmt.Sprint(i, strings.Repeat(" very slow", 1000))))
	}
	_, err := sw.Drain(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, len(lasting(sw)), 16)
	require.NoError(t, sw.Close())
	again := open(t, cfg)
	require.Equal(t, lasting(sw)[0].Reason, lasting(again)[0].Reason)
	require.Contains(t, lasting(again)[len(lasting(again))-1].Reason, "999")
}
