package fleet_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

func TestLaw3_WhoJoinsAHaltedFleetIsHalted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		a := join(t, &mem, "a", newClock(1))
		synctest.Wait()
		require.Equal(t, safety.Halted, a.sw.State())
		require.ErrorContains(t, a.sw.Check(), "very first start")
		op := operator(t, &mem)
		resumeFleet(t, op)
		heard()
		require.True(t, a.admits())
		_, err := op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		a.stop()
		a = join(t, &mem, "a", newClock(1)) // a restart
		b := join(t, &mem, "b", newClock(1))
		time.Sleep(10 * lease)
		require.False(t, a.admits())
		require.False(t, b.admits())
		require.ErrorContains(t, b.sw.Check(), "halted by bob")
		resumeFleet(t, op)
		heard()
		require.True(t, a.admits())
		require.True(t, b.admits())
	})
}

func TestLaw3_ALostOrderIsAHalt(t *testing.T) {
	for name, to := range map[string][]byte{
		"deleted": nil, "torn": []byte(`{"version":1,"gen`), "empty": {}, "of a newer version": []byte(`{"version":2,"generation":9,"holds":[]}`),
		"of no one": []byte(`{"version":1,"generation":9,"holds":[]}`), "with something after it": []byte(`{"version":1,"generation":9,"holds":[],"resumed":{"by":"a","note":"b","at":"2026-01-01T00:00:00Z"}} x`),
		"with a field nobody knows": []byte(`{"version":1,"generation":9,"holds":[],"resumed":{"by":"a","note":"b","at":"2026-01-01T00:00:00Z"},"but":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mem fleettest.Memory
				bots := trading(t, &mem, "a")
				mem.Set("order", to)
				synctest.Wait()
				require.Equal(t, safety.Halted, bots[0].sw.State())
				st, err := bots[0].Status(t.Context())
				require.NoError(t, err)
				require.True(t, st.Halted)
				resumeFleet(t, operator(t, &mem))
				heard()
				require.True(t, bots[0].admits(), "never latched without a way back")
			})
		})
	}
}

// A backend that loses what it confirmed: a failover to a replica that was behind, a
// backup that was restored.
func TestLaw3_AnOrderThatWentBackIsAHalt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		before := value(t, &mem, "order")
		_, err := bots[0].Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		mem.Set("order", before)
		time.Sleep(lease)
		for _, b := range bots {
			require.Equal(t, safety.Halted, b.sw.State())
			require.ErrorContains(t, b.sw.Check(), "went back from generation 2 to 1")
			require.False(t, b.admits())
		}
		op := operator(t, &mem)
		resumeFleet(t, op)
		time.Sleep(lease)
		require.True(t, bots[0].admits())
		require.True(t, bots[1].admits())
	})
}

func value(t testing.TB, mem *fleettest.Memory, key string) []byte {
	rs, err := mem.Read(t.Context())
	require.NoError(t, err)
	for _, r := range rs {
		if r.Key == key {
			return r.Value
		}
	}
	return nil
}

func TestLaw3_OnlyResumeByANamedPersonWhoHasSeenEveryHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		op := operator(t, &mem)
		_, err := op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		st, err := op.Status(t.Context())
		require.NoError(t, err)
		for _, who := range [][2]string{{"", "note"}, {"alice", " "}} {
			require.ErrorIs(t, op.Resume(t.Context(), who[0], who[1], st.Holds), safety.ErrResumeRefused)
		}
		_, err = op.Halt(t.Context(), "carol", "another thing")
		require.NoError(t, err)
		err = op.Resume(t.Context(), "alice", "looked", st.Holds)
		require.ErrorIs(t, err, safety.ErrResumeRefused)
		require.ErrorContains(t, err, "halted by carol")
		_, err = op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		st2, err := op.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, st2.Holds, 2, "pulled again: the newer takes the place of the older")
		err = op.Resume(t.Context(), "alice", "looked", append(st.Holds, st2.Holds[0]))
		require.ErrorIs(t, err, safety.ErrResumeRefused, "and it is news to who has seen the first")
		require.False(t, bots[0].admits())
		require.NoError(t, op.Resume(t.Context(), "alice", "looked", st2.Holds))
		heard()
		require.True(t, bots[0].admits())
		st, err = op.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, "alice", st.Resumed.By)
	})
}

func TestLaw10_AResumeThatCannotBeRecordedIsRefusedAndAHaltIsNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a")
		rec := &recorder{}
		f, err := fleet.New(fleet.Config{Name: "op", Backend: &mem, Log: quiet(), Recorder: rec})
		require.NoError(t, err)
		f.SetClock(newClock(1).now)
		rec.err = errors.New("disk full")
		_, err = f.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		st, err := f.Status(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, f.Resume(t.Context(), "alice", "looked", st.Holds), safety.ErrResumeRefused)
		require.False(t, bots[0].admits())
		rec.err = nil
		require.NoError(t, f.Resume(t.Context(), "alice", "looked", st.Holds))
		_, err = f.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.Equal(t, []string{"alice fleet resumed looked", "bob fleet halted stop"}, rec.lines)
	})
}

// Lifting the fleet's halt leaves a bot's own holds, and the other way round.
func TestLaw3_ABotsOwnHoldsAreItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mem fleettest.Memory
		bots := trading(t, &mem, "a", "b")
		op := operator(t, &mem)
		_, err := op.Halt(t.Context(), "bob", "stop")
		require.NoError(t, err)
		require.NoError(t, bots[0].sw.Engage("carol", "this one too"))
		require.NoError(t, bots[1].sw.Resume(t.Context(), "alice", "looked", bots[1].sw.Status().Holds))
		require.False(t, bots[1].admits(), "a bot's Resume does not lift the fleet's halt")
		resumeFleet(t, op)
		heard()
		require.True(t, bots[1].admits())
		require.Equal(t, safety.Halted, bots[0].sw.State(), "the fleet's Resume does not lift a bot's own halt")
		require.NoError(t, bots[0].sw.Resume(t.Context(), "alice", "looked", bots[0].sw.Status().Holds))
		require.True(t, bots[0].admits())
	})
}
