package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

// shop is a bot's book in a file, a scriptable venue, and a Reconciler between them that
// can be started again.
type shop struct {
	*reconcile.Reconciler
	venue *reconciletest.Venue
	book  *reconcile.FileBook
	rope  *rope
	now   time.Time
	next  int
}

func newShop(t *testing.T, cfg andontest.Config, change func(*reconcile.Config)) *shop {
	cfg.Name, cfg.Now = "v", noon
	s := &shop{venue: reconciletest.NewVenueFrom(cfg), book: newFileBook(t), rope: &rope{}, now: asked}
	s.restart(t, change)
	return s
}

func (s *shop) restart(t *testing.T, change func(*reconcile.Config)) {
	c := reconcile.Config{
		Venue: "v", Account: s.venue, History: s.venue, Finder: s.venue, Book: s.book, Recorder: &timeline{}, Cord: s.rope,
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	r, err := reconcile.New(c)
	require.NoError(t, err)
	s.Reconciler = r
}

// trade sends an order; heard says whether the bot books what became of it.
func (s *shop) trade(t *testing.T, o andon.Order, heard bool) andon.Order {
	s.next++
	o.ClientID, o.Venue = fmt.Sprintf("bot-%d", s.next), "v"
	if o.Symbol == "" {
		o.Symbol = "BTC-USD"
	}
	before := len(s.venue.Fills())
	got, err := s.venue.Submit(t.Context(), o)
	require.NoError(t, err)
	if heard {
		require.NoError(t, s.book.PutOrder(t.Context(), got))
		_, err = s.book.RecordFills(t.Context(), s.venue.Fills()[before:]...)
		require.NoError(t, err)
	} else {
		o.Status, o.At = andon.Live, noon
		require.NoError(t, s.book.PutOrder(t.Context(), o)) // sent, and nothing heard since
	}
	return got
}

func buy(quantity string) andon.Order {
	return andon.Order{Side: andon.Buy, Kind: andon.Market, Quantity: dec(quantity)}
}

// check compares five seconds later.
func (s *shop) check(t *testing.T) *reconcile.Report {
	s.now = s.now.Add(5 * time.Second)
	report, err := s.Check(t.Context(), s.now)
	require.NoError(t, err)
	return report
}

// settle plans and applies, and returns the plan.
func (s *shop) settle(t *testing.T) *reconcile.Plan {
	report, err := s.Compare(t.Context(), s.now)
	require.NoError(t, err)
	p, err := report.Plan()
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), p, reconcile.Approval{By: "ada", Note: "seen", Commit: true}, s.now)
	require.NoError(t, err)
	return p
}

func (s *shop) records(t *testing.T) reconcile.Records {
	r, err := s.book.Read(t.Context())
	require.NoError(t, err)
	return r
}

// Complaint 2: an exchange read was parsed as zero, the bot called it closed, and a real
// long was unmanaged for two hours.
func TestComplaintTrading2_AnAnswerThatLacksTheQuantityIsNotClosed(t *testing.T) {
	for name, body := range map[string]string{
		"no quantity": `[{"venue":"v","symbol":"BTC-USD","leg":"net"}]`,
		"null":        `[{"venue":"v","symbol":"BTC-USD","leg":"net","quantity":null}]`,
		"not a list":  `{"error":"maintenance"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, andontest.Config{}, nil)
			s.trade(t, buy("2"), true)
			s.restart(t, func(c *reconcile.Config) { c.Account = wire{s.venue, []byte(body)} })
			s.now = s.now.Add(5 * time.Second)
			report, err := s.Check(t.Context(), s.now)
			require.ErrorIs(t, err, reconcile.ErrUnanswered)
			require.False(t, report.Flat())
			require.Empty(t, report.Discrepancies(), "nothing is missing where nothing was said")
			_, err = report.Plan()
			require.ErrorIs(t, err, reconcile.ErrUnanswered)
			require.ErrorIs(t, s.Ready(t.Context()), reconcile.ErrUnanswered)
			require.Equal(t, "2", s.records(t).Positions[0].Quantity.String())
		})
	}
}

// wire is an account whose positions come as JSON.
type wire struct {
	*reconciletest.Venue
	body []byte
}

func (w wire) Positions(context.Context) ([]andon.Position, error) {
	var all []andon.Position
	return all, json.Unmarshal(w.body, &all)
}

// Complaint 2, where the venue lies and says so little as an empty list: trading is
// narrowed, a plan made from the lie is refused, and the long stays in the book.
func TestComplaintTrading2_AnEmptyListClosesNothingByItself(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	s.trade(t, buy("2"), true)
	require.True(t, s.check(t).Clean())

	s.venue.Inject(andontest.EmptyList, 1)
	report := s.check(t)
	require.Equal(t, []finding{{reconcile.Missing, "position v/BTC-USD"}}, findings(report.Discrepancies()))
	require.Equal(t, "reducing", s.rope.state())
	p, err := report.Plan()
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), p, reconcile.Approval{By: "ada", Note: "it says so", Commit: true}, s.now)
	require.ErrorIs(t, err, reconcile.ErrMoved)
	require.Equal(t, "2", s.records(t).Positions[0].Quantity.String())

	require.True(t, s.check(t).Clean())
	require.Equal(t, "active", s.rope.state())
}

// Complaint 3: a warm restart added an equal and opposite fill, and orders that had been
// filled were taken for rejected.
func TestComplaintTrading3_RestartsInventNothingAndAFilledOrderIsFilled(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	s.trade(t, buy("2"), true)
	s.trade(t, andon.Order{Side: andon.Sell, Kind: andon.Market, Quantity: dec("0.5")}, true)
	want := s.records(t)
	for range 3 {
		s.restart(t, nil)
		require.True(t, s.check(t).Clean())
		require.True(t, s.settle(t).Empty())
		require.Equal(t, want, s.records(t))
	}

	s.trade(t, buy("1"), false) // filled, and the bot died before it heard
	s.restart(t, nil)
	report := s.check(t)
	require.Contains(t, findings(report.Discrepancies()), finding{reconcile.State, "live order v/bot-3"})
	s.settle(t)
	r := s.records(t)
	require.Equal(t, "2.5", r.Positions[0].Quantity.String())
	require.Len(t, r.Fills, 3)
	require.Equal(t, andon.Filled, r.Orders[2].Status)
	for range 3 {
		s.restart(t, nil)
		require.True(t, s.check(t).Clean())
		require.True(t, s.settle(t).Empty())
		require.Equal(t, r, s.records(t))
	}
}

// Complaint 3, the other half: an order whose look-up gives no answer stays unknown. It
// is neither rejected nor filled nor gone.
func TestComplaintTrading3_WithoutAnAnswerTheStateStaysUnknown(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	s.trade(t, buy("1"), false)
	s.restart(t, func(c *reconcile.Config) { c.Finder = mute{} })
	report, err := s.Compare(t.Context(), s.now)
	require.ErrorIs(t, err, reconcile.ErrUnanswered)
	require.Contains(t, findings(report.Discrepancies()), finding{reconcile.StateUnknown, "live order v/bot-1"})
	s.restart(t, func(c *reconcile.Config) { c.Finder = nil })
	report, err = s.Compare(t.Context(), s.now)
	require.NoError(t, err)
	p, err := report.Plan()
	require.NoError(t, err)
	require.Equal(t, reconcile.StateUnknown, p.Left[0].Kind)
}

type mute struct{}

func (mute) Lookup(context.Context, string, string) (andon.Order, error) {
	return andon.Order{}, andon.ErrOutcomeUnknown
}

// Complaint 4: reconciliation at the start dropped 14 working orders, and each restart
// doubled fills and orders.
func TestComplaintTrading4_FourteenWorkingOrdersStayAndNothingDoubles(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	for i := range 14 {
		s.trade(t, andon.Order{
			Symbol: fmt.Sprintf("S%d", i), Side: andon.Buy, Kind: andon.Limit, Quantity: dec("1"), Price: dec("1"),
		}, i%2 == 0) // of every other one the bot never heard that it was taken
	}
	s.trade(t, buy("3"), false)
	s.venue.Inject(andontest.TimeoutLost, 1)
	s.restart(t, nil)
	s.now = s.now.Add(time.Second)
	_, err := s.Check(t.Context(), s.now)
	require.ErrorIs(t, err, reconcile.ErrUnanswered)
	require.Len(t, s.records(t).Orders, 15)

	live := func() (n int) {
		for _, o := range s.records(t).Orders {
			if !o.Status.Done() {
				n++
			}
		}
		return n
	}
	s.settle(t)
	want := s.records(t)
	require.Equal(t, 14, live())
	require.Len(t, want.Fills, 1)
	for range 3 {
		s.restart(t, nil)
		require.True(t, s.check(t).Clean())
		require.True(t, s.settle(t).Empty())
		require.Equal(t, want, s.records(t))
	}
}

// Complaint 5: conditional orders did not show among the open ones: false alarms of a
// naked position, and stops placed three times.
func TestComplaintTrading5_AStopThatOneListHidesIsFoundByItsID(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	s.trade(t, buy("1"), true)
	stop := s.trade(t, andon.Order{Side: andon.Sell, Kind: andon.StopMarket, Quantity: dec("1"), Trigger: dec("50"), ReduceOnly: true}, true)
	require.True(t, s.check(t).Clean(), "both lists are compared")

	s.venue.Inject(andontest.HiddenList, 1)
	report := s.check(t)
	require.Equal(t, 1, s.venue.Counts()[andontest.HiddenList])
	require.Empty(t, report.Discrepancies(), "it is live: the venue said so when it was asked by its id")

	s.restart(t, func(c *reconcile.Config) { c.Finder = nil })
	s.venue.Inject(andontest.HiddenList, 1)
	report = s.check(t)
	require.Equal(t, []finding{{reconcile.StateUnknown, "live order v/" + stop.ClientID}}, findings(report.Discrepancies()))
	require.Equal(t, "reducing", s.rope.state(), "one answer halts nothing")
	require.True(t, s.check(t).Clean())
	require.Equal(t, "active", s.rope.state())
	require.Len(t, s.venue.Truth().Orders, 1)
}

// Complaint 8: the broker liquidated a position, and nobody saw it for 18 hours.
func TestComplaintTrading8_ALiquidationIsSeenWithinSecondsAndHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, andontest.Config{}, nil)
		s.trade(t, buy("1"), true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, "active", s.rope.state())

		s.venue.Inject(andontest.Liquidation, 1)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, s.venue.Counts()[andontest.Liquidation])
		require.Equal(t, "reducing", s.rope.state())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, "halted", s.rope.state())
		require.Contains(t, s.rope.halt[0], "position v/BTC-USD")
		cancel()
		require.NoError(t, <-done)
	})
}

// Complaint 10: in hedge mode a close opened a new position on the other leg. Legs are
// never netted, so that both halves of it show.
func TestComplaintTrading10_InHedgeModeTheNewOppositeLegShows(t *testing.T) {
	s := newShop(t, andontest.Config{Hedge: true}, nil)
	long := buy("1")
	long.Leg = andon.Long
	s.trade(t, long, true)
	wrong := andon.Order{Leg: andon.Short, Side: andon.Sell, Kind: andon.Market, Quantity: dec("1")}
	s.trade(t, wrong, false)
	// The bot books what it meant: the long leg is closed.
	require.NoError(t, s.book.Update(t.Context(), func(r *reconcile.Records) error { r.Positions = nil; return nil }))
	found := findings(s.check(t).Discrepancies())
	require.Contains(t, found, finding{reconcile.Unexpected, "position v/BTC-USD/long"})
	require.Contains(t, found, finding{reconcile.Unexpected, "position v/BTC-USD/short"})
}

// Complaint 10: a submit that timed out was sent again, and both were filled.
func TestComplaintTrading10_ADoubleSubmitShows(t *testing.T) {
	s := newShop(t, andontest.Config{}, nil)
	s.trade(t, buy("1"), true)
	twin := buy("1")
	twin.ClientID, twin.Venue, twin.Symbol = "again", "v", "BTC-USD"
	_, err := s.venue.Submit(t.Context(), twin)
	require.NoError(t, err)
	report := s.check(t)
	require.Equal(t, []reconcile.Kind{reconcile.Quantity, reconcile.Unexpected},
		[]reconcile.Kind{report.Discrepancies()[0].Kind, report.Discrepancies()[1].Kind})
	require.Equal(t, "reducing", s.rope.state())
}

// Complaint 10: what lies above the lot size and below the minimum notional can never be
// closed. It is named, it halts nothing, and the book takes it over.
func TestComplaintTrading10_DustIsNamedAndHaltsNothing(t *testing.T) {
	btc := andon.Instrument{Lot: dec("0.00001"), MinNotional: dec("10")}
	s := newShop(t, andontest.Config{Price: dec("60000")}, func(c *reconcile.Config) {
		c.Instruments = map[string]andon.Instrument{"BTC-USD": btc}
	})
	s.venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: dec("0.00016")}) // 9.60 USD
	for range 5 {
		report := s.check(t)
		require.Equal(t, []finding{{reconcile.Dust, "position v/BTC-USD"}}, findings(report.Discrepancies()))
	}
	require.Equal(t, "active", s.rope.state())
	require.NoError(t, s.Ready(t.Context()))
	require.Equal(t, reconcile.Adopt, s.settle(t).Repairs[0].Action)
	require.Empty(t, s.check(t).Discrepancies())

	s.venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: dec("0.00034")}) // 10.80 USD more: an order could close it
	require.Equal(t, reconcile.Quantity, s.check(t).Discrepancies()[0].Kind)
	require.Equal(t, "reducing", s.rope.state())
}

// Complaint 10: a fee taken in the base currency leaves less than the book says, so that
// a close of the whole fails. It is a fee, by its exact amount, and is booked as one.
func TestComplaintTrading10_AFeeInTheBaseCurrencyIsBookedAsOne(t *testing.T) {
	bought := fill("1", "o", andon.Buy, "1", "60000", "0.001")
	bought.FeeCurrency = "BTC"
	held := position("BTC-USD", "1", "60000")
	venue := held
	venue.Quantity = dec("0.999")
	d := newDesk(t, reconcile.Records{Positions: []andon.Position{held}, Fills: []andon.Fill{bought}},
		&account{positions: []andon.Position{venue}, reports: []reconcile.OrderReport{mustReport(bought)}, window: window})
	r, err := reconcile.New(reconcile.Config{
		Venue: "v", Account: d.venue, History: d.venue, Book: d.book, Recorder: d.log,
		Instruments: map[string]andon.Instrument{"BTC-USD": {Base: "BTC", Quote: "USD"}},
	})
	require.NoError(t, err)
	d.Reconciler = r
	p := d.plan(t)
	require.Len(t, p.Repairs, 1)
	require.Equal(t, []reconcile.Kind{reconcile.Fee}, p.Repairs[0].Kinds)
	require.Equal(t, reconcile.BookFee, p.Repairs[0].Action)
	_, err = d.apply(p)
	require.NoError(t, err)
	require.Equal(t, "0.999", d.book.records.Positions[0].Quantity.String())
	d.requireClean(t)
}
