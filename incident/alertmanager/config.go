package alertmanager

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a Handler needs: a Manager, and how a sender proves itself.
type Config struct {
	Manager *incident.Manager

	// Rules say what an alert means; the first that matches counts. Defaults to
	// none: every alert is unclassified.
	Rules []Rule

	// Bearer is the token of the Authorization header, User and Password are those
	// of HTTP's basic authentication. One of the two ways has to be given, with at
	// least 16 bytes; with both, either will do.
	Bearer   notify.Secret
	User     string
	Password notify.Secret

	// LoopbackOnly answers requests of this machine alone, and those without a token
	// or password. It cannot be combined with either. A request that has come
	// through a proxy, or for another host's name, is refused.
	LoopbackOnly bool

	// Source is who declares: the Source of the signals, and the name on the
	// timeline. Two senders that do not know of each other need two handlers with
	// two names. Defaults to "alertmanager".
	Source string

	// ComponentFrom are labels; the first of them that an alert has is its component
	// where the rule says nothing else. Defaults to component, service, job.
	ComponentFrom []string

	// OwnHalt reports whether a hold of our own switch stops trading. An alert that
	// is mapped to severity.TradingHalted is no incident then: else each halt would
	// raise another. Defaults to no.
	OwnHalt func() bool

	MaxBody   int64 // bytes of a body; defaults to 8 MiB
	MaxAlerts int   // alerts of a body; defaults to 10,000
	MaxValue  int   // bytes that are kept of a label's value; the rest is cut off; defaults to 512

	// MaxConcurrent is how many bodies are worked on at a time, and WaitWithin how
	// long a request waits for its turn. Defaults to 16, and 5 s.
	MaxConcurrent int
	WaitWithin    time.Duration

	// ReadWithin bounds the reading of a body. Defaults to 10 s.
	ReadWithin time.Duration

	// Tracer and Meter provide spans and metrics. Default to otel's global providers.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider

	// Log gets what an operator should see. Defaults to slog.Default().
	Log *slog.Logger
}

const shortestSecret = 16 // bytes

func (c Config) withDefaults() Config {
	if c.Source == "" {
		c.Source = "alertmanager"
	}
	if c.ComponentFrom == nil {
		c.ComponentFrom = []string{"component", "service", "job"}
	}
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.WaitWithin == 0 {
		c.WaitWithin = 5 * time.Second
	}
	if c.ReadWithin == 0 {
		c.ReadWithin = 10 * time.Second
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.MaxAlerts, 10_000}, {&c.MaxValue, 512}, {&c.MaxConcurrent, 16}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Tracer == nil {
		c.Tracer = otel.GetTracerProvider()
	}
	if c.Meter == nil {
		c.Meter = otel.GetMeterProvider()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Manager == nil {
		add("Manager: is missing")
	}
	bearer, basic := len(c.Bearer) > 0, c.User != "" || len(c.Password) > 0
	switch {
	case !bearer && !basic && !c.LoopbackOnly:
		add("Bearer: is empty, and so is Password: anybody could halt trading; or say LoopbackOnly")
	case (bearer || basic) && c.LoopbackOnly:
		add("LoopbackOnly: takes no Bearer and no Password: leave it out, and they are asked for everywhere")
	}
	if bearer && len(c.Bearer) < shortestSecret {
		add("Bearer: has %d bytes, want at least %d", len(c.Bearer), shortestSecret)
	}
	if basic && (c.User == "" || len(c.Password) < shortestSecret) {
		add("Password: want a User, and at least %d bytes", shortestSecret)
	}
	for _, f := range []struct {
		name string
		bad  bool
	}{
		{"MaxBody", c.MaxBody < 0}, {"MaxAlerts", c.MaxAlerts < 0}, {"MaxValue", c.MaxValue < 0 || c.MaxValue > 0 && c.MaxValue < 64},
		{"MaxConcurrent", c.MaxConcurrent < 0}, {"WaitWithin", c.WaitWithin < 0}, {"ReadWithin", c.ReadWithin < 0},
	} {
		if f.bad {
			add("%s: want more than zero (MaxValue: at least 64)", f.name)
		}
	}
	for i, r := range c.Rules {
		if err := r.validate(); err != nil {
			add("Rules[%d]: %w", i, err)
		}
	}
	return errors.Join(errs...)
}
