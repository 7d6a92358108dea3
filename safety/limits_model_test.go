package safety_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The oracle: what the documentation of Limits says, in plain words of Go. It keeps
// everything that ever happened and works each answer out anew.
type oracle struct {
	base, throttle safety.Limits
	largest        map[string]andon.Decimal
	throttledAt    time.Time // when throttle was placed or lifted
	opened         time.Time

	counting                   bool
	floor                      time.Time // what passed before is not known
	ordersSince, notionalSince time.Time // zero while not counted
	notionalFrom, repeatsFrom  int       // index into passed; -1 while not counted

	passed []*oracleOrder
	ids    map[string]bool

	viewed   time.Time // zero for never
	quantity map[string]*big.Rat
	shown    []andon.Order
	marks    map[string]datum
	equity   datum
}

type datum struct {
	v  *big.Rat
	at time.Time
}

type oracleOrder struct {
	andon.Order
	at, exited time.Time
	permit     safety.Permit
	outcome    string // "", "accepted", "refused", "unknown"
	worth      *big.Rat
	within     time.Duration // Limits.RepeatWithin when it passed
}

const (
	modelRounds    = 5 // of as many runs as rapid makes
	modelMarkAge   = 10 * time.Second
	modelEquityAge = time.Minute
	modelViewAge   = time.Minute
)

func ratOf(d andon.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		panic(d.String())
	}
	return r
}

func absOf(r *big.Rat) *big.Rat { return new(big.Rat).Abs(r) }

// inForce is the strictest of the configuration and the throttle.
func (m *oracle) inForce() safety.Limits {
	l, o := m.base, m.throttle
	dec := func(a, b andon.Decimal) andon.Decimal {
		if a.IsZero() || !b.IsZero() && b.Less(a) {
			return b
		}
		return a
	}
	num := func(a, b int) int {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	return safety.Limits{
		MinTimeBetweenTrades: max(l.MinTimeBetweenTrades, o.MinTimeBetweenTrades),
		MaxPositionSize:      dec(l.MaxPositionSize, o.MaxPositionSize),
		PriceCollar:          dec(l.PriceCollar, o.PriceCollar),
		MaxRepeats:           num(l.MaxRepeats, o.MaxRepeats), RepeatWithin: max(l.RepeatWithin, o.RepeatWithin),
		MaxLeverage: dec(l.MaxLeverage, o.MaxLeverage),
		MaxOrders:   num(l.MaxOrders, o.MaxOrders), OrdersWithin: max(l.OrdersWithin, o.OrdersWithin),
		MaxNotional: dec(l.MaxNotional, o.MaxNotional), NotionalWithin: max(l.NotionalWithin, o.NotionalWithin),
	}
}

// pending are the orders that the last view may not show.
func (m *oracle) pending(symbol string) (out []*oracleOrder) {
	for _, o := range m.passed {
		seen := o.outcome == "accepted" && !m.viewed.IsZero() && o.exited.Before(m.viewed)
		if o.Symbol == symbol && o.outcome != "refused" && !seen {
			out = append(out, o)
		}
	}
	return out
}

// showed returns the orders of a symbol in the last view that were not pending then.
func (m *oracle) showed(symbol string) (out []andon.Order) {
	for _, o := range m.shown {
		if o.Symbol == symbol {
			out = append(out, o)
		}
	}
	return out
}

// see takes over a view.
func (m *oracle) see(v safety.View, quantity map[string]*big.Rat) {
	m.viewed, m.quantity, m.shown = v.Asked, quantity, nil
	own := map[string]bool{}
	for _, symbol := range modelSymbols {
		for _, o := range m.pending(symbol) {
			own[o.ClientID] = true
		}
	}
	for _, o := range v.Orders {
		m.ids[o.ClientID] = true
		if !own[o.ClientID] {
			m.shown = append(m.shown, o)
		}
	}
	for _, p := range v.Positions {
		if !p.Mark.IsZero() && !m.marks[p.Symbol].at.After(v.Asked) {
			m.marks[p.Symbol] = datum{ratOf(p.Mark), v.Asked}
		}
	}
}

func (m *oracle) held(symbol string) *big.Rat {
	if q := m.quantity[symbol]; q != nil {
		return q
	}
	return new(big.Rat)
}

// couldReach is the quantity of a symbol once every order of a side has traded whole.
func (m *oracle) couldReach(symbol string, side andon.Side) *big.Rat {
	r := new(big.Rat).Set(m.held(symbol))
	add := func(o andon.Order) {
		if o.Side == side && !o.ReduceOnly {
			r.Add(r, ratOf(o.Signed()))
		}
	}
	for _, o := range m.pending(symbol) {
		add(o.Order)
	}
	for _, o := range m.showed(symbol) {
		add(o)
	}
	return r
}

func (m *oracle) worst(symbol string) *big.Rat {
	a, b := absOf(m.couldReach(symbol, andon.Buy)), absOf(m.couldReach(symbol, andon.Sell))
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

func (m *oracle) viewKnown(now time.Time) bool {
	return !m.viewed.IsZero() && now.Sub(m.viewed) <= modelViewAge
}

// isExit says whether an order is an exit: plain orders of one kind, in net mode.
func (m *oracle) isExit(o andon.Order, now time.Time) bool {
	held := m.held(o.Symbol)
	moved := false
	taken := new(big.Rat)
	for _, p := range m.pending(o.Symbol) {
		if held.Sign() == 0 || p.Side.Sign() == held.Sign() {
			moved = true
		}
	}
	onSide := new(big.Rat)
	for _, p := range m.pending(o.Symbol) {
		if p.Side.Sign() != held.Sign() {
			if !p.ReduceOnly {
				onSide.Add(onSide, ratOf(p.Remaining()))
			}
		}
		if p.Side == o.Side {
			taken.Add(taken, ratOf(p.Remaining()))
		}
	}
	moved = moved || held.Sign() != 0 && onSide.Cmp(absOf(held)) > 0
	for _, p := range m.showed(o.Symbol) {
		if p.Side == o.Side {
			taken.Add(taken, ratOf(p.Remaining()))
		}
	}
	if (!m.viewKnown(now) || moved) && o.ReduceOnly {
		return true
	}
	if held.Sign() == 0 || o.Side.Sign() == held.Sign() {
		return false
	}
	left := new(big.Rat).Sub(absOf(held), taken)
	return ratOf(o.Remaining()).Cmp(left) <= 0
}

func (m *oracle) markKnown(symbol string, now time.Time) bool {
	d, ok := m.marks[symbol]
	return ok && now.Sub(d.at) <= modelMarkAge
}

func (m *oracle) equityKnown(now time.Time) bool {
	return m.equity.v != nil && now.Sub(m.equity.at) <= modelEquityAge
}

func (m *oracle) allowed(times andon.Decimal) *big.Rat {
	if m.equity.v.Sign() <= 0 {
		return new(big.Rat)
	}
	return new(big.Rat).Mul(m.equity.v, ratOf(times))
}

// follow notes since when each limit counts: from the moment it came into force, which
// is the opening for those of the configuration.
func (m *oracle) follow(l safety.Limits, on bool) {
	from := m.opened
	if m.throttledAt.After(from) {
		from = m.throttledAt
	}
	if on && !m.counting {
		m.floor = from
		m.ordersSince = time.Time{}
	}
	m.counting = on
	if on && m.ordersSince.IsZero() && (l.MaxOrders > 0 || m.base.MaxOrders > 0) {
		m.ordersSince = from
	}
	if l.MaxNotional.IsZero() {
		m.notionalFrom = -1
	} else if m.notionalFrom < 0 {
		m.notionalSince, m.notionalFrom = from, len(m.passed)
	}
	if l.MaxRepeats == 0 {
		m.repeatsFrom = -1
	} else if m.repeatsFrom < 0 {
		m.repeatsFrom = len(m.passed)
	}
}

// denies returns the reason for which an order must be denied, or none.
func (m *oracle) denies(o andon.Order, now time.Time) (r safety.Reason, denied bool) {
	l := m.inForce()
	on := l != (safety.Limits{}) || len(m.largest) > 0
	m.follow(l, on)
	if m.ids[o.ClientID] {
		return safety.ReasonClientID, true
	}
	if !on {
		return 0, false
	}
	if m.isExit(o, now) {
		return 0, false
	}
	reach := new(big.Rat).Add(m.couldReach(o.Symbol, o.Side), ratOf(o.Signed()))
	own := reach.Sign() == o.Side.Sign()
	sized := func(r safety.Reason) (safety.Reason, bool) { return r, true }
	if len(m.largest) > 0 {
		most, listed := m.largest[o.Symbol]
		if !listed || !m.viewKnown(now) || own && absOf(reach).Cmp(ratOf(most)) > 0 {
			return sized(safety.ReasonMaxPosition)
		}
	}
	needsView := !l.MaxPositionSize.IsZero() || !l.MaxLeverage.IsZero()
	if needsView && !m.viewKnown(now) {
		if !l.MaxPositionSize.IsZero() {
			return sized(safety.ReasonMaxPositionSize)
		}
		return sized(safety.ReasonMaxLeverage)
	}
	last := m.floor
	for _, p := range m.passed {
		if p.Symbol == o.Symbol && p.at.After(last) {
			last = p.at
		}
	}
	if l.MinTimeBetweenTrades > 0 && now.Sub(last) < l.MinTimeBetweenTrades {
		return safety.ReasonMinTimeBetweenTrades, true
	}
	mark := m.marks[o.Symbol].v
	if !l.MaxPositionSize.IsZero() {
		if !m.markKnown(o.Symbol, now) || !m.equityKnown(now) {
			return safety.ReasonMaxPositionSize, true
		}
		if own && new(big.Rat).Mul(absOf(reach), mark).Cmp(m.allowed(l.MaxPositionSize)) > 0 {
			return safety.ReasonMaxPositionSize, true
		}
	}
	if !l.PriceCollar.IsZero() {
		if !m.markKnown(o.Symbol, now) {
			return safety.ReasonPriceCollar, true
		}
		off := absOf(new(big.Rat).Sub(ratOf(o.Price), mark))
		if o.Kind.Priced() && off.Cmp(new(big.Rat).Mul(mark, ratOf(l.PriceCollar))) > 0 {
			return safety.ReasonPriceCollar, true
		}
	}
	if l.MaxRepeats > 0 && m.run(o, l, now) >= l.MaxRepeats {
		return safety.ReasonMaxRepeats, true
	}
	if !l.MaxLeverage.IsZero() {
		if !m.markKnown(o.Symbol, now) || !m.equityKnown(now) {
			return safety.ReasonMaxLeverage, true
		}
		total := new(big.Rat)
		for _, symbol := range modelSymbols {
			w := m.worst(symbol)
			if symbol == o.Symbol && w.Cmp(absOf(reach)) < 0 {
				w = absOf(reach)
			}
			if w.Sign() != 0 && !m.markKnown(symbol, now) {
				return safety.ReasonMaxLeverage, true
			}
			if w.Sign() != 0 {
				total.Add(total, new(big.Rat).Mul(w, m.marks[symbol].v))
			}
		}
		if total.Cmp(m.allowed(l.MaxLeverage)) > 0 {
			return safety.ReasonMaxLeverage, true
		}
	}
	if l.MaxOrders > 0 {
		n := 0
		for _, p := range m.passed {
			if now.Sub(p.at) < l.OrdersWithin {
				n++
			}
		}
		if n >= l.MaxOrders || now.Sub(m.ordersSince) < l.OrdersWithin {
			return safety.ReasonMaxOrders, true
		}
	}
	if !l.MaxNotional.IsZero() {
		if !m.markKnown(o.Symbol, now) || now.Sub(m.notionalSince) < l.NotionalWithin {
			return safety.ReasonMaxNotional, true
		}
		sum := new(big.Rat).Mul(ratOf(o.Remaining()), mark)
		for _, p := range m.passed[m.notionalFrom:] {
			if now.Sub(p.at) < l.NotionalWithin {
				sum.Add(sum, p.worth)
			}
		}
		if sum.Cmp(ratOf(l.MaxNotional)) > 0 {
			return safety.ReasonMaxNotional, true
		}
	}
	return 0, false
}

// run is how often in a row the order passed on its side, each within what was in
// force when the next came.
func (m *oracle) run(o andon.Order, l safety.Limits, now time.Time) (n int) {
	within := l.RepeatWithin
	for i := len(m.passed) - 1; i >= m.repeatsFrom; i-- {
		p := m.passed[i]
		if p.Symbol != o.Symbol || p.Side != o.Side {
			continue
		}
		if now.Sub(p.at) > within || p.Kind != o.Kind || !p.Quantity.Equal(o.Quantity) || !p.Price.Equal(o.Price) {
			break
		}
		n, now, within = n+1, p.at, p.within
	}
	return n
}

var modelSymbols = []string{"BTC", "ETH"}

// What the gate says of every order under random limits, views, marks, equities,
// throttles and times is what the oracle says: it passes, or is denied for that reason.
func TestLaw4_LimitsAgreeWithAnOracle(t *testing.T) {
	fired := map[safety.Reason]int{}
	synctest.Test(t, func(t *testing.T) {
		// rapid asks a *testing.T for its deadline, which it has not in a bubble.
		for range modelRounds {
			rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { agreeWithOracle(t, fired) })
		}
	})
	t.Log("denied, by reason:", fired)
	for r := safety.ReasonMaxPosition; r.Limit(); r++ {
		require.NotZero(t, fired[r], "%v never denied anything: the model does not reach it", r)
	}
}

// someLimits draws limits, each set or not. What they bound is small, so that random
// orders meet the bounds.
func someLimits(t *rapid.T, label string, orders, repeats int) (l safety.Limits) {
	set := func(name string) bool { return rapid.Bool().Draw(t, label+" has "+name) }
	pick := func(of ...string) andon.Decimal { return dec(rapid.SampledFrom(of).Draw(t, label)) }
	if set("gap") {
		l.MinTimeBetweenTrades = rapid.SampledFrom([]time.Duration{1, 2 * time.Second}).Draw(t, label)
	}
	if set("size") {
		l.MaxPositionSize = pick("0.5", "0.25", "0.1")
	}
	if set("collar") {
		l.PriceCollar = pick("0.1", "0.05")
	}
	if set("repeats") {
		l.MaxRepeats, l.RepeatWithin = repeats, rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, label)
	}
	if set("leverage") {
		l.MaxLeverage = pick("1", "0.75")
	}
	if set("orders") {
		l.MaxOrders, l.OrdersWithin = orders, rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second}).Draw(t, label)
	}
	if set("notional") {
		l.MaxNotional, l.NotionalWithin = pick("500", "1000"), rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second}).Draw(t, label)
	}
	return l
}

func agreeWithOracle(t *rapid.T, fired map[safety.Reason]int) {
	cfg := inMemory()
	cfg.MaxMarkAge, cfg.MaxEquityAge, cfg.MaxViewAge = modelMarkAge, modelEquityAge, modelViewAge
	cfg.RememberIDs = 1 << 12
	if rapid.Bool().Draw(t, "has limits") {
		cfg.Limits = someLimits(t, "limits", 3, 3)
	}
	if rapid.Bool().Draw(t, "has MaxPosition") {
		cfg.MaxPosition = map[string]andon.Decimal{"BTC": dec("4")}
	}
	throttle := safety.Throttle{Limits: someLimits(t, "throttle", 2, 2), Off: []string{safety.FeatureMCP}}
	m := &oracle{
		base: cfg.Limits, largest: cfg.MaxPosition, opened: time.Now(), notionalFrom: -1, repeatsFrom: -1,
		ids: map[string]bool{}, quantity: map[string]*big.Rat{}, marks: map[string]datum{},
	}
	sw, err := safety.Open(context.Background(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	synctest.Wait()
	require.NoError(t, sw.Resume(ctx, "alice", "the model", sw.Status().Holds))
	defer func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, sw.Close())
	}()
	mine := func(by string) (holds []safety.Hold) {
		for _, h := range sw.Status().Holds {
			if h.By == by {
				holds = append(holds, h)
			}
		}
		return holds
	}
	symbols, sides := rapid.SampledFrom(modelSymbols), rapid.SampledFrom([]andon.Side{andon.Buy, andon.Sell})
	quantities := rapid.SampledFrom([]string{"0.5", "1", "2"})
	prices := rapid.SampledFrom([]string{"90", "95", "100", "105", "110", "110.5"})
	n := 0
	draw := func(t *rapid.T) andon.Order {
		n++
		o := order(fmt.Sprint("o", n), sides.Draw(t, "side"), quantities.Draw(t, "quantity"))
		o.Symbol, o.ReduceOnly = symbols.Draw(t, "symbol"), rapid.IntRange(0, 5).Draw(t, "reduce-only") == 0
		if rapid.Bool().Draw(t, "priced") {
			o.Kind, o.Price = andon.Limit, dec(prices.Draw(t, "price"))
		}
		return o
	}
	enter := func(t *rapid.T) {
		o := draw(t)
		if k := len(m.passed); k > 0 && rapid.Bool().Draw(t, "the same again") {
			id := o.ClientID
			o = m.passed[k-1].Order
			o.ClientID = id
		}
		if n > 1 && rapid.IntRange(0, 9).Draw(t, "id again") == 0 {
			o.ClientID = fmt.Sprint("o", rapid.IntRange(1, n-1).Draw(t, "which"))
		}
		now := time.Now()
		reason, denied := m.denies(o, now)
		p, err := sw.Enter(&o)
		d, isDenied := errors.AsType[*safety.DeniedError](err)
		require.Equal(t, denied, isDenied, "oracle: %v %v, gate: %v", denied, reason, err)
		if denied {
			require.Equal(t, reason, d.Reason, "gate: %v", err)
			require.NotEmpty(t, d.Why)
			if reason.Limit() {
				require.NotEmpty(t, d.Found)
			}
			fired[reason]++
			if reason == safety.ReasonMaxRepeats {
				holds := mine("andon/repeats")
				require.Len(t, holds, 1, "whoever repeats himself is held")
				require.Equal(t, safety.Reducing, sw.State())
				require.NoError(t, sw.Lift(ctx, "alice", "looked at it", holds[0]))
			}
			return
		}
		po := &oracleOrder{Order: o, at: now, permit: p, worth: new(big.Rat), within: m.inForce().RepeatWithin}
		if mark := m.marks[o.Symbol].v; mark != nil {
			po.worth.Mul(ratOf(o.Remaining()), mark)
		}
		m.passed, m.ids[o.ClientID] = append(m.passed, po), true
	}
	var asked time.Time
	t.Repeat(map[string]func(*rapid.T){
		"enter":      enter,
		"enter more": enter,
		"exit": func(t *rapid.T) {
			var open []*oracleOrder
			for _, o := range m.passed {
				if o.outcome == "" {
					open = append(open, o)
				}
			}
			if len(open) == 0 {
				t.Skip()
			}
			o := rapid.SampledFrom(open).Draw(t, "order")
			o.outcome, o.exited = rapid.SampledFrom([]string{"accepted", "refused", "unknown"}).Draw(t, "outcome"), time.Now()
			o.permit.Exit(map[string]safety.Outcome{"accepted": safety.Accepted, "refused": safety.Refused}[o.outcome])
			if o.outcome == "refused" {
				delete(m.ids, o.ClientID)
			}
		},
		"sleep": func(t *rapid.T) {
			time.Sleep(rapid.SampledFrom([]time.Duration{1, time.Second, 2 * time.Second, 5 * time.Second, 30 * time.Second}).Draw(t, "for"))
		},
		"ask": func(*rapid.T) {
			time.Sleep(time.Nanosecond) // no two things of different order at one instant
			asked = time.Now()
			time.Sleep(time.Nanosecond)
		},
		"observe": func(t *rapid.T) {
			fresh := asked.IsZero() || rapid.Bool().Draw(t, "asked now")
			if fresh {
				time.Sleep(time.Nanosecond)
				asked = time.Now()
			}
			v := safety.View{Venue: "sim", Asked: asked}
			quantity := map[string]*big.Rat{}
			for _, symbol := range modelSymbols {
				q := dec(rapid.SampledFrom([]string{"0", "0", "1", "2", "-1", "-3"}).Draw(t, "position of "+symbol))
				if q.IsZero() {
					continue
				}
				quantity[symbol] = ratOf(q)
				p := andon.Position{Venue: "sim", Symbol: symbol, Quantity: q}
				if rapid.Bool().Draw(t, "with a mark") {
					p.Mark = dec("100")
				}
				v.Positions = append(v.Positions, p)
			}
			for range rapid.IntRange(0, 2).Draw(t, "orders shown") {
				o := draw(t)
				if rapid.Bool().Draw(t, "one of ours") && len(m.passed) > 0 {
					o = rapid.SampledFrom(m.passed).Draw(t, "which").Order
				}
				v.Orders = append(v.Orders, o)
			}
			err := sw.Observe(v)
			if err != nil {
				require.ErrorIs(t, err, safety.ErrStaleView)
				require.False(t, fresh, "a view asked for after everything is never too old")
				return
			}
			m.see(v, quantity)
		},
		"mark": func(t *rapid.T) {
			symbol, price := symbols.Draw(t, "symbol"), dec(rapid.SampledFrom([]string{"100", "101.5", "99.25", "50"}).Draw(t, "mark"))
			at := time.Now().Add(-rapid.SampledFrom([]time.Duration{0, 0, time.Second, 9 * time.Second, 11 * time.Second}).Draw(t, "age"))
			require.NoError(t, sw.Mark("sim", symbol, price, at))
			if !m.marks[symbol].at.After(at) {
				m.marks[symbol] = datum{ratOf(price), at}
			}
		},
		"equity": func(t *rapid.T) {
			e := dec(rapid.SampledFrom([]string{"1000", "1000", "600", "0", "-5"}).Draw(t, "equity"))
			at := time.Now().Add(-rapid.SampledFrom([]time.Duration{0, 0, time.Second, 2 * time.Minute}).Draw(t, "age"))
			require.NoError(t, sw.Equity("sim", e, at))
			if !m.equity.at.After(at) {
				m.equity = datum{ratOf(e), at}
			}
		},
		"throttle": func(t *rapid.T) {
			time.Sleep(time.Nanosecond)
			if holds := mine("carol"); len(holds) > 0 {
				require.NoError(t, sw.Lift(ctx, "alice", "fast again", holds[0]))
				require.True(t, sw.Feature(safety.FeatureMCP))
				if m.throttle != (safety.Limits{}) {
					m.throttledAt = time.Now()
				}
				m.throttle = safety.Limits{}
			} else {
				require.NoError(t, sw.Throttle("carol", "slow", throttle))
				require.False(t, sw.Feature(safety.FeatureMCP))
				if m.throttle = throttle.Limits; m.throttle != (safety.Limits{}) {
					m.throttledAt = time.Now()
				}
			}
			require.Equal(t, safety.Active, sw.State())
			require.Equal(t, m.inForce(), sw.Limits("BTC"))
			time.Sleep(time.Nanosecond)
		},
	})
}
