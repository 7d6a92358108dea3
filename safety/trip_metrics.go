package safety

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/andon-go/andon"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instrument registers what is observed of the trips: each that is on, by its name.
func (t *Trips) instrument(m metric.Meter) (metric.Registration, error) {
	var by [len(tripNames)]metric.MeasurementOption
	for i := range by {
		by[i] = metric.WithAttributeSet(attribute.NewSet(t.sw.botName(), attribute.String("trip", Trip(i).String())))
	}
	level, err1 := m.Float64ObservableGauge("andon.safety.trip.level",
		metric.WithDescription("What a trip has counted: a ratio of one, or a number."))
	limit, err2 := m.Float64ObservableGauge("andon.safety.trip.limit",
		metric.WithDescription("The level at which a trip fires, in the unit of its level."))
	present, err3 := m.Int64ObservableGauge("andon.safety.trip.present",
		metric.WithDescription("Conditions that a trip sees right now, each of which narrows trading as long as it lasts."), metric.WithUnit("{condition}"))
	fired, err4 := m.Int64ObservableCounter("andon.safety.trip.fired",
		metric.WithDescription("Holds that a trip has placed, across restarts."), metric.WithUnit("{hold}"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var errs []error
		for _, st := range t.Status() {
			if !st.On {
				continue
			}
			o.ObserveInt64(present, int64(len(st.Present)), by[st.Trip])
			o.ObserveInt64(fired, int64(st.Times), by[st.Trip])
			if st.Limit.IsZero() {
				continue // it has neither
			}
			of, to, err := floats(st.Level, st.Limit)
			if err != nil {
				errs = append(errs, fmt.Errorf("%v: %w", st.Trip, err))
				continue
			}
			o.ObserveFloat64(level, of, by[st.Trip])
			o.ObserveFloat64(limit, to, by[st.Trip])
		}
		return errors.Join(errs...)
	}, level, limit, present, fired)
}

// floats are two decimals as a meter takes them: to be looked at, nothing is judged by
// them.
func floats(a, b andon.Decimal) (x, y float64, err error) {
	x, errX := strconv.ParseFloat(a.String(), 64)
	y, errY := strconv.ParseFloat(b.String(), 64)
	return x, y, errors.Join(errX, errY)
}
