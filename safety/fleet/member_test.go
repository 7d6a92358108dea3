package fleet_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

// recorder keeps what it is given, or fails.
type recorder struct {
	mu    sync.Mutex
	err   error
	lines []string
}

func (r *recorder) Record(_ context.Context, _ time.Time, who, what, why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.lines = append(r.lines, strings.Join([]string{who, what, why}, " "))
	}
	return r.err
}

func members(t testing.TB, f *fleet.Fleet) (ids []string) {
	st, err := f.Status(t.Context())
	require.NoError(t, err)
	for _, m := range st.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := fleet.New(fleet.Config{Name: "a/b", Lease: time.Millisecond, WriteWithin: -1})
	for _, want := range []string{"Name ", "Backend ", "Lease ", "WriteWithin "} {
		require.ErrorContains(t, err, want)
	}
	_, err = fleet.NewMember(fleet.Config{})
	require.ErrorContains(t, err, "Name ")
}

func TestAMemberThatEndsLeavesUnlessSomethingIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		op := operator(t, &mem)
		require.Len(t, members(t, op), 2)
		bots[0].stop()
		require.Len(t, members(t, op), 1)
		require.False(t, bots[0].admits())
		p, err := bots[1].enter("x")
		require.NoError(t, err)
		p.Exit(safety.OutcomeUnknown)
		bots[1].stop()
		require.Len(t, members(t, op), 1, "the next halt must name it")
		r, err := op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, names(r.Unsettled))
	})
}

func TestASuccessorTakesThePlaceOfItsDeadPredecessor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Hangs) // dead, to everybody else
		synctest.Wait()
		dead := members(t, operator(t, &mem))[0]
		again := join(t, &mem, "a", newClock(1))
		time.Sleep(lease)
		require.Contains(t, members(t, operator(t, &mem)), dead, "not before its lease is over for certain")
		time.Sleep(lease)
		require.NotContains(t, members(t, operator(t, &mem)), dead)
		require.True(t, again.admits())

		// It was only frozen. It joins anew, under another id, before it has a lease.
		bots[0].line.Set(fleettest.None)
		time.Sleep(lease)
		ids := members(t, operator(t, &mem))
		require.Len(t, ids, 3)
		require.NotContains(t, ids, dead)
		require.True(t, bots[0].admits())
		r, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a", "a", "b"}, names(r.Settled))
	})
}

func TestForgetTakesADeadMemberOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		op := operator(t, &mem)
		ids := members(t, op)
		require.Error(t, op.Forget(t.Context(), "", "note", ids[0]))
		require.ErrorContains(t, op.Forget(t.Context(), "alice", "gone", "nobody@1"), "no member")
		require.ErrorContains(t, op.Forget(t.Context(), "alice", "gone", ids[0]), "is alive")
		bots[0].line.Set(fleettest.Hangs)
		began := time.Now()
		require.NoError(t, op.Forget(t.Context(), "alice", "its orders are resolved", ids[0]))
		require.GreaterOrEqual(t, time.Since(began), lease)
		require.Equal(t, ids[1:], members(t, op))
		require.False(t, bots[0].admits())
	})
}

func TestRunOnceAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		require.ErrorIs(t, bots[0].Run(t.Context(), bots[0].sw), fleet.ErrRunning)
		require.True(t, bots[0].admits())
	})
}

func TestStatusOfABackendThatDoesNotAnswerIsHalted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		bots[0].line.Set(fleettest.Refuses)
		st, err := bots[0].Status(t.Context())
		require.ErrorIs(t, err, fleettest.ErrDown)
		require.True(t, st.Halted)
	})
}
