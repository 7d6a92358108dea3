package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/severity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timeline is an Incidents in memory that can be told to fail, or to die: from its nth
// append on nothing is recorded, as for a process that is gone.
type timeline struct {
	mu     sync.Mutex
	events []incident.Event
	fail   func(e incident.Event) error
	dieAt  int
	n      int
}

var errDead = errors.New("this process is dead")

func (t *timeline) Append(ctx context.Context, number string, e incident.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if t.dieAt > 0 && t.n >= t.dieAt {
		return errDead
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if strings.TrimSpace(e.By) == "" || strings.TrimSpace(e.Why) == "" {
		return incident.ErrUnnamed
	}
	if t.fail != nil {
		if err := t.fail(e); err != nil {
			if errors.Is(err, incident.ErrRecordUnknown) {
				t.events = append(t.events, e)
			}
			return err
		}
	}
	run := *e.Data.Run // as if read from a store
	e.Data.Run = &run
	t.events = append(t.events, e)
	return nil
}

func (t *timeline) Timeline(context.Context, string) ([]incident.Event, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events), nil
}

func (t *timeline) kinds() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, e := range t.events {
		out = append(out, strings.TrimSpace(string(e.Kind)+" "+e.Data.Run.Step))
	}
	return out
}

func engine(t testing.TB, in runbook.Incidents, books ...runbook.Runbook) (e *runbook.Engine, stop func()) {
	t.Helper()
	e, err := runbook.New(t.Context(), runbook.Config{Incidents: in, Runbooks: books, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	t.Cleanup(stop)
	return e, stop
}

func start(t testing.TB, e *runbook.Engine) string {
	t.Helper()
	id, err := e.Start(t.Context(), "outage", "INC-20260301-001", "Ada", "the engine does not answer", map[string]string{"service": "engine"})
	require.NoError(t, err)
	return id
}

func does(evidence string, err error) func(context.Context, runbook.Call) (string, error) {
	return func(context.Context, runbook.Call) (string, error) { return evidence, err }
}

func step(name string) runbook.Step {
	return runbook.Step{Name: name, Purpose: "it is needed", Do: does("did "+name, nil)}
}

func book(steps ...runbook.Step) runbook.Runbook {
	return runbook.Runbook{Name: "outage", Steps: steps}
}

// The intent of each step is on the timeline before it is done, and its outcome after it.
func TestLaw10_IntentBeforeTheDeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &timeline{}
		check := step("check")
		check.Do = func(_ context.Context, c runbook.Call) (string, error) {
			require.Equal(t, "step-due check", tl.kinds()[len(tl.kinds())-1])
			require.Equal(t, "engine", c.Params["service"])
			require.Equal(t, "INC-20260301-001/1/check", c.Key)
			return "answers", nil
		}
		e, _ := engine(t, tl, book(step("halt"), check))
		r, err := e.Wait(t.Context(), start(t, e))
		require.NoError(t, err)
		require.Equal(t, runbook.Done, r.Status)
		require.Equal(t, []string{
			"run-started", "step-due halt", "step-done halt", "step-due check", "step-done check", "run-ended",
		}, tl.kinds())
		require.Equal(t, "answers", r.Steps[1].Evidence)
	})
}

// A step whose intent cannot be recorded does not begin; an outcome that cannot be is
// recorded later, and the step is not done again.
func TestLaw10_NothingBeginsUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &timeline{}
		var n atomic.Int32
		halt := step("halt")
		halt.Do = func(context.Context, runbook.Call) (string, error) { n.Add(1); return "", nil }
		down := true
		tl.fail = func(e incident.Event) error {
			if down && (e.Kind == runbook.Begun || e.Kind == runbook.Succeeded) {
				return incident.ErrNotRecorded
			}
			return nil
		}
		e, _ := engine(t, tl, book(halt))
		id := start(t, e)
		time.Sleep(time.Minute)
		require.Zero(t, n.Load())
		tl.mu.Lock()
		tl.fail = func(e incident.Event) error {
			if down && e.Kind == runbook.Succeeded {
				return incident.ErrNotRecorded
			}
			return nil
		}
		tl.mu.Unlock()
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, n.Load())
		tl.mu.Lock()
		down = false
		tl.mu.Unlock()
		_, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.EqualValues(t, 1, n.Load())
	})
}

// What may be on the timeline is read back before anything else is done.
func TestLaw6_ARecordWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []incident.Kind{runbook.Begun, runbook.Succeeded} {
			tl := &timeline{}
			lost := false
			tl.fail = func(e incident.Event) error {
				if e.Kind == kind && !lost {
					lost = true
					return incident.ErrRecordUnknown
				}
				return nil
			}
			n := 0
			halt := step("halt")
			halt.Do = func(context.Context, runbook.Call) (string, error) { n++; return "", nil }
			halt.Done = func(context.Context, runbook.Call) (bool, string, error) { return n > 0, "looked", nil }
			e, stop := engine(t, tl, book(halt))
			_, err := e.Wait(t.Context(), start(t, e))
			require.NoError(t, err)
			require.Equal(t, 1, n, "%s", kind)
			stop()
		}
	})
}

// A person's word whose recording had no answer counts if it is on the timeline.
func TestLaw6_AnApprovalWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &timeline{}
		tl.fail = func(e incident.Event) error {
			if e.Kind == runbook.Approved {
				return incident.ErrRecordUnknown
			}
			return nil
		}
		one := step("one")
		one.Approval = runbook.One
		e, _ := engine(t, tl, book(one))
		id := start(t, e)
		require.ErrorIs(t, e.Approve(t.Context(), id, "one", "Ada", "logs"), incident.ErrRecordUnknown)
		synctest.Wait()
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"Ada"}, r.Steps[0].Approvals)
	})
}

// world is what steps change: each counts how often it was done.
type world struct {
	mu   sync.Mutex
	did  map[string]int
	back []string
}

func (w *world) step(name string) runbook.Step {
	s := runbook.Step{Name: name, Purpose: "it is needed"}
	s.Do = func(context.Context, runbook.Call) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.did[name]++
		return "did " + name, nil
	}
	s.Done = func(context.Context, runbook.Call) (bool, string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.did[name] > 0, "found " + name, nil
	}
	s.Undo = func(context.Context, runbook.Call) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.did[name] > 0 {
			w.did[name]--
			w.back = append(w.back, name)
		}
		return "", nil
	}
	return s
}

// A process that dies before or after any record leaves a run that the next one brings to
// the same end, with no step done twice; and so for a run that is aborted.
func TestLaw6_ACrashAnywhereEndsTheSame(t *testing.T) {
	for _, abort := range []bool{false, true} {
		for dieAt := 2; dieAt < 16; dieAt++ {
			synctest.Test(t, func(t *testing.T) {
				w := &world{did: map[string]int{}}
				signoff := runbook.Step{Name: "sign", Purpose: "somebody has looked", Attest: "look"}
				b := book(w.step("a"), w.step("b"), signoff, w.step("c"))
				people := func(ctx context.Context, e *runbook.Engine, id string) {
					for range 10 {
						r, err := e.Wait(ctx, id)
						if err == nil || errors.Is(err, context.Canceled) {
							return
						}
						require.ErrorIs(t, err, runbook.ErrWaiting)
						if abort {
							err = e.Abort(t.Context(), id, "Ada", "a mistake")
						} else {
							err = e.Attest(t.Context(), id, "sign", "Grace", "seen")
						}
						if errors.Is(err, errDead) {
							return
						}
						require.NoError(t, err, "%+v", r)
					}
				}
				tl := &timeline{dieAt: dieAt}
				e, err := runbook.New(t.Context(), runbook.Config{Incidents: tl, Runbooks: []runbook.Runbook{b}, Log: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- e.Run(ctx) }()
				id := start(t, e)
				met := make(chan struct{})
				go func() { defer close(met); people(ctx, e, id) }()
				time.Sleep(10 * time.Second)
				cancel()
				<-ended
				<-met

				tl.mu.Lock()
				tl.dieAt = 0
				tl.mu.Unlock()
				e2, stop := engine(t, tl, b)
				people(t.Context(), e2, id)
				r, err := e2.Wait(t.Context(), id)
				require.NoError(t, err)
				for name, n := range w.did {
					require.LessOrEqual(t, n, 1, "%s was done twice, having died at %d", name, dieAt)
				}
				if abort {
					require.Equal(t, runbook.Over, r.Status)
					require.Equal(t, map[string]int{"a": 0, "b": 0}, w.did)
					require.Equal(t, []string{"b", "a"}, w.back, "the last first")
				} else {
					require.Equal(t, runbook.Done, r.Status)
					require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, w.did)
				}
				stop()
			})
		}
	}
}

func TestApprovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := step("one"), step("two")
		one.Approval, two.Approval = runbook.One, runbook.Two
		e, _ := engine(t, &timeline{}, book(step("first"), one, two))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		waiting, ok := errors.AsType[*runbook.WaitingError](err)
		require.True(t, ok)
		require.Contains(t, waiting.For, `step "one": 1 more to Approve: it is needed`)
		require.ErrorIs(t, e.Approve(t.Context(), id, "one", " ", "x"), incident.ErrUnnamed)
		require.ErrorIs(t, e.Approve(t.Context(), id, "first", "Ada", "x"), runbook.ErrState)
		require.ErrorIs(t, e.Approve(t.Context(), id, "none", "Ada", "x"), runbook.ErrUnknownRun)
		require.NoError(t, e.Approve(t.Context(), id, "one", "Ada", "logs"))
		_, err = e.Wait(t.Context(), id)
		require.ErrorContains(t, err, `step "two": 2 more`)
		require.NoError(t, e.Approve(t.Context(), id, "two", "Ada", "logs"))
		for _, again := range []string{"ada ", "\u00a0ADA", "A\u200bda", "Ada\u2060"} {
			require.ErrorContains(t, e.Approve(t.Context(), id, "two", again, "logs"), "another person is needed")
		}
		_, err = e.Wait(t.Context(), id)
		require.ErrorContains(t, err, `step "two": 1 more`)
		require.NoError(t, e.Approve(t.Context(), id, "two", "Grace", "logs"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"Ada", "Grace"}, r.Steps[2].Approvals)
		require.ErrorIs(t, e.Approve(t.Context(), id, "two", "Eve", "late"), runbook.ErrState)
	})
}

func TestAttest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoke := runbook.Step{Name: "revoke", Purpose: "the key is worthless", Attest: "Coinbase: Dashboard > API > Revoke All Keys", Approval: runbook.One}
		e, _ := engine(t, &timeline{}, book(revoke, step("after")))
		id := start(t, e)
		require.ErrorIs(t, e.Attest(t.Context(), id, "revoke", "Ada", "done"), runbook.ErrState, "not approved yet")
		require.NoError(t, e.Approve(t.Context(), id, "revoke", "Grace", "breach"))
		_, err := e.Wait(t.Context(), id)
		require.ErrorContains(t, err, "Dashboard > API")
		require.ErrorIs(t, e.Attest(t.Context(), id, "after", "Ada", "done"), runbook.ErrState)
		require.NoError(t, e.Attest(t.Context(), id, "revoke", "Ada", "screenshot 7"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "screenshot 7", r.Steps[0].Evidence)
	})
}

func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		flaky := step("flaky")
		flaky.Tries, flaky.Pause = 3, time.Minute
		flaky.Do = func(context.Context, runbook.Call) (string, error) {
			if n++; n%4 != 0 {
				return "", errors.New("refused")
			}
			return "at last", nil
		}
		began := time.Now()
		e, _ := engine(t, &timeline{}, book(flaky))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		require.ErrorContains(t, err, `step "flaky" has failed: Retry, Skip or Abort`)
		require.Equal(t, 3, n)
		require.Equal(t, 2*time.Minute, time.Since(began))
		require.ErrorIs(t, e.Attest(t.Context(), id, "flaky", "Ada", "I say so"), runbook.ErrState, "a failure is no doubt")
		require.NoError(t, e.Retry(t.Context(), id, "flaky", "Ada", "network is back"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "at last", r.Steps[0].Evidence)
	})
}

func TestSkipAndGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, may := step("bad"), step("may")
		bad.Do, may.Do, may.GoOn = does("", errors.New("no")), does("", errors.New("no")), true
		e, _ := engine(t, &timeline{}, book(may, bad, step("last")))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		require.ErrorContains(t, err, `step "bad"`)
		require.ErrorIs(t, e.Skip(t.Context(), id, "last", "Ada", "x"), runbook.ErrState)
		require.NoError(t, e.Skip(t.Context(), id, "bad", "Ada", "not needed today"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []runbook.Status{runbook.Broken, runbook.Skip, runbook.Done}, []runbook.Status{r.Steps[0].Status, r.Steps[1].Status, r.Steps[2].Status})
	})
}

// A step that hangs, panics or cannot say is looked up; where nobody can look, a person
// says.
func TestLaw6_AnUnknownOutcomeIsLookedUp(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(context.Context, runbook.Call) (string, error)
		done func(n int) (bool, error) // at the nth look
		want func(t *testing.T, e *runbook.Engine, id string, r runbook.Run, err error)
	}{
		"times out, found done": {
			do:   func(ctx context.Context, _ runbook.Call) (string, error) { <-ctx.Done(); return "", ctx.Err() },
			done: func(int) (bool, error) { return true, nil },
			want: func(t *testing.T, _ *runbook.Engine, _ string, r runbook.Run, err error) {
				require.NoError(t, err)
				require.Equal(t, "found", r.Steps[0].Evidence)
			},
		},
		"panics, found not done": {
			do:   func(context.Context, runbook.Call) (string, error) { panic("a nil map") },
			done: func(int) (bool, error) { return false, nil },
			want: func(t *testing.T, _ *runbook.Engine, _ string, _ runbook.Run, err error) {
				require.ErrorContains(t, err, "has failed")
			},
		},
		"cannot be looked up for a while": {
			do: does("", runbook.ErrOutcomeUnknown),
			done: func(n int) (bool, error) {
				if n < 4 {
					return false, errors.New("engine is down")
				}
				return true, nil
			},
			want: func(t *testing.T, _ *runbook.Engine, _ string, r runbook.Run, err error) {
				require.NoError(t, err)
				require.Equal(t, runbook.Done, r.Steps[0].Status)
			},
		},
		"can never be looked up": {
			do:   does("", runbook.ErrOutcomeUnknown),
			done: func(int) (bool, error) { return false, errors.New("engine is down") },
			want: func(t *testing.T, e *runbook.Engine, id string, _ runbook.Run, err error) {
				require.ErrorContains(t, err, "nobody knows whether it was done")
				require.NoError(t, e.Attest(t.Context(), id, "a", "Ada", "I have seen it"))
				_, err = e.Wait(t.Context(), id)
				require.NoError(t, err)
			},
		},
		"nobody can look": {
			do: does("", fmt.Errorf("reset: %w", runbook.ErrOutcomeUnknown)),
			want: func(t *testing.T, e *runbook.Engine, id string, _ runbook.Run, err error) {
				require.ErrorContains(t, err, "nobody knows whether it was done")
				require.NoError(t, e.Retry(t.Context(), id, "a", "Ada", "it was not"))
				_, err = e.Wait(t.Context(), id)
				require.ErrorContains(t, err, "nobody knows", "once more")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := runbook.Step{Name: "a", Purpose: "it is needed", Do: tc.do}
				looks := 0
				if tc.done != nil {
					s.Done = func(context.Context, runbook.Call) (bool, string, error) {
						looks++
						done, err := tc.done(looks)
						return done, "found", err
					}
				}
				e, _ := engine(t, &timeline{}, book(s))
				id := start(t, e)
				r, err := e.Wait(t.Context(), id)
				tc.want(t, e, id, r, err)
			})
		})
	}
}

// A step that heeds nothing does not keep the run, nor its abortion.
func TestAbort_AStepThatHeedsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := &world{did: map[string]int{}}
		deaf := runbook.Step{Name: "deaf", Purpose: "x", Timeout: time.Hour, Do: func(context.Context, runbook.Call) (string, error) { <-release; return "", nil }}
		e, _ := engine(t, &timeline{}, book(w.step("a"), deaf))
		defer close(release)
		id := start(t, e)
		time.Sleep(time.Minute)
		require.NoError(t, e.Abort(t.Context(), id, "Ada", "too slow"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, runbook.Over, r.Status)
		require.Equal(t, []string{"a"}, w.back)
		require.ErrorIs(t, e.Abort(t.Context(), id, "Ada", "twice"), runbook.ErrState)
	})
}

func TestAbort_WhatCannotBeUndoneIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{did: map[string]int{}}
		bad := w.step("b")
		bad.Undo = does("", errors.New("gone"))
		e, _ := engine(t, &timeline{}, book(w.step("a"), bad, runbook.Step{Name: "sign", Purpose: "x", Attest: "sign"}))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		require.NoError(t, e.Abort(t.Context(), id, "Ada", "a mistake"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, runbook.Stuck, r.Steps[1].Status)
		require.Equal(t, "gone", r.Steps[1].Error)
		require.Equal(t, runbook.Back, r.Steps[0].Status)
	})
}

// A run is not taken up by other steps than it was started with.
func TestNew_AnotherVersionOfTheRunbook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &timeline{}
		sign := runbook.Step{Name: "sign", Purpose: "x", Attest: "sign"}
		e, stop := engine(t, tl, book(sign, step("a")))
		id := start(t, e)
		_, err := e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		stop()
		e, _ = engine(t, tl, book(sign, step("other")))
		_, err = e.Wait(t.Context(), id)
		require.ErrorContains(t, err, "is not the one that the run was started with")
		require.ErrorIs(t, e.Attest(t.Context(), id, "sign", "Ada", "done"), runbook.ErrState)
		require.NoError(t, e.Abort(t.Context(), id, "Ada", "old"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, runbook.Over, r.Status)
	})
}

// Plan performs nothing: nothing is recorded and no step is done.
func TestPlan_PerformsNothing(t *testing.T) {
	tl := &timeline{}
	w := &world{did: map[string]int{}}
	a, b := w.step("a"), w.step("b")
	a.Plan = func(_ context.Context, c runbook.Call) (string, error) {
		return "would restart " + c.Params["service"], nil
	}
	b.Plan = func(context.Context, runbook.Call) (string, error) { panic("a bug") }
	e, err := runbook.New(t.Context(), runbook.Config{Incidents: tl, Runbooks: []runbook.Runbook{book(a, b, runbook.Step{Name: "c", Purpose: "x", Attest: "call the bank", Approval: runbook.Two})}})
	require.NoError(t, err)
	plan, err := e.Plan(t.Context(), "outage", "INC-20260301-001", "Ada", map[string]string{"service": "engine"})
	require.NoError(t, err)
	require.Equal(t, "would restart engine", plan[0].Plan)
	require.ErrorContains(t, plan[1].Err, "a bug")
	require.Equal(t, "call the bank", plan[2].Plan)
	require.Empty(t, tl.kinds())
	require.Empty(t, w.did)
	_, err = e.Plan(t.Context(), "none", "", "", nil)
	require.ErrorIs(t, err, runbook.ErrUnknownRun)
}

// With the manager, on whose timeline a run stands.
func TestEngine_WithAManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := incidenttest.NewManager(t)
		in, err := m.Declare(t.Context(), "test", "x", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine", At: time.Now(), Source: "test"})
		require.NoError(t, err)
		b := book(step("halt"), runbook.Step{Name: "revoke", Purpose: "x", Attest: "do it"})
		e, stop := engine(t, m, b)
		_, err = e.Start(t.Context(), "outage", "INC-20990101-001", "Ada", "x", nil)
		require.ErrorIs(t, err, incident.ErrUnknown)
		_, err = e.Start(t.Context(), "outage", in.Number, "", "x", nil)
		require.ErrorIs(t, err, incident.ErrUnnamed)
		_, err = e.Start(t.Context(), "none", in.Number, "Ada", "x", nil)
		require.ErrorContains(t, err, `want one of ["outage"]`)
		id, err := e.Start(t.Context(), "outage", in.Number, "Ada", "the engine is down", nil)
		require.NoError(t, err)
		_, err = e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		stop()
		e, _ = engine(t, m, b) // as after a restart
		require.Len(t, e.All(), 1)
		require.NoError(t, e.Attest(t.Context(), id, "revoke", "Grace", "seen"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, runbook.Done, r.Status)
		got, err := e.Get(id)
		require.NoError(t, err)
		require.Equal(t, r, got)
		events, err := m.Timeline(t.Context(), in.Number)
		require.NoError(t, err)
		n := 0
		for _, ev := range events {
			if ev.Data.Run != nil && ev.Data.Run.ID == id {
				n++
			}
		}
		require.Equal(t, 5, n)
		require.ErrorIs(t, m.Append(t.Context(), in.Number, incident.Event{Kind: incident.Resolved, By: "x", What: "x", Why: "x"}), incident.ErrEvent)
	})
}

func TestNew_RefusesWhatCannotBeMeant(t *testing.T) {
	both := step("both")
	both.Attest = "x"
	person := runbook.Step{Name: "person", Purpose: "x", Attest: "x", Again: true}
	_, err := runbook.New(t.Context(), runbook.Config{Runbooks: []runbook.Runbook{
		{}, book(step("a"), step("a"), both, person, runbook.Step{Name: "n"}, runbook.Step{Name: "m", Purpose: "x", Do: does("", nil), Approval: 7}), book(step("x")),
	}})
	for _, want := range []string{
		"Incidents is nil", "Name is empty", "Steps is empty", `Steps[1] "a": Name is empty or there twice`, `"both": it needs either Do or Attest`,
		`"person": a person does it`, `"n": Purpose is empty`, `"m": Approval, Timeout, Tries, Pause are 7`, `"outage" is there twice`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = runbook.New(t.Context(), runbook.Config{Incidents: &timeline{}})
	require.ErrorContains(t, err, "Runbooks is empty")
}
