package runbook_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
)

// A long step is told after a crash how far it was, and when it first began; a person's
// Retry begins it anew.
func TestAStepGoesOnFromItsNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &timeline{}
		var mu sync.Mutex
		var calls []runbook.Call
		long := step("long")
		long.Again, long.Timeout = true, time.Hour
		long.Do = func(ctx context.Context, c runbook.Call) (string, error) {
			mu.Lock()
			calls = append(calls, c)
			n := len(calls)
			mu.Unlock()
			require.NoError(t, c.Note(ctx, "part"))
			switch n {
			case 1:
				<-ctx.Done() // until the process ends
				return "", ctx.Err()
			case 2:
				return "", errors.New("it failed")
			}
			return "all", nil
		}
		e, stop := engine(t, tl, book(long))
		id := start(t, e)
		began := time.Now()
		time.Sleep(time.Minute)
		stop()
		time.Sleep(time.Minute)
		e, _ = engine(t, tl, book(long))
		_, err := e.Wait(t.Context(), id)
		require.ErrorIs(t, err, runbook.ErrWaiting)
		require.NoError(t, e.Retry(t.Context(), id, "long", "Ada", "it is mended"))
		r, err := e.Wait(t.Context(), id)
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, calls, 3)
		require.Empty(t, calls[0].Past)
		require.Equal(t, []string{"part"}, calls[1].Past)
		require.Empty(t, calls[2].Past, "it begins anew")
		for i, c := range calls[:2] {
			require.True(t, c.Since.Equal(began), "call %d", i)
			require.True(t, c.Began.Equal(began))
		}
		require.True(t, calls[2].Since.Equal(began.Add(2*time.Minute)))
		require.Equal(t, []string{"part"}, r.Steps[0].Notes)
		require.ErrorIs(t, calls[2].Note(t.Context(), "late"), runbook.ErrState)
	})
}
