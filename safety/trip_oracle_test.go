package safety

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An oracle keeps every event and recomputes everything from all of them, each time.
type oracle struct {
	cfg                     TripConfig
	equities, orders, slows []oracleEvent
	venues                  map[string][]oracleEvent
	nets                    []andon.Decimal // of trades that count
	day                     string
	open, last, named       andon.Decimal
	dayNets                 []andon.Decimal
	peakFrom, rapidFrom     int // the first equity that counts
}

type oracleEvent struct {
	at    time.Time
	hit   bool
	value andon.Decimal
}

// since returns the events in the parts that a window reaches into, by integers alone.
func since(all []oracleEvent, now time.Time, window time.Duration) (in []oracleEvent) {
	width := int64(window) / windowParts
	first := (now.UnixNano() - int64(window)) / width
	for _, e := range all {
		if e.at.UnixNano()/width >= first {
			in = append(in, e)
		}
	}
	return in
}

func hits(all []oracleEvent) (n int) {
	for _, e := range all {
		if e.hit {
			n++
		}
	}
	return n
}

// lossOf reports whether down from top is the ratio or more, by cross-multiplication.
func lossOf(top, now, ratio andon.Decimal) bool {
	limit, err := top.Mul(ratio)
	if err != nil {
		panic(err)
	}
	return !top.Sub(now).Less(limit)
}

func (o *oracle) roll(now tripNow) {
	if day := min(now.clock.In(o.cfg.Zone).Format(dayForm), now.wall.In(o.cfg.Zone).Format(dayForm)); day > o.day {
		o.day, o.open, o.named, o.dayNets = day, o.last, andon.Decimal{}, nil
	}
}

func (o *oracle) daily() (fired []Trip) {
	if o.open.IsZero() {
		return nil
	}
	lost := o.open.Sub(o.last)
	net := andon.Decimal{}
	for _, n := range o.dayNets {
		net = net.Add(n)
	}
	lost = lost.Max(net.Neg())
	limit, err := o.open.Mul(o.cfg.DailyLoss)
	if err != nil {
		panic(err)
	}
	if !lost.Sub(o.named).Less(limit) {
		o.named = lost
		return []Trip{TripDailyLoss}
	}
	return nil
}

func (o *oracle) equity(now tripNow, v andon.Decimal) (fired []Trip) {
	o.roll(now)
	o.last = v
	o.equities = append(o.equities, oracleEvent{at: now.clock, value: v})
	peak := v
	for _, e := range o.equities[o.peakFrom:] {
		peak = peak.Max(e.value)
	}
	if lossOf(peak, v, o.cfg.Drawdown) {
		fired = append(fired, TripDrawdown)
		o.peakFrom = len(o.equities) - 1
	}
	// The window, and the last part before it.
	in := since(o.equities[o.rapidFrom:], now.clock, o.cfg.RapidWindow)
	all := o.equities[o.rapidFrom:]
	if before := all[:len(all)-len(in)]; len(before) > 0 {
		width := int64(o.cfg.RapidWindow) / windowParts
		last := before[len(before)-1].at.UnixNano() / width
		for _, e := range before {
			if e.at.UnixNano()/width == last {
				in = append(in, e)
			}
		}
	}
	top := v
	for _, e := range in {
		top = top.Max(e.value)
	}
	if lossOf(top, v, o.cfg.RapidLoss) {
		fired = append(fired, TripRapidLoss)
		o.rapidFrom = len(o.equities) - 1
	}
	if o.open.IsZero() {
		o.open = v
	}
	return append(fired, o.daily()...)
}

func (o *oracle) trade(now tripNow, net andon.Decimal) (fired []Trip) {
	o.roll(now)
	o.dayNets = append(o.dayNets, net)
	o.nets = append(o.nets, net)
	streak := 0
	for _, n := range o.nets {
		switch {
		case n.Sign() < 0:
			streak++
		case n.Sign() > 0:
			streak = 0
		}
	}
	if streak >= o.cfg.LosingStreak {
		fired = append(fired, TripLosingStreak)
		o.nets = nil
	}
	return append(fired, o.daily()...)
}

func (o *oracle) order(now tripNow, failed, slow bool) (fired []Trip) {
	o.orders = append(o.orders, oracleEvent{at: now.clock, hit: failed})
	in := since(o.orders, now.clock, o.cfg.OrderWindow)
	// 20 % is one in five: more than that, in integers.
	if len(in) >= o.cfg.OrderMinimum && 5*hits(in) > len(in) {
		fired = append(fired, TripOrderFailures)
		o.orders = nil
	}
	o.slows = append(o.slows, oracleEvent{at: now.clock, hit: slow})
	if hits(since(o.slows, now.clock, o.cfg.SlowWindow)) >= o.cfg.SlowOrders {
		fired = append(fired, TripSlowOrders)
		o.slows = nil
	}
	return fired
}

func (o *oracle) failure(now tripNow, venue string) []Trip {
	o.venues[venue] = append(o.venues[venue], oracleEvent{at: now.clock, hit: true})
	if hits(since(o.venues[venue], now.clock, o.cfg.VenueWindow)) >= o.cfg.VenueErrors {
		o.venues[venue] = nil
		return []Trip{TripVenueErrors}
	}
	return nil
}

// Whatever is fed in whatever order, with a wall clock that steps either way and restarts
// in between, the windows say what a recomputation over all events says, and their memory
// does not grow.
func TestTripsAgreeWithARecomputationOverAllEvents(t *testing.T) {
	fired := map[Trip]int{}
	seldom := func(trip Trip) bool { return fired[trip] == 0 }
	compared := []Trip{TripDailyLoss, TripDrawdown, TripRapidLoss, TripLosingStreak, TripOrderFailures, TripSlowOrders, TripVenueErrors}
	for range 50 { // until each has fired: one of them needs luck
		rapid.Check(t, func(t *rapid.T) { tripsAgree(t, fired) })
		if t.Failed() || !slices.ContainsFunc(compared, seldom) {
			break
		}
	}
	for _, trip := range compared {
		require.Positive(t, fired[trip], "%v never fired, so nothing was compared", trip)
	}
}

// tripsAgree compares one sequence, and counts in fired what it made fire.
func tripsAgree(t *rapid.T, fired map[Trip]int) {
	begin := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	now := tripNow{begin, begin}
	cfg := TripConfig{NoSymbols: true, Off: []Trip{TripMarginUse, TripPositionError}, LosingStreak: 3, VenueErrors: 3, VenueWindow: 5 * time.Minute, OrderMinimum: 5}.withDefaults()
	require.NoError(t, cfg.validate())
	m := newTripMachine(cfg, nil, now)
	o := &oracle{cfg: cfg, venues: map[string][]oracleEvent{}, day: m.s.Day}
	cents := func(name string, from, to int64) andon.Decimal {
		return andon.NewDecimal(rapid.Int64Range(from, to).Draw(t, name), 2)
	}
	equity := int64(100_000)
	for n := range rapid.IntRange(40, 160).Draw(t, "events") {
		switch rapid.IntRange(0, 9).Draw(t, "clock") {
		case 0:
			now.wall = now.wall.Add(time.Duration(rapid.IntRange(-40, 40).Draw(t, "step")) * time.Hour)
		case 1:
			long := time.Duration(rapid.IntRange(1, 400).Draw(t, "minutes")) * time.Minute
			now.clock, now.wall = now.clock.Add(long), now.wall.Add(long)
		default:
			short := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond
			now.clock, now.wall = now.clock.Add(short), now.wall.Add(short)
		}
		var want []Trip
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0, 1:
			equity = max(100, equity+equity*rapid.Int64Range(-40, 35).Draw(t, "per mille")/1000)
			m.equity(now, andon.NewDecimal(equity, 2))
			want = o.equity(now, andon.NewDecimal(equity, 2))
		case 2:
			profit, fee := cents("profit", -3000, 2500), cents("fee", -5, 20)
			require.NoError(t, m.trade(now, Trade{ID: fmt.Sprint(n), Profit: profit, Fee: fee, At: begin.Add(time.Duration(n))}))
			want = o.trade(now, profit.Sub(fee))
		case 3:
			out := rapid.SampledFrom([]Outcome{Accepted, Accepted, Accepted, Accepted, Refused, OutcomeUnknown}).Draw(t, "out")
			took := time.Duration(rapid.SampledFrom([]int{10, 500, 501}).Draw(t, "took")) * time.Millisecond
			require.NoError(t, m.order(now, out, took))
			want = o.order(now, out != Accepted, took > 500*time.Millisecond)
		case 4:
			venue := rapid.SampledFrom([]string{"kraken", "bluefin"}).Draw(t, "venue")
			require.NoError(t, m.venueError(now, venue, fmt.Errorf("no answer")))
			want = o.failure(now, venue)
		case 5:
			s := m.snapshot(tripClock{last: now.clock})
			b, err := encodeState(State{Name: "x", Resumed: Resumption{By: "a", Note: "b"}, Trips: s})
			require.NoError(t, err)
			back, err := decodeState(b)
			require.NoError(t, err)
			m = newTripMachine(cfg, back.Trips, now)
		}
		var got []Trip
		for _, f := range m.take() {
			if f.trip != TripStaleData {
				got = append(got, f.trip)
				fired[f.trip]++
			}
		}
		require.Equal(t, want, got)
		require.LessOrEqual(t, max(len(m.s.Highs), len(m.s.Orders), len(m.s.Slow)), windowParts+3)
	}
}
