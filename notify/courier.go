package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a Courier needs. Only Channels has no default.
type Config struct {
	// Channels are the ways out, by the name that Address.Channel uses.
	Channels map[string]Notifier

	// Timeout bounds one try. Defaults to 10 s.
	Timeout time.Duration

	// Patience is how long the first try on one channel may take before the next
	// channel starts beside it. A try that fails starts it at once. Defaults to 3 s.
	Patience time.Duration

	// Tries is the most tries on one channel for one message. Defaults to 6.
	Tries int

	// FirstWait is the wait before the second try; each later one is about twice
	// as long, up to MaxWait. Defaults to 500 ms.
	FirstWait time.Duration

	// MaxWait is the longest wait that is computed; a receiver's Retry-After may be
	// longer. Defaults to 30 s.
	MaxWait time.Duration

	// Budget bounds one delivery to one contact over all its channels. A wait that
	// would end after it is not begun. Defaults to 5 min.
	Budget time.Duration

	// Limits is how fast one address on a channel is written to, by channel. What is
	// not given, or zero, has the defaults of Limit.
	Limits map[string]Limit

	// Storm is when the pages to one contact are gathered into one.
	Storm Storm

	// Secrets are exact values that no message and no error may carry, beside what
	// Redact finds. At least 4 bytes each.
	Secrets []Secret

	// Log gets each delivery at Debug, a channel that fails at Warn and a message that no channel took
	// at Error, each with the incident's number. Defaults to slog.Default().
	Log *slog.Logger

	// Tracer and Meter provide spans and metrics. Default to otel's global providers.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// withDefaults returns the config with each unset field at its default.
func (c Config) withDefaults() Config {
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.Patience, 3*time.Second)
	setDefault(&c.Tries, 6)
	setDefault(&c.FirstWait, 500*time.Millisecond)
	setDefault(&c.MaxWait, 30*time.Second)
	setDefault(&c.Budget, 5*time.Minute)
	setDefault(&c.Log, slog.Default())
	if c.Tracer == nil {
		c.Tracer = otel.GetTracerProvider()
	}
	if c.Meter == nil {
		c.Meter = otel.GetMeterProvider()
	}
	c.Storm = c.Storm.withDefaults()
	limits := map[string]Limit{}
	for name := range c.Channels {
		limits[name] = c.Limits[name].withDefaults()
	}
	for name, l := range c.Limits {
		limits[name] = l.withDefaults()
	}
	c.Limits = limits
	return c
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

// validate joins everything that is wrong with a config that has its defaults.
func (c Config) validate() error {
	var problems []error
	if len(c.Channels) == 0 {
		problems = append(problems, errors.New("Channels: is empty: no message could ever be sent"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Channels)) {
		if name == "" || c.Channels[name] == nil {
			problems = append(problems, fmt.Errorf("Channels[%q]: needs a name and a Notifier", name))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Timeout", c.Timeout}, {"Patience", c.Patience}, {"FirstWait", c.FirstWait}, {"MaxWait", c.MaxWait}, {"Budget", c.Budget}} {
		if f.value < 0 {
			problems = append(problems, fmt.Errorf("%s: is %v, want a positive duration", f.name, f.value))
		}
	}
	if c.Tries < 0 {
		problems = append(problems, fmt.Errorf("Tries: is %d, want at least 1", c.Tries))
	}
	if c.MaxWait < c.FirstWait {
		problems = append(problems, fmt.Errorf("MaxWait: is %v, want at least FirstWait, %v", c.MaxWait, c.FirstWait))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Limits)) {
		if c.Channels[name] == nil {
			problems = append(problems, fmt.Errorf("Limits[%q]: there is no such channel", name))
		}
		problems = append(problems, c.Limits[name].validate(fmt.Sprintf("Limits[%q]", name))...)
	}
	for i, s := range c.Secrets {
		if len(s) < 4 {
			problems = append(problems, fmt.Errorf("Secrets[%d]: has %d bytes, want at least 4: it would blot out ordinary words", i, len(s)))
		}
	}
	problems = append(problems, c.Storm.validate()...)
	return errors.Join(problems...)
}

// Courier delivers messages to contacts. It remembers how fast it may go, and what it
// has sent within the last minute; what must survive the process is the caller's
// record of intents and receipts. Safe for concurrent use.
type Courier struct {
	cfg       Config
	targets   targets
	gatherer  gatherer
	telemetry telemetry
}

// NewCourier returns a Courier, or an error that names every field that is wrong.
// It starts nothing.
func NewCourier(cfg Config) (*Courier, error) {
	cfg = cfg.withDefaults()
	cfg.Channels = maps.Clone(cfg.Channels)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	telemetry, err := newTelemetry(cfg)
	if err != nil {
		return nil, err
	}
	c := &Courier{cfg: cfg, telemetry: telemetry, targets: targets{limit: func(channel string) Limit { return cfg.Limits[channel].withDefaults() }}}
	c.gatherer = gatherer{storm: cfg.Storm, deliver: c.deliver, grouped: telemetry.grouped}
	return c, nil
}

// Channels returns the names of the channels, sorted: what Policy.Validate takes.
func (c *Courier) Channels() []string { return slices.Sorted(maps.Keys(c.cfg.Channels)) }

// Broadcast delivers the message to all contacts at the same time and returns a
// receipt for each, in their order, once the last one is settled. No contact waits
// for another. It takes at most Config.Budget and one Config.Timeout, and in a storm
// Storm.Every more.
func (c *Courier) Broadcast(ctx context.Context, to []Contact, m Message) []Receipt {
	receipts := make([]Receipt, len(to))
	var wg sync.WaitGroup
	for i, contact := range to {
		wg.Go(func() { receipts[i] = c.Deliver(ctx, contact, m) })
	}
	wg.Wait()
	return receipts
}

// Deliver sends the message to one contact and returns when the first of its
// channels has taken it, or when none will. Channels are tried in the contact's
// order; each starts as soon as the one before has failed once or has used up
// Config.Patience, and the earlier ones go on trying beside it. So a contact may
// get the same message twice, under the same key, and never less than once for a
// channel that works.
//
// A page in a storm may wait to go out with others, as Storm says; what the
// receiver is known to want, a pause or a slower pace, is kept to beforehand.
// Secrets in the text are replaced.
func (c *Courier) Deliver(ctx context.Context, to Contact, m Message) Receipt {
	receipt := make(chan Receipt, 1)
	if c.gatherer.join(ctx, to, m, func(r Receipt) { receipt <- r }) {
		return <-receipt
	}
	return c.deliver(ctx, to, m)
}

// Begin is Deliver for a caller that does not wait: settled gets the receipt, once,
// from another goroutine, and holds the other receipts of a storm up while it runs. A
// page that waits to go out with others has no goroutine, so that ten thousand may.
func (c *Courier) Begin(ctx context.Context, to Contact, m Message, settled func(Receipt)) {
	if !c.gatherer.join(ctx, to, m, settled) {
		go func() { settled(c.deliver(ctx, to, m)) }()
	}
}

// deliver is Deliver without looking at storms.
func (c *Courier) deliver(ctx context.Context, to Contact, m Message) (receipt Receipt) {
	m.Text = c.cfg.redact(m.Text)
	ctx, end := c.telemetry.delivery(ctx, to, m)
	defer func() { end(receipt) }()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Budget)
	defer cancel() // once one channel has taken it, the others stop
	receipt = Receipt{Contact: to.Name, Key: m.Key}
	d := delivery{courier: c, message: m, routes: to.Addresses,
		ended: make(chan Attempt, len(to.Addresses)), struck: make(chan int, len(to.Addresses))}
	for a := range d.run(ctx) {
		if a.Err == nil {
			return receipt.accepted(a)
		}
		receipt.Failed = append(receipt.Failed, a)
	}
	return receipt.undelivered(time.Now(), c.cfg.MaxWait)
}
