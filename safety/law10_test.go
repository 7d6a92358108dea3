package safety_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// Every decision reaches the recorder with who, what and why, in its order.
func TestLaw10_EveryDecisionIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := inMemory()
		cfg.Recorder = rec
		sw := active(t, cfg)
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		require.NoError(t, sw.Reduce("drawdown", "5 %"))
		synctest.Wait() // stops are recorded beside what comes next
		tok, err := sw.AllowWrite(t.Context(), "carol", "restore of 05:00")
		require.NoError(t, err)
		sw.Release(tok)
		sw.Release(tok)
		synctest.Wait()
		require.NoError(t, sw.Lift(t.Context(), "dave", "recovered", lasting(sw)[1]))
		require.ErrorIs(t, sw.Resume(t.Context(), "eve", "early", nil), safety.ErrResumeRefused)
		resume(t, sw)
		synctest.Wait()
		got := rec.recorded()
		require.Contains(t, got[0], "andon/state | hold placed: halted | there is no state")
		require.Equal(t, []string{
			"alice | resume | looked at everything",
			"bob | hold placed: halted | drill",
			"drawdown | hold placed: reducing | 5 %",
			"carol | write token given | restore of 05:00",
			"carol | write token released | restore of 05:00",
			"dave | lift hold #4 | recovered",
			"alice | resume | looked at everything",
		}, got[1:])
	})
}

// Stopping never waits for the record, and the record is tried until it is taken.
func TestLaw10_AHaltDoesNotWaitForTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := inMemory()
		cfg.Recorder = rec
		sw := active(t, cfg)
		rec.set(nil, true) // it hangs from now on
		before := time.Now()
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		require.NoError(t, sw.Reduce("drawdown", "5 %"))
		require.Equal(t, before, time.Now(), "no time has passed")
		require.Equal(t, safety.Halted, sw.State())
	})
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := inMemory()
		cfg.Recorder = rec
		sw := active(t, cfg)
		rec.set(errors.New("the timeline is full"), false)
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NotContains(t, rec.recorded(), "bob | hold placed: halted | drill")
		rec.set(nil, false)
		time.Sleep(3 * time.Second)
		require.Contains(t, rec.recorded(), "bob | hold placed: halted | drill")
	})
}

// Resuming, lifting and opening the write gate are refused when they cannot be recorded.
func TestLaw10_OpeningIsRefusedUnrecorded(t *testing.T) {
	full := errors.New("the timeline is full")
	rec := &recorder{}
	cfg := quiet(t)
	cfg.Recorder = rec
	sw := active(t, cfg)
	require.NoError(t, sw.Reduce("drawdown", "5 %"))
	rec.set(full, false)
	err := sw.Lift(t.Context(), "alice", "recovered", lasting(sw)[0])
	require.ErrorIs(t, err, safety.ErrResumeRefused)
	require.ErrorIs(t, err, full)
	require.Equal(t, safety.Reducing, sw.State())
	_, err = sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	err = sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds)
	refused(t, sw, err, "the decision cannot be recorded")
	require.ErrorIs(t, err, full)
	require.Len(t, lasting(sw), 2)
	tok, err := sw.AllowWrite(t.Context(), "carol", "restore")
	require.ErrorIs(t, err, safety.ErrDenied)
	require.ErrorIs(t, err, full)
	require.Zero(t, tok)
	rec.set(nil, false)
}

// A resume that is recorded and then refused is recorded as refused too: the timeline
// never ends with an opening that did not happen.
func TestLaw10_ARefusalAfterTheRecordIsRecorded(t *testing.T) {
	rec := &recorder{}
	cfg := inMemory()
	cfg.Recorder = rec
	sw := active(t, cfg)
	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	rec.meanwhile(func(what string) {
		if what == "resume" {
			sw.Engage("carol", "again") //nolint:errcheck // always nil
		}
	})
	require.ErrorIs(t, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), safety.ErrResumeRefused)
	eventually(t, func() bool {
		return slices.ContainsFunc(rec.recorded(), func(l string) bool { return strings.HasPrefix(l, "alice | resume refused | ") })
	}, "the refusal is on the timeline")
}
