package safety

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon"
)

// Trips place holds by themselves when what comes of trading says so. The bot feeds
// outcomes; the windows over them decide.
//
//	trips, err := safety.OpenTrips(sw, safety.TripConfig{Symbols: []string{"BTC-USDT"}})
//	go trips.Run(ctx)
//	...
//	trips.Equity(equity)                                 // after each reading
//	trips.Trade(safety.Trade{ID: id, Profit: p, Fee: f}) // after each closed trade
//
// When a feeding method returns, the gate is closed if what was fed closes it; nothing
// there waits for a disk. An outcome counts at the moment at which it is fed, by a clock
// that no step of the wall clock moves.
//
// A hold of a trip stays until a named person lifts it: no timer does, nor a new day, nor
// a restart. The hold names its evidence, and from then on the trip counts only what comes
// after, so that lifting it is that person's word on this evidence and on nothing else.
// What lasts, such as silence or margin in use, is beside that a passing hold, which keeps
// trading narrowed as long as it does.
//
// The windows are part of the switch's state and saved with its holds. Where there is no
// record of them, at the very first start or because the state was lost, a hold says so.
// What a feed needs and has not had since the start, and what has gone silent, narrows
// trading too. Safe for concurrent use.
type Trips struct {
	sw   *Switch
	cfg  TripConfig
	data map[string]*atomic.Int64 // by symbol: how new its data is, as in now
	nap  atomic.Int64             // nanoseconds that the machine has slept, as of the last tick

	mu      sync.Mutex // before Switch.mu
	clock   tripClock
	machine *tripMachine
	shown   map[string]string // the reasons of the passing holds in force, by source
	pending bool              // a save is on its way
	running bool
}

const byTrips = "andon/trips"

// unheard is in place of the age of data that there never was. Zero is not: it is the
// instant at which the trips were opened.
const unheard = math.MinInt64

// OpenTrips adds trips to a switch, at most once. The bot's windows of before the last
// restart go on; where the switch has none, it places a hold that halts. Until Run runs,
// a passing hold halts as well.
func OpenTrips(sw *Switch, cfg TripConfig) (*Trips, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("trips: %w", err)
	}
	t := &Trips{sw: sw, cfg: cfg, data: map[string]*atomic.Int64{}, shown: map[string]string{}}
	for _, symbol := range cfg.Symbols {
		t.data[symbol] = new(atomic.Int64)
		t.data[symbol].Store(unheard)
	}
	err := sw.locked(func() error {
		switch {
		case sw.ctx.Err() != nil:
			return fmt.Errorf("trips: %w", ErrClosed)
		case sw.trips != nil:
			return errors.New("trips: this switch has trips already")
		}
		t.clock = newTripClock(sw.windows)
		t.machine = newTripMachine(cfg, sw.windows, t.clock.now())
		sw.condition(byTrips, Halted, tripsNotRunning)
		if sw.windows == nil {
			sw.place(Hold{State: Halted, By: byTrips, Reason: "there is no record of what the trips have counted: they are new to this bot, or its state was lost; losses, streaks and failures count from nothing on now"})
		}
		sw.trips = t
		sw.save()
		return nil
	})
	if err != nil {
		return nil, err
	}
	sw.observe(t.instrument)
	return t, t.feed(func(*tripMachine, tripNow) error { return nil })
}

const tripsNotRunning = "Run of the trips is not running, so nobody notices silence"

// Run notices silence until ctx ends. Trading can be active only while it runs. It
// returns nil once ctx ends, and ErrRunning at once where it runs already.
func (t *Trips) Run(ctx context.Context) error {
	t.mu.Lock()
	if t.running {
		t.mu.Unlock()
		return fmt.Errorf("trips: %w", ErrRunning)
	}
	t.running = true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running = false
		t.sw.mu.Lock()
		defer t.sw.mu.Unlock()
		t.sw.condition(byTrips, Halted, tripsNotRunning)
	}()
	tick := time.NewTicker(t.cfg.Tick)
	defer tick.Stop()
	t.look()
	if err := t.sw.Condition(byTrips, Active, "Run of the trips is running"); err != nil {
		return fmt.Errorf("trips: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.sw.ctx.Done():
			return fmt.Errorf("trips: %w", ErrClosed)
		case <-tick.C:
			t.look()
		}
	}
}

// look is one tick.
func (t *Trips) look() {
	t.mu.Lock()
	t.clock.wake()
	t.nap.Store(int64(t.clock.nap))
	t.mu.Unlock()
	_ = t.feed(func(m *tripMachine, now tripNow) error { // which reports its own panic
		for symbol, at := range t.data {
			if newest := at.Load(); newest != unheard {
				age := now.clock.Sub(t.clock.base) - time.Duration(newest)
				then := tripNow{clock: now.clock.Add(-age), wall: now.wall.Add(-age)}
				m.hear(feedData+symbol, t.cfg.MaxDataAge, then, now)
			}
		}
		m.tick(now)
		return nil
	})
}

// feed gives the machine an event and does what comes of it. A panic halts: a trip that
// cannot judge must not leave the gate as it is.
func (t *Trips) feed(event func(m *tripMachine, now tripNow) error) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("trips: judging panicked: %v", p)
			t.sw.mu.Lock()
			defer t.sw.mu.Unlock()
			t.sw.place(Hold{State: Halted, By: byTrips, Reason: fmt.Sprintf("judging what was fed panicked: %v; this is a mistake in the program, and its log has the stack", p)})
			t.sw.note(slog.LevelError, "safety: trips panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	now := t.clock.now()
	if err = event(t.machine, now); err != nil {
		t.machine.fire(TripBadFeed, now, "what was fed cannot be counted: %v", err)
		err = fmt.Errorf("trips: %w", err)
	}
	t.act()
	return err
}

// act places the holds that the machine asks for, and those that go with what lasts.
// Called with mu held.
func (t *Trips) act() {
	sw := t.sw
	sw.mu.Lock()
	defer sw.mu.Unlock()
	for _, f := range t.machine.take() {
		sw.place(Hold{State: t.cfg.state(f.trip), By: byTrip + f.trip.String(), Reason: f.reason})
	}
	for _, by := range slices.Sorted(maps.Keys(t.machine.present)) {
		c := t.machine.present[by]
		if t.shown[by] != c.reason {
			sw.condition(by, t.cfg.state(c.trip), c.reason)
			t.shown[by] = c.reason
		}
	}
	for _, by := range slices.Sorted(maps.Keys(t.shown)) {
		if _, ok := t.machine.present[by]; !ok {
			sw.condition(by, Active, t.shown[by])
			delete(t.shown, by)
		}
	}
	if !t.pending {
		t.pending = true
		time.AfterFunc(t.cfg.SaveEvery, t.save)
	}
}

// save has what was fed saved.
func (t *Trips) save() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = false
	t.sw.mu.Lock()
	defer t.sw.mu.Unlock()
	t.sw.save()
}

func (t *Trips) snapshot() *TripState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.machine.snapshot(t.clock)
}

// Sync waits until everything that was fed before is on disk. The error is
// ErrNotDurable. Without it that happens within SaveEvery or so, and at once for what has
// made a trip fire.
func (t *Trips) Sync(ctx context.Context) error {
	t.sw.mu.Lock()
	t.sw.save()
	want := t.sw.dirty
	t.sw.mu.Unlock()
	return t.sw.waitDurable(ctx, want)
}

// Trade counts what a closed trade made. Feed every one, also after a restart: one that
// was counted before, among the last 1,024 ids, is not counted again, and of what is
// older than those a profit is not counted at all.
func (t *Trips) Trade(tr Trade) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.trade(now, tr) })
}

// Equity takes a reading of the whole account: balance and what positions would bring,
// in the account's currency. Feed it at least every MaxFeedAge.
func (t *Trips) Equity(equity andon.Decimal) error {
	return t.feed(func(m *tripMachine, now tripNow) error { m.equity(now, equity); return nil })
}

// Transfer says that money came or went. Feed it before the first equity that shows it.
// Every reference moves in proportion, so that a withdrawal is no loss and a deposit hides
// none.
func (t *Trips) Transfer(tr Transfer) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.transfer(now, tr) })
}

// Order counts the outcome of an order and the time from sending it to the answer.
// Whatever is not Accepted has failed.
func (t *Trips) Order(out Outcome, took time.Duration) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.order(now, out, took) })
}

// VenueError counts a call to a venue that failed. Nil, the venue's own refusals
// (andon.ErrRejected, andon.ErrOrderNotFound) and context.Canceled are not failures.
func (t *Trips) VenueError(venue string, failure error) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.venueError(now, venue, failure) })
}

// Margin takes a reading of how much of a venue's margin is used, both in the account's
// currency. Feed it at least every MaxFeedAge for each venue that was ever fed.
func (t *Trips) Margin(venue string, used, whole andon.Decimal) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.margin(now, venue, used, whole) })
}

// Fill counts a fill of one of the bot's own orders towards the position of its leg.
func (t *Trips) Fill(f andon.Fill) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.fill(now, f) })
}

// Observe compares a view of a venue with what the first view and the fills since add up
// to. A difference that outlasts PositionGrace is a position that somebody else moved: a
// liquidation, another program, a fill that the bot missed.
func (t *Trips) Observe(v View) error {
	return t.feed(func(m *tripMachine, now tripNow) error { return m.view(now, v) })
}

// PositionError fires the trip of that name for what the bot, or a reconciliation, has
// found out by itself.
func (t *Trips) PositionError(leg andon.LegKey, what string) error {
	return t.feed(func(m *tripMachine, now tripNow) error {
		m.fire(TripPositionError, now, "%v: %s", leg, what)
		return nil
	})
}

// MarketData says that data of a symbol came which shows the market at the given time. A
// time from before what came already changes nothing, one from the future counts as now,
// and a symbol that is not among Symbols is ignored. It takes no lock.
func (t *Trips) MarketData(symbol string, at time.Time) {
	newest := t.data[symbol]
	if newest == nil {
		return
	}
	now := time.Now()
	reading := int64(now.Sub(t.clock.start)) + t.nap.Load() - int64(max(0, now.Round(0).Sub(at)))
	for {
		old := newest.Load()
		if reading <= old || newest.CompareAndSwap(old, reading) {
			return
		}
	}
}
