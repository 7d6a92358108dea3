package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

func TestLaw2_AfterHaltEveryMemberIsClosedAndInTheRoster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b", "c")
		began := time.Now()
		r, err := operator(t, &mem).Halt(t.Context(), "bob", "the book looks wrong")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a", "b", "c"}, names(r.Settled))
		require.Empty(t, r.Unsettled)
		require.Less(t, time.Since(began), lease/3, "nobody's lease had to run out")
		for _, b := range bots {
			require.Equal(t, safety.Halted, b.sw.State())
			require.ErrorContains(t, b.sw.Check(), "halted by bob")
			require.ErrorContains(t, b.sw.Check(), "andon/fleet")
			require.False(t, b.admits())
		}
		require.Contains(t, r.String(), "a (a@")
	})
}

// The word alone closes every gate, and only then does anybody ask the backend: eight
// members that read and wrote at once would be in the way of the word to the ninth.
func TestWhoHasHeardLetsTheOthersHearFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b", "c")
		members := func() map[string]int64 {
			rs, err := mem.Read(t.Context())
			require.NoError(t, err)
			revisions := map[string]int64{}
			for _, r := range rs {
				if r.Key != "order" {
					revisions[r.Key] = r.Revision
				}
			}
			return revisions
		}
		before, began := members(), time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := bots[0].Halt(t.Context(), "bob", "stop")
			done <- err
		}()
		synctest.Wait()
		require.Zero(t, time.Since(began))
		for _, b := range bots {
			require.False(t, b.admits())
		}
		require.Equal(t, before, members(), "nobody has written anything yet")
		require.NoError(t, <-done)
		require.LessOrEqual(t, time.Since(began), 50*time.Millisecond, "of the bubble: the roster does not wait for a poll")
	})
}

func TestHaltWaitsForOrdersInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		p, err := bots[0].enter("slow")
		require.NoError(t, err)
		time.AfterFunc(3*time.Second, func() { p.Exit(safety.Accepted) })
		began := time.Now()
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a", "b"}, names(r.Settled))
		require.Equal(t, 3*time.Second, time.Since(began), "as soon as it has settled")
	})
}

func TestLaw6_WhatStaysInFlightIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		p, err := bots[0].enter("lost")
		require.NoError(t, err)
		p.Exit(safety.OutcomeUnknown)
		q, err := bots[0].enter("stuck")
		require.NoError(t, err)
		defer q.Exit(safety.Refused)
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, names(r.Settled))
		require.Equal(t, []string{"a"}, names(r.Unsettled))
		require.True(t, r.Unsettled[0].Confirmed)
		require.Equal(t, []string{"lost", "stuck"}, r.Unsettled[0].InFlight)
		require.Contains(t, r.String(), "looked up by client id: lost, stuck")
		st, err := bots[1].Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"lost", "stuck"}, st.Members[0].InFlight)
	})
}

func TestLaw2_AMemberThatHearsNothingIsNamedWithTheTimeItsLeaseRanOut(t *testing.T) {
	for _, fault := range []fleettest.Fault{fleettest.Hangs, fleettest.Refuses, fleettest.Forgets} {
		bubble(t, func(t *testing.T) {
			var mem fleettest.Memory
			bots := trading(t, &mem, "a", "b")
			bots[0].line.Set(fault)
			time.Sleep(time.Second)
			require.True(t, bots[0].admits(), "its lease runs on")
			began := time.Now()
			r, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
			require.NoError(t, err)
			require.False(t, bots[0].admits())
			require.Equal(t, []string{"b"}, names(r.Settled))
			require.Equal(t, []string{"a"}, names(r.Unsettled))
			s := r.Unsettled[0]
			require.False(t, s.Confirmed)
			require.LessOrEqual(t, s.Since.Sub(began), lease+lease/20)
			require.LessOrEqual(t, s.Since, time.Now())
			require.LessOrEqual(t, time.Since(began), lease+lease/20+time.Second)
			require.Contains(t, r.String(), "in flight is unknown")
		})
	}
}

// Only who was heard of lately is waited for: a bot that died long ago costs a halt
// nothing, to a handle that has seen it silent.
func TestAMemberThatIsLongDeadIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs)
		time.Sleep(2 * lease)
		began := time.Now()
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names(r.Unsettled))
		require.Less(t, time.Since(began), time.Second)
		require.Less(t, r.Unsettled[0].Since, began)
	})
}

// The beat that stood still and moves again between the halt and its reading is a lease
// asked for later: it must be waited for from the halt on.
func TestAMemberThatComesBackIsWaitedForFromTheHaltOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs)
		time.Sleep(2 * lease)
		bots[0].line.Set(fleettest.None)
		time.Sleep(lease / 2) // it has a lease again; the operator's handle knows nothing of it
		require.True(t, bots[0].admits())
		bots[0].line.Set(fleettest.Hangs)
		began := time.Now()
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names(r.Unsettled))
		require.False(t, bots[0].admits())
		require.Greater(t, time.Since(began), lease/3)
	})
}

// Where no notification comes, a renewal reads the halt.
func TestAHaltIsSeenWithoutNotification(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		bots[0].line.Set(fleettest.NoEvents)
		began := time.Now()
		r, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names(r.Settled))
		require.LessOrEqual(t, time.Since(began), lease/3+lease/8)
	})
}

// Two that halt at the same time are both heard, and both get a roster.
func TestHaltsAtTheSameTimeAreBothHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		done := make(chan error, 4)
		for i, by := range []string{"bob", "carol", "dave", "erin"} {
			go func() {
				_, err := bots[i%2].Halt(t.Context(), by, "stop")
				done <- err
			}()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
		st, err := bots[0].Status(t.Context())
		require.NoError(t, err)
		require.Len(t, st.Holds, 4)
	})
}

func TestARosterThatIsNotWaitedForNamesWhoIsMissing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := operator(t, &mem).Halt(ctx, "bob", "stop")
		require.ErrorIs(t, err, fleet.ErrIncomplete)
		var inc *fleet.IncompleteError
		require.ErrorAs(t, err, &inc)
		require.Len(t, inc.Missing, 1)
		require.Contains(t, inc.Missing[0], "a (a@")
		require.Equal(t, []string{"b"}, names(r.Settled))
	})
}

func TestAHaltThatIsResumedMeanwhilePromisesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs)
		done := make(chan error, 1)
		go func() {
			_, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
			done <- err
		}()
		time.Sleep(time.Second)
		resumeFleet(t, operator(t, &mem))
		// Halted again by the same person for the same reason: it is another halt.
		_, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		err = <-done
		require.ErrorIs(t, err, fleet.ErrIncomplete)
		require.ErrorContains(t, err, "alice has resumed the fleet meanwhile")
	})
}

// A record that cannot be read promises no end of a lease: nobody is called closed.
func TestLaw1_ADamagedMemberIsNotCalledClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		trading(t, &mem, "a")
		mem.Set("member/x@1", []byte("{"))
		r, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
		var inc *fleet.IncompleteError
		require.ErrorAs(t, err, &inc)
		require.Equal(t, []string{"x@1"}, inc.Missing)
		require.Equal(t, []string{"a"}, names(r.Settled))
	})
}

// Once it is written and the members are listed, a halt needs the backend no more.
func TestLaw11_TheRosterIsCompletedWithoutTheBackend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs)
		time.AfterFunc(time.Second, func() { bots[1].line.Set(fleettest.Hangs) })
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, names(r.Settled))
		require.Equal(t, []string{"a"}, names(r.Unsettled))
	})
}

// The word that the order changed is enough: nothing passes while it is being read.
func TestLaw2_TheGateClosesOnTheWordAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.EventsOnly)
		r, err := bots[1].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names(r.Unsettled), "it could not confirm")
		require.Equal(t, safety.Halted, bots[0].sw.State())
		require.ErrorContains(t, bots[0].sw.Check(), "is being read")
	})
}
