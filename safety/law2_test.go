package safety_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// law2Rounds is how often Halt is called on a switch under fire.
const law2Rounds = 10_000

// 64 goroutines submit while Halt is called. After it has returned nothing enters,
// and what had entered has exited or is named.
func TestLaw2_NothingEntersAfterHaltHasReturned(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*safety.Config)
		view   bool
	}{
		{"nothing to derive", func(*safety.Config) {}, false},
		{"orders are kept", func(*safety.Config) {}, true},
		{"with a limit", func(c *safety.Config) {
			c.MaxPosition = map[string]andon.Decimal{"BTC": dec("1000000")}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := quiet(t)
			cfg.Dir, cfg.Store = "", &memoryStore{} // the disk is law 3's
			c.change(&cfg)
			sw := open(t, cfg)
			run(t, sw)
			if c.view {
				observe(t, sw, nil)
			}
			rounds := law2Rounds
			if testing.Short() {
				rounds /= 10
			}
			underFire(t, sw, rounds, c.view)
		})
	}
}

func underFire(t *testing.T, sw *safety.Switch, rounds int, view bool) {
	const traders = 64
	var (
		closed atomic.Uint64 // the round whose Halt has returned
		round  atomic.Uint64
		late   atomic.Pointer[string]
		passed atomic.Uint64
		ids    atomic.Uint64
		stop   = make(chan struct{})
		wg     sync.WaitGroup
	)
	for range traders {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				o := order("t"+strconv.FormatUint(ids.Add(1), 10), andon.Buy, "0.001")
				p, err := sw.Enter(&o)
				if err != nil {
					time.Sleep(500 * time.Microsecond) // leave the cores to Halt
					continue
				}
				passed.Add(1)
				// This order is past the gate. If the Halt of this round has returned, it
				// had to wait for the order, or to name it: neither happened.
				check := func() {
					if closed.Load() == round.Load() {
						late.CompareAndSwap(nil, &o.ClientID)
					}
				}
				check()
				runtime.Gosched() // the venue's time, in which Halt gets its turn
				check()
				p.Exit(safety.Accepted)
			}
		})
	}
	for n := uint64(1); n <= uint64(rounds); n++ {
		round.Store(n)
		resume(t, sw)
		if view {
			observe(t, sw, nil)
		}
		for until := passed.Load() + 8; passed.Load() < until; {
			time.Sleep(time.Microsecond)
		}
		r, err := sw.Halt(t.Context(), "bob", fmt.Sprintf("round %d", n))
		closed.Store(n)
		require.NoError(t, err)
		require.Empty(t, r.InFlight, "every order exits")
		require.Error(t, sw.Check())
		if l := late.Load(); l != nil {
			require.Failf(t, "past the gate after Halt had returned, and not named", "%s in round %d", *l, n)
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d rounds, %d orders passed", rounds, passed.Load())
}

// An order that does not settle is named, by Halt and by Drain, until it does.
func TestLaw2_WhatIsStillInFlightIsNamed(t *testing.T) {
	for _, view := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", view), func(t *testing.T) {
			cfg := quiet(t)
			cfg.DrainWithin = 20 * time.Millisecond
			sw := active(t, cfg)
			if view {
				observe(t, sw, nil)
			}
			slow, err := enter(sw, order("slow", andon.Buy, "1"))
			require.NoError(t, err)
			lost, err := enter(sw, order("lost", andon.Buy, "1"))
			require.NoError(t, err)
			lost.Exit(safety.OutcomeUnknown)
			done, err := enter(sw, order("done", andon.Buy, "1"))
			require.NoError(t, err)
			done.Exit(safety.Accepted)

			r, err := sw.Halt(t.Context(), "bob", "drill")
			require.NoError(t, err)
			require.Equal(t, []string{"lost", "slow"}, r.InFlight)
			require.Zero(t, r.Drained)
			require.Equal(t, 2, sw.Status().InFlight)
			require.Equal(t, []string{"lost"}, sw.Status().Unresolved)

			slow.Exit(safety.Accepted)
			slow.Exit(safety.OutcomeUnknown) // the first call counts
			names, err := sw.Drain(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{"lost"}, names, "a timeout is not a refusal")
		})
	}
}

// More orders in flight than there are slots are all counted and all named.
func TestLaw2_ManyInFlightAreAllNamed(t *testing.T) {
	cfg := quiet(t)
	cfg.DrainWithin = 20 * time.Millisecond
	sw := active(t, cfg)
	var want []string
	var permits []safety.Permit
	for i := range 1000 {
		id := fmt.Sprintf("o%04d", i)
		p, err := enter(sw, order(id, andon.Buy, "1"))
		require.NoError(t, err)
		permits, want = append(permits, p), append(want, id)
	}
	r, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	require.Equal(t, want, r.InFlight)
	for _, p := range permits {
		p.Exit(safety.Refused)
	}
	names, err := sw.Drain(t.Context())
	require.NoError(t, err)
	require.Empty(t, names)
}

// Exits of the first and of later uses of a permit's place do not mix.
func TestPermitExitsOnce(t *testing.T) {
	sw := active(t, quiet(t))
	first, err := enter(sw, order("first", andon.Buy, "1"))
	require.NoError(t, err)
	first.Exit(safety.Accepted)
	second, err := enter(sw, order("second", andon.Buy, "1"))
	require.NoError(t, err)
	first.Exit(safety.Accepted)
	first.Exit(safety.OutcomeUnknown)
	require.Equal(t, 1, sw.Status().InFlight, "second is in flight still")
	require.Empty(t, sw.Status().Unresolved)
	second.Exit(safety.Refused)
	require.Zero(t, sw.Status().InFlight)
	safety.Permit{}.Exit(safety.Accepted) // no permit, nothing happens
}
