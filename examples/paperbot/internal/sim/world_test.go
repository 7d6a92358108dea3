package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	dec   = andon.MustDecimal
	ctx   = context.Background()
)

// config is a small venue with shallow depth, so that orders fill in parts.
func config(seed uint64, hedge bool) Config {
	return Config{
		Seed: seed, Start: start, Hedge: hedge,
		MakerFee: dec("-0.00005"), TakerFee: dec("0.0005"),
		Symbols: []Symbol{
			{Name: "AAA-USDT", Price: dec("100"), Tick: dec("0.25"), Lot: dec("0.5"), MinValue: dec("60"), Swing: 8, Depth: dec("7")},
			{Name: "BBB-USDT", Price: dec("0.75"), Tick: dec("0.001"), Lot: dec("3"), Swing: 5},
		},
	}
}

func open(t require.TestingT, cfg Config) *Exchange {
	x, err := New(cfg)
	require.NoError(t, err)
	return x
}

// world drives an exchange as a careless bot does and remembers what it was told.
type world struct {
	x     *Exchange
	n     int
	sent  []andon.Order          // every order that was sent once, whatever came of it
	taken map[string]bool        // client ids that the venue said it took
	lost  map[string]andon.Order // client ids whose outcome is unknown
}

func newWorld(t require.TestingT, seed uint64, hedge bool) *world {
	return &world{x: open(t, config(seed, hedge)), taken: map[string]bool{}, lost: map[string]andon.Order{}}
}

// act does one random thing.
func (w *world) act(t *rapid.T) {
	switch rapid.IntRange(0, 11).Draw(t, "action") {
	case 0, 1, 2, 3, 4:
		w.submit(t, w.order(t))
	case 5, 6, 7:
		w.step(t)
	case 8:
		if len(w.sent) > 0 {
			o := rapid.SampledFrom(w.sent).Draw(t, "cancel")
			w.tolerate(t, w.x.Cancel(ctx, o))
		}
	case 9:
		if len(w.sent) > 0 {
			w.resend(t, rapid.SampledFrom(w.sent).Draw(t, "again"))
		}
	case 10:
		w.x.DropStop(w.symbol(t).Name)
	case 11:
		require.NoError(t, w.x.SetFaults(Faults{
			Outage:       rapid.IntRange(0, 5).Draw(t, "outage") == 0,
			Unauthorized: rapid.IntRange(0, 5).Draw(t, "unauthorized") == 0,
			TimeoutRate:  rapid.SampledFrom([]float64{0, 0, 0.3, 0.7}).Draw(t, "timeouts"),
			LossRate:     rapid.SampledFrom([]float64{0, 0, 0.3}).Draw(t, "losses"),
			StalePrices:  rapid.Bool().Draw(t, "stale"),
		}))
	}
}

func (w *world) step(t require.TestingT) {
	require.NoError(t, w.x.Step(w.x.Now().Add(time.Second)))
}

func (w *world) symbol(t *rapid.T) Symbol {
	return rapid.SampledFrom(w.x.cfg.Symbols).Draw(t, "symbol")
}

// order draws one that is mostly worth taking: near the mark, in whole lots.
func (w *world) order(t *rapid.T) andon.Order {
	s := w.symbol(t)
	w.n++
	o := andon.Order{
		ClientID: fmt.Sprintf("c%d", w.n), Venue: "sim", Symbol: s.Name,
		Side:       rapid.SampledFrom([]andon.Side{andon.Buy, andon.Sell}).Draw(t, "side"),
		Kind:       andon.Kind(rapid.IntRange(1, 6).Draw(t, "kind")),
		ReduceOnly: rapid.Bool().Draw(t, "reduce-only"),
	}
	if w.x.cfg.Hedge {
		o.Leg = rapid.SampledFrom([]andon.Leg{andon.Long, andon.Short}).Draw(t, "leg")
	}
	lots := func(unit andon.Decimal, n int) andon.Decimal {
		d, err := unit.Mul(andon.NewDecimal(int64(n), 0))
		require.NoError(t, err)
		return d
	}
	o.Quantity = lots(s.Lot, rapid.IntRange(1, 30).Draw(t, "lots"))
	mark := w.x.markets[s.Name].real.Mark
	if o.Kind.Priced() {
		o.Price = mark.Add(lots(s.Tick, rapid.IntRange(-10, 10).Draw(t, "price"))).Max(s.Tick)
	}
	if o.Kind.Conditional() {
		o.Trigger = mark.Add(lots(s.Tick, rapid.IntRange(-10, 10).Draw(t, "trigger"))).Max(s.Tick)
	}
	if rapid.IntRange(0, 9).Draw(t, "expires") == 0 {
		o.ExpiresAt = w.x.Now().Add(3 * time.Second)
	}
	return o
}

func (w *world) submit(t require.TestingT, o andon.Order) {
	w.sent = append(w.sent, o)
	got, err := w.x.Submit(ctx, o)
	switch {
	case err == nil:
		require.Equal(t, o.ClientID, got.ClientID)
		require.NotEmpty(t, got.VenueID)
		w.taken[o.ClientID] = true
	case errors.Is(err, andon.ErrOutcomeUnknown):
		w.lost[o.ClientID] = o
	default:
		w.tolerate(t, err)
	}
}

// resend sends an order again under its client id, as a bot must never do.
func (w *world) resend(t require.TestingT, o andon.Order) {
	_, known := w.x.orders[o.ClientID]
	_, err := w.x.Submit(ctx, o)
	switch {
	case err == nil:
		require.False(t, known, "client id %s was taken twice", o.ClientID)
		w.taken[o.ClientID] = true
	case errors.Is(err, andon.ErrOutcomeUnknown):
		w.lost[o.ClientID] = o
	}
}

// tolerate accepts the errors that a venue may give.
func (w *world) tolerate(t require.TestingT, err error) {
	if err == nil {
		return
	}
	for _, allowed := range []error{andon.ErrRejected, andon.ErrOutcomeUnknown, andon.ErrOrderNotFound, ErrUnauthorized} {
		if errors.Is(err, allowed) {
			return
		}
	}
	require.NoError(t, err)
}

// replay adds the fills up and hands each to see, with what the leg held before it.
func (w *world) replay(see func(f andon.Fill, before andon.Decimal)) map[andon.LegKey]andon.Decimal {
	legs := map[andon.LegKey]andon.Decimal{}
	for _, f := range w.x.fills {
		see(f, legs[f.Key()])
		legs[f.Key()] = legs[f.Key()].Add(f.Signed())
	}
	return legs
}
