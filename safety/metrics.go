package safety

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// tally is what the gate counts for whoever observes it.
type tally struct {
	denied [reasons]atomic.Uint64 // orders, by reason
	past   [reasons]atomic.Uint64 // exits that passed although they were beyond a limit, by limit
}

// instruments are what OpenTelemetry reads of a switch; Config.MeterProvider lists
// them. All are observed, so that an order's way carries none of it. The attribute sets
// are made once, but for those of holds, whose sources are not known before.
type instruments struct {
	state, holds, inFlight metric.Int64ObservableGauge
	halted                 metric.Float64ObservableGauge
	denied, past           metric.Int64ObservableCounter

	bot      metric.MeasurementOption
	byReason [reasons]metric.MeasurementOption
	name     attribute.KeyValue
}

// observe registers what the provider is to observe of the switch and of what stands
// beside it, until Close. The stop does not depend on who looks at it.
func (s *Switch) observe(register func(m metric.Meter) (metric.Registration, error)) {
	reg, err := register(s.cfg.MeterProvider.Meter("github.com/andon-go/andon/safety"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.closed {
		err = errors.Join(ErrClosed, reg.Unregister())
	}
	if err != nil {
		s.note(slog.LevelWarn, "safety: no metrics", "err", err)
		return
	}
	s.observed = append(s.observed, reg)
}

// unobserved returns what is registered, once.
func (s *Switch) unobserved() (all []metric.Registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.observed = s.observed, nil
	return all
}

// botName is the attribute that every instrument carries.
func (s *Switch) botName() attribute.KeyValue { return attribute.String("bot", s.cfg.Name) }

// instrument registers the instruments of the switch.
func (s *Switch) instrument(m metric.Meter) (metric.Registration, error) {
	in := instruments{name: s.botName()}
	in.bot = metric.WithAttributeSet(attribute.NewSet(in.name))
	for r := range in.byReason {
		in.byReason[r] = metric.WithAttributeSet(attribute.NewSet(in.name, attribute.String("reason", Reason(r).String())))
	}
	var errs [6]error
	in.state, errs[0] = m.Int64ObservableGauge("andon.safety.trading_state",
		metric.WithDescription("The trading state: 0 halted, 1 reducing, 2 active."))
	in.holds, errs[1] = m.Int64ObservableGauge("andon.safety.holds",
		metric.WithDescription("Holds in force, by source and state."), metric.WithUnit("{hold}"))
	in.inFlight, errs[2] = m.Int64ObservableGauge("andon.safety.orders.in_flight",
		metric.WithDescription("Orders that passed the gate and are not settled."), metric.WithUnit("{order}"))
	in.halted, errs[3] = m.Float64ObservableGauge("andon.safety.halt.duration",
		metric.WithDescription("How long trading has been halted; 0 while it is not."), metric.WithUnit("s"))
	in.denied, errs[4] = m.Int64ObservableCounter("andon.safety.orders.denied",
		metric.WithDescription("Orders that the gate denied, by reason."), metric.WithUnit("{order}"))
	in.past, errs[5] = m.Int64ObservableCounter("andon.safety.exits.past_limit",
		metric.WithDescription("Exits that passed although they were beyond a limit, by limit."), metric.WithUnit("{order}"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s.observeInto(o, &in)
		return nil
	}, in.state, in.holds, in.inFlight, in.halted, in.denied, in.past)
}

func (s *Switch) observeInto(o metric.Observer, in *instruments) {
	st := s.Status()
	o.ObserveInt64(in.state, int64(st.State), in.bot)
	o.ObserveInt64(in.inFlight, int64(st.InFlight), in.bot)
	o.ObserveFloat64(in.halted, haltedFor(st.Holds, time.Now()).Seconds(), in.bot)
	type kind struct{ by, what string }
	count := map[kind]int64{}
	for _, h := range st.Holds {
		count[kind{h.By, h.what()}]++
	}
	for k, n := range count {
		o.ObserveInt64(in.holds, n, metric.WithAttributes(in.name, attribute.String("source", k.by), attribute.String("state", k.what)))
	}
	for r := range in.byReason {
		o.ObserveInt64(in.denied, int64(s.tally.denied[r].Load()), in.byReason[r])
		if Reason(r).Limit() {
			o.ObserveInt64(in.past, int64(s.tally.past[r].Load()), in.byReason[r])
		}
	}
}

// haltedFor returns how long the oldest of the halts in force has been so.
func haltedFor(holds []Hold, now time.Time) (d time.Duration) {
	for _, h := range holds {
		if h.State == Halted {
			d = max(d, now.Sub(h.At))
		}
	}
	return d
}
