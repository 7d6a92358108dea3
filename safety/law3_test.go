package safety_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

func TestLaw3_TheVeryFirstStartIsAResume(t *testing.T) {
	cfg := quiet(t)
	sw := open(t, cfg)
	run(t, sw)
	require.Equal(t, safety.Halted, sw.State())
	require.Contains(t, lasting(sw)[0].Reason, "very first start")
	resume(t, sw)
	require.Equal(t, safety.Active, sw.State())
	require.Equal(t, "alice", sw.Status().Resumed.By)
}

// Every hold that a person has to lift is there after a restart as it was before; so
// is who resumed last.
func TestLaw3_HoldsOutliveTheProcess(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	_, err := sw.Halt(t.Context(), "bob", "the price is wrong")
	require.NoError(t, err)
	require.NoError(t, sw.Reduce("drawdown", "5 % in 5 minutes"))
	_, err = sw.Drain(t.Context())
	require.NoError(t, err)
	before := lasting(sw)
	require.NoError(t, sw.Close())

	again := open(t, cfg)
	run(t, again)
	after := lasting(again)
	require.Len(t, after, 2)
	for i := range before {
		require.True(t, before[i].At.Equal(after[i].At))
		before[i].At, after[i].At = time.Time{}, time.Time{}
	}
	require.Equal(t, before, after)
	require.Equal(t, safety.Halted, again.State())
	require.Equal(t, "looked at everything", again.Status().Resumed.Note)
	require.NoError(t, again.Reduce("bob", "another"))
	ids := map[uint64]bool{}
	for _, h := range again.Status().Holds {
		require.False(t, ids[h.ID], "an id is never used again")
		ids[h.ID] = true
	}
}

// A state file that is deleted, running or not, opens nothing.
func TestLaw3_DeletingTheStateDoesNotResume(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(cfg.Dir))
	require.Equal(t, safety.Halted, sw.State())
	require.NoError(t, sw.Close())

	again := open(t, cfg)
	run(t, again)
	require.Equal(t, safety.Halted, again.State())
	require.Contains(t, lasting(again)[0].Reason, "the state was deleted")
}

// What an earlier life of the state showed is not what a person has seen of this one,
// although its numbers are the same.
func TestLaw3_HoldsSeenBeforeTheStateWasDeletedDoNotCount(t *testing.T) {
	cfg := quiet(t)
	first := open(t, cfg)
	seen := first.Status().Holds
	require.NoError(t, first.Close())
	require.NoError(t, os.RemoveAll(cfg.Dir))
	sw := open(t, cfg)
	require.Equal(t, seen[0].ID, sw.Status().Holds[0].ID)
	err := sw.Resume(t.Context(), "alice", "as before", seen)
	require.ErrorIs(t, err, safety.ErrResumeRefused)
	require.ErrorContains(t, err, "you have not seen")
}

// A flag that was seen once holds until a person resumes, gone or not, restarted or not.
func TestLaw3_DeletingTheFlagDoesNotResume(t *testing.T) {
	for i, state := range []safety.TradingState{safety.Halted, safety.Reducing} {
		t.Run(state.String(), func(t *testing.T) {
			cfg := quiet(t)
			sw := active(t, cfg)
			flag := cfg.Flags[i].Path
			require.NoError(t, os.WriteFile(flag, nil, 0o600))
			eventually(t, func() bool { return sw.State() == state && sw.Status().Durable }, "the flag is heard")
			require.NoError(t, os.Remove(flag))
			eventually(t, func() bool { return !sw.Status().Flags[i].Present }, "its going is seen")
			require.Equal(t, state, sw.State())
			require.NoError(t, sw.Close())

			again := open(t, cfg)
			run(t, again)
			require.Equal(t, state, again.State())
			require.Equal(t, "andon/flag "+flag, lasting(again)[0].By)
			resume(t, again)
			require.Equal(t, safety.Active, again.State())
		})
	}
}

// Time lifts nothing, however much of it passes.
func TestLaw3_NoTimerResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inMemory()
		cfg.FlagPoll, cfg.ProbeEvery = 24*time.Hour, 24*time.Hour // half a year has many moments
		sw := active(t, cfg)
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		require.NoError(t, sw.Reduce("drawdown", "5 %"))
		holds := lasting(sw)
		for range 6 {
			time.Sleep(30 * 24 * time.Hour)
			require.Equal(t, safety.Halted, sw.State())
			require.Equal(t, holds, lasting(sw))
		}
	})
}

// refused says that a resume was refused for a reason and lifted nothing.
func refused(t testing.TB, sw *safety.Switch, err error, says string) {
	t.Helper()
	require.ErrorIs(t, err, safety.ErrResumeRefused)
	e, ok := errors.AsType[*safety.ResumeError](err)
	require.True(t, ok)
	require.Contains(t, e.Error(), says)
	require.Equal(t, safety.Halted, sw.State())
	require.Error(t, sw.Check())
}

func TestLaw3_ResumeTakesANamedPersonWithANote(t *testing.T) {
	sw := open(t, quiet(t))
	run(t, sw)
	for _, c := range [][2]string{{"", "note"}, {" \t", "note"}, {"alice", ""}, {"alice", "\n"}} {
		refused(t, sw, sw.Resume(t.Context(), c[0], c[1], sw.Status().Holds), "a named person and a note")
	}
}

func TestLaw3_ResumeLiftsOnlyWhatWasSeen(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	_, err := sw.Halt(t.Context(), "bob", "first")
	require.NoError(t, err)
	seen := sw.Status().Holds
	_, err = sw.Halt(t.Context(), "carol", "second")
	require.NoError(t, err)

	err = sw.Resume(t.Context(), "alice", "fixed", seen)
	refused(t, sw, err, "second")
	e, _ := errors.AsType[*safety.ResumeError](err)
	require.Len(t, e.Holds, 1)
	require.Equal(t, "carol", e.Holds[0].By)
	refused(t, sw, sw.Resume(t.Context(), "alice", "fixed", nil), "first")
	require.Len(t, lasting(sw), 2, "a refusal lifts nothing")
	require.NoError(t, sw.Close())
	require.Len(t, lasting(open(t, cfg)), 2, "on disk neither")
}

// A hold that is placed while a Resume is under way refuses it, at whatever point it
// comes, and also when it says the same as one that is about to be lifted: nobody has
// seen that the cord was pulled again.
func TestLaw3_AHoldPlacedDuringAResumeRefusesIt(t *testing.T) {
	for _, where := range []string{"in BeforeResume", "in the recorder", "in the store"} {
		for _, reason := range []string{"a new one", "the same as before"} {
			t.Run(where+", "+reason, func(t *testing.T) {
				store, rec := &memoryStore{}, &recorder{}
				var sw *safety.Switch
				cfg := inMemory()
				cfg.Store, cfg.Recorder = store, rec
				armed := false
				at := func(here string) {
					if armed && here == where {
						armed = false
						sw.Engage("bob", reason) //nolint:errcheck // always nil
					}
				}
				cfg.BeforeResume = func(context.Context) error { at("in BeforeResume"); return nil }
				rec.meanwhile(func(what string) {
					if what == "resume" {
						at("in the recorder")
					}
				})
				sw = active(t, cfg)
				_, err := sw.Halt(t.Context(), "bob", "the same as before")
				require.NoError(t, err)
				store.during(func() { at("in the store") })
				armed = true
				refused(t, sw, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), "you have not seen")
				require.False(t, armed, "the cord was pulled")
				_, err = sw.Drain(t.Context())
				require.NoError(t, err)
				want := map[string]int{"a new one": 2, "the same as before": 1}[reason]
				require.Len(t, store.stored().Holds, want, "on disk again")
				resume(t, sw)
				require.Equal(t, safety.Active, sw.State())
			})
		}
	}
}

// The same with a flag that comes and goes while a Resume is under way.
func TestLaw3_AFlagPlacedDuringAResumeRefusesIt(t *testing.T) {
	cfg := quiet(t)
	flag := cfg.Flags[0].Path
	armed := false
	var sw *safety.Switch
	cfg.BeforeResume = func(context.Context) error {
		if armed {
			was := lasting(sw)
			require.NoError(t, os.WriteFile(flag, nil, 0o600))
			eventually(t, func() bool { return lasting(sw)[0].ID != was[0].ID }, "it is another hold")
			require.NoError(t, os.Remove(flag))
		}
		return nil
	}
	sw = active(t, cfg)
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	eventually(t, func() bool { return sw.State() == safety.Halted }, "the flag is heard")
	require.NoError(t, os.Remove(flag))
	armed = true
	refused(t, sw, sw.Resume(t.Context(), "alice", "removed it", sw.Status().Holds), "you have not seen")
	armed = false
	resume(t, sw)
}

func TestLaw3_ResumeIsRefusedWhileAFlagHolds(t *testing.T) {
	t.Run("present", func(t *testing.T) {
		cfg := quiet(t)
		sw := active(t, cfg)
		require.NoError(t, os.WriteFile(cfg.Flags[0].Path, nil, 0o600))
		eventually(t, func() bool { return sw.State() == safety.Halted }, "the flag is heard")
		refused(t, sw, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), "EMERGENCY_STOP is present")
	})
	t.Run("present before anybody looked", func(t *testing.T) {
		cfg := quiet(t)
		sw := open(t, cfg)
		require.NoError(t, os.Symlink("/nowhere", cfg.Flags[1].Path))
		refused(t, sw, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), "READONLY_MODE is present")
	})
	t.Run("unreadable", func(t *testing.T) {
		cfg := quiet(t)
		sw := open(t, cfg)
		require.NoError(t, os.RemoveAll(filepath.Dir(cfg.Flags[0].Path)))
		refused(t, sw, sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds), "cannot be looked at")
	})
}

func TestLaw3_ResumeIsRefusedWhereItsCheckDoesNotPass(t *testing.T) {
	cfg := quiet(t)
	drift := errors.New("book and venue differ")
	cfg.BeforeResume = func(context.Context) error { return drift }
	sw := open(t, cfg)
	run(t, sw)
	err := sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds)
	refused(t, sw, err, "the check before resuming did not pass")
	require.ErrorIs(t, err, drift)
}

func TestLaw3_ResumeIsRefusedWhereItCannotBeSaved(t *testing.T) {
	store := &memoryStore{}
	cfg := inMemory()
	cfg.Store = store
	sw := open(t, cfg)
	run(t, sw)
	_, err := sw.Drain(t.Context())
	require.NoError(t, err)
	full := errors.New("no space left on device")
	store.fail(full)
	err = sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds)
	refused(t, sw, err, "it cannot be made durable")
	require.ErrorIs(t, err, full)
	store.fail(nil)
	resume(t, sw)
}

// Passing holds are not the caller's to lift, even where the caller says otherwise:
// a hold that went through JSON does not know any more that it is one.
func TestLaw3_ResumeDoesNotLiftPassingHolds(t *testing.T) {
	sw := open(t, quiet(t)) // and nobody runs it
	seen := sw.Status().Holds
	for i := range seen {
		seen[i].Passing = false
	}
	require.NoError(t, sw.Resume(t.Context(), "alice", "the first start", seen))
	require.Equal(t, safety.Halted, sw.State())
	require.ErrorContains(t, sw.Check(), "nobody listens to the flags")
	run(t, sw)
	require.Equal(t, safety.Active, sw.State())
}

func TestLaw3_ResumeIsRefusedOnAClosedSwitch(t *testing.T) {
	sw := active(t, quiet(t))
	require.NoError(t, sw.Close())
	err := sw.Resume(t.Context(), "alice", "fixed", sw.Status().Holds)
	refused(t, sw, err, "closed")
	require.ErrorIs(t, err, safety.ErrClosed)
}

// Lifting one hold leaves the others, and a halt is not lifted so.
func TestLaw3_LiftLeavesTheOthers(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	require.NoError(t, sw.Reduce("drawdown", "5 %"))
	require.NoError(t, sw.Reduce("margin", "80 %"))
	holds := lasting(sw)
	require.Len(t, holds, 2)
	require.ErrorIs(t, sw.Lift(t.Context(), "", "note", holds[0]), safety.ErrResumeRefused)
	require.ErrorIs(t, sw.Lift(t.Context(), "alice", "", holds[0]), safety.ErrResumeRefused)
	require.NoError(t, sw.Lift(t.Context(), "alice", "recovered", holds[0]))
	require.Equal(t, holds[1:], lasting(sw))
	require.Equal(t, safety.Reducing, sw.State())
	require.ErrorContains(t, sw.Lift(t.Context(), "alice", "again", holds[0]), "is not in force")
	require.NoError(t, sw.Lift(t.Context(), "alice", "recovered", holds[1]))
	require.Equal(t, safety.Active, sw.State())

	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	refused(t, sw, sw.Lift(t.Context(), "alice", "note", lasting(sw)[0]), "only Resume lifts a halt")

	silent := open(t, quiet(t)) // nobody runs it
	holds = silent.Status().Holds
	i := slices.IndexFunc(holds, func(h safety.Hold) bool { return h.Passing })
	require.ErrorContains(t, silent.Lift(t.Context(), "alice", "note", holds[i]), "it goes when its cause does")
}

// Pulling the cord twice for one cause leaves one hold, and it is the newer: whoever
// has seen the first pull has not seen the second.
func TestOneCauseIsOneHold(t *testing.T) {
	sw := active(t, quiet(t))
	first, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	second, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	require.Less(t, first.Hold.ID, second.Hold.ID)
	require.Len(t, lasting(sw), 1)
	refused(t, sw, sw.Resume(t.Context(), "alice", "looked once", []safety.Hold{first.Hold}), "you have not seen")
	unnamed, err := sw.Halt(t.Context(), "", " ")
	require.NoError(t, err)
	require.NotEmpty(t, unnamed.Hold.By)
	require.NotEmpty(t, unnamed.Hold.Reason)
}

// A save that is under way while somebody resumes does not write the lifted holds to
// disk again: after Resume has returned nil, a restart is active.
func TestLaw3_SaveBesideAResume(t *testing.T) {
	store := &memoryStore{}
	cfg := inMemory()
	cfg.Store = store
	sw := active(t, cfg)
	store.during(func() { time.Sleep(10 * time.Microsecond) })
	for n := range 300 {
		require.NoError(t, sw.Engage("bob", fmt.Sprint("halt ", n))) // saved beside what follows
		resume(t, sw)
		_, err := sw.Drain(t.Context())
		require.NoError(t, err)
		require.Empty(t, store.stored().Holds, "round %d", n)
	}
}
