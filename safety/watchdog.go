package safety

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/internal/boottime"
)

// Component is something that has to show that it is alive.
type Component struct {
	// Name stands in the hold, such as "strategy" or "kraken/websocket". Required.
	Name string

	// Period is the longest time between two beats. Defaults to 5 s.
	Period time.Duration

	// State is that of the hold when it is silent: Reducing, or Halted, the zero value.
	State TradingState
}

// WatchdogConfig says who has to beat. Components is required.
type WatchdogConfig struct {
	// Components are those that are watched.
	Components []Component

	// Tick is by how much a silence may be noticed after its period. Defaults to 1 s.
	Tick time.Duration
}

func (c WatchdogConfig) withDefaults() WatchdogConfig {
	components := make([]Component, len(c.Components))
	copy(components, c.Components)
	for i := range components {
		if components[i].Period == 0 {
			components[i].Period = 5 * time.Second
		}
	}
	c.Components = components
	if c.Tick == 0 {
		c.Tick = time.Second
	}
	return c
}

func (c WatchdogConfig) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Components) == 0 {
		add("Components is empty: nobody would be watched")
	}
	seen := map[string]bool{}
	for i, k := range c.Components {
		if k.Name == "" || seen[k.Name] {
			add("Components[%d].Name %q is empty or there twice", i, k.Name)
		}
		seen[k.Name] = true
		if k.Period < 0 {
			add("Components[%d].Period %v is negative", i, k.Period)
		}
		if k.State != Halted && k.State != Reducing {
			add("Components[%d].State %v holds nothing", i, k.State)
		}
	}
	if c.Tick < 2 {
		add("Tick %v is too short", c.Tick)
	}
	return errors.Join(errs...)
}

// Heart is what one component beats. The zero value beats nothing.
type Heart struct{ alive *atomic.Bool }

// Beat shows that the component is alive. It is one atomic store. Call it from the loop
// that does the work, not from a timer beside it.
func (h Heart) Beat() {
	if h.alive != nil {
		h.alive.Store(true)
	}
}

// Watchdog places a hold when a component falls silent. NewWatchdog makes one, Run
// watches.
//
//	dog, err := safety.NewWatchdog(sw, safety.WatchdogConfig{
//		Components: []safety.Component{{Name: "strategy", Period: 2 * time.Second}},
//	})
//	go dog.Run(ctx)
//	heart, err := dog.Heart("strategy")
//	for ... { heart.Beat(); ... }
//
// A component that was silent for its period has a hold within one Tick more. The hold
// names it and when it was last heard, and stays until a named person lifts it. As long
// as the component is silent, a passing hold is there as well, so that a Resume does not
// open the gate for a bot of which a part is dead; it goes with the next beat. One that
// has not beaten since the start is silent from then on.
//
// Time in which the machine slept, or in which this process was stopped, counts, and then
// a hold says that nobody was watching. Safe for concurrent use.
type Watchdog struct {
	sw     *Switch
	cfg    WatchdogConfig
	hearts map[string]Heart
	asleep func() time.Duration // how long the machine has slept; tests let it sleep

	running sync.Mutex

	mu    sync.Mutex // before Switch.mu
	state watchState
	clock func() (elapsed time.Duration, wall time.Time) // nil while Run does not run
}

const byWatchdog = "andon/watchdog"

const watchdogNotRunning = "Run of the watchdog is not running, so nobody notices a component that is dead"

// NewWatchdog makes a watchdog. Until Run runs, a passing hold halts.
func NewWatchdog(sw *Switch, cfg WatchdogConfig) (*Watchdog, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	w := &Watchdog{sw: sw, cfg: cfg, hearts: map[string]Heart{}, asleep: boottime.Slept}
	for _, c := range cfg.Components {
		w.hearts[c.Name] = Heart{new(atomic.Bool)}
	}
	if err := sw.Condition(byWatchdog, Halted, watchdogNotRunning); err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	sw.observe(w.instrument)
	return w, nil
}

// Heart returns what the named component beats.
func (w *Watchdog) Heart(name string) (Heart, error) {
	h, ok := w.hearts[name]
	if !ok {
		return Heart{}, fmt.Errorf("watchdog: component %q is not among Components", name)
	}
	return h, nil
}

// Run watches until ctx ends. It returns nil then, and ErrRunning at once where it runs
// already.
func (w *Watchdog) Run(ctx context.Context) (err error) {
	if !w.running.TryLock() {
		return fmt.Errorf("watchdog: %w", ErrRunning)
	}
	defer w.running.Unlock()
	defer func() { err = errors.Join(err, w.sw.Condition(byWatchdog, Halted, watchdogNotRunning)) }()
	// Twice a Tick: a beat is noticed half a Tick late at most, and so is its absence.
	look := time.NewTicker(w.cfg.Tick / 2)
	defer look.Stop()
	start, slept := time.Now(), w.asleep()
	now := func() (elapsed time.Duration, wall time.Time) {
		t := time.Now()
		return t.Sub(start) + w.asleep() - slept, t
	}
	w.begin(newWatchState(w.cfg, start), now)
	defer w.begin(watchState{}, nil)
	w.act(0, start)
	if err := w.sw.Condition(byWatchdog, Active, "Run of the watchdog is running"); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.sw.ctx.Done():
			return fmt.Errorf("watchdog: %w", ErrClosed)
		case <-look.C:
			w.act(now())
		}
	}
}

// begin sets what is known, and the clock by which it is.
func (w *Watchdog) begin(s watchState, clock func() (time.Duration, time.Time)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.clock = s, clock
}

// act looks once, and does what comes of it.
func (w *Watchdog) act(elapsed time.Duration, wall time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.state.look(elapsed, wall, func(name string) bool { return w.hearts[name].alive.Swap(false) })
	w.sw.mu.Lock()
	defer w.sw.mu.Unlock()
	for _, h := range out.holds {
		w.sw.place(h)
	}
	for _, c := range out.conditions {
		w.sw.condition(c.By, c.State, c.Reason)
	}
}

// watchState is what the watchdog knows, without clocks: elapsed is the time since the
// start, sleep included.
type watchState struct {
	cfg     WatchdogConfig
	looked  time.Duration // when it last looked
	members []watched
}

type watched struct {
	Component
	heard  time.Duration // when it was last heard, or began to be missed
	wall   time.Time     // the same for people
	ever   bool          // it was heard since the start
	silent bool          // a hold has named this silence
	held   bool          // its passing hold is in force
}

func newWatchState(cfg WatchdogConfig, start time.Time) watchState {
	s := watchState{cfg: cfg}
	for _, c := range cfg.Components {
		s.members = append(s.members, watched{Component: c, wall: start})
	}
	return s
}

// watchActions is what a look asks for, in this order: holds, and conditions that begin
// or, where they are Active, end.
type watchActions struct{ holds, conditions []Hold }

func (s *watchState) look(elapsed time.Duration, wall time.Time, alive func(name string) bool) (out watchActions) {
	shortest := s.members[0].Period
	for _, m := range s.members {
		shortest = min(shortest, m.Period)
	}
	if gap := elapsed - s.looked; gap > shortest+s.cfg.Tick {
		out.holds = append(out.holds, Hold{State: Halted, By: byWatchdog, Reason: fmt.Sprintf(
			"nobody was watching for %v, until %s: the machine slept, or this process was stopped or starved", gap.Round(time.Millisecond), stamp(wall))})
	}
	s.looked = elapsed
	for i := range s.members {
		s.members[i].look(elapsed, wall, alive(s.members[i].Name), &out)
	}
	return out
}

func (m *watched) look(elapsed time.Duration, wall time.Time, beaten bool, out *watchActions) {
	by := byWatchdog + "/" + m.Name
	if beaten {
		m.heard, m.wall, m.ever, m.silent = elapsed, wall, true, false
		if m.held {
			m.held = false
			out.conditions = append(out.conditions, Hold{State: Active, By: by, Reason: m.Name + " beats again"})
		}
		return
	}
	since := "since the start at " + stamp(m.wall)
	if m.ever {
		since = "since " + m.wall.UTC().Format(time.RFC3339Nano)
	}
	if !m.silent && elapsed-m.heard >= m.Period {
		m.silent = true
		out.holds = append(out.holds, Hold{State: m.State, By: by, Reason: fmt.Sprintf("%s has not beaten %s; it has to every %v", m.Name, since, m.Period)})
	}
	if !m.held && (m.silent || !m.ever) {
		m.held = true
		out.conditions = append(out.conditions, Hold{State: m.State, By: by, Reason: m.Name + " is silent " + since})
	}
}
