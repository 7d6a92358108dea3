package recovery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
)

func newWatch(t *testing.T, cfg recovery.WatchConfig) *recovery.Watch {
	t.Helper()
	w, err := recovery.NewWatch(cfg)
	require.NoError(t, err)
	return w
}

func TestWatchLooksEvery30SecondsFor15Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []recovery.Look
		began := time.Now()
		r, err := newWatch(t, recovery.WatchConfig{Look: holds("no naked leg"), OnLook: func(l recovery.Look) { told = append(told, l) }}).Run(t.Context())
		require.NoError(t, err)
		require.True(t, r.Passed)
		require.Equal(t, 15*time.Minute, time.Since(began))
		require.Len(t, r.Looks, 31)
		require.Equal(t, told, r.Looks)
		for i, l := range r.Looks {
			require.Equal(t, i+1, l.Number)
			require.Equal(t, time.Duration(i)*30*time.Second, l.At.Sub(began))
			require.True(t, l.Good())
		}
		require.Equal(t, "watch of 15m0s passed: 31 looks, one every 30s", r.String())
	})
}

func TestWatchAlwaysLooksAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newWatch(t, recovery.WatchConfig{For: 70 * time.Second, Look: holds("fine")}).Run(t.Context())
		require.NoError(t, err)
		require.Len(t, r.Looks, 4, "at 0, 30, 60 and 70 s")
		require.Equal(t, 70*time.Second, r.Ended.Sub(r.Began))
	})
}

func TestLaw1_AWatchFailsAtTheFirstLookThatIsNotGood(t *testing.T) {
	for name, c := range unproofs() {
		if c.check == nil {
			continue // NewWatch refuses it, see below
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer letGo()
				looks := 0
				r, err := newWatch(t, recovery.WatchConfig{Look: func(ctx context.Context) (string, error) {
					if looks++; looks < 3 {
						return "fine", nil
					}
					return c.check(ctx)
				}}).Run(t.Context())
				require.ErrorIs(t, err, recovery.ErrUnproven)
				require.ErrorContains(t, err, "look 3 of the watch")
				require.ErrorContains(t, err, c.says)
				require.False(t, r.Passed)
				require.Len(t, r.Looks, 3, "it does not look on")
				require.False(t, r.Looks[2].Good())
				require.Contains(t, r.String(), "FAILED")
			})
		})
	}
}

func TestLaw1_AWatchThatWasCutShortHasNotPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 14*time.Minute+time.Second)
		defer cancel()
		r, err := newWatch(t, recovery.WatchConfig{Look: holds("fine")}).Run(ctx)
		require.ErrorIs(t, err, recovery.ErrUnproven)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "cut short after 29 looks")
		require.False(t, r.Passed)
	})
}

func TestWatchNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewWatch(recovery.WatchConfig{For: -1, Every: -1, Timeout: -1})
	for _, want := range []string{"For: -1ns", "Every: -1ns", "Timeout: -1ns", "Look: is nil"} {
		require.ErrorContains(t, err, want)
	}
	_, err = recovery.NewWatch(recovery.WatchConfig{For: time.Second, Look: func(context.Context) (string, error) { return "", errors.New("x") }})
	require.ErrorContains(t, err, "Every: 30s, want more than 0 and at most For, which is 1s")
}
