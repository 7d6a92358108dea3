package safety

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// armament is what is shown of a venue's dead man's switch.
type armament struct {
	armed bool          // the last attempt was answered well
	since time.Time     // when the venue was asked that last said it is armed; zero before the first time
	slept time.Duration // what the machine had slept by then
}

// tell shows what came of an attempt that was asked for at the given time.
func (d *DeadManSwitch) tell(asked time.Duration) {
	a := *d.shown.Load()
	if a.armed = d.armed; a.armed {
		a.since, a.slept = time.Now().Add(asked-d.now()), d.asleep()
	}
	d.shown.Store(&a)
}

// instrument registers what is observed of the venue's switch. While Run does not run
// there is nothing to observe: what is absent is not well.
func (d *DeadManSwitch) instrument(m metric.Meter) (metric.Registration, error) {
	venue := metric.WithAttributeSet(attribute.NewSet(d.sw.botName(), attribute.String("venue", d.cfg.Venue)))
	armed, err1 := m.Int64ObservableGauge("andon.safety.deadman.armed",
		metric.WithDescription("1 while the venue said that it is armed when it was last asked, else 0."))
	age, err2 := m.Float64ObservableGauge("andon.safety.deadman.age",
		metric.WithDescription("How long ago the venue was asked that last said that it is armed; absent before the first time."), metric.WithUnit("s"))
	timeout, err3 := m.Float64ObservableGauge("andon.safety.deadman.timeout",
		metric.WithDescription("How old that may become before the venue cancels every order."), metric.WithUnit("s"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		a := d.shown.Load()
		if a == nil {
			return nil
		}
		var is int64
		if a.armed {
			is = 1
		}
		o.ObserveInt64(armed, is, venue)
		o.ObserveFloat64(timeout, d.cfg.Timeout.Seconds(), venue)
		if !a.since.IsZero() {
			o.ObserveFloat64(age, (time.Since(a.since) + d.asleep() - a.slept).Seconds(), venue)
		}
		return nil
	}, armed, age, timeout)
}
