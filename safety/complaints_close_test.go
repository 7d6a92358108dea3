package safety_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// The complaints that users of other bots have filed, each as a test. 6, 8 and 9 stand
// beside the trips.

// Declared flat while resting limits survived, and they filled; the kill cleared local
// state only.
func TestComplaintTrading1_FlatIsNotSaidWhileARestingOrderSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // accepted is not cancelled
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		v.Inject(andontest.Late, 3)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		v.SetPrice("BTC", dec("79")) // the bid would fill here
		require.Empty(t, v.Truth().Orders)
		require.Empty(t, v.Truth().Positions)
	})
	synctest.Test(t, func(t *testing.T) { // an order that nothing cancels
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: keepsOrder{v, "bid-sim"}}
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		require.Contains(t, err.Error(), "order bid-sim on sim/BTC may be live")
		require.Empty(t, v.Truth().Positions, "it does not keep the position from being closed")
	})
}

// keepsOrder says that it cancels one order, and does not.
type keepsOrder struct {
	*andontest.Venue
	id string
}

func (v keepsOrder) Cancel(ctx context.Context, o andon.Order) error {
	if o.ClientID == v.id {
		return nil
	}
	return v.Venue.Cancel(ctx, o)
}

// An exchange read was parsed as zero: "closed", and a real long unmanaged for two hours.
func TestComplaintTrading2_AReadOfNothingIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the list is empty now and then, without an error
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		v.Inject(andontest.EmptyList, 4) // orders, positions, orders, and orders again
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		require.Empty(t, v.Truth().Positions)
		require.Equal(t, "2", report.Venues[0].Legs[0].Closed.String(), "closed by an order, not by a reading")
	})
	synctest.Test(t, func(t *testing.T) { // the answer never comes
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		v.Down(errWire)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		require.Equal(t, safety.CloseUnknown, report.Venues[0].Legs[0].Outcome)
		require.Contains(t, report.String(), "NOT KNOWN to be flat")
	})
}

// A warm restart added an equal and opposite synthetic fill; filled orders were resolved as
// rejected.
func TestComplaintTrading3_ARestartInventsNoFillAndAFilledOrderIsNotRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		v.SetPosition(position("2"))
		store := &memoryStore{}
		d := newDesk(t, safety.Config{Store: store}, v)
		v.Inject(andontest.TimeoutTaken, 1)
		v.Inject(andontest.StaleRead, 1) // the look-up at once gives what was before
		o, err := d.sw.Submit(t.Context(), v, order("in", andon.Buy, "1"))
		require.NoError(t, err)
		require.NotEqual(t, andon.Rejected, o.Status)
		v.Inject(andontest.TimeoutTaken, 1)
		v.Inject(andontest.TimeoutLost, 0)
		_, err = d.sw.Submit(t.Context(), lookupFails{v}, order("in-2", andon.Buy, "1"))
		require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, andon.ErrRejected)
		left, err := d.sw.Resolve(t.Context(), "sim", v)
		require.NoError(t, err)
		require.Empty(t, left, "the venue says that it is filled")
		_, err = enter(d.sw, order("in-2", andon.Buy, "1"))
		require.Equal(t, safety.ReasonClientID, denial(t, err).Reason, "only what was rejected may be sent again under its id")

		_, err = d.sw.Halt(t.Context(), "drawdown", "the day is over")
		require.NoError(t, err)
		view, err := safety.ReadView(t.Context(), "sim", v)
		require.NoError(t, err)
		require.NoError(t, d.sw.Observe(view))
		again := newDesk(t, safety.Config{Store: store}, v) // the restart, and its Resume
		for range 2 {
			view, err := safety.ReadView(t.Context(), "sim", v)
			require.NoError(t, err)
			_ = again.sw.Observe(view) // the first after a Resume may be stale, by design
		}
		require.NoError(t, again.sw.Reduce("test", "exits alone"))
		_, err = enter(again.sw, order("out-5", andon.Sell, "5"))
		require.ErrorIs(t, err, safety.ErrDenied, "the leg is 4, not more")
		permit, err := enter(again.sw, order("out-4", andon.Sell, "4"))
		require.NoError(t, err, "nor less")
		require.Equal(t, safety.Reduce, permit.Intent)
		permit.Exit(safety.Refused)
		require.Len(t, v.Truth().Fills, 2, "nothing was sent")
	})
}

// lookupFails answers no look-up.
type lookupFails struct{ *andontest.Venue }

func (v lookupFails) Lookup(context.Context, string, string) (andon.Order, error) {
	return andon.Order{}, errWire
}

// Startup reconciliation dropped 14 working orders; each restart doubled fills and orders.
func TestComplaintTrading4_ARestartDropsNoWorkingOrderAndDoublesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		v.SetPosition(position("14"))
		for i := range 14 {
			v.SetOrder(reduceOnly(limitOrder(fmt.Sprintf("work-%d", i), andon.Sell, "1", "120")))
		}
		store := &memoryStore{}
		for range 3 { // starts
			d := newDesk(t, safety.Config{Store: store}, v)
			for range 2 {
				view, err := safety.ReadView(t.Context(), "sim", v)
				require.NoError(t, err)
				_ = d.sw.Observe(view)
			}
			require.NoError(t, d.sw.Reduce("test", "exits alone"))
			_, err := enter(d.sw, reduceOnly(order("out", andon.Sell, "1")))
			require.ErrorContains(t, err, "less the 14 of orders that are live", "all of them are counted")
			_, p := d.plan()
			require.Len(t, p.Venues[0].Orders, 14)
		}
		require.Empty(t, submitted(v), "no start sends anything")
		report, err := newDesk(t, safety.Config{Store: store}, v).closeAll()
		require.NoError(t, err, report)
		require.Len(t, report.Venues[0].Canceled, 14)
		require.Len(t, submitted(v), 15, "each once, and one exit")
	})
}

// Conditional orders were invisible to open-orders: false naked alarms, and three stops.
func TestComplaintTrading5_AHiddenListPlacesNoSecondStop(t *testing.T) {
	v := andontest.New(andontest.Config{Name: "sim"})
	v.SetPosition(position("2"))
	v.SetOrder(reduceOnly(stopOrder("stop", andon.Sell, "2")))
	req := safety.Requirements{MaxDistance: dec("0.2")}
	policy := safety.ProtectionPolicy{Distance: dec("0.05"), Instruments: map[string]andon.Instrument{"BTC": {Tick: dec("0.1"), Lot: dec("0.001")}}}
	for range 3 {
		v.Inject(andontest.HiddenList, 1)
		r, err := safety.ReadProtection(t.Context(), v, req, checkedAt)
		require.NoError(t, err)
		require.False(t, r.Protected())
		p, err := safety.PlanProtection(r, policy)
		require.NoError(t, err)
		require.Len(t, p.Steps, 1)
		_, err = safety.Protector{Venue: v, Gate: openGate{}, Recorder: &notes{}, By: "test"}.Apply(t.Context(), p, checkedAt)
		require.ErrorIs(t, err, safety.ErrPlanMoved, "the second reading shows it")
	}
	require.Empty(t, submitted(v))
	require.Len(t, v.Truth().Orders, 1)
}

// A partial close cancelled the stops and left the rest naked.
func TestComplaintTrading7_APartialCloseKeepsTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: &takesOnce{Venue: v}}
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		truth := v.Truth()
		require.Equal(t, "1", truth.Positions[0].Quantity.String())
		require.Equal(t, "stop-sim", truth.Orders[0].ClientID, "what is left keeps its stop")
		require.Contains(t, err.Error(), "sim/BTC: 1 is left")
		r := safety.CheckProtection(truth.Positions, truth.Orders, safety.Requirements{MaxDistance: dec("0.2")}, time.Now())
		require.True(t, r.Protected(), r)
	})
}

// takesOnce takes one market order, fills a part of it, and refuses the next.
type takesOnce struct {
	*andontest.Venue
	taken bool
}

func (v *takesOnce) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	if v.taken && o.Kind == andon.Market {
		return o, &andon.RejectedError{Order: o, Reason: "market closed"}
	}
	if o.Kind == andon.Market {
		v.taken, o.Quantity = true, dec("1") // immediate or cancel
	}
	return v.Venue.Submit(ctx, o)
}

// A hedge-mode close opened a new opposite position; a timeout was followed by a second
// submit; dust could never be closed and said nothing; a fee in the base currency made
// the close fail.
func TestComplaintTrading10_HedgeTimeoutDustAndFee(t *testing.T) {
	t.Run("hedge legs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := andontest.New(andontest.Config{Name: "sim", Hedge: true})
			v.SetPosition(andon.Position{Symbol: "BTC", Leg: andon.Long, Quantity: dec("2"), Entry: dec("100")})
			v.SetPosition(andon.Position{Symbol: "BTC", Leg: andon.Short, Quantity: dec("-2"), Entry: dec("100")})
			d := newDesk(t, safety.Config{HedgeVenues: []string{"sim"}}, v)
			report, err := d.closeAll()
			require.NoError(t, err, report)
			require.True(t, report.Flat())
			require.Len(t, report.Venues[0].Legs, 2, "legs that cancel out are two positions")
			require.Equal(t, []string{"sell 2 market BTC", "buy 2 market BTC"}, submitted(v))
		})
	})
	t.Run("timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := perp("sim")
			d := newDesk(t, safety.Config{}, v)
			_, p := d.plan()
			d.cfg.Venues["sim"] = safety.CloseVenue{Venue: &losesSubmit{Venue: v}}
			c, err := safety.NewCloser(d.cfg)
			require.NoError(t, err)
			report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
			require.NoError(t, err, report)
			require.True(t, report.Flat())
			require.Equal(t, []string{"cancel bid-sim", "sell 2 market BTC", "cancel stop-sim"}, submitted(v), "one exit alone")
		})
	})
	t.Run("dust", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, v := spotDesk(t, "0.0305", "0.03")
			d.cfg.Book = truthBook{v}
			_, p := d.plan()
			require.Contains(t, p.String(), "dust: 0.03 at 100 is worth 3, less than the minimum notional of 5")
			report, err := d.closeAll()
			require.NoError(t, err, "all that can be done was done")
			require.False(t, report.Flat(), "dust is not flat")
			require.Equal(t, safety.CloseDust, report.Venues[0].Legs[0].Outcome)
			require.NotContains(t, submitted(v), "sell 0.03 market BTC")
		})
	})
	t.Run("fee in the base", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, v := spotDesk(t, "1", "1")
			d.cfg.Book = bookOf{position("1.01")}
			d.cfg.Venues["sim"] = safety.CloseVenue{Venue: moreThanFree{v}, Instruments: d.cfg.Venues["sim"].Instruments}
			report, err := d.closeAll()
			require.NoError(t, err, report)
			require.Empty(t, v.Truth().Positions, "what is there was closed")
			require.Contains(t, submitted(v), "sell 1 market BTC")
		})
	})
}

// losesSubmit delivers the first submit, and neither its answer nor that of the first
// look-up comes.
type losesSubmit struct {
	*andontest.Venue
	submitted, asked bool
}

func (v *losesSubmit) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	if !v.submitted {
		v.submitted = true
		v.Inject(andontest.TimeoutTaken, 1)
	}
	return v.Venue.Submit(ctx, o)
}

func (v *losesSubmit) Lookup(ctx context.Context, symbol, id string) (andon.Order, error) {
	if v.submitted && !v.asked {
		v.asked = true
		return andon.Order{}, errWire
	}
	return v.Venue.Lookup(ctx, symbol, id)
}
