package sim

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSameSeedAndCallsGiveTheSameWorld(t *testing.T) {
	script := rapid.Custom(func(t *rapid.T) *world {
		w := newWorld(t, 42, false)
		for range 80 {
			w.act(t)
		}
		return w
	})
	fills := 0
	for draw := range 10 {
		a, b := script.Example(draw), script.Example(draw)
		fills += len(a.x.fills)
		require.Equal(t, a.x.fills, b.x.fills)
		require.Equal(t, a.x.counts, b.x.counts)
		require.Equal(t, a.x.wallet, b.x.wallet)
		require.Equal(t, a.x.resting, b.x.resting)
		require.Equal(t, a.x.conditional, b.x.conditional)
	}
	require.Greater(t, fills, 20)
}

// path returns the marks of 50 steps with a call to touch before each.
func path(t *testing.T, seed uint64, touch func(x *Exchange, i int)) (marks []Quote) {
	x := open(t, config(seed, false))
	for i := range 50 {
		touch(x, i)
		require.NoError(t, x.Step(x.Now().Add(time.Second)))
		q, err := x.Quote(ctx, "AAA-USDT")
		require.NoError(t, err)
		marks = append(marks, q)
	}
	return marks
}

func TestPricesDependOnTheSeedAndTheStepsAlone(t *testing.T) {
	quiet := path(t, 3, func(*Exchange, int) {})
	busy := path(t, 3, func(x *Exchange, i int) {
		o := buy("1")
		o.ClientID = fmt.Sprint("c", i)
		_, err := x.Submit(ctx, o)
		require.NoError(t, err)
	})
	require.Equal(t, quiet, busy)
	require.NotEqual(t, quiet, path(t, 4, func(*Exchange, int) {}))
}

// lostAnswers submits the same 200 orders, with so many goroutines, and returns the
// client ids whose answer was lost and whether each order exists.
func lostAnswers(t *testing.T, workers int) map[string]bool {
	x := open(t, config(9, false))
	require.NoError(t, x.SetFaults(Faults{TimeoutRate: 0.3, LossRate: 0.2}))
	lost := make([]bool, 200)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(lost); i += workers {
				o := buy("1")
				o.ClientID = fmt.Sprint("c", i)
				_, err := x.Submit(ctx, o)
				lost[i] = errors.Is(err, andon.ErrOutcomeUnknown)
			}
		})
	}
	wg.Wait()
	exists := map[string]bool{}
	for i, l := range lost {
		if id := fmt.Sprint("c", i); l {
			_, err := x.Lookup(ctx, "AAA-USDT", id)
			exists[id] = err == nil
		}
	}
	return exists
}

func TestLostAnswersDependOnTheClientIDAlone(t *testing.T) {
	alone := lostAnswers(t, 1)
	require.Greater(t, len(alone), 50)
	require.Contains(t, alone, firstWith(alone, true))
	require.Contains(t, alone, firstWith(alone, false))
	require.Equal(t, alone, lostAnswers(t, 8))
}

func firstWith(m map[string]bool, v bool) string {
	for k, got := range m {
		if got == v {
			return k
		}
	}
	return "none"
}
