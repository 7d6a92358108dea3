package safety_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// handLease is a lease on a clock that the test sets. then, where it is set, runs once
// at the next reading of the clock, after it.
type handLease struct {
	until, now atomic.Int64
	then       atomic.Pointer[func()]
}

func (l *handLease) Until() time.Duration { return time.Duration(l.until.Load()) }

func (l *handLease) Now() time.Duration {
	now := time.Duration(l.now.Load())
	if f := l.then.Swap(nil); f != nil {
		(*f)()
	}
	return now
}

func leasedSwitch(t testing.TB, until time.Duration) (*safety.Switch, *handLease) {
	l := &handLease{}
	l.now.Store(int64(time.Hour))
	l.until.Store(int64(time.Hour + until))
	cfg := quiet(t)
	cfg.Lease = l
	sw := open(t, cfg)
	run(t, sw)
	resume(t, sw)
	return sw, l
}

func TestLaw1_WithoutALeaseNothingAddsExposure(t *testing.T) {
	sw, l := leasedSwitch(t, -time.Hour)
	l.until.Store(0)
	denied := func(why string) {
		t.Helper()
		require.Equal(t, safety.Reducing, sw.State(), why)
		require.Equal(t, safety.Reducing, sw.Status().State, why)
		require.ErrorIs(t, sw.Check(), safety.ErrDenied, why)
		require.ErrorContains(t, sw.Check(), "lease is over", why)
		_, err := enter(sw, order("a", andon.Buy, "1"))
		require.ErrorIs(t, err, safety.ErrDenied, why)
		require.ErrorContains(t, err, "lease is over", why)
	}
	denied("never held")
	l.until.Store(int64(time.Hour))
	denied("it ends now: what is due is over")
	l.until.Store(int64(time.Hour + 1))
	require.Equal(t, safety.Active, sw.State())
	require.NoError(t, sw.Check())
	p, err := enter(sw, order("b", andon.Buy, "1"))
	require.NoError(t, err)
	p.Exit(safety.Accepted)
	l.now.Add(1)
	denied("a nanosecond later, with nobody to tell the switch")
}

func TestLaw4_ExitsNeedNoLease(t *testing.T) {
	sw, l := leasedSwitch(t, time.Second)
	observe(t, sw, []andon.Position{position("3")})
	l.until.Store(0)
	p, err := enter(sw, order("reduce", andon.Sell, "1"))
	require.NoError(t, err)
	require.Equal(t, safety.Reduce, p.Intent)
	require.False(t, p.Lapsed())
	call, done := p.Context(t.Context())
	defer done()
	require.NoError(t, call.Err(), "an exit's call has no deadline")
	p.Exit(safety.Accepted)
	p, err = enter(sw, reduceOnly(stopOrder("protect", andon.Sell, "1")))
	require.NoError(t, err)
	p.Exit(safety.Accepted)
	p, err = sw.EnterClose(t.Context(), new(order("close", andon.Sell, "1")), "alice")
	require.NoError(t, err)
	p.Exit(safety.Accepted)
	_, err = enter(sw, order("flip", andon.Sell, "1"))
	require.ErrorIs(t, err, safety.ErrDenied, "more than the leg would open the other side")
}

func TestAPermitLapsesWithTheLeaseItEnteredUnder(t *testing.T) {
	sw, l := leasedSwitch(t, time.Minute)
	p, err := enter(sw, order("a", andon.Buy, "1"))
	require.NoError(t, err)
	exit, err := enter(sw, reduceOnly(order("b", andon.Sell, "1")))
	require.NoError(t, err)
	require.False(t, p.Lapsed())
	call, done := p.Context(t.Context())
	defer done()
	child, cancel := context.WithCancel(call)
	defer cancel()
	require.NoError(t, call.Err())
	deadline, ok := call.Deadline()
	require.True(t, ok)
	require.WithinDuration(t, time.Now().Add(time.Minute), deadline, 30*time.Second)

	// The machine sleeps: its clock goes on, timers do not. The lease is renewed and the
	// order is not: much may have been decided meanwhile.
	l.now.Add(int64(time.Hour))
	l.until.Store(l.now.Load() + int64(time.Minute))
	require.True(t, p.Lapsed())
	require.False(t, exit.Lapsed(), "what the venue keeps from opening may go on")
	require.ErrorIs(t, call.Err(), context.DeadlineExceeded)
	<-call.Done()
	<-child.Done()
	late, done := p.Context(t.Context())
	defer done()
	<-late.Done()
	p.Exit(safety.Refused)
	exit.Exit(safety.Refused)
}

func TestDoneSaysThatTheLeaseIsOverWithoutATimer(t *testing.T) {
	sw, l := leasedSwitch(t, time.Hour)
	p, err := enter(sw, order("a", andon.Buy, "1"))
	require.NoError(t, err)
	defer p.Exit(safety.Refused)
	call, done := p.Context(t.Context())
	defer done()
	l.now.Add(int64(time.Hour))
	select {
	case <-call.Done():
		require.ErrorIs(t, call.Err(), context.DeadlineExceeded)
	default:
		t.Fatal("the first look at Done does not say that the lease is over")
	}
}

// A lease's timer ends the call of a machine that is awake.
func TestTheLeaseIsTheCallsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &handLease{}
		l.until.Store(int64(3 * time.Second))
		cfg := inMemory()
		cfg.Lease = l
		sw := open(t, cfg)
		stop := run(t, sw)
		resume(t, sw)
		began := time.Now()
		_, err := sw.Submit(t.Context(), &slowVenue{}, order("a", andon.Buy, "1"))
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, []string{"a"}, sw.Status().Unresolved)
		stop()
	})
}

// slowVenue answers nothing until the call's context ends, and counts what came.
type slowVenue struct {
	came     atomic.Int64
	answered bool
}

func (v *slowVenue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	v.came.Add(1)
	if v.answered {
		return o, nil
	}
	<-ctx.Done()
	return o, ctx.Err()
}

func (*slowVenue) Cancel(context.Context, andon.Order) error { return errors.ErrUnsupported }

func (*slowVenue) Lookup(context.Context, string, string) (andon.Order, error) {
	return andon.Order{}, errors.New("no answer")
}

// A process that is stopped between Enter and the venue sends nothing when it goes on,
// if its lease has ended since; and if it has a new one, enters again.
func TestLaw2_StoppedAfterEnterSendsNothingLater(t *testing.T) {
	sw, l := leasedSwitch(t, time.Minute)
	stopped := func(then func()) {
		f := func() { l.now.Add(int64(time.Hour)); then() }
		l.then.Store(&f)
	}
	v := &slowVenue{answered: true}
	stopped(func() {})
	_, err := sw.Submit(t.Context(), v, order("a", andon.Buy, "1"))
	require.ErrorIs(t, err, safety.ErrDenied)
	require.Zero(t, v.came.Load())
	require.Zero(t, sw.Status().InFlight)

	l.until.Store(l.now.Load() + int64(time.Minute))
	stopped(func() { l.until.Store(l.now.Load() + int64(time.Minute)) })
	_, err = sw.Submit(t.Context(), v, order("a", andon.Buy, "1"))
	require.NoError(t, err, "a new lease, and a gate that is open: it entered again")
	require.Equal(t, int64(1), v.came.Load())
}

func TestAConditionGoesWithItsCauseAndNotByResume(t *testing.T) {
	rec := &recorder{}
	cfg := quiet(t)
	cfg.Recorder = rec
	sw := active(t, cfg)
	require.NoError(t, sw.Condition("fleet", safety.Halted, "stopped elsewhere"))
	require.NoError(t, sw.Condition("fleet", safety.Halted, "stopped elsewhere"))
	require.NoError(t, sw.Condition("other", safety.Reducing, "slow"))
	require.Equal(t, safety.Halted, sw.State())
	require.Len(t, sw.Status().Holds, 2, "said twice is placed once")
	resume(t, sw)
	require.Equal(t, safety.Halted, sw.State(), "Resume does not end a condition")
	require.NoError(t, sw.Condition("fleet", safety.Reducing, "going on"))
	require.Equal(t, safety.Reducing, sw.State(), "one condition of a component at a time")
	require.NoError(t, sw.Condition("fleet", safety.Active, "lifted elsewhere"))
	require.Equal(t, safety.Reducing, sw.State(), "the other's is its own")
	require.NoError(t, sw.Condition("other", safety.Active, ""))
	require.Equal(t, safety.Active, sw.State())
	require.Error(t, sw.Lift(t.Context(), "alice", "note", safety.Hold{}))
	eventually(t, func() bool { return strings.Contains(strings.Join(rec.recorded(), "\n"), "other | condition over") }, "the timeline has the last of it")
	lines := strings.Join(rec.recorded(), "\n")
	require.Contains(t, lines, "fleet | condition: halted | stopped elsewhere")
	require.Contains(t, lines, "fleet | condition: reducing | going on")
	require.Contains(t, lines, "fleet | condition over | lifted elsewhere")
	for _, by := range []string{"", " ", "andon/watch", "andon/state", "andon/close", "andon/flag /tmp/EMERGENCY_STOP"} {
		require.Error(t, sw.Condition(by, safety.Active, "x"), by)
	}
	require.NoError(t, sw.Close())
	require.NoError(t, sw.Condition("fleet", safety.Active, ""))
	require.Equal(t, safety.Halted, sw.State(), "closed stays closed")
}

// Between one condition of a component and the next the gate is never open.
func TestLaw2_AConditionThatChangesLeavesNoGap(t *testing.T) {
	sw := active(t, quiet(t))
	require.NoError(t, sw.Condition("fleet", safety.Halted, "0"))
	var stop atomic.Bool
	done := make(chan int)
	go func() {
		passed := 0
		for !stop.Load() {
			if p, err := enter(sw, order("a", andon.Buy, "1")); err == nil {
				p.Exit(safety.Refused)
				passed++
			}
		}
		done <- passed
	}()
	for i := range 2000 {
		require.NoError(t, sw.Condition("fleet", safety.Halted, string(rune('a'+i%20))))
	}
	stop.Store(true)
	require.Zero(t, <-done)
}

func BenchmarkEnterUnderALease(b *testing.B) {
	sw, _ := leasedSwitch(b, time.Hour)
	o := order("a", andon.Buy, "1")
	b.ReportAllocs()
	for b.Loop() {
		p, err := sw.Enter(&o)
		if err != nil {
			b.Fatal(err)
		}
		p.Exit(safety.Refused)
	}
}
