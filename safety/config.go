package safety

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Recorder puts a decision on the timeline.
//
// Stopping never waits for it: a hold is recorded beside the stop, again and again
// until it is taken. Resuming, lifting, closing and opening the write gate do wait,
// and are refused when it cannot be recorded.
type Recorder interface {
	Record(ctx context.Context, at time.Time, who, what, why string) error
}

// Config is what a Switch is made from. Name and one of Dir and Store are required.
type Config struct {
	// Name of the bot. A state that was saved under another name is foreign and
	// means halted.
	Name string

	// Dir is the state directory, on a disk that outlives the process and not in
	// /tmp. Open makes a FileStore in it.
	Dir string

	// Store keeps the state instead of a FileStore in Dir.
	Store Store

	// Flags are the files that anybody with a shell can place.
	// Defaults to DefaultFlags.
	Flags []Flag

	// NoFlags says that there are none, which is a decision and so has to be said.
	NoFlags bool

	// FlagPoll is how often flags are looked at beside file notification.
	// Defaults to 100 ms.
	FlagPoll time.Duration

	// PollOnly turns file notification off. A flag that is created and deleted
	// between two looks is then never seen.
	PollOnly bool

	// DurableWithin is how long Halt and Drain wait for the disk.
	// Defaults to 2 s.
	DurableWithin time.Duration

	// DrainWithin is how long Halt and Drain wait for orders in flight.
	// Defaults to 5 s.
	DrainWithin time.Duration

	// ProbeEvery is how often the state is saved again to find out that it still
	// can be. Defaults to 10 s.
	ProbeEvery time.Duration

	// MaxPosition is the largest quantity, either way, that a leg of a symbol may
	// reach counting every order that is live or in flight. Empty means no limit;
	// where it has any entry, a symbol without one is denied.
	MaxPosition map[string]andon.Decimal

	// Limits bound what adds exposure, on every venue and symbol. Defaults to none.
	Limits Limits

	// SymbolLimits are the limits of single symbols: a field that is set stands in the
	// place of that of Limits. Those of a whole venue cannot be set here.
	SymbolLimits map[string]Limits

	// Features are the names that a throttle may switch off; see Switch.Feature.
	// Defaults to DefaultFeatures.
	Features []string

	// MaxMarkAge is how long a mark counts. Defaults to 10 s.
	MaxMarkAge time.Duration

	// MaxEquityAge is how long an equity counts. Defaults to 1 min.
	MaxEquityAge time.Duration

	// RememberIDs is how many client ids of a venue are remembered, at least, after
	// their orders are settled: an order under one of them is denied. Up to twice as
	// many are, and those of a view's orders are among them. An id whose order was
	// Refused is free again. Defaults to 4,096, at most 1,048,576. A restart forgets
	// them all but for those that the next view shows.
	RememberIDs int

	// HedgeVenues are the venues whose symbols have a long and a short leg. An order
	// there without a leg is denied.
	HedgeVenues []string

	// MaxViewAge is how long a view given to Observe counts as verified.
	// Defaults to 1 min.
	MaxViewAge time.Duration

	// SettleAfter is how old an order with an unknown outcome must be before the
	// venue's word that it knows no such order is believed. Defaults to 10 s.
	SettleAfter time.Duration

	// LookupWithin is how long Submit looks for an order whose answer did not come.
	// Defaults to 5 s.
	LookupWithin time.Duration

	// Lease, where it is set, must be held for anything that adds exposure to pass.
	// Every Enter reads its deadline. Exits pass without it. Nil means that no lease is
	// needed: the bot is stopped in its own process only.
	Lease Lease

	// BeforeResume must return nil for Resume to go on: a clean reconciliation, for
	// one. It runs on Resume's goroutine with Resume's context. Nil means that
	// nothing is checked.
	BeforeResume func(ctx context.Context) error

	// Recorder receives every decision. Nil means that only Log does.
	Recorder Recorder

	// MeterProvider is asked for the instruments of OpenTelemetry, which it observes;
	// the gate's way of an order carries none of it, and without a provider nothing is
	// lost. Defaults to the global one. Each carries the attribute bot:
	//
	//	andon.safety.trading_state     0 halted, 1 reducing, 2 active
	//	andon.safety.holds             holds in force, by source and state
	//	andon.safety.orders.in_flight  orders that passed the gate and are not settled
	//	andon.safety.orders.denied     orders that did not pass, by reason
	//	andon.safety.exits.past_limit  exits that passed beyond a limit, by reason
	//	andon.safety.halt.duration     seconds that the oldest halt is in force
	//
	// Trips, a Watchdog and a DeadManSwitch on this switch add:
	//
	//	andon.safety.trip.level        what a trip has counted, by trip; see TripStatus
	//	andon.safety.trip.limit        and at which level it fires
	//	andon.safety.trip.present      conditions that last and narrow trading, by trip
	//	andon.safety.trip.fired        holds that it has placed, across restarts
	//	andon.safety.watchdog.silence  seconds since a component's last beat, by component
	//	andon.safety.watchdog.period   and how many there may be
	//	andon.safety.deadman.armed     1 while the venue said so when it was last asked, by venue
	//	andon.safety.deadman.age       seconds since it was last asked and said so
	//	andon.safety.deadman.timeout   and after how many it fires
	MeterProvider metric.MeterProvider

	// Log receives what the switch does. Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Flags == nil && !c.NoFlags {
		c.Flags = DefaultFlags()
	}
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.FlagPoll, 100*time.Millisecond)
	def(&c.DurableWithin, 2*time.Second)
	def(&c.DrainWithin, 5*time.Second)
	def(&c.ProbeEvery, 10*time.Second)
	def(&c.MaxViewAge, time.Minute)
	def(&c.SettleAfter, 10*time.Second)
	def(&c.LookupWithin, 5*time.Second)
	def(&c.MaxMarkAge, 10*time.Second)
	def(&c.MaxEquityAge, time.Minute)
	if c.RememberIDs == 0 {
		c.RememberIDs = 1 << 12
	}
	if c.Features == nil {
		c.Features = DefaultFeatures()
	}
	c.Limits = c.Limits.withDefaults()
	c.SymbolLimits = maps.Clone(c.SymbolLimits) // the gate reads it without a lock
	for symbol, l := range c.SymbolLimits {
		c.SymbolLimits[symbol] = l.withDefaults()
	}
	c.MaxPosition = maps.Clone(c.MaxPosition)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		add("Name is empty: the state could not be told from another bot's")
	}
	if (c.Dir == "") == (c.Store == nil) {
		add("Dir and Store: give exactly one of them")
	}
	if c.NoFlags && len(c.Flags) > 0 {
		add("NoFlags is set beside %d Flags", len(c.Flags))
	}
	seen := map[string]bool{}
	for i, f := range c.Flags {
		switch {
		case !filepath.IsAbs(f.Path):
			add("Flags[%d].Path %q is not absolute", i, f.Path)
		case filepath.Clean(f.Path) != f.Path:
			add("Flags[%d].Path %q is not clean, want %q", i, f.Path, filepath.Clean(f.Path))
		case seen[f.Path]:
			add("Flags[%d].Path %q is there twice", i, f.Path)
		}
		if f.State != Halted && f.State != Reducing {
			add("Flags[%d].State %v holds nothing", i, f.State)
		}
		seen[f.Path] = true
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"FlagPoll", c.FlagPoll}, {"DurableWithin", c.DurableWithin}, {"DrainWithin", c.DrainWithin},
		{"ProbeEvery", c.ProbeEvery}, {"MaxViewAge", c.MaxViewAge}, {"SettleAfter", c.SettleAfter},
		{"LookupWithin", c.LookupWithin}, {"MaxMarkAge", c.MaxMarkAge}, {"MaxEquityAge", c.MaxEquityAge},
	} {
		if d.d < 0 {
			add("%s %v is negative", d.name, d.d)
		}
	}
	for symbol, q := range c.MaxPosition {
		if q.Sign() < 0 {
			add("MaxPosition[%q] %v is negative", symbol, q)
		} else if _, ok := toUnits(q); !ok {
			add("MaxPosition[%q] %v is %s or more, which the gate does not count", symbol, q, maxWhole)
		}
	}
	if c.RememberIDs < 0 || c.RememberIDs > 1<<20 {
		add("RememberIDs %d is not within 0 to %d", c.RememberIDs, 1<<20)
	}
	errs = append(errs, c.Limits.validate("Limits."))
	for symbol, l := range c.SymbolLimits {
		errs = append(errs, l.validateSymbol(fmt.Sprintf("SymbolLimits[%q].", symbol)))
	}
	names := map[string]bool{}
	for i, name := range c.Features {
		if strings.TrimSpace(name) == "" || names[name] {
			add("Features[%d] %q is empty or there twice", i, name)
		}
		names[name] = true
	}
	return errors.Join(errs...)
}
