package safety_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// The playbook's "reduce load": a hold that leaves trading active, narrower.
func TestThrottleIsAHoldLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		sw := limited(t, safety.Limits{MinTimeBetweenTrades: time.Second}, func(c *safety.Config) { c.Recorder = rec })
		require.True(t, sw.Feature(safety.FeatureMCP))
		require.True(t, sw.Feature(safety.FeatureDetailedMetrics))
		require.NoError(t, sw.Throttle("bob", "latency above 500 ms", safety.ReduceLoad()))

		require.Equal(t, safety.Active, sw.State())
		require.NoError(t, sw.Check())
		require.False(t, sw.Feature(safety.FeatureMCP))
		require.False(t, sw.Feature(safety.FeatureDetailedMetrics))
		l := sw.Limits("BTC")
		require.Equal(t, 300*time.Second, l.MinTimeBetweenTrades)
		require.Equal(t, dec("0.1"), l.MaxPositionSize)
		holds := lasting(sw)
		require.Len(t, holds, 1, "listed")
		require.Contains(t, holds[0].String(), "throttle (MinTimeBetweenTrades 5m0s, MaxPositionSize 0.1, off MCP_ENABLED, off MONITORING__DETAILED_METRICS) by bob")
		synctest.Wait()
		require.Contains(t, rec.recorded(), "bob | hold placed: throttle | latency above 500 ms")

		_, err := enter(sw, order("a", andon.Buy, "0.1"))
		d := denial(t, err)
		require.Equal(t, safety.ReasonMinTimeBetweenTrades, d.Reason, "it counts from the throttle where no trade is known")
		require.Equal(t, holds, d.Holds, "the error names the hold")
		require.ErrorContains(t, err, "by bob")
		p, err := enter(sw, order("exit", andon.Sell, "1"))
		require.NoError(t, err, "exits pass")
		p.Exit(safety.Accepted)

		require.NoError(t, sw.Lift(t.Context(), "alice", "fast again", holds[0]))
		require.True(t, sw.Feature(safety.FeatureMCP))
		require.Empty(t, lasting(sw))
		time.Sleep(time.Second)
		observe(t, sw, []andon.Position{position("1")})
		_, err = enter(sw, order("b", andon.Buy, "0.1"))
		require.NoError(t, err)
	})
}

// A throttle's interval counts from the last trade where that is known, else from
// the throttle.
func TestLaw1_AThrottleCountsFromWhatIsKnown(t *testing.T) {
	slow := safety.Throttle{Limits: safety.Limits{MinTimeBetweenTrades: 300 * time.Second}}
	for _, c := range []struct {
		name   string
		limits safety.Limits
		wait   time.Duration
	}{
		{"the last trade is known", safety.Limits{MaxOrders: 100}, 200 * time.Second},
		{"nothing was counted before", safety.Limits{}, 300 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := limited(t, c.limits)
				_, err := enter(sw, order("a", andon.Buy, "1"))
				require.NoError(t, err)
				time.Sleep(100 * time.Second)
				require.NoError(t, sw.Throttle("bob", "slow", slow))
				time.Sleep(c.wait - 1)
				_, err = enter(sw, order("b", andon.Buy, "1"))
				require.ErrorIs(t, err, safety.ErrDenied)
				time.Sleep(time.Nanosecond)
				_, err = enter(sw, order("c", andon.Buy, "1"))
				require.NoError(t, err)
			})
		})
	}
}

// Of several, and of the configuration, the strictest of each field counts.
func TestTheStrictestThrottleWins(t *testing.T) {
	sw := active(t, inMemory())
	one := safety.Throttle{Limits: safety.Limits{MinTimeBetweenTrades: time.Minute, MaxPositionSize: dec("0.2"), MaxOrders: 10}}
	two := safety.Throttle{Limits: safety.Limits{MinTimeBetweenTrades: 2 * time.Minute, MaxPositionSize: dec("0.5"), MaxOrders: 20, OrdersWithin: time.Minute},
		Off: []string{safety.FeatureMCP}}
	require.NoError(t, sw.Throttle("bob", "slow", one))
	require.True(t, sw.Feature(safety.FeatureMCP))
	require.NoError(t, sw.Throttle("carol", "slower", two))
	require.Equal(t, safety.Limits{MinTimeBetweenTrades: 2 * time.Minute, MaxPositionSize: dec("0.2"), MaxOrders: 10, OrdersWithin: time.Minute}, sw.Limits("BTC"))
	require.False(t, sw.Feature(safety.FeatureMCP))
	require.NoError(t, sw.Throttle("bob", "slow", one), "again")
	require.Len(t, lasting(sw), 2, "the same hold takes the place of itself")

	looser := safety.Throttle{Limits: safety.Limits{MaxOrders: 500}, Off: []string{safety.FeatureDetailedMetrics}}
	require.NoError(t, sw.Throttle("bob", "slow", looser), "the same words, another hold")
	holds := lasting(sw)
	require.Len(t, holds, 3)
	require.Equal(t, 10, sw.Limits("BTC").MaxOrders, "the newest is not the strictest")
	require.False(t, sw.Feature(safety.FeatureMCP), "nor does it switch on what another has switched off")
	lift := func(i int) { require.NoError(t, sw.Lift(t.Context(), "alice", "fast again", holds[i])) }
	lift(0) // two: what it alone narrowed is free, what another narrows too is not
	require.Equal(t, safety.Limits{MinTimeBetweenTrades: time.Minute, MaxPositionSize: dec("0.2"), MaxOrders: 10, OrdersWithin: time.Second}, sw.Limits("BTC"))
	require.True(t, sw.Feature(safety.FeatureMCP))
	require.False(t, sw.Feature(safety.FeatureDetailedMetrics))
	lift(1)
	require.Equal(t, safety.Limits{MaxOrders: 500, OrdersWithin: time.Second}, sw.Limits("BTC"))
	require.NoError(t, sw.Throttle("bob", "slow", one))
	_, err := sw.Halt(t.Context(), "dave", "drill")
	require.NoError(t, err)
	require.Equal(t, safety.Halted, sw.State())
	resume(t, sw)
	require.Equal(t, safety.Limits{}, sw.Limits("BTC"), "Resume lifts what it was shown")
}

// A throttle outlives the process, and a resume that has not seen it is refused.
func TestLaw3_AThrottleOutlivesTheProcess(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	before := sw.Status().Holds
	require.NoError(t, sw.Throttle("bob", "slow", safety.ReduceLoad()))
	require.ErrorIs(t, sw.Resume(t.Context(), "alice", "go", before), safety.ErrResumeRefused)
	_, err := sw.Drain(t.Context())
	require.NoError(t, err)
	was := lasting(sw)
	require.NoError(t, sw.Close())

	again := open(t, cfg)
	run(t, again)
	require.Equal(t, safety.Active, again.State())
	require.False(t, again.Feature(safety.FeatureMCP))
	require.Equal(t, 300*time.Second, again.Limits("BTC").MinTimeBetweenTrades)
	now := lasting(again)
	require.Len(t, now, 1)
	require.Equal(t, was[0].Throttle, now[0].Throttle)
	require.NoError(t, again.Lift(t.Context(), "alice", "fast again", was[0]), "it is the same hold")
	require.True(t, again.Feature(safety.FeatureMCP))
}

// What cannot be meant is refused and places nothing; a feature that nobody could
// switch off is off.
func TestThrottleIsValidated(t *testing.T) {
	sw := active(t, inMemory())
	err := sw.Throttle("bob", "slow", safety.Throttle{Limits: safety.Limits{MaxOrders: -1}, Off: []string{"MCP"}})
	require.ErrorContains(t, err, "Limits.MaxOrders -1 is negative")
	require.ErrorContains(t, err, `Off[0] "MCP" is not one of the features`)
	require.ErrorContains(t, sw.Throttle("bob", "slow", safety.Throttle{}), "it narrows nothing")
	require.Empty(t, lasting(sw))
	require.False(t, sw.Feature("MCP"), "a name that no throttle knows")
}
