package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/andon-go/andon"
)

// Config says what a Reconciler compares, what counts, and whom it tells.
type Config struct {
	// Venue is the name that rows of this account carry. Rows of the book with
	// another name are left alone; a row with another name from Account is an error.
	// Required.
	Venue string

	// Account is the venue, which is read and never traded. Defaults to none: then
	// positions, live orders and balances are not compared, and History is required.
	Account andon.Account

	// Book is where the bot's records lie. Required.
	Book Book

	// History is the venue's word on done orders. Defaults to none: then fills are
	// not compared.
	History History

	// Finder looks up what became of an order that the book holds for live and the
	// venue has not live. Defaults to none: then its state is unknown, and no repair
	// is planned for it.
	Finder Finder

	// Balances says that the book keeps balances, which are compared then with those
	// of Account. Defaults to false: many books keep none.
	Balances bool

	// InFlight is how long an order or a fill may take to be seen by both sides: what
	// disagrees meanwhile is pending. See Rules. Defaults to 5 seconds.
	InFlight time.Duration

	// MaxPending is how long one thing may be pending without ever agreeing before it
	// counts as a mismatch all the same: a leg on which a bot trades all the time is
	// always young. Defaults to ten times InFlight.
	MaxPending time.Duration

	// StaleAfter and Instruments are the other rules of the comparison; see Rules.
	// Default to none.
	StaleAfter  time.Duration
	Instruments map[string]andon.Instrument

	// Confirmations is how many comparisons in a row must find a mismatch, and
	// ConfirmOver how long it must have been found by then, before it is confirmed.
	// Default to 3 comparisons and 10 seconds.
	Confirmations int
	ConfirmOver   time.Duration

	// Every is how often Run compares. Defaults to 5 seconds.
	Every time.Duration

	// Timeout bounds the queries of one comparison in Run. Defaults to 30 seconds.
	Timeout time.Duration

	// MaxSilence is how long Run goes on without a comparison in which both sides
	// answered everything, before trading is narrowed. Defaults to 30 seconds.
	MaxSilence time.Duration

	// Cord is what a mismatch pulls, such as the bot's safety.Switch. Defaults to none:
	// then mismatches are only reported, logged and counted.
	Cord Cord

	// Memory is the path of a file in which the Reconciler keeps across restarts what
	// mismatches it has seen, whether one was confirmed, which hold is its own, and
	// what was accepted. Defaults to none: then nothing is kept, and a hold of an
	// earlier process is never lifted by this one.
	Memory string

	// CheckWrite says whether the book may be written, as safety.Switch.CheckWrite
	// does: an error refuses a plan. Defaults to none: then it may.
	CheckWrite func() error

	// Recorder puts applied plans and accepted mismatches on the timeline. Defaults to
	// none: then Apply and Accept refuse, since what nobody can see later is not done.
	Recorder Recorder

	// Log receives what Run finds and does. Defaults to slog.Default().
	Log *slog.Logger

	// Meters makes the instruments. Defaults to the global provider.
	Meters metric.MeterProvider
}

// Cord is what a Reconciler does to trading. A safety.Switch is one. Each call is made
// once for its words while what they say stands, and again after an error or a restart;
// that nobody resumes over a mismatch that stands is for Ready. The Reconciler holds no
// lock meanwhile that its methods take.
type Cord interface {
	// Reduce narrows trading to what makes positions smaller. It waits for nothing.
	Reduce(by, reason string) error

	// Engage halts trading until a named person resumes. It waits for nothing.
	Engage(by, reason string) error

	// Relax undoes Reduce: it lifts the hold that was placed with exactly these words, and
	// no other. Nil when there is none any more.
	Relax(ctx context.Context, by, reason, note string) error
}

// Finder looks up one order, live or done, by its symbol and client id. An error that
// is andon.ErrOrderNotFound is the venue's own word that there is none. Every
// andon.Trader is a Finder.
type Finder interface {
	Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error)
}

func (c Config) withDefaults() Config {
	orElse := func(d *time.Duration, other time.Duration) {
		if *d == 0 {
			*d = other
		}
	}
	orElse(&c.InFlight, 5*time.Second)
	orElse(&c.MaxPending, 10*c.InFlight)
	orElse(&c.ConfirmOver, 10*time.Second)
	orElse(&c.Every, 5*time.Second)
	orElse(&c.Timeout, 30*time.Second)
	orElse(&c.MaxSilence, 30*time.Second)
	if c.Confirmations == 0 {
		c.Confirmations = 3
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Meters == nil {
		c.Meters = otel.GetMeterProvider()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Venue == "" {
		add("Venue: is empty, want the name that the account's rows carry")
	}
	if c.Account == nil && c.History == nil {
		add("Account: is missing, and so is History: there is nothing to compare with")
	}
	if c.Account == nil && c.Balances {
		add("Balances: there is no Account to ask for them")
	}
	if c.Account == nil && c.Finder != nil {
		add("Finder: without an Account no order is known to be gone")
	}
	if c.Book == nil {
		add("Book: is missing")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"InFlight", c.InFlight}, {"MaxPending", c.MaxPending}, {"StaleAfter", c.StaleAfter}, {"ConfirmOver", c.ConfirmOver},
		{"Every", c.Every}, {"Timeout", c.Timeout}, {"MaxSilence", c.MaxSilence},
	} {
		if d.value < 0 {
			add("%s: %v is negative", d.name, d.value)
		}
	}
	if c.Confirmations < 0 {
		add("Confirmations: %d is negative", c.Confirmations)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Instruments)) {
		if err := c.Instruments[name].Validate(); err != nil {
			add("Instruments[%q]: %w", name, err)
		}
	}
	return errors.Join(errs...)
}
