package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/sim"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// venueName is the simulated exchange's.
const venueName = "sim"

// The bot's own rules.
var (
	stopDistance = andon.MustDecimal("0.03") // of a stop from the mark
	unit         = map[string]andon.Decimal{ // of one entry
		"BTC-USDT": andon.MustDecimal("0.05"), "ETH-USDT": andon.MustDecimal("0.8"), "SOL-USDT": andon.MustDecimal("12"),
	}
	maxUnits = andon.NewDecimal(3, 0) // of a position, in entries
)

// symbols is what the exchange lists.
func symbols() []sim.Symbol {
	d := andon.MustDecimal
	return []sim.Symbol{
		{Name: "BTC-USDT", Price: d("64000"), Tick: d("0.1"), Lot: d("0.001"), MinValue: d("10"), Swing: 150, Depth: d("0.12")},
		{Name: "ETH-USDT", Price: d("3100"), Tick: d("0.01"), Lot: d("0.01"), MinValue: d("10"), Swing: 80, Depth: d("2")},
		{Name: "SOL-USDT", Price: d("150"), Tick: d("0.01"), Lot: d("0.1"), MinValue: d("5"), Swing: 8, Depth: d("30")},
	}
}

// instruments is how they are counted.
func instruments() map[string]andon.Instrument {
	m := map[string]andon.Instrument{}
	for _, s := range symbols() {
		m[s.Name] = andon.Instrument{Tick: s.Tick, Lot: s.Lot}
	}
	return m
}

// limits is the largest position of each symbol.
func limits() map[string]andon.Decimal {
	m := map[string]andon.Decimal{}
	for symbol, u := range unit {
		m[symbol] = u.Add(u).Add(u)
	}
	return m
}

// trader is the part of the bot that any bot has: it reads the venue, books what it
// reads, decides, and sends every order through the switch.
type trader struct {
	ex   *sim.Exchange
	sw   *safety.Switch
	book *reconcile.FileBook
	say  func(format string, args ...any)

	protector safety.Protector
	token     safety.WriteToken // of a repair that is under way; zero else
	orders    int               // ids given out
	since     time.Time
	marks     map[string]andon.Decimal
	protected map[andon.LegKey]andon.Decimal // quantity that was covered when last looked at
	latencies []severity.Sample

	mu     sync.Mutex
	view   safety.View
	report safety.ProtectionReport
	denied int
	lost   int
}

// step lets the exchange move, reads it, and books what it says. An error means that
// nothing is known anew.
func (t *trader) step(ctx context.Context) error {
	if err := t.ex.Step(time.Now()); err != nil {
		return err
	}
	if _, err := t.sw.Resolve(ctx, venueName, t.ex); err != nil {
		return err
	}
	view, err := safety.ReadView(ctx, venueName, t.ex)
	if err != nil {
		return err
	}
	asked := time.Now()
	fills, err := t.ex.Fills(ctx, t.since)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.measured(time.Since(asked))
	t.mu.Unlock()
	if err := t.sw.Observe(view); err != nil && !errors.Is(err, safety.ErrStaleView) {
		return err
	}
	t.mu.Lock()
	t.view = view
	t.report = safety.CheckProtection(view.Positions, view.Orders, safety.Requirements{}, time.Now())
	t.mu.Unlock()
	if t.sw.CheckWriteWith(t.token) != nil {
		return nil // fills wait on the venue until the book may be written again
	}
	return t.enterInBook(ctx, view, fills)
}

// enterInBook books fills and what became of orders.
func (t *trader) enterInBook(ctx context.Context, view safety.View, fills []andon.Fill) error {
	if _, err := t.book.RecordFills(ctx, fills...); err != nil {
		return fmt.Errorf("book: %w", err)
	}
	if len(fills) > 0 {
		t.since = fills[len(fills)-1].At
	}
	records, err := t.book.Read(ctx)
	if err != nil {
		return fmt.Errorf("book: %w", err)
	}
	next := slices.Clone(view.Orders)
	for _, o := range records.Orders {
		if o.Status.Done() || slices.ContainsFunc(next, func(n andon.Order) bool { return n.ClientID == o.ClientID }) {
			continue
		}
		found, err := t.ex.Lookup(ctx, o.Symbol, o.ClientID)
		if errors.Is(err, andon.ErrOrderNotFound) {
			found, err = o, nil
			found.Status = andon.Rejected
		}
		if err != nil {
			return err
		}
		next = append(next, found)
	}
	return t.book.Update(ctx, func(r *reconcile.Records) error {
		r.Orders = slices.DeleteFunc(next, func(o andon.Order) bool { return o.Status.Done() })
		return nil
	})
}

// snapshot returns what was last read.
func (t *trader) snapshot() (safety.View, safety.ProtectionReport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view, t.report
}

// decide returns the next order of a symbol: with the last move while small, back to
// flat in steps once it is large. It is the least strategy that keeps a bot busy.
func (t *trader) decide(ctx context.Context, symbol string) (andon.Order, error) {
	q, err := t.ex.Quote(ctx, symbol)
	if err != nil {
		return andon.Order{}, err
	}
	was := t.marks[symbol]
	t.marks[symbol] = q.Mark
	o := andon.Order{Venue: venueName, Symbol: symbol, Kind: andon.Market, Side: andon.Buy, Quantity: unit[symbol]}
	if q.Mark.Less(was) {
		o.Side = andon.Sell
	}
	view, _ := t.snapshot()
	for _, p := range view.Positions {
		if p.Symbol != symbol {
			continue
		}
		large, err := unit[symbol].Mul(maxUnits)
		if err != nil {
			return andon.Order{}, err
		}
		if p.Quantity.Abs().Add(unit[symbol]).Cmp(large) > 0 || o.Side == p.ExitSide() {
			o.Side, o.ReduceOnly, o.Quantity = p.ExitSide(), true, p.Quantity.Abs().Min(unit[symbol])
		}
	}
	t.orders++
	o.ClientID = fmt.Sprintf("bot-%04d", t.orders)
	return o, nil
}

// decideAll returns the next order of every symbol.
func (t *trader) decideAll(ctx context.Context) ([]andon.Order, error) {
	var orders []andon.Order
	for _, s := range symbols() {
		o, err := t.decide(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

// launch sends orders, all at once, and returns while they are on their way. The
// caller waits for the group before it steps again.
func (t *trader) launch(ctx context.Context, orders []andon.Order) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, o := range orders {
		wg.Go(func() { t.send(ctx, o) })
	}
	return &wg
}

// send takes one order through the gate.
func (t *trader) send(ctx context.Context, o andon.Order) {
	start := time.Now()
	_, err := t.sw.Submit(ctx, t.ex, o)
	took := time.Since(start)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, safety.ErrDenied):
		t.denied++
		return
	case errors.Is(err, andon.ErrOutcomeUnknown):
		t.lost++
		t.say("order %s: outcome unknown, it stays in flight until the venue says what became of it", o.ClientID)
	case err != nil:
		t.say("order %s: %v", o.ClientID, err)
	}
	t.measured(took)
}

// measured keeps how long a call to the venue took. Called with mu held.
func (t *trader) measured(took time.Duration) {
	t.latencies = append(t.latencies, severity.Sample{At: time.Now(), Value: severity.Took(took)})
	if len(t.latencies) > 200 {
		t.latencies = t.latencies[100:]
	}
}

// protect puts a stop over every leg that has none, and takes away those that are
// left over.
func (t *trader) protect(ctx context.Context) error {
	_, report := t.snapshot()
	for _, stray := range report.Strays {
		if err := t.cancel(ctx, stray.Order); err != nil {
			return err
		}
	}
	for _, leg := range report.Legs {
		over := slices.ContainsFunc(leg.Problems, func(f safety.Finding) bool { return f.Problem == safety.ProblemOvercovered })
		for _, stop := range leg.Stops {
			if over {
				if err := t.cancel(ctx, stop.Order); err != nil {
					return err
				}
			}
		}
	}
	// What was cancelled leaves its leg naked for one reading of the venue: read it
	// again and cover it in the same breath.
	report, err := safety.ReadProtection(ctx, t.ex, safety.Requirements{}, time.Now())
	if err != nil {
		return err
	}
	if !report.Protected() {
		plan, err := safety.PlanProtection(report, t.policy())
		if err != nil {
			return err
		}
		result, err := t.protector.Apply(ctx, plan, time.Now())
		if err != nil && !errors.Is(err, safety.ErrPlanMoved) {
			t.say("protect: %v", err)
		}
		report = result.After
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report = report
	t.protected = map[andon.LegKey]andon.Decimal{}
	for _, leg := range report.Legs {
		if leg.Protected() {
			t.protected[leg.Position.Key()] = leg.Position.Quantity
		}
	}
	return nil
}

func (t *trader) policy() safety.ProtectionPolicy {
	return safety.ProtectionPolicy{Distance: stopDistance, Instruments: instruments()}
}

// cancel takes an order away; one that is gone already is no error, and one whose
// cancel got lost is tried again with the next step.
func (t *trader) cancel(ctx context.Context, o andon.Order) error {
	err := t.ex.Cancel(ctx, o)
	if errors.Is(err, andon.ErrOrderNotFound) || errors.Is(err, andon.ErrOutcomeUnknown) && !errors.Is(err, sim.ErrOutage) {
		return nil
	}
	return err
}

// vanished returns the legs whose stop is gone although their position has not moved.
func (t *trader) vanished() []andon.LegKey {
	_, report := t.snapshot()
	var legs []andon.LegKey
	for _, leg := range report.Legs {
		covered, ok := t.protected[leg.Position.Key()]
		if ok && covered.Equal(leg.Position.Quantity) && !leg.Protected() {
			legs = append(legs, leg.Position.Key())
		}
	}
	return legs
}
