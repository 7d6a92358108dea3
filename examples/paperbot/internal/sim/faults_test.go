package sim

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

func TestLatencyAndSlownessAreTakenOnBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(1, false)
		cfg.Latency = 20 * time.Millisecond
		x := open(t, cfg)
		began := time.Now()
		_, err := x.Submit(ctx, buy("1"))
		require.NoError(t, err)
		require.Equal(t, 20*time.Millisecond, time.Since(began))

		require.NoError(t, x.SetFaults(Faults{Slow: 600 * time.Millisecond}))
		began = time.Now()
		_, err = x.Positions(ctx)
		require.NoError(t, err)
		require.Equal(t, 620*time.Millisecond, time.Since(began))
		require.Equal(t, 1, x.Counts().Slowed)
	})
}

func TestLaw6_ADeadlineOnTheWayLeavesTheOutcomeUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		deadline time.Duration
		exists   bool
	}{
		"before it arrives":    {5 * time.Millisecond, false},
		"before the answer is": {15 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(1, false)
				cfg.Latency = 20 * time.Millisecond
				x := open(t, cfg)
				short, cancel := context.WithTimeout(ctx, c.deadline)
				defer cancel()
				_, err := x.Submit(short, buy("1"))
				require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				_, err = x.Lookup(ctx, "AAA-USDT", "c1")
				require.Equal(t, c.exists, err == nil)
			})
		})
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err := open(t, config(1, false)).Submit(over, buy("1"))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown, "nothing was sent")
}

func TestAnOutageLeavesTheOutcomeUnknownAndAWrongKeyDoesNot(t *testing.T) {
	x := open(t, config(1, false))
	require.NoError(t, x.SetFaults(Faults{Outage: true}))
	_, err := x.Submit(ctx, buy("1"))
	require.ErrorIs(t, err, ErrOutage)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.ErrorIs(t, x.Cancel(ctx, buy("1")), andon.ErrOutcomeUnknown)

	require.NoError(t, x.SetFaults(Faults{Unauthorized: true}))
	_, err = x.Submit(ctx, buy("1"))
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	call, ok := errors.AsType[*CallError](err)
	require.True(t, ok)
	require.Equal(t, "submit", call.Call)
	require.EqualError(t, call, "sim: submit of order c1: 401 unauthorized: invalid API key")

	require.NoError(t, x.SetFaults(Faults{}))
	require.ErrorIs(t, x.Cancel(ctx, buy("1")), andon.ErrOrderNotFound)
	require.Equal(t, 2, x.Counts().Outages)
	require.Equal(t, 1, x.Counts().Unauthorized)
}

func TestADroppedStopIsGoneFromEveryList(t *testing.T) {
	x := open(t, config(1, false))
	_, ok := x.DropStop("AAA-USDT")
	require.False(t, ok)
	_, err := x.Submit(ctx, buy("2"))
	require.NoError(t, err)
	for id, kind := range map[string]andon.Kind{"target": andon.TakeProfitMarket, "stop": andon.StopMarket} {
		o := andon.Order{ClientID: id, Venue: "sim", Symbol: "AAA-USDT", Side: andon.Sell, Kind: kind, Quantity: dec("2"), Trigger: dec("50"), ReduceOnly: true}
		if !kind.Stop() {
			o.Trigger = dec("150")
		}
		_, err := x.Submit(ctx, o)
		require.NoError(t, err)
	}
	dropped, ok := x.DropStop("AAA-USDT")
	require.True(t, ok)
	require.Equal(t, "stop", dropped.ClientID)
	require.Equal(t, andon.Canceled, dropped.Status)
	orders, err := x.Orders(ctx)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "target", orders[0].ClientID)
	require.Equal(t, 1, x.Counts().StopsDropped)
}

func TestAStaleFeedKeepsItsOldMomentWhileTheVenueTradesOn(t *testing.T) {
	x := open(t, config(1, false))
	_, err := x.Submit(ctx, buy("1"))
	require.NoError(t, err)
	require.NoError(t, x.SetFaults(Faults{StalePrices: true}))
	for range 20 {
		require.NoError(t, x.Step(x.Now().Add(time.Second)))
	}
	q, err := x.Quote(ctx, "AAA-USDT")
	require.NoError(t, err)
	require.Equal(t, start, q.At)
	require.Equal(t, "100", q.Mark.String())
	positions, err := x.Positions(ctx)
	require.NoError(t, err)
	require.Equal(t, start, positions[0].At)
	require.Equal(t, 2, x.Counts().StalePrices)

	require.NoError(t, x.SetFaults(Faults{}))
	q, err = x.Quote(ctx, "AAA-USDT")
	require.NoError(t, err)
	require.Equal(t, x.Now(), q.At)
	require.Equal(t, 2, x.Counts().StalePrices)
}

func TestFaultsThatCannotBeAreRefused(t *testing.T) {
	x := open(t, config(1, false))
	for _, rate := range []float64{-0.1, 1.1, math.NaN()} {
		require.ErrorContains(t, x.SetFaults(Faults{TimeoutRate: rate}), "TimeoutRate")
		require.ErrorContains(t, x.SetFaults(Faults{LossRate: rate}), "LossRate")
	}
	require.ErrorContains(t, x.SetFaults(Faults{TimeoutRate: 0.6, LossRate: 0.6}), "together")
	require.ErrorContains(t, x.SetFaults(Faults{Slow: -1}), "Slow")
	require.Equal(t, Faults{}, x.Faults())
}

func TestAnAmountThatOutgrowsADecimalStopsTheExchange(t *testing.T) {
	x := open(t, config(1, false))
	_, err := x.Submit(ctx, buy("1"))
	require.NoError(t, err)
	k := buy("1").Key()
	l := x.legs[k]
	l.cost = dec("1234567890123456789.1234567890123456789")
	x.legs[k] = l
	_, err = x.Balances(ctx)
	require.ErrorIs(t, err, andon.ErrTooManyDigits, "no rounded reserve")
	l.entry = l.cost
	x.legs[k] = l
	sell := buy("0.5")
	sell.ClientID, sell.Side, sell.ReduceOnly = "c2", andon.Sell, true
	_, err = x.Submit(ctx, sell)
	require.ErrorIs(t, err, ErrBroken)
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	_, err = x.Positions(ctx)
	require.ErrorIs(t, err, ErrBroken)
	require.ErrorIs(t, x.Step(start.Add(time.Second)), ErrBroken)
}
