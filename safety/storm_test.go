package safety_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// stormRuns is how many seeds TestStorm_LawsHoldUnderFaults takes. ANDON_SEEDS=n for
// more; ANDON_SEED=n runs the one of that number alone.
const stormRuns = 10_000

// stormFaults strike at every call of a storm.
var stormFaults = andontest.Faults{
	andontest.TimeoutTaken: 0.03, andontest.TimeoutLost: 0.02, andontest.Late: 0.03, andontest.DuplicateAnswer: 0.02,
	andontest.RateLimited: 0.02, andontest.Refused: 0.02, andontest.PartialFill: 0.1, andontest.EmptyList: 0.02,
	andontest.PartialList: 0.03, andontest.HiddenList: 0.03, andontest.WrongList: 0.02, andontest.StaleRead: 0.03,
	andontest.Liquidation: 0.01, andontest.Hang: 0.01,
}

// tally adds up what the runs of a storm met.
type tally struct {
	mu                        sync.Mutex
	faults                    map[andontest.Fault]int
	runs, hedge, spot, flat   int
	denied, unknown, restarts int
	undurable, closes         int
}

func (y *tally) add(change func()) { y.mu.Lock(); defer y.mu.Unlock(); change() }

func envInt(t testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// Laws 1 to 6, 10 and 11 over a venue that fails in every way that andontest knows. Each
// run is a small world made from its seed: a bot trades, halts, is perhaps started again,
// and closes everything.
func TestStorm_LawsHoldUnderFaults(t *testing.T) {
	if seed := envInt(t, "ANDON_SEED", -1); seed >= 0 {
		storm(t, uint64(seed), &tally{faults: map[andontest.Fault]int{}})
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // many small worlds: a third of the time otherwise
	y := &tally{faults: map[andontest.Fault]int{}}
	runs := envInt(t, "ANDON_SEEDS", stormRuns)
	t.Run("seeds", func(t *testing.T) {
		const shards = 4
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for seed := shard; seed < runs && !t.Failed(); seed += shards {
					storm(t, uint64(seed), y)
				}
			})
		}
	})
	t.Logf("%d runs, %d in hedge mode, %d on spot, %d ended flat; faults %v; %d entries denied, %d outcomes unknown, %d restarts, %d halts not durable, %d exits",
		y.runs, y.hedge, y.spot, y.flat, y.faults, y.denied, y.unknown, y.restarts, y.undurable, y.closes)
	if t.Failed() || runs < stormRuns {
		return
	}
	for f := range stormFaults {
		require.GreaterOrEqual(t, y.faults[f], 500, "%v has struck too seldom to show anything", f)
	}
	require.Greater(t, y.hedge, 500)
	require.Greater(t, y.spot, 500)
	require.Greater(t, y.unknown, 500)
	require.Greater(t, y.restarts, 500)
	require.Greater(t, y.undurable, 500)
	require.Greater(t, y.closes, 5000)
	require.Greater(t, y.flat, runs*9/10, "a close-all under such faults ends flat nearly always")
}

// world is one run.
type world struct {
	*testing.T
	rng    *rand.Rand
	v      *andontest.Venue
	sw     *safety.Switch
	store  *memoryStore
	rec    *recorder
	stop   func()
	spot   bool
	hedge  bool
	n      int // of client ids
	closer safety.CloserConfig
}

func storm(t *testing.T, seed uint64, y *tally) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		defer func() {
			if t.Failed() {
				t.Logf("seed %d: ANDON_SEED=%d go test ./safety -run TestStorm_ shows it again", seed, seed)
			}
		}()
		defer func() { w.stop() }()
		w.trade(y)
		w.halt(y)
		if w.rng.IntN(2) == 0 {
			w.restart()
			y.add(func() { y.restarts++ })
		}
		w.law1()
		w.closeAll(y)
		y.add(func() {
			y.runs++
			if w.hedge {
				y.hedge++
			}
			if w.spot {
				y.spot++
			}
			for f, n := range w.v.Counts() {
				y.faults[f] += n
			}
		})
	})
}

var stormSymbols = []string{"BTC", "ETH", "SOL"}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, rng: rand.New(rand.NewPCG(seed, 1)), store: &memoryStore{}, rec: &recorder{}}
	cfg := andontest.Config{Name: "sim", Seed: seed, Symbols: map[string]andontest.Symbol{}, Balances: map[string]andon.Decimal{"USDT": dec("100000")}}
	switch w.rng.IntN(3) {
	case 1:
		w.hedge, cfg.Hedge = true, true
	case 2:
		w.spot, cfg.Spot = true, true
	}
	in := map[string]andon.Instrument{}
	for _, s := range stormSymbols {
		if w.spot {
			in[s] = andon.Instrument{Base: s, Quote: "USDT", Lot: dec("0.1"), MinNotional: dec("5")}
			cfg.Symbols[s] = andontest.Symbol{Instrument: in[s], Fee: dec("0.001")}
		} else {
			in[s] = andon.Instrument{Lot: dec("0.1")}
			cfg.Symbols[s] = andontest.Symbol{Instrument: in[s]}
		}
	}
	w.v = andontest.New(cfg)
	for _, k := range w.legs() {
		q := dec(fmt.Sprint(1 + w.rng.IntN(9)))
		if k.Leg == andon.Short || k.Leg == andon.Net && !w.spot && w.rng.IntN(2) == 0 {
			q = q.Neg()
		}
		p := andon.Position{Symbol: k.Symbol, Leg: k.Leg, Quantity: q, Entry: dec("100")}
		w.v.SetPosition(p)
		if w.rng.IntN(3) > 0 {
			w.v.SetOrder(w.stopFor(p))
		}
	}
	w.v.SetFaults(stormFaults)
	w.open()
	w.closer = safety.CloserConfig{
		Venues: map[string]safety.CloseVenue{"sim": {Venue: w.v, Instruments: in}},
		Book:   truthBook{w.v},
	}
	require.NoError(t, w.sw.Resume(context.Background(), "alice", "a run begins", w.sw.Status().Holds))
	return w
}

// truthBook is the book of a bot that knows what it holds.
type truthBook struct{ v *andontest.Venue }

func (b truthBook) Positions(context.Context) ([]andon.Position, error) {
	return b.v.Truth().Positions, nil
}

// legs draws which legs have a position.
func (w *world) legs() (keys []andon.LegKey) {
	for _, s := range stormSymbols[:1+w.rng.IntN(3)] {
		if !w.hedge {
			keys = append(keys, andon.LegKey{Symbol: s})
			continue
		}
		for _, l := range []andon.Leg{andon.Long, andon.Short}[w.rng.IntN(2):] {
			keys = append(keys, andon.LegKey{Symbol: s, Leg: l})
		}
	}
	return keys
}

func (w *world) id() string { w.n++; return fmt.Sprintf("bot-%d", w.n) }

func (w *world) stopFor(p andon.Position) andon.Order {
	o := andon.Order{
		ClientID: w.id(), Venue: "sim", Symbol: p.Symbol, Leg: p.Leg, Side: p.ExitSide(), Kind: andon.StopMarket,
		Quantity: p.Quantity.Abs(), Trigger: dec("90"), ReduceOnly: !w.spot,
	}
	if o.Side == andon.Buy {
		o.Trigger = dec("110")
	}
	return o
}

// open opens the switch on what the store has.
func (w *world) open() {
	cfg := safety.Config{
		Name: "storm", NoFlags: true, Store: w.store, Recorder: w.rec, Log: slog.New(slog.DiscardHandler),
	}
	if w.hedge {
		cfg.HedgeVenues = []string{"sim"}
	}
	sw, err := safety.Open(context.Background(), cfg)
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- sw.Run(ctx) }()
	synctest.Wait()
	w.sw, w.stop = sw, func() {
		cancel()
		<-ran
		require.NoError(w, sw.Close())
	}
}

// restart is a new process: it knows what the store has, and nothing else. Law 3.
func (w *world) restart() {
	w.stop()
	w.open()
	require.Equal(w, safety.Halted, w.sw.State(), "law 3: a halt outlives the process")
}

// entry is an order that would add exposure.
func (w *world) entry() andon.Order {
	o := order(w.id(), andon.Buy, fmt.Sprint(1+w.rng.IntN(3)))
	o.Symbol = stormSymbols[w.rng.IntN(3)]
	if w.hedge {
		o.Leg = andon.Long
	}
	if !w.spot && w.rng.IntN(2) == 0 {
		if o.Side = andon.Sell; w.hedge {
			o.Leg = andon.Short
		}
	}
	if w.rng.IntN(2) == 0 {
		o.Kind, o.Price = andon.Limit, dec("80")
		if o.Side == andon.Sell {
			o.Price = dec("120")
		}
	}
	return o
}

// trade lets the bot work while trading is active.
func (w *world) trade(y *tally) {
	ctx := context.Background()
	for range w.rng.IntN(5) {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		switch w.rng.IntN(4) {
		case 0:
			if view, err := safety.ReadView(ctx, "sim", w.v); err == nil {
				_ = w.sw.Observe(view) // a wrong list, or a stale one, is refused
			}
		case 1:
			_, err := w.sw.Resolve(ctx, "sim", w.v)
			_ = err // a look-up without an answer settles nothing
		default:
			_, err := w.sw.Submit(ctx, w.v, w.entry())
			if errors.Is(err, andon.ErrOutcomeUnknown) {
				require.NotErrorIs(w, err, andon.ErrRejected, "law 6: unknown is no rejection")
				y.add(func() { y.unknown++ })
			}
		}
	}
}

// halt stops trading, now and then with a disk that takes nothing, and checks laws 2,
// 3 and 11.
func (w *world) halt(y *tally) {
	ctx := context.Background()
	failing := w.rng.IntN(8) == 0
	if failing {
		w.store.fail(errWire)
	}
	report, err := w.sw.Halt(ctx, "drawdown", "a storm")
	if failing {
		require.ErrorIs(w, err, safety.ErrNotDurable, "law 11: it says so")
		w.store.fail(nil)
		y.add(func() { y.undurable++ })
	} else {
		require.NoError(w, err)
	}
	require.Equal(w, safety.Halted, w.sw.State())
	if failing {
		_, err = w.sw.Halt(ctx, "drawdown", "a storm, again")
		require.NoError(w, err)
	}
	require.Equal(w, report.InFlight, w.sw.Status().Unresolved, "law 2: what is in flight is named")
	before := len(w.v.Calls())
	for range 3 {
		_, err := w.sw.Submit(ctx, w.v, w.entry())
		require.ErrorIs(w, err, safety.ErrDenied)
		y.add(func() { y.denied++ })
	}
	require.Len(w, w.v.Calls(), before, "law 2: nothing reaches the venue")
}

// law1 reads the venue under faults: what is not known is not safe.
func (w *world) law1() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if flat, err := safety.ReadFlat(ctx, w.v); err != nil {
		require.False(w, flat.Flat, "laws 1 and 5")
	}
	if r, err := safety.ReadProtection(ctx, w.v, safety.Requirements{MaxDistance: dec("0.2")}, time.Now()); err != nil {
		require.False(w, r.Protected(), "law 1")
	}
}

// closeAll closes everything and compares what is said with the truth.
func (w *world) closeAll(y *tally) {
	ctx := context.Background()
	w.closer.Switch = w.sw
	c, err := safety.NewCloser(w.closer)
	require.NoError(w, err)
	var report safety.CloseReport
	for range 3 { // a person who reads the report and plans again
		plan, err := c.Plan(ctx, time.Now())
		require.NoError(w, err)
		from := len(w.v.Calls())
		report, err = c.Apply(ctx, plan, confirmed(plan), time.Now())
		w.exits(w.v.Calls()[from:], y)
		truth := w.v.Truth()
		if err == nil {
			for _, p := range truth.Positions {
				require.True(w, w.excused(report, p), "no error, and %v is left with %v: %s", p.Key(), p.Quantity, report)
			}
		}
		require.Equal(w, safety.Halted, w.sw.State())
		if report.Flat() {
			break
		}
		require.True(w, err != nil || len(truth.Positions) > 0, "neither flat nor a reason: %s", report)
	}
	w.v.SetFaults(nil)
	for range 5 { // what is late comes now
		_, err := w.v.Balances(ctx)
		require.NoError(w, err)
	}
	if truth := w.v.Truth(); report.Flat() {
		require.Empty(w, truth.Positions, "law 5: wrongly flat")
		require.Empty(w, truth.Orders, "law 5: wrongly flat")
		y.add(func() { y.flat++ })
	} else if len(truth.Positions) > 0 {
		require.NotContains(w, report.String(), " FLAT: every venue")
		y.add(func() {
			if slices.ContainsFunc(report.Venues[0].Legs, func(l safety.CloseLegReport) bool { return l.Outcome == safety.CloseDust }) {
				y.flat++ // but for dust, which no order can close
			}
		})
	}
}

// excused says whether a report says of a leg that only dust, or what is not the bot's, is
// left.
func (w *world) excused(r safety.CloseReport, p andon.Position) bool {
	return slices.ContainsFunc(r.Venues[0].Legs, func(l safety.CloseLegReport) bool {
		return l.Symbol == p.Symbol && l.Leg == p.Leg && (l.Outcome == safety.CloseDust || l.Outcome == safety.CloseKept)
	})
}

// exits checks what a close-all sent: laws 2, 4, 6 and 10.
func (w *world) exits(calls []andontest.Call, y *tally) {
	recorded := strings.Join(w.rec.recorded(), "\n")
	lost := map[andon.LegKey]string{} // the exit of a leg whose outcome is not known yet
	for _, c := range calls {
		switch c.Op {
		case andontest.OpLookup:
			for k, id := range lost {
				if id == c.Order.ClientID && (c.Err == nil || errors.Is(c.Err, andon.ErrOrderNotFound)) {
					delete(lost, k)
				}
			}
		case andontest.OpSubmit:
			o := c.Order
			require.False(w, c.Adds, "law 2: %v %v of %v adds exposure", o.Side, o.Quantity, o.Key())
			require.True(w, w.spot || o.ReduceOnly, "law 4: the venue keeps it from opening")
			require.Equal(w, w.hedge, o.Leg != andon.Net, "law 4: never netted")
			if o.Kind != andon.Market {
				continue
			}
			y.add(func() { y.closes++ })
			require.Empty(w, lost[o.Key()], "law 6: sent before the one before was looked up")
			require.Contains(w, recorded, "by order "+o.ClientID, "law 10")
			if errors.Is(c.Err, andon.ErrOutcomeUnknown) {
				lost[o.Key()] = o.ClientID
			}
		}
	}
}

// Close-all of 50 positions where 5 % of all calls fail: flat, or what is left is named;
// never wrongly flat.
func TestStorm_FiftyPositions(t *testing.T) {
	faults := andontest.Faults{}
	for f := range stormFaults {
		faults[f] = 0.05 / float64(len(stormFaults))
	}
	flat := 0
	seeds := envInt(t, "ANDON_SEEDS", 40)
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			v := andontest.New(andontest.Config{Name: "sim", Seed: uint64(seed)})
			for i := range 50 {
				p := andon.Position{Symbol: fmt.Sprintf("S%02d", i), Quantity: andon.NewDecimal(int64(1+i)*int64(1-2*(i%2)), 1), Entry: dec("100")}
				v.SetPosition(p)
				stop := (&world{spot: false, n: i}).stopFor(p)
				v.SetOrder(stop)
			}
			d := newDesk(t, safety.Config{}, v)
			c, p := d.plan()
			require.Len(t, p.Venues[0].Legs, 50)
			v.SetFaults(faults)
			report, err := c.Apply(t.Context(), p, confirmed(p), time.Now())
			v.SetFaults(nil)
			for range 5 {
				_, err := v.Balances(t.Context())
				require.NoError(t, err)
			}
			truth := v.Truth()
			if report.Flat() {
				flat++
				require.Empty(t, truth.Positions)
				require.Empty(t, truth.Orders)
				return
			}
			require.ErrorIs(t, err, safety.ErrLeftOpen)
			for _, p := range truth.Positions {
				require.Contains(t, err.Error(), p.Key().String(), "what is left is named")
			}
		})
	}
	t.Logf("%d of %d ended flat", flat, seeds)
	require.Greater(t, flat, seeds*9/10)
}
