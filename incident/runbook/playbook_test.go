package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/safety"
)

// Plan performs nothing: the world is the same before and after, for all eight.
func TestLaw9_PlanChangesNothing(t *testing.T) {
	w := newWorld(t)
	books, err := runbook.Playbook(w.deps())
	require.NoError(t, err)
	tl := &timeline{}
	e, _ := engine(t, tl, books...)
	before := w.seen(t)
	for _, b := range books {
		plan, err := e.Plan(t.Context(), b.Name, "INC-20260301-001", "Ada", nil)
		require.NoError(t, err)
		require.Len(t, plan, len(b.Steps))
		for _, p := range plan {
			require.NoError(t, p.Err, "%s: %s", b.Name, p.Step)
			require.Equal(t, before, w.seen(t), "%s: %s", b.Name, p.Step)
		}
	}
	require.Empty(t, tl.kinds(), "and nothing is recorded")
}

// Each runbook runs to its end, and what it changes is what the document says, in order.
func TestRunbooksChangeWhatTheDocumentSays(t *testing.T) {
	perf := "set map[performance.batch_size:100 performance.db_connection_pool:20 performance.indicator_cache_ttl:300 performance.parallel_workers:4 performance.websocket_buffer_size:10000]"
	for name, tc := range map[string]struct {
		skip  []string
		want  []string
		state safety.TradingState
	}{
		"Service Outage":  {skip: []string{"rollback"}, state: safety.Halted, want: []string{"alert", "channel", "status-page", "restart", "up"}},
		"Data Corruption": {state: safety.Reducing, want: []string{"backup", "export to corrupted_data.json", "restore good approved by Grace and Linus"}},
		"Security Breach": {skip: []string{"close-all"}, state: safety.Halted, want: []string{
			"seal", "block", "down", "rotate coinbase", "set map[SECURITY__ENABLE_2FA:true]", "set map[SECURITY__IP_WHITELIST:192.0.2.1]",
			"deploy main approved by Grace", "secure-restore  approved by Grace and Linus", "up",
		}},
		"Performance Degradation": {state: safety.Active, want: []string{
			"set map[TRADING__MIN_TIME_BETWEEN_TRADES:300]", "set map[MCP_ENABLED:false MONITORING__DETAILED_METRICS:false]", "set map[RISK__MAX_POSITION_SIZE:0.1]",
			"flush", "vacuum", "set map[DOCKER_CPUS:2 DOCKER_MEMORY:4g]", "limits 4g 2", "restart", perf,
		}},
		"Exchange API Authentication Failure": {state: safety.Active, want: []string{"rotate coinbase"}},
		"Memory/Database Issues":              {state: safety.Active, want: []string{"clear-cache", "restart", "rebuild"}},
		"WebSocket Disconnection":             {state: safety.Active, want: []string{"SIGUSR1", "set map[EXCHANGE__WEBSOCKET_PING_INTERVAL:20 EXCHANGE__WEBSOCKET_TIMEOUT:60]"}},
		"High CPU/Memory Usage":               {state: safety.Active, want: []string{"limits 4g 2", "restart", "prune approved by Grace and Linus"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := run(t, w.deps(), name, nil, tc.skip...)
			require.Equal(t, runbook.Done, r.Status)
			for _, s := range r.Steps {
				require.Contains(t, []runbook.Status{runbook.Done, runbook.Skip}, s.Status, "%s: %s", s.Name, s.Error)
			}
			require.Equal(t, tc.want, w.changes)
			require.Equal(t, tc.state, w.sw.State())
		})
	}
}

// A position without a stop gets one before anything else of a breach; without that, and
// where the venue does not answer, no key is revoked and nothing is stopped.
func TestLaw5_BreachWaitsWhileAPositionIsOpenUnprotected(t *testing.T) {
	w := newWorld(t)
	r := run(t, w.deps(), "Security Breach", nil, "close-all")
	require.Equal(t, runbook.Done, r.Status)
	report, err := safety.ReadProtection(t.Context(), w.venue, safety.Requirements{}, time.Now())
	require.NoError(t, err)
	require.True(t, report.Protected(), "%v", report)

	for name, spoil := range map[string]func(w *botWorld, d *runbook.Deps){
		"no stop is placed":         func(_ *botWorld, d *runbook.Deps) { d.Protection = safety.ProtectionPolicy{} },
		"the venue does not answer": func(w *botWorld, _ *runbook.Deps) { w.venue.Down(errors.New("no answer")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.deps()
			spoil(w, &d)
			books, err := runbook.Playbook(d)
			require.NoError(t, err)
			for i, s := range books[6].Steps {
				if s.Name == "safe" {
					books[6].Steps[i].Tries = 1
				}
			}
			e, _ := engine(t, &timeline{}, books...)
			id, err := e.Start(t.Context(), "Security Breach", "INC-20260301-001", "Ada", "keys are on the net", nil)
			require.NoError(t, err)
			for _, s := range []string{"protect", "close-all"} {
				r, err := e.Wait(t.Context(), id)
				require.ErrorIs(t, err, runbook.ErrWaiting)
				if r.Steps[1].Status == runbook.Waiting || s == "close-all" {
					require.NoError(t, e.Skip(t.Context(), id, s, "Ada", "it is not possible"))
				}
			}
			r, err := e.Wait(t.Context(), id)
			require.ErrorIs(t, err, runbook.ErrWaiting)
			require.Contains(t, r.For, `step "safe" has failed`)
			require.Empty(t, w.changes, "nothing is sealed, blocked, revoked or stopped")
			require.Equal(t, safety.Halted, w.sw.State())
		})
	}
}

// Close-all closes, with the word of the two who approved it.
func TestBreachClosesAll(t *testing.T) {
	w := newWorld(t)
	r := run(t, w.deps(), "Security Breach", nil)
	require.Equal(t, runbook.Done, r.Status)
	flat, err := safety.ReadFlat(t.Context(), w.venue)
	require.NoError(t, err)
	require.True(t, flat.Flat, "%v", flat)
}

// An allow list that would cut the bot from its positions refuses the plan, and the step.
func TestIsolationIsRefusedWithTheAllowList(t *testing.T) {
	w := newWorld(t)
	w.cut = errors.New("the allow list has no venue")
	books, err := runbook.Playbook(w.deps())
	require.NoError(t, err)
	e, _ := engine(t, &timeline{}, books...)
	plan, err := e.Plan(t.Context(), "Security Breach", "INC-20260301-001", "Ada", nil)
	require.NoError(t, err)
	for _, p := range plan {
		if p.Step == "isolate" {
			require.ErrorIs(t, p.Err, w.cut)
		}
	}
	id, err := e.Start(t.Context(), "Security Breach", "INC-20260301-001", "Ada", "keys are on the net", nil)
	require.NoError(t, err)
	for {
		r, err := e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		if r.For == `step "isolate" has failed: Retry, Skip or Abort` {
			break
		}
		decide(t, e, r, r.For, []string{"close-all"})
	}
	require.Equal(t, []string{"seal"}, w.changes, "nothing is blocked, and nothing after it is done")
}

// Where the graceful restart does not help, the forced one is offered; where it did, the
// forced one is not needed, approved or not.
func TestForceRestartOnlyIfNeeded(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		w := newWorld(t)
		w.stuck = stuck
		r := run(t, w.deps(), "Service Outage", nil)
		require.Equal(t, runbook.Done, r.Status)
		if stuck {
			require.Contains(t, w.changes, "force-restart")
		} else {
			require.NotContains(t, w.changes, "force-restart")
		}
		require.Contains(t, w.changes, "deploy stable-latest approved by Grace")
	}
}

// A rollback goes to the version that was named.
func TestRollbackGoesWhereItIsTold(t *testing.T) {
	w := newWorld(t)
	run(t, w.deps(), "Service Outage", map[string]string{runbook.Revision: "abc123"})
	require.Contains(t, w.changes, "deploy abc123 approved by Grace")
}

// What an aborted run has changed is put back: the limits that were found, the settings.
func TestAbortTakesBackTheLimits(t *testing.T) {
	w := newWorld(t)
	w.limits = runbook.Resources{Memory: "2g", CPUs: "1"}
	books, err := runbook.Playbook(w.deps())
	require.NoError(t, err)
	e, _ := engine(t, &timeline{}, books...)
	id, err := e.Start(t.Context(), "High CPU/Memory Usage", "INC-20260301-001", "Ada", "it is slow", nil)
	require.NoError(t, err)
	_, err = e.Wait(t.Context(), id)
	require.ErrorIs(t, err, runbook.ErrWaiting)
	require.NoError(t, e.Approve(t.Context(), id, "limits", "Grace", "it needs more"))
	_, err = e.Wait(t.Context(), id)
	require.ErrorIs(t, err, runbook.ErrWaiting)
	require.Equal(t, runbook.Resources{Memory: "4g", CPUs: "2"}, w.limits)
	require.NoError(t, e.Abort(t.Context(), id, "Ada", "it was something else"))
	r, err := e.Wait(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, runbook.Over, r.Status)
	require.Equal(t, runbook.Resources{Memory: "2g", CPUs: "1"}, w.limits)
}

// The immediate actions that come too late are on record as late.
func TestImmediateActionsInTime(t *testing.T) {
	for name, most := range map[string]time.Duration{"Service Outage": 5 * time.Minute, "Data Corruption": 10 * time.Minute, "Security Breach": 5 * time.Minute, "Performance Degradation": 15 * time.Minute} {
		books, err := runbook.Playbook(runbook.Deps{})
		require.NoError(t, err)
		for _, b := range books {
			for _, s := range b.Steps {
				if b.Name != name || s.Name != "in-time" {
					continue
				}
				now := time.Now()
				_, err := s.Do(t.Context(), runbook.Call{Began: now, Since: now.Add(most - time.Second)})
				require.NoError(t, err, name)
				_, err = s.Do(t.Context(), runbook.Call{Began: now, Since: now.Add(most)})
				require.ErrorContains(t, err, "took", name)
				require.True(t, s.GoOn)
			}
		}
	}
}

// watch is a runbook of the watch alone, over a bot whose health is look.
func watchOf(t *testing.T, look runbook.Look) runbook.Runbook {
	t.Helper()
	b := runbook.ServiceOutage(runbook.Deps{Bot: runbook.Bot{Health: look}})
	for _, s := range b.Steps {
		if s.Name == "watch" {
			return runbook.Runbook{Name: "outage", Steps: []runbook.Step{s}}
		}
	}
	t.Fatal("no watch")
	return runbook.Runbook{}
}

// The watch looks at once and every 30 s for 15 minutes.
func TestWatchLooksEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		e, _ := engine(t, &timeline{}, watchOf(t, func(context.Context) (string, error) { at = append(at, time.Since(began)); return "well", nil }))
		r, err := e.Wait(t.Context(), start(t, e))
		require.NoError(t, err)
		require.Len(t, at, 31)
		for i, d := range at {
			require.Equal(t, time.Duration(i)*30*time.Second, d)
		}
		require.Equal(t, "all was well for 15m0s in 31 looks", r.Steps[0].Evidence)
		require.Len(t, r.Steps[0].Notes, 31)
	})
}

// The first bad look ends it at once, and the error says which it was.
func TestWatchEndsAtTheFirstBadLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		bad := errors.New("the engine does not answer")
		e, _ := engine(t, &timeline{}, watchOf(t, func(context.Context) (string, error) {
			if n++; n == 4 {
				return "", bad
			}
			return "well", nil
		}))
		began := time.Now()
		r, err := e.Wait(t.Context(), start(t, e))
		require.ErrorIs(t, err, runbook.ErrWaiting)
		require.Equal(t, 90*time.Second, time.Since(began))
		require.Equal(t, runbook.Broken, r.Steps[0].Status)
		require.Equal(t, "look 4 of the watch, after 1m30s of 15m0s: the engine does not answer", r.Steps[0].Error)
	})
}

// After a crash the watch goes on with the time still to go: what was watched counts, and
// the time that nobody looked does not.
func TestWatchGoesOnAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		look := func(context.Context) (string, error) { n++; return fmt.Sprint("well ", n), nil }
		tl := &timeline{}
		e, stop := engine(t, tl, watchOf(t, look))
		id := start(t, e)
		time.Sleep(5*time.Minute + 10*time.Second)
		synctest.Wait()
		require.Equal(t, 11, n)
		stop()
		time.Sleep(time.Hour)
		e, _ = engine(t, tl, watchOf(t, look))
		began := time.Now()
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, 10*time.Minute, time.Since(began))
		require.Equal(t, 32, n, "one look more than without the crash")
		require.Equal(t, "all was well for 15m0s in 32 looks", r.Steps[0].Evidence)
	})
}

// After a bad look that was mended the watch begins at the beginning.
func TestWatchBeginsAnewAfterABadLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		e, _ := engine(t, &timeline{}, watchOf(t, func(context.Context) (string, error) {
			if n++; n == 20 {
				return "", errors.New("it is down")
			}
			return "well", nil
		}))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		began := time.Now()
		require.NoError(t, e.Retry(t.Context(), id, "watch", "Ada", "it was mended"))
		_, err = e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, 15*time.Minute, time.Since(began))
	})
}

// What Deps cannot mean is refused, by field.
func TestDepsAreChecked(t *testing.T) {
	_, err := runbook.Playbook(runbook.Deps{
		WatchFor: time.Second, WatchEvery: time.Minute, Venues: map[string]andon.Venue{"x": nil}, Books: map[string]runbook.Reconciler{"y": nil},
		Protection: safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05")},
	})
	for _, want := range []string{"WatchFor", `Venues["x"] is nil`, `Books["y"] is nil`, "Protection"} {
		require.ErrorContains(t, err, want)
	}
}

// A flag that nobody hears is no hold: the step fails, and does not say that writes are
// held.
func TestReadOnlyIsHeardOrFails(t *testing.T) {
	w := newWorld(t)
	d := w.deps()
	d.ReadOnlyFlag = filepath.Join(t.TempDir(), "ELSEWHERE") // which the switch does not watch
	for _, s := range runbook.DataCorruption(d).Steps {
		if s.Name != "read-only" {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := s.Do(ctx, runbook.Call{})
		require.ErrorContains(t, err, "does the bot's switch watch it?")
		done, _, err := s.Done(t.Context(), runbook.Call{})
		require.NoError(t, err)
		require.False(t, done)
	}
}
