package resthttp

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPace_NeverFasterThanTheVenueTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 30
		p := newPace(perSecond)
		var at []time.Time
		for range 200 {
			require.NoError(t, p.wait(context.Background(), true))
			at = append(at, time.Now())
		}
		for i := perSecond; i < len(at); i++ {
			require.GreaterOrEqual(t, at[i].Sub(at[i-perSecond]), time.Second, "%d in a second", perSecond+1)
		}
		require.Less(t, time.Since(at[0]), 7*time.Second, "and not slower")
	})
}

func TestPace_KeepsAShareForUrgentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(30)
		lists := 0
		for p.take(time.Now(), false) == 0 {
			lists++
		}
		require.Equal(t, 20, lists)
		urgent := 0
		for p.take(time.Now(), true) == 0 {
			urgent++
		}
		require.Equal(t, 10, urgent, "lists leave a third")
	})
}

func TestPace_ClosedLetsNothingThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(30)
		began := time.Now()
		p.close(began, 7*time.Second)
		p.close(began, time.Second) // does not open it earlier
		require.NoError(t, p.wait(context.Background(), true))
		require.Equal(t, 7*time.Second, time.Since(began))

		p.close(time.Now(), time.Hour)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.wait(ctx, true), context.DeadlineExceeded)
	})
}

// TestClock_BoundsHoldTheTruth answers with any offset, delays and order: the truth lies
// within what the clock says of itself.
func TestClock_BoundsHoldTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Clock
		truth := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "offset"))
		now := time.Unix(1_800_000_000, 0)
		for range rapid.IntRange(1, 20).Draw(t, "answers") {
			sent := now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
			answered := sent.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "there")))
			now = answered.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "back")))
			c.learn(http.Header{"Date": {answered.Add(truth).UTC().Truncate(time.Second).Format(http.TimeFormat)}}, sent, now)
			offset, within, known := c.Offset()
			require.True(t, known)
			require.LessOrEqual(t, (offset - truth).Abs(), within)
		}
	})
}

func TestClock_AClockThatMovedIsLearnedAnew(t *testing.T) {
	var c Clock
	_, _, known := c.Offset()
	require.False(t, known)
	at := time.Unix(1_800_000_000, 0)
	date := func(d time.Duration) http.Header {
		return http.Header{"Date": {at.Add(d).UTC().Format(http.TimeFormat)}}
	}
	c.learn(date(time.Minute), at, at)
	c.learn(date(-time.Hour), at, at)
	offset, _, _ := c.Offset()
	require.InDelta(t, float64(-time.Hour), float64(offset), float64(time.Second))

	h := date(time.Minute)
	h.Set("Age", "60")
	c.learn(h, at, at) // the word of a cache
	again, _, _ := c.Offset()
	require.Equal(t, offset, again)
}

// FuzzRetryAfter reads any answer's headers: the wait is never negative and never longer
// than the longest that is believed.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Sat, 14 Mar 2026 09:28:00 GMT", "Sat, 14 Mar 2026 09:26:53 GMT")
	f.Add("Sat, 14 Mar 9999 09:28:00 GMT", "Sat, 14 Mar 0001 09:26:53 GMT")
	f.Add("-1", "soon")
	f.Fuzz(func(t *testing.T, wish, date string) {
		d := retryAfter(http.Header{"Retry-After": {wish}, "Date": {date}}, time.Unix(1773480413, 0))
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, longestWish)
	})
}
