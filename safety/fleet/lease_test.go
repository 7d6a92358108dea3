package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

func TestLaw11_WithoutTheBackendIncreasesEndAndExitsGoOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		b := bots[0]
		require.Eventually(t, func() bool {
			return b.sw.Observe(safety.View{Venue: "sim", Asked: time.Now(), Positions: []andon.Position{
				{Venue: "sim", Symbol: "BTC", Quantity: andon.MustDecimal("5"), Entry: andon.MustDecimal("1"), Mark: andon.MustDecimal("1")},
			}}) == nil
		}, time.Minute, time.Millisecond)
		b.line.Set(fleettest.Hangs)
		time.Sleep(lease / 2)
		require.True(t, b.admits(), "the lease runs on")
		time.Sleep(lease / 2)
		require.False(t, b.admits())
		require.Equal(t, safety.Reducing, b.sw.State())
		exit := order("exit", andon.Sell, "1")
		p, err := b.sw.Enter(&exit)
		require.NoError(t, err, "an exit is never trapped")
		require.Equal(t, safety.Reduce, p.Intent)
		p.Exit(safety.Accepted)
		time.Sleep(lease)
		require.Contains(t, b.sw.Check().Error(), "backend does not answer", "and people see why")

		began := time.Now()
		r, err := b.Halt(t.Context(), "bob", "stop")
		require.ErrorIs(t, err, fleet.ErrNotFleetWide)
		require.Equal(t, "bob", r.Hold.By)
		require.LessOrEqual(t, time.Since(began), 5*time.Second, "bounded")
		require.Equal(t, safety.Halted, b.sw.State(), "its own halt works")
		lasting := 0
		for _, h := range b.sw.Status().Holds {
			if h.By == "bob" && !h.Passing {
				lasting++
			}
		}
		require.Equal(t, 1, lasting, "and outlives the process")

		// Once the backend is back the halt is fleet-wide.
		c := join(t, &mem, "c", newClock(1))
		synctest.Wait()
		require.True(t, c.admits(), "it could not hear of it")
		b.line.Set(fleettest.None)
		time.Sleep(lease)
		require.False(t, c.admits())
		require.ErrorContains(t, c.sw.Check(), "halted by bob")
	})
}

// Member.Halt closes the own gate before it asks anybody.
func TestLaw11_HaltClosesTheOwnGateFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		bots[0].line.Set(fleettest.Hangs)
		done := make(chan error, 1)
		go func() {
			_, err := bots[0].Halt(t.Context(), "bob", "stop")
			done <- err
		}()
		synctest.Wait() // the write hangs
		require.Equal(t, safety.Halted, bots[0].sw.State())
		require.False(t, bots[0].admits())
		bots[0].line.Set(fleettest.None) // its answer was lost on the way; asked again it is there
		require.NoError(t, <-done)
	})
}

// A write whose answer is lost took effect, and counts once.
func TestAHaltWhoseAnswerIsLostIsWrittenOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		bots[0].line.Set(fleettest.Forgets)
		time.AfterFunc(time.Second, func() { bots[0].line.Set(fleettest.None) })
		r, err := bots[0].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a", "b"}, names(r.Settled))
		st, err := bots[1].Status(t.Context())
		require.NoError(t, err)
		require.Len(t, st.Holds, 1)
	})
}

// The machine sleeps: CLOCK_BOOTTIME goes on, timers do not. The first Enter afterwards
// is denied although nothing has run yet that could have closed the gate.
func TestLaw2_AMachineThatSleptHasNoLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		resumeFleet(t, operator(t, &mem))
		c := newClock(1)
		b := join(t, &mem, "a", c)
		synctest.Wait()
		p, err := b.enter("before")
		require.NoError(t, err)
		call, done := p.Context(t.Context())
		defer done()
		c.sleep(time.Hour)
		require.False(t, b.admits())
		require.True(t, p.Lapsed(), "what had entered is not sent any more")
		require.ErrorIs(t, call.Err(), context.DeadlineExceeded)
		p.Exit(safety.Refused)
		time.Sleep(lease) // awake: the fleet still trades, and so does it
		require.True(t, b.admits())
	})
}

// While it slept the fleet was halted, and the roster said so.
func TestLaw2_AHaltDuringAMachinesSleep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		resumeFleet(t, operator(t, &mem))
		c := newClock(1)
		b := join(t, &mem, "a", c)
		synctest.Wait()
		p, err := b.enter("before")
		require.NoError(t, err)
		b.line.Set(fleettest.Hangs) // nothing runs on it
		op := operator(t, &mem)
		r, err := op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names(r.Unsettled))
		resumeFleet(t, op)
		c.sleep(time.Hour)
		b.line.Set(fleettest.None)
		time.Sleep(lease)
		require.True(t, b.admits(), "awake, in a fleet that trades again")
		require.True(t, p.Lapsed(), "and what entered before the halt is not sent after it")
		p.Exit(safety.Refused)
	})
}

// The margin covers clocks whose rates differ by 4 percent, and is not more than it says:
// with rates that differ by 12, the roster speaks too early.
func TestTheMarginCoversClocksAtDifferentRates(t *testing.T) {
	early := func(t *testing.T, halter, member float64) (early bool) {
		bubble(t, func(t *testing.T) {
			var mem fleettest.Memory
			resumeFleet(t, operator(t, &mem))
			b := join(t, &mem, "a", newClock(member))
			synctest.Wait()
			time.Sleep(lease/3 - time.Millisecond)
			f := operator(t, &mem)
			f.SetClock(newClock(halter).now)
			time.Sleep(2 * time.Millisecond) // right after a renewal, the worst instant
			b.line.Set(fleettest.Hangs)
			_, err := f.Halt(t.Context(), "bob", "stop")
			require.NoError(t, err)
			early = b.admits()
		})
		return early
	}
	for _, c := range []struct{ halter, member float64 }{{1, 1}, {1.02, 0.98}, {0.98, 1.02}, {1, 0.96}, {1.04, 1}, {1.0005, 0.9995}} {
		require.False(t, early(t, c.halter, c.member), "halter at %v, member at %v", c.halter, c.member)
	}
	require.True(t, early(t, 1.06, 0.94), "this test can fail")
}

// Nothing that decides reads a wall clock: records made by machines whose clocks are
// years apart give the same rosters.
func TestWallClocksDecideNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		require.Len(t, bots, 2)
		wrong := []byte(`{"version":1,"id":"x@1","name":"x","host":"h","pid":1,"joined":"2091-01-01T00:00:00Z","lease_ns":6000000000,"seen":0,"closed":0,"settled":false}`)
		mem.Set("member/x@1", wrong)
		r, err := operator(t, &mem).Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"x"}, names(r.Unsettled))
		require.ElementsMatch(t, []string{"a", "b"}, names(r.Settled))
	})
}

// A lease is judged by the one whose it is: who has a longer one than the halter is
// waited for that much longer.
func TestALongerLeaseIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		bots[0].line.Set(fleettest.Hangs)
		f, err := fleet.New(fleet.Config{Name: "op", Backend: &mem, Lease: time.Second, Log: quiet()})
		require.NoError(t, err)
		f.SetClock(newClock(1).now)
		_, err = f.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.False(t, bots[0].admits())
	})
}

// The lease runs from before its renewal was asked for, however late the answer comes.
func TestLaw2_ALateAnswerGivesNoLongerLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := renewing(t)
		time.AfterFunc(2500*time.Millisecond, func() { b.line.Set(fleettest.Hangs) })
		_, err := operator(t, b.mem).Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.False(t, b.admits())
	})
}

// The answer to a read that began before the own halt does not open the gate after it.
func TestLaw2_ALateAnswerDoesNotUndoAHalt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := renewing(t)
		time.AfterFunc(1900*time.Millisecond, func() { b.line.Set(fleettest.Hangs) })
		done := make(chan error, 1)
		go func() {
			_, err := b.Halt(t.Context(), "bob", "stop")
			done <- err
		}()
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			require.False(t, b.admits())
		}
		require.NoError(t, <-done)
	})
}

// renewing returns a bot with a lease of 9 s whose renewal has just read that the fleet
// trades, and gets the answer in two seconds.
func renewing(t *testing.T) *bot {
	mem := &fleettest.Memory{}
	resumeFleet(t, operator(t, mem))
	b := &bot{mem: mem, line: mem.Line()}
	joinWith(t, b, "a", newClock(1), 9*time.Second)
	synctest.Wait()
	require.True(t, b.admits())
	b.line.Set(fleettest.Late)
	time.Sleep(3*time.Second + time.Millisecond)
	require.True(t, b.admits())
	return b
}
