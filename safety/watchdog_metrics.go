package safety

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instrument registers what is observed of the components. While nobody watches there is
// nothing to observe: what is absent is not well.
func (w *Watchdog) instrument(m metric.Meter) (metric.Registration, error) {
	by := map[string]metric.MeasurementOption{}
	for _, c := range w.cfg.Components {
		by[c.Name] = metric.WithAttributeSet(attribute.NewSet(w.sw.botName(), attribute.String("component", c.Name)))
	}
	silence, err1 := m.Float64ObservableGauge("andon.safety.watchdog.silence",
		metric.WithDescription("How long a component has not beaten, or since the start if it never has."), metric.WithUnit("s"))
	period, err2 := m.Float64ObservableGauge("andon.safety.watchdog.period",
		metric.WithDescription("How long a component may go without a beat."), metric.WithUnit("s"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for name, d := range w.silences() {
			o.ObserveFloat64(silence, d.lasts.Seconds(), by[name])
			o.ObserveFloat64(period, d.may.Seconds(), by[name])
		}
		return nil
	}, silence, period)
}

// silenceOf is how long a component is silent, and how long it may be.
type silenceOf struct{ lasts, may time.Duration }

// silences returns both by component, and none while Run does not run. A beat since the
// last look is taken to be of then.
func (w *Watchdog) silences() map[string]silenceOf {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clock == nil {
		return nil
	}
	elapsed, _ := w.clock()
	all := map[string]silenceOf{}
	for _, m := range w.state.members {
		heard := m.heard
		if w.hearts[m.Name].alive.Load() {
			heard = w.state.looked
		}
		all[m.Name] = silenceOf{elapsed - heard, m.Period}
	}
	return all
}
