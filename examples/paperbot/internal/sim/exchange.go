package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// Exchange is a simulated venue. Create it with New. It is safe for concurrent use;
// see the package comment for what is deterministic then.
type Exchange struct {
	cfg Config

	mu     sync.Mutex
	now    time.Time
	faults Faults
	counts Counts
	broken error // set once an amount did not fit

	symbols []string // in the order of the configuration
	markets map[string]*market
	legs    map[andon.LegKey]leg
	wallet  andon.Decimal // deposit, realised profit and fees
	fills   []andon.Fill

	orders      map[string]*order // by client id, done ones too
	accepted    []string          // their client ids, from the oldest
	resting     []*order          // the first list: what trades
	conditional []*order          // the second list: what waits for its trigger
	attempts    map[string]int    // calls made, by call and client id
}

// An Exchange is a whole venue, with a word on what is done.
var (
	_ andon.Venue       = (*Exchange)(nil)
	_ reconcile.History = (*Exchange)(nil)
)

// New returns an exchange at cfg.Start with no order and no position, or every
// problem of cfg joined, each starting with the field's name.
func New(cfg Config) (*Exchange, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("sim: configuration: %w", err)
	}
	x := &Exchange{
		cfg:      cfg,
		now:      cfg.Start,
		markets:  map[string]*market{},
		legs:     map[andon.LegKey]leg{},
		wallet:   cfg.Deposit,
		orders:   map[string]*order{},
		attempts: map[string]int{},
	}
	for _, s := range cfg.Symbols {
		m, err := newMarket(cfg.Seed, s, cfg.Start)
		if err != nil {
			return nil, fmt.Errorf("sim: symbol %s: %w", s.Name, err)
		}
		x.symbols = append(x.symbols, s.Name)
		x.markets[s.Name] = m
	}
	return x, nil
}

// Name returns the venue's name, as in its orders and positions.
func (x *Exchange) Name() string { return x.cfg.Name }

// Symbols returns what is traded, in the order of the configuration, defaults
// filled in.
func (x *Exchange) Symbols() []Symbol { return slices.Clone(x.cfg.Symbols) }

// Now returns the venue's moment: that of the last Step.
func (x *Exchange) Now() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

// Step lets time pass until now: prices move once, orders that ran out are
// cancelled, conditional orders wake and orders trade, the oldest first. It is an
// error, and nothing happens, unless now is later than the last step; ErrBroken is the only
// other error. Safe for concurrent use.
func (x *Exchange) Step(now time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken != nil {
		return fmt.Errorf("%s: step: %w", x.cfg.Name, x.broken)
	}
	if !now.After(x.now) {
		return fmt.Errorf("%s: step to %s: not after %s, where the venue is",
			x.cfg.Name, now.Format(time.RFC3339Nano), x.now.Format(time.RFC3339Nano))
	}
	x.now = now
	for _, name := range x.symbols {
		if err := x.markets[name].step(now); err != nil {
			x.fail(err)
		}
	}
	x.showPrices()
	x.expire()
	x.wake()
	x.work()
	if x.broken != nil {
		return fmt.Errorf("%s: step: %w", x.cfg.Name, x.broken)
	}
	return nil
}

// showPrices brings the feed up to date, unless it is stale.
func (x *Exchange) showPrices() {
	if x.faults.StalePrices {
		return
	}
	for _, m := range x.markets {
		m.shown = m.real
	}
}

// fail stops the exchange for good.
func (x *Exchange) fail(err error) {
	if x.broken == nil {
		x.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	}
}

// travel waits for half of a call's latency, or returns the context's error.
func (x *Exchange) travel(ctx context.Context, slow time.Duration) error {
	half := (x.cfg.Latency + slow) / 2
	if half <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(half)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slow returns what the faults add to a call's latency, and counts it.
func (x *Exchange) slow() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.faults.Slow > 0 {
		x.counts.Slowed++
	}
	return x.faults.Slow
}

// locked runs do unless the venue is down.
func (x *Exchange) locked(do func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.down(); err != nil {
		return err
	}
	return do()
}

// ask makes a call that changes nothing.
func (x *Exchange) ask(ctx context.Context, call, clientID string, read func() error) error {
	slow := x.slow()
	err := x.travel(ctx, slow)
	if err == nil {
		err = x.locked(read)
	}
	if err == nil {
		err = x.travel(ctx, slow)
	}
	if err != nil {
		return &CallError{Venue: x.cfg.Name, Call: call, ClientID: clientID, Err: err}
	}
	return nil
}
