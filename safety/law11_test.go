package safety_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// A store that hangs keeps nothing open: the gate closes at once, Halt says within its
// bound that the hold is not durable, and the switch goes on trying.
func TestLaw11_AHangingStoreDoesNotHoldUpTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		cfg := inMemory()
		cfg.Store = store
		sw := active(t, cfg)
		hang := make(chan struct{})
		store.hangOn(hang)
		before := time.Now()
		r, err := sw.Halt(t.Context(), "bob", "drill")
		require.ErrorIs(t, err, safety.ErrNotDurable)
		require.Equal(t, 2*time.Second, time.Since(before))
		require.Zero(t, r.Closed, "the gate closed at once")
		require.Zero(t, r.Durable)
		require.Equal(t, safety.Halted, sw.State())
		require.False(t, sw.Status().Durable)
		require.Empty(t, store.stored().Holds)

		close(hang)
		store.hangOn(nil)
		synctest.Wait()
		require.True(t, sw.Status().Durable)
		require.Equal(t, "drill", store.stored().Holds[0].Reason)
		_, err = sw.Drain(t.Context())
		require.NoError(t, err)
	})
}

func TestLaw11_ASaveThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		cfg := inMemory()
		cfg.Store = store
		sw := active(t, cfg)
		full := errors.New("no space left on device")
		store.fail(full)
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.ErrorIs(t, err, safety.ErrNotDurable)
		require.ErrorIs(t, err, full)
		time.Sleep(time.Hour)
		require.Empty(t, store.stored().Holds)
		store.fail(nil)
		time.Sleep(2 * time.Second)
		require.True(t, sw.Status().Durable)
		require.Equal(t, "drill", store.stored().Holds[0].Reason)
	})
}

// While trading is active, a state that can no longer be saved is a Reducing hold,
// found by the probe, and it goes when the disk is back.
func TestLaw11_AStateThatCannotBeSavedReduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		cfg := inMemory()
		cfg.Store = store
		sw := active(t, cfg)
		observe(t, sw, []andon.Position{position("2")})
		store.fail(errors.New("read-only file system"))
		time.Sleep(10*time.Second + 1)
		require.Equal(t, safety.Reducing, sw.State())
		require.ErrorContains(t, sw.Check(), "read-only file system")
		_, err := enter(sw, order("out", andon.Sell, "2"))
		require.NoError(t, err, "exits pass")
		time.Sleep(time.Hour)
		require.Len(t, sw.Status().Holds, 1, "one cause is one hold")
		store.fail(nil)
		time.Sleep(10 * time.Second)
		require.Equal(t, safety.Active, sw.State())
	})
}

// Orders that do not settle hold a halt up within its bound and no longer.
func TestLaw11_DrainEndsWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		p, err := enter(sw, order("slow", andon.Buy, "1"))
		require.NoError(t, err)
		before := time.Now()
		r, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(before))
		require.Equal(t, []string{"slow"}, r.InFlight)

		go func() {
			time.Sleep(3 * time.Second)
			p.Exit(safety.Accepted)
		}()
		before = time.Now()
		names, err := sw.Drain(t.Context())
		require.NoError(t, err)
		require.Empty(t, names)
		require.Equal(t, 3*time.Second, time.Since(before), "it does not wait longer than it must")
	})
}
