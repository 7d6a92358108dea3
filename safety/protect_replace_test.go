package safety_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

var replacing = safety.ProtectionPolicy{
	Distance: dec("0.05"), Replace: true,
	Instruments: map[string]andon.Instrument{"BTC": {Tick: dec("0.1"), Lot: dec("0.001")}},
}

// expiring is a stop that the venue drops in ten minutes.
func expiring(now time.Time) andon.Order {
	o := reduceOnly(stopOrder("old", andon.Sell, "2"))
	o.ExpiresAt = now.Add(10 * time.Minute)
	return o
}

func replacePlan(t testing.TB, v andon.Account, req safety.Requirements, policy safety.ProtectionPolicy, now time.Time) safety.ProtectionPlan {
	r, err := safety.ReadProtection(t.Context(), v, req, now)
	require.NoError(t, err)
	require.False(t, r.Protected())
	p, err := safety.PlanProtection(r, policy)
	require.NoError(t, err)
	require.Len(t, p.Steps, 1)
	require.Empty(t, p.Left)
	return p
}

func TestAStopAboutToExpireIsReplacedNewOneFirst(t *testing.T) {
	v := andontest.New(andontest.Config{Name: "sim", Now: checkedAt})
	v.SetPosition(position("2"))
	v.SetOrder(expiring(checkedAt))
	p := replacePlan(t, v, safety.Requirements{}, replacing, checkedAt)
	require.Len(t, p.Steps[0].Replaces, 1)
	rec := &notes{}
	do := safety.Protector{Venue: v, Gate: openGate{}, Recorder: rec, By: "ada"}
	r, err := do.Apply(t.Context(), p, checkedAt)
	require.NoError(t, err)
	require.True(t, r.After.Protected(), r.After)
	require.Equal(t, []string{"sell 2 stop-market BTC", "cancel old"}, submitted(v), "never naked")
	require.Equal(t, []string{"old"}, r.Steps[0].Replaced)
	require.Contains(t, rec.lines[0], "in place of old")
	_, err = do.Apply(t.Context(), p, checkedAt)
	require.NoError(t, err)
	require.Len(t, v.Truth().Orders, 1, "law 9: a second time places nothing")
}

func TestAStopIsReplacedThroughAHaltedSwitchThatReservesThePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		v.SetPosition(position("2"))
		v.SetOrder(expiring(time.Now()))
		d := newDesk(t, safety.Config{}, v)
		_, err := d.sw.Halt(t.Context(), "drawdown", "a test")
		require.NoError(t, err)
		view, err := safety.ReadView(t.Context(), "sim", v)
		require.NoError(t, err)
		require.NoError(t, d.sw.Observe(view))
		p := replacePlan(t, v, safety.Requirements{}, replacing, time.Now())
		v.Inject(andontest.Late, 1) // the cancel is accepted and comes later
		r, err := safety.Protector{Venue: v, Gate: d.sw, Recorder: &notes{}, By: "ada"}.Apply(t.Context(), p, time.Now())
		require.NoError(t, err)
		require.True(t, r.After.Protected(), r.After)
		require.Len(t, v.Truth().Orders, 1)
		lines := submitted(v)
		require.Equal(t, "sell 2 stop-market BTC", lines[len(lines)-1], "law 4: not beside the old one")
	})
}

func TestAStopOnSpotIsReplacedWhereItReservesTheBalance(t *testing.T) {
	in := andon.Instrument{Base: "BTC", Quote: "USDT", Tick: dec("0.1"), Lot: dec("0.001")}
	v := andontest.New(andontest.Config{Name: "sim", Spot: true, Symbols: map[string]andontest.Symbol{"BTC": {Instrument: in}}, Balances: map[string]andon.Decimal{"BTC": dec("2")}})
	far := stopOrder("old", andon.Sell, "2")
	far.Trigger = dec("50")
	v.SetOrder(far)
	policy := replacing
	policy.Instruments = map[string]andon.Instrument{"BTC": in}
	p := replacePlan(t, v, safety.Requirements{AllowWithoutReduceOnly: true}, policy, time.Now())
	require.False(t, p.Steps[0].Order.ReduceOnly)
	r, err := safety.Protector{Venue: v, Gate: openGate{}, Recorder: &notes{}, By: "ada"}.Apply(t.Context(), p, time.Now())
	require.NoError(t, err)
	require.True(t, r.After.Protected(), r.After)
	require.Equal(t, []string{"sell 2 stop-market BTC", "cancel old", "sell 2 stop-market BTC"}, submitted(v), "the first was refused, as the old one reserves it")
}

// refusesTriggersOf refuses a stop with one trigger.
type refusesTriggersOf struct {
	*andontest.Venue
	trigger string
}

func (v refusesTriggersOf) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	if o.Trigger.String() == v.trigger {
		return o, &andon.RejectedError{Order: o, Reason: "no"}
	}
	return v.Venue.Submit(ctx, o)
}

func TestWhereTheNewStopIsRefusedTheOldOneIsPlacedAgain(t *testing.T) {
	v := andontest.New(andontest.Config{Name: "sim", Now: checkedAt})
	v.SetPosition(position("2"))
	v.SetOrder(expiring(checkedAt))
	p := replacePlan(t, v, safety.Requirements{}, replacing, checkedAt)
	r, err := safety.Protector{Venue: refusesTriggersOf{v, "95"}, Gate: openGate{}, Recorder: &notes{}, By: "ada"}.Apply(t.Context(), p, checkedAt)
	require.ErrorIs(t, err, andon.ErrRejected)
	require.ErrorContains(t, err, "order old was placed again as")
	require.Equal(t, safety.ProtectRefused, r.Steps[0].Outcome)
	orders := v.Truth().Orders
	require.Len(t, orders, 1)
	require.Equal(t, "90", orders[0].Trigger.String())
}

// Of two old stops one will not go. The other, which has gone, is placed again, through a
// gate that had reserved the position for both.
func TestWhereOneOldStopWillNotGoTheOtherIsPlacedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		v.SetPosition(position("2"))
		for _, id := range []string{"old-1", "old-2"} {
			o := expiring(time.Now())
			o.ClientID, o.Quantity = id, dec("1")
			v.SetOrder(o)
		}
		d := newDesk(t, safety.Config{MaxViewAge: time.Hour}, v)
		_, err := d.sw.Halt(t.Context(), "drawdown", "a test")
		require.NoError(t, err)
		view, err := safety.ReadView(t.Context(), "sim", v)
		require.NoError(t, err)
		require.NoError(t, d.sw.Observe(view))
		p := replacePlan(t, v, safety.Requirements{}, replacing, time.Now())
		r, err := safety.Protector{Venue: keepsOrder{v, "old-2"}, Gate: d.sw, Recorder: &notes{}, By: "ada"}.Apply(t.Context(), p, time.Now())
		require.ErrorContains(t, err, "order old-2, may still be there")
		require.ErrorContains(t, err, "order old-1 was placed again as")
		require.NotContains(t, err.Error(), "NAKED")
		require.Equal(t, safety.ProtectDenied, r.Steps[0].Outcome)
		orders := v.Truth().Orders
		require.Len(t, orders, 2)
		for _, o := range orders {
			require.Equal(t, "1", o.Quantity.String(), o.ClientID)
		}
	})
}

func TestWhatIsReplacedAndWhatIsNot(t *testing.T) {
	far := reduceOnly(stopOrder("far", andon.Sell, "2"))
	far.Trigger = dec("50")
	wrong := reduceOnly(stopOrder("wrong", andon.Buy, "2"))
	wrong.Trigger = dec("110")
	entry := stopOrder("entry", andon.Buy, "2")
	entry.Trigger = dec("110")
	for name, c := range map[string]struct {
		order    andon.Order
		replaces bool
	}{
		"too far":                 {far, true},
		"not reduce-only":         {stopOrder("open", andon.Sell, "2"), true},
		"the side of nothing":     {wrong, true},
		"an entry":                {entry, false},
		"a take-profit":           {func() andon.Order { o := far; o.Kind = andon.TakeProfitMarket; o.Trigger = dec("120"); return o }(), false},
		"a state that is unknown": {func() andon.Order { o := far; o.Status = andon.StatusUnknown; return o }(), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.order
			if name != "a state that is unknown" {
				o.Status = andon.Live
			}
			r := safety.CheckProtection([]andon.Position{position("2")}, []andon.Order{o}, safety.Requirements{}, checkedAt)
			p, err := safety.PlanProtection(r, replacing)
			require.NoError(t, err)
			if c.replaces {
				require.Len(t, p.Steps, 1)
				require.Len(t, p.Steps[0].Replaces, 1)
				return
			}
			for _, s := range p.Steps {
				require.Empty(t, s.Replaces)
			}
		})
	}
}

// Killed between any two steps of an apply, and applied again: one stop, and never two.
func TestLaw9_ApplyKilledAtEveryStepEndsTheSame(t *testing.T) {
	planName := func(dir string) string { return filepath.Join(dir, "plan.json") }
	openVenue := func(dir string) (*fileVenue, error) {
		v, err := openFileVenue(dir, 0, func(v *andontest.Venue) {
			v.SetPosition(position("2"))
			v.SetOrder(expiring(checkedAt))
		})
		return v, err
	}
	apply := func(dir string, gate safety.Gate) (*fileVenue, error) {
		v, err := openVenue(dir)
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(planName(dir))
		if err != nil {
			return nil, err
		}
		var p safety.ProtectionPlan
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, err
		}
		_, err = safety.Protector{Venue: v, Gate: gate, Recorder: &notes{}, By: "ada"}.Apply(context.Background(), p, checkedAt)
		return v, err
	}
	crashtest.Run(t, crashtest.Config{MaxSteps: 10, Setup: func(dir string) error {
		v, err := openVenue(dir)
		if err != nil {
			return err
		}
		r, err := safety.ReadProtection(context.Background(), v.v, safety.Requirements{}, checkedAt)
		if err != nil {
			return err
		}
		p, err := safety.PlanProtection(r, replacing)
		if err != nil {
			return err
		}
		b, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return os.WriteFile(planName(dir), b, 0o600)
	}}, func(dir string) error {
		// The gate denies it beside the old stop, so that there is a gap to be killed in.
		_, err := apply(dir, &denyOnce{})
		if err == nil {
			fmt.Println("applied")
		}
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		v, err := apply(dir, openGate{})
		require.NoError(t, err)
		defer func() { require.NoError(t, v.f.Close()) }()
		truth := v.v.Truth()
		require.Len(t, truth.Orders, 1, "one stop, never two")
		require.Equal(t, "95", truth.Orders[0].Trigger.String())
		require.True(t, safety.CheckProtection(truth.Positions, truth.Orders, safety.Requirements{}, checkedAt).Protected())
	})
}

// denyOnce denies the first order.
type denyOnce struct{ denied bool }

func (g *denyOnce) Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error) {
	if !g.denied {
		g.denied = true
		return o, &safety.DeniedError{Order: o.ClientID, Leg: o.Key(), Why: "beside the old one"}
	}
	return t.Submit(ctx, o)
}
