package safety

import (
	"context"
	"errors"
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

// instrument registers the instruments until the returned function is called.
func (s *Switch) instrument(p metric.MeterProvider) (unregister func() error, err error) {
	m := p.Meter("github.com/andon-go/andon/safety")
	in := instruments{name: attribute.String("bot", s.cfg.Name)}
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
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s.observeInto(o, &in)
		return nil
	}, in.state, in.holds, in.inFlight, in.halted, in.denied, in.past)
	if err != nil {
		return nil, err
	}
	return reg.Unregister, nil
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
