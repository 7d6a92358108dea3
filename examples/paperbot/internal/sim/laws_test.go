package sim

import (
	"testing"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// worlds runs check after every action of random worlds.
func worlds(t *testing.T, check func(t *rapid.T, w *world)) (sum Counts) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(t, "seed"), rapid.Bool().Draw(t, "hedge"))
		for range rapid.IntRange(1, 60).Draw(t, "actions") {
			w.act(t)
			check(t, w)
		}
		sum.add(w.x.Counts())
	})
	return sum
}

func (c *Counts) add(d Counts) {
	c.Outages += d.Outages
	c.Unauthorized += d.Unauthorized
	c.TimeoutsTaken += d.TimeoutsTaken
	c.TimeoutsAbsent += d.TimeoutsAbsent
	c.StopsDropped += d.StopsDropped
	c.Accepted += d.Accepted
	c.Rejected += d.Rejected
	c.Duplicates += d.Duplicates
	c.Fills += d.Fills
	c.PartialFills += d.PartialFills
	c.Triggered += d.Triggered
	c.Expired += d.Expired
}

func TestFillsAddUpToPositionsAndBalance(t *testing.T) {
	counts := worlds(t, func(t *rapid.T, w *world) {
		total := w.x.cfg.Deposit
		legs := w.replay(func(f andon.Fill, _ andon.Decimal) {
			require.NoError(t, f.Validate())
			value, err := f.Value()
			require.NoError(t, err)
			fee, err := value.Mul(dec("0.0005"))
			if f.Fee.Sign() < 0 {
				fee, err = value.Mul(dec("-0.00005"))
			}
			require.NoError(t, err)
			require.Equal(t, fee, f.Fee)
			if f.Side == andon.Buy {
				value = value.Neg()
			}
			total = total.Add(value).Sub(f.Fee)
		})
		for k, l := range w.x.legs {
			require.Equal(t, legs[k], l.quantity, "%v", k)
			total = total.Add(l.cost)
			if l.quantity.IsZero() {
				require.True(t, l.cost.IsZero() && l.entry.IsZero(), "%v is flat and keeps a cost", k)
			}
		}
		require.Equal(t, total, w.x.wallet, "deposit, realised profit and fees")
	})
	require.NotZero(t, counts.Fills)
	require.NotZero(t, counts.PartialFills)
	require.NotZero(t, counts.Triggered)
	require.NotZero(t, counts.Expired)
}

func TestReduceOnlyNeverOpensOrFlips(t *testing.T) {
	reduced := 0
	worlds(t, func(t *rapid.T, w *world) {
		w.replay(func(f andon.Fill, before andon.Decimal) {
			o := w.x.orders[f.ClientID]
			if !o.ReduceOnly && f.Leg == andon.Net {
				return
			}
			if f.Leg == andon.Long && f.Side == andon.Buy || f.Leg == andon.Short && f.Side == andon.Sell {
				require.False(t, o.ReduceOnly, "reduce-only %s opened", o.ClientID)
				return
			}
			reduced++
			require.Equal(t, -1, before.Sign()*f.Side.Sign(), "%s opened from %v", o.ClientID, before)
			require.False(t, before.Abs().Less(f.Quantity), "%s flipped %v with %v", o.ClientID, before, f.Quantity)
		})
	})
	require.NotZero(t, reduced)
}

func TestNoOrderIsLost(t *testing.T) {
	worlds(t, func(t *rapid.T, w *world) {
		filled := map[string]andon.Decimal{}
		w.replay(func(f andon.Fill, _ andon.Decimal) {
			filled[f.ClientID] = filled[f.ClientID].Add(f.Quantity)
		})
		listed := map[string]int{}
		for _, o := range w.x.resting {
			listed[o.ClientID]++
		}
		for _, o := range w.x.conditional {
			require.True(t, o.Kind.Conditional())
			require.True(t, o.Filled.IsZero(), "%s trades in the second list", o.ClientID)
			listed[o.ClientID]++
		}
		for id := range w.taken {
			require.Contains(t, w.x.orders, id)
		}
		require.Len(t, w.x.orders, w.x.counts.Accepted)
		for id, o := range w.x.orders {
			require.NoError(t, o.Validate())
			require.Equal(t, filled[id], o.Filled)
			require.Equal(t, o.Status == andon.Filled, o.Remaining().IsZero())
			require.NotContains(t, []andon.Status{andon.StatusUnknown, andon.Rejected}, o.Status)
			live := 0
			if !o.Status.Done() {
				live = 1
			}
			require.Equal(t, live, listed[id], "%s is %v", id, o.Status)
		}
	})
}

func TestLaw6_AnUnknownOutcomeIsFoundOrWasNeverThere(t *testing.T) {
	found, never := 0, 0
	counts := worlds(t, func(t *rapid.T, w *world) {
		faults := w.x.Faults()
		require.NoError(t, w.x.SetFaults(Faults{}))
		for id, sent := range w.lost {
			o, err := w.x.Lookup(ctx, sent.Symbol, id)
			if err == nil {
				found++
				require.Equal(t, sent.Quantity, o.Quantity)
				require.Equal(t, sent.Side, o.Side)
				continue
			}
			never++
			require.ErrorIs(t, err, andon.ErrOrderNotFound)
			require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
			for _, f := range w.x.fills {
				require.NotEqual(t, id, f.ClientID, "an order that is not found was filled")
			}
		}
		require.NoError(t, w.x.SetFaults(faults))
	})
	require.NotZero(t, found)
	require.NotZero(t, never)
	require.NotZero(t, counts.Duplicates)
	require.NotZero(t, counts.TimeoutsTaken)
	require.NotZero(t, counts.TimeoutsAbsent)
	require.NotZero(t, counts.Outages)
	require.NotZero(t, counts.Unauthorized)
	require.NotZero(t, counts.StopsDropped)
}

func TestLaw5_AFailedQueryIsAnErrorAndNoAnswer(t *testing.T) {
	x := open(t, config(1, false))
	_, err := x.Submit(ctx, buy("1"))
	require.NoError(t, err)
	for name, f := range map[string]struct {
		faults Faults
		want   error
	}{
		"outage":       {Faults{Outage: true}, ErrOutage},
		"unauthorized": {Faults{Unauthorized: true}, ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, x.SetFaults(f.faults))
			positions, err := x.Positions(ctx)
			require.ErrorIs(t, err, f.want)
			require.Nil(t, positions)
			orders, err := x.Orders(ctx)
			require.ErrorIs(t, err, f.want)
			require.Nil(t, orders)
			balances, err := x.Balances(ctx)
			require.ErrorIs(t, err, f.want)
			require.Nil(t, balances)
			_, err = x.Lookup(ctx, "AAA-USDT", "c1")
			require.ErrorIs(t, err, f.want)
			require.NotErrorIs(t, err, andon.ErrOrderNotFound)
		})
	}
}
