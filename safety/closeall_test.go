package safety_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

func TestCloseAllEndsFlatInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		report, err := d.closeAll()
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		require.Equal(t, safety.Halted, d.sw.State(), "entries are halted first, and stay so")
		require.Equal(t, []string{"cancel bid-sim", "sell 2 market BTC", "cancel stop-sim"}, submitted(v))
		require.Contains(t, report.String(), "FLAT: every venue was read again")
		require.Equal(t, safety.CloseDone, report.Venues[0].Legs[0].Outcome)
		require.Equal(t, "2", report.Venues[0].Legs[0].Closed.String())
		again, err := d.closeAll()
		require.NoError(t, err)
		require.True(t, again.Flat())
		require.Len(t, submitted(v), 3, "nothing is sent for what is flat")
	})
}

func TestCloseAllIsRefusedWithoutTheTokenOfAPlanThatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		_, other := d.plan(andon.LegKey{Venue: "sim", Symbol: "BTC"})
		time.Sleep(time.Second)
		_, later := d.plan()
		for says, by := range map[string]safety.Confirmation{
			"By is empty":    {Note: "n", Token: p.Token()},
			"Note is empty":  {By: "alice", Token: p.Token()},
			"Token is empty": {By: "alice", Note: "n"},
			"is not of this": {By: "alice", Note: "n", Token: "yes"},
			"close-":         {By: "alice", Note: "n", Token: later.Token()},
		} {
			_, err := c.Apply(t.Context(), p, by, time.Now())
			require.ErrorIs(t, err, safety.ErrNotConfirmed)
			require.ErrorContains(t, err, says)
		}
		require.Equal(t, p.Token(), other.Token(), "the same facts give the same plan")
		altered := p
		altered.Venues = append([]safety.ClosePlanVenue{}, p.Venues...)
		altered.Venues[0].Legs = nil
		_, err := c.Apply(t.Context(), altered, confirmed(altered), time.Now())
		require.ErrorIs(t, err, safety.ErrPlanAltered)
		_, err = c.Apply(t.Context(), p, confirmed(p), time.Now().Add(16*time.Minute))
		require.ErrorIs(t, err, safety.ErrNotConfirmed)
		require.ErrorContains(t, err, "make a new one")
		require.Empty(t, submitted(v))
		require.Equal(t, safety.Active, d.sw.State(), "nothing was done")
	})
}

// A plan that was made where more venues are configured: the person has confirmed it, so
// trading is halted, and what is configured here is closed.
func TestCloseAllClosesWhatIsConfiguredBesideAVenueThatIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, elsewhere := perp("here"), perp("elsewhere")
		d := newDesk(t, safety.Config{}, here, elsewhere)
		_, p := d.plan()
		delete(d.cfg.Venues, "elsewhere")
		c, err := safety.NewCloser(d.cfg)
		require.NoError(t, err)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.ErrorContains(t, err, "elsewhere: close-all has left something open: it is not configured here")
		require.Equal(t, safety.Halted, d.sw.State())
		require.False(t, report.Flat())
		require.True(t, report.Venues[1].Flat.Flat, "%s", report)
		require.Empty(t, here.Truth().Positions)
		require.Empty(t, submitted(elsewhere))
	})
}

func TestLaw9_AClosePlanIsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		require.Empty(t, submitted(v))
		require.Equal(t, safety.Active, d.sw.State(), "planning changes nothing")
		require.Contains(t, p.String(), "1 legs to close, 2 live orders to cancel, on 1 venues")
		require.Contains(t, p.String(), "type "+p.Token())
		b, err := json.Marshal(p)
		require.NoError(t, err)
		var back safety.ClosePlan
		require.NoError(t, json.Unmarshal(b, &back))
		require.NoError(t, back.Verify())
		report, err := c.Apply(t.Context(), back, confirmed(back), time.Now())
		require.NoError(t, err)
		require.True(t, report.Flat())
		before := submitted(v)
		report, err = c.Apply(t.Context(), back, confirmed(back), time.Now())
		require.NoError(t, err)
		require.True(t, report.Flat())
		require.Equal(t, before, submitted(v), "applying twice changes nothing")
		require.Equal(t, "2", report.Venues[0].Legs[0].Closed.String(), "and says what the plan has closed")
	})
}

func TestLaw9_CloseAllDoesNotTouchALegThatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		v.SetPosition(andon.Position{Symbol: "ETH", Quantity: dec("-1"), Entry: dec("100")})
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		v.SetPosition(andon.Position{Symbol: "BTC", Quantity: dec("3"), Entry: dec("100")}) // the bid explains it
		v.SetPosition(andon.Position{Symbol: "ETH", Quantity: dec("-9"), Entry: dec("100")})
		v.SetPosition(andon.Position{Symbol: "SOL", Quantity: dec("4"), Entry: dec("100")})
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrPlanMoved)
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		require.Equal(t, []string{"cancel bid-sim", "sell 3 market BTC", "cancel stop-sim"}, submitted(v))
		require.Contains(t, err.Error(), "sim/ETH: it was -1 and is -9")
		require.Contains(t, err.Error(), "sim/SOL: 4 is there and is not in the plan")
	})
}

func TestCloseAllNeverClosesSilentlyWhatTheBotDidNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		v.SetPosition(andon.Position{Symbol: "ETH", Quantity: dec("5"), Entry: dec("100")})
		v.SetPosition(andon.Position{Symbol: "SOL", Quantity: dec("7"), Entry: dec("100")})
		v.SetOrder(on("ETH", reduceOnly(stopOrder("eth-stop", andon.Sell, "5"))))
		d := newDesk(t, safety.Config{}, v)
		sol := andon.LegKey{Venue: "sim", Symbol: "SOL"}
		d.cfg.Book = bookOf{position("2"), {Venue: "sim", Symbol: "ETH", Quantity: dec("3")}}
		c, p := d.plan()
		require.Contains(t, p.String(), "7 stays: the bot did not open it")
		require.Contains(t, p.String(), "2 stays: the bot did not open it")
		require.Regexp(t, "stop-market +stays +eth-stop", p.String())
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err, "all that the plan says was done")
		require.False(t, report.Flat())
		held := v.Truth().Positions
		require.Len(t, held, 2)
		require.Equal(t, "2", held[0].Quantity.String())
		require.Equal(t, "7", held[1].Quantity.String())
		require.Equal(t, "eth-stop", v.Truth().Orders[0].ClientID, "what stays keeps its protection")
		again, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err)
		require.Equal(t, safety.CloseKept, again.Venues[0].Legs[1].Outcome)
		require.Len(t, v.Truth().Positions, 2, "nor does a second time take more")

		d.cfg.Book = bookFails{}
		report, err = d.closeAll(sol)
		require.NoError(t, err)
		require.Len(t, v.Truth().Positions, 1, "what was listed is closed whole")
		require.Contains(t, report.String(), "the book cannot be read")
		d.cfg.Book = nil
		_, p = d.plan()
		require.Contains(t, p.String(), "no book says that the bot opened it")
	})
}

// The bot's part of a leg is dust: what stays is another's, and keeps its stop.
func TestCloseAllLeavesTheStopOfWhatStaysBesideDust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		v.SetPosition(andon.Position{Symbol: "BTC", Quantity: dec("5.01"), Entry: dec("100")})
		v.SetOrder(reduceOnly(stopOrder("stop", andon.Sell, "5.01")))
		d := newDesk(t, safety.Config{}, v)
		d.cfg.Book = bookOf{position("0.01")}
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: v, Instruments: map[string]andon.Instrument{"BTC": {Lot: dec("0.1")}}}
		_, p := d.plan()
		require.Regexp(t, "stop-market +stays +stop", p.String())
		report, err := d.closeAll()
		require.NoError(t, err, report)
		require.False(t, report.Flat())
		require.Empty(t, submitted(v), "neither closed nor bared")
		require.Len(t, v.Truth().Orders, 1)
		leg := report.Venues[0].Legs[0]
		require.Equal(t, safety.CloseKept, leg.Outcome)
		require.Contains(t, leg.Why, "5 stays: the bot did not open it; the rest is dust: 0.01 is less than the lot of 0.1")
	})
}

// A plan that was made before a venue was added says nothing of it: all is not flat.
func TestLaw5_AVenueThatThePlanDoesNotHaveIsNotFlat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known, added := andontest.New(andontest.Config{Name: "known"}), perp("added")
		d := newDesk(t, safety.Config{}, known)
		_, p := d.plan()
		d.cfg.Venues["added"] = safety.CloseVenue{Venue: added}
		c, err := safety.NewCloser(d.cfg)
		require.NoError(t, err)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.ErrorIs(t, err, safety.ErrPlanMoved)
		require.ErrorContains(t, err, "added: ")
		require.False(t, report.Flat())
		require.True(t, report.Venues[0].Flat.Flat, "what the plan has was done: %s", report)
		require.Empty(t, added.Calls(), "what no plan shows is not touched")
	})
}

// spotDesk is a spot account with 1 BTC and its stop, which reserves all of it.
func spotDesk(t testing.TB, quantity, stop string) (*desk, *andontest.Venue) {
	in := andon.Instrument{Base: "BTC", Quote: "USDT", Lot: dec("0.001"), MinNotional: dec("5")}
	v := andontest.New(andontest.Config{Name: "sim", Spot: true, Symbols: map[string]andontest.Symbol{"BTC": {Instrument: in}}, Balances: map[string]andon.Decimal{"BTC": dec(quantity)}})
	v.SetOrder(stopOrder("stop", andon.Sell, stop))
	d := newDesk(t, safety.Config{}, v)
	d.cfg.Venues["sim"] = safety.CloseVenue{Venue: v, Instruments: map[string]andon.Instrument{"BTC": in}}
	return d, v
}

func TestCloseAllOnSpotCancelsTheStopRightBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, v := spotDesk(t, "1", "1")
		report, err := d.closeAll()
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		require.Equal(t, []string{"cancel stop", "sell 1 market BTC"}, submitted(v))
	})
}

func TestCloseAllOnSpotProtectsAgainAtOnceWhereTheCloseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, v := spotDesk(t, "1", "1")
		v.Inject(andontest.Refused, 1)
		report, err := d.closeAll()
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		lines := submitted(v)
		require.Equal(t, []string{"cancel stop", "sell 1 market BTC", "sell 1 stop-market BTC"}, lines[:3])
		require.Len(t, lines, 5)
		require.Equal(t, "sell 1 market BTC", lines[4])
	})
	synctest.Test(t, func(t *testing.T) { // a venue that never takes the close
		d, v := spotDesk(t, "1", "1")
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: refusesMarket{v}, Instruments: d.cfg.Venues["sim"].Instruments}
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.Equal(t, safety.CloseOpen, report.Venues[0].Legs[0].Outcome)
		require.Contains(t, err.Error(), "no market orders today")
		orders := v.Truth().Orders
		require.Len(t, orders, 1, "handed to a person, protected")
		require.Equal(t, andon.StopMarket, orders[0].Kind)
		require.Equal(t, "90", orders[0].Trigger.String())
	})
}

// The time of a venue runs out right after its stop was taken away: it is placed again all
// the same, although no reading has shown yet that it is gone.
func TestCloseAllOnSpotProtectsAgainWhereItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, v := spotDesk(t, "1", "1")
		d.cfg.VenueBudget = 5 * time.Second
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: &slowToCancel{Venue: v}, Instruments: d.cfg.Venues["sim"].Instruments}
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.Contains(t, report.String(), "its time is over")
		orders := v.Truth().Orders
		require.Len(t, orders, 1, "handed to a person, protected: %s", report)
		require.Equal(t, andon.StopMarket, orders[0].Kind)
		require.Equal(t, "1", orders[0].Quantity.String())
		require.NotContains(t, report.String(), "NOT PROTECTED")
	})
	synctest.Test(t, func(t *testing.T) { // it was filled on the way: there is nothing to protect
		d, v := spotDesk(t, "1", "1")
		d.cfg.VenueBudget = 5 * time.Second
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: &slowToCancel{v, func() { v.SetPosition(position("0")) }}, Instruments: d.cfg.Venues["sim"].Instruments}
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.Empty(t, v.Truth().Orders, "%s", report)
	})
}

// slowToCancel cancels at once, and does not say so.
type slowToCancel struct {
	*andontest.Venue
	then func()
}

func (v *slowToCancel) Cancel(ctx context.Context, o andon.Order) error {
	if err := v.Venue.Cancel(ctx, o); err != nil {
		return err
	}
	if v.then != nil {
		v.then()
	}
	<-ctx.Done()
	return ctx.Err()
}

// refusesMarket takes everything but market orders.
type refusesMarket struct{ *andontest.Venue }

func (v refusesMarket) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	if o.Kind == andon.Market {
		return o, &andon.RejectedError{Order: o, Reason: "no market orders today"}
	}
	return v.Venue.Submit(ctx, o)
}

// moreThanFree says that the account holds what was bought, fees not taken off.
type moreThanFree struct{ *andontest.Venue }

func (v moreThanFree) Positions(ctx context.Context) ([]andon.Position, error) {
	rows, err := v.Venue.Positions(ctx)
	for i := range rows {
		rows[i].Quantity = rows[i].Quantity.Add(dec("0.01"))
	}
	return rows, err
}

func TestCloseAllHangingVenueDoesNotStarveTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, dead, deaf := perp("good"), perp("dead"), perp("deaf")
		d := newDesk(t, safety.Config{}, good, dead, deaf)
		_, p := d.plan()
		dead.Inject(andontest.Hang, 1<<30)
		release := make(chan struct{})
		d.cfg.Venues["deaf"] = safety.CloseVenue{Venue: deafVenue{deaf, release}}
		c, err := safety.NewCloser(d.cfg)
		require.NoError(t, err)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		close(release)
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		require.Len(t, report.Venues, 3)
		require.False(t, report.Venues[0].Flat.Flat)
		require.Contains(t, report.Venues[1].Left[0], "did not end with its context", "deaf")
		require.Contains(t, report.String(), "its time is over")
		require.True(t, report.Venues[2].Flat.Flat, "good: %s", report)
		require.Less(t, report.Venues[2].Took, 30*time.Second, "virtual time")
		require.Empty(t, good.Truth().Positions)
	})
}

// deafVenue ignores its context until it is released.
type deafVenue struct {
	*andontest.Venue
	release chan struct{}
}

func (v deafVenue) Orders(context.Context) ([]andon.Order, error) { <-v.release; return nil, errWire }

// panicking is a venue whose code has a mistake in it.
type panicking struct{ *andontest.Venue }

func (panicking) Orders(context.Context) ([]andon.Order, error) { panic("index out of range") }

func TestCloseAllAVenueThatPanicsDoesNotEndTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := perp("good"), perp("bad")
		d := newDesk(t, safety.Config{}, good, bad)
		d.cfg.Venues["bad"] = safety.CloseVenue{Venue: panicking{bad}}
		c, p := d.plan()
		require.Contains(t, p.String(), "the venue panicked: index out of range")
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat())
		require.True(t, report.Venues[1].Flat.Flat, "%s", report)
	})
}

// deafBook ignores its context until it is released.
type deafBook struct{ release chan struct{} }

func (b deafBook) Positions(context.Context) ([]andon.Position, error) { <-b.release; return nil, nil }

func TestLaw11_CloseAllPlansBesideABookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		release := make(chan struct{})
		defer close(release)
		d.cfg.Book = deafBook{release}
		began := time.Now()
		_, p := d.plan()
		require.Less(t, time.Since(began), time.Minute, "virtual time")
		require.Contains(t, p.String(), "2 stays: the book cannot be read: context deadline exceeded")
		_, p = d.plan(andon.LegKey{Venue: "sim", Symbol: "BTC"})
		require.Contains(t, p.String(), "1 legs to close", "a person can say so instead")
	})
}

func TestCloseAllWaitsAsLongAsTheVenueAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		c, p := d.plan()
		v.Inject(andontest.RateLimited, 3)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		calls := v.Calls()
		for i, call := range calls {
			var limited *andontest.RateLimitError
			if errors.As(call.Err, &limited) && i+1 < len(calls) {
				require.False(t, calls[i+1].At.Before(call.At.Add(limited.Wait)))
			}
		}
	})
}

func TestLaw10_CloseAllClosesNothingUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		rec := &recorder{}
		d := newDesk(t, safety.Config{Recorder: rec}, v)
		rec.set(errWire, false)
		report, err := d.closeAll()
		require.ErrorContains(t, err, "the decision cannot be recorded")
		require.Equal(t, safety.Halted, d.sw.State(), "stopping does not wait for the record")
		require.Equal(t, []string{"cancel bid-sim"}, submitted(v), "nor does cancelling entries")
		require.Equal(t, "stop-sim", v.Truth().Orders[0].ClientID)
		require.Contains(t, report.String(), "NOT FLAT")
		rec.set(nil, false)
		_, err = d.closeAll()
		require.NoError(t, err)
		require.Contains(t, strings.Join(rec.recorded(), "\n"), "close-all by plan")
	})
}

// Where the gate would deny the exit anyway, the stop must not be taken away for it.
func TestLaw10_CloseAllTakesNoStopAwayUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, v := spotDesk(t, "1", "1")
		rec := &recorder{}
		book := d.cfg.Book
		venues := d.cfg.Venues
		d = newDesk(t, safety.Config{Recorder: rec})
		d.cfg.Book, d.cfg.Venues = book, venues
		rec.set(errWire, false)
		_, err := d.closeAll()
		require.ErrorContains(t, err, "the decision cannot be recorded")
		require.Empty(t, submitted(v))
	})
}

// hidesConditional gives no conditional order, in any list.
type hidesConditional struct{ *andontest.Venue }

func (v hidesConditional) Orders(ctx context.Context) ([]andon.Order, error) {
	all, err := v.Venue.Orders(ctx)
	return slices.DeleteFunc(all, func(o andon.Order) bool { return o.Kind.Conditional() }), err
}

func TestCloseAllLooksUpWhatAListLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		_, p := d.plan() // which shows the stop
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: hidesConditional{v}}
		c, err := safety.NewCloser(d.cfg)
		require.NoError(t, err)
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.NoError(t, err, report)
		require.True(t, report.Flat())
		require.Empty(t, v.Truth().Orders, "the stop was found by its client id, and cancelled")
	})
}

// noPositions answers everything but for positions.
type noPositions struct{ *andontest.Venue }

func (noPositions) Positions(context.Context) ([]andon.Position, error) { return nil, errWire }

// A venue that does not say what is held: its entries are cancelled all the same, and what
// may protect something stays.
func TestCloseAllCancelsEntriesWherePositionsCannotBeRead(t *testing.T) {
	for _, planned := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := perp("sim")
			d := newDesk(t, safety.Config{}, v)
			_, p := d.plan()
			d.cfg.Venues["sim"] = safety.CloseVenue{Venue: noPositions{v}}
			if !planned {
				_, p = d.plan()
				require.Contains(t, p.String(), "CANNOT BE READ")
			}
			c, err := safety.NewCloser(d.cfg)
			require.NoError(t, err)
			report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
			require.ErrorIs(t, err, safety.ErrLeftOpen)
			require.ErrorContains(t, err, "connection reset")
			require.False(t, report.Flat())
			require.Equal(t, []string{"cancel bid-sim"}, submitted(v), "planned %v", planned)
			require.Len(t, v.Truth().Orders, 1)
			require.Equal(t, "stop-sim", v.Truth().Orders[0].ClientID)
		})
	}
}

// spoils gives one symbol's position as a row that cannot be right.
type spoils struct {
	*andontest.Venue
	symbol string
	spoil  func(p *andon.Position)
}

func (v spoils) Positions(ctx context.Context) ([]andon.Position, error) {
	rows, err := v.Venue.Positions(ctx)
	for i := range rows {
		if rows[i].Symbol == v.symbol {
			v.spoil(&rows[i])
		}
	}
	return rows, err
}

// One row that cannot be right keeps no other leg from being closed. Its own leg is not
// touched, keeps its stop, and is never said to be gone, also where the row does not say
// whose it is.
func TestCloseAllClosesTheLegsBesideARowThatCannotBeRight(t *testing.T) {
	for name, spoil := range map[string]func(p *andon.Position){
		"a negative mark":      func(p *andon.Position) { p.Mark = dec("-1") },
		"no symbol":            func(p *andon.Position) { p.Symbol = "" },
		"another venue":        func(p *andon.Position) { p.Venue = "other" },
		"more than is counted": func(p *andon.Position) { p.Quantity = dec("1000000000000000") },
	} {
		for _, planned := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				v := perp("sim")
				v.SetPosition(andon.Position{Symbol: "ETH", Quantity: dec("3"), Entry: dec("100")})
				v.SetOrder(on("ETH", reduceOnly(stopOrder("stop-eth", andon.Sell, "3"))))
				d := newDesk(t, safety.Config{}, v)
				view, err := safety.ReadView(t.Context(), "sim", v)
				require.NoError(t, err)
				require.NoError(t, d.sw.Observe(view)) // by which the second exit would be one too many
				_, p := d.plan()
				d.cfg.Venues["sim"] = safety.CloseVenue{Venue: spoils{v, "ETH", spoil}}
				if !planned {
					_, p = d.plan()
					require.Contains(t, p.String(), "CANNOT BE READ: nothing of this is closed by this plan: not known to be flat", name)
					require.Contains(t, p.String(), "1 legs to close")
				}
				c, err := safety.NewCloser(d.cfg)
				require.NoError(t, err)
				v.Inject(andontest.PartialFill, 1)
				report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
				require.ErrorIs(t, err, safety.ErrLeftOpen)
				require.ErrorContains(t, err, "look at it by hand", name)
				require.False(t, report.Flat())
				require.Equal(t, safety.CloseDone, report.Venues[0].Legs[0].Outcome, "%s: %s", name, report)
				require.Len(t, v.Truth().Positions, 1, "%s, planned %v: %s", name, planned, report)
				require.Equal(t, "3", v.Truth().Positions[0].Quantity.String())
				require.Len(t, v.Truth().Orders, 1, "%s, planned %v: %s", name, planned, report)
				require.Equal(t, "stop-eth", v.Truth().Orders[0].ClientID)
				if planned {
					require.Equal(t, safety.CloseUnknown, report.Venues[0].Legs[1].Outcome)
				}
			})
		}
	}
}

// strangeOrder gives an order beside the others that has no kind.
type strangeOrder struct{ *andontest.Venue }

func (v strangeOrder) Orders(ctx context.Context) ([]andon.Order, error) {
	rows, err := v.Venue.Orders(ctx)
	for i := range rows {
		if rows[i].ClientID == "bid-sim" {
			rows[i].Kind = 0
		}
	}
	return rows, err
}

func TestCloseAllClosesTheLegsBesideAnOrderOfUnknownKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		d.cfg.Venues["sim"] = safety.CloseVenue{Venue: strangeOrder{v}}
		_, p := d.plan()
		require.Contains(t, p.String(), "CANNOT BE READ: nothing of this is closed by this plan: not known to be flat: order bid-sim")
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen, "the plan did not have it")
		require.True(t, report.Flat(), "%s", report)
		require.Empty(t, v.Truth().Positions)
		require.Empty(t, v.Truth().Orders)
	})
}

func TestCloseAllStopsWhenSomebodyResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := perp("sim")
		d := newDesk(t, safety.Config{}, v)
		v.Inject(andontest.TimeoutLost, 40) // keeps it busy
		c, p := d.plan()
		go func() {
			time.Sleep(3 * time.Second)
			_ = d.sw.Resume(context.Background(), "bob", "wrong button", d.sw.Status().Holds)
		}()
		report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.Contains(t, report.String(), "not halted any more")
	})
}

func TestCloserConfigNamesEveryProblem(t *testing.T) {
	_, err := safety.NewCloser(safety.CloserConfig{})
	require.EqualError(t, err, "close-all: Switch is missing\nVenues is empty: there is nothing to close")
	_, err = safety.NewCloser(safety.CloserConfig{
		Venues:      map[string]safety.CloseVenue{"": {}, "v": {Instruments: map[string]andon.Instrument{"BTC": {Lot: dec("-1"), MinNotional: dec("-2")}}}},
		VenueBudget: -1, CallWithin: -1, RetryEvery: -1, MaxPlanAge: -1, Confirm: -1,
	})
	for _, says := range []string{"Switch is missing", "Venues has an entry without a name", `Venues["v"].Venue is missing`, `Venues["v"].Instruments["BTC"]: Lot -1 is negative, MinNotional -2 is negative`,
		"VenueBudget -1ns", "CallWithin -1ns", "RetryEvery -1ns", "MaxPlanAge -1ns", "Confirm -1"} {
		require.ErrorContains(t, err, says)
	}
}

func TestLaw5_CloseAllSaysFlatOnlyAfterEveryReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := andontest.New(andontest.Config{Name: "sim"})
		d := newDesk(t, safety.Config{}, v)
		d.cfg.VenueBudget = 100 * time.Millisecond // for one reading
		report, err := d.closeAll()
		require.ErrorIs(t, err, safety.ErrLeftOpen)
		require.False(t, report.Flat(), "one reading with nothing in it is not enough")
		d.cfg.VenueBudget = 0
		report, err = d.closeAll()
		require.NoError(t, err)
		require.True(t, report.Flat())
	})
}
