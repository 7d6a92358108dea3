package reconcile

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// meters are the instruments, bound once.
type meters struct {
	meter         metric.Meter
	discrepancies metric.Int64Gauge
	pending       metric.Int64Gauge
	duration      metric.Float64Histogram
	cleanAge      metric.Float64ObservableGauge

	venue   metric.MeasurementOption
	kinds   []metric.RecordOption // by Kind
	outcome map[string]metric.RecordOption
}

func newMeters(provider metric.MeterProvider, venue string) (*meters, error) {
	name := attribute.String("venue", venue)
	set := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(more, name)...))
	}
	m := &meters{meter: provider.Meter("github.com/andon-go/andon/reconcile"), venue: set(), outcome: map[string]metric.RecordOption{}}
	for k := range kindNames {
		m.kinds = append(m.kinds, set(attribute.String("kind", kindNames[k])))
	}
	for _, outcome := range []string{"clean", "differs", "unanswered"} {
		m.outcome[outcome] = set(attribute.String("outcome", outcome))
	}
	var err error
	if m.discrepancies, err = m.meter.Int64Gauge("andon.reconcile.discrepancies", metric.WithUnit("{discrepancy}"),
		metric.WithDescription("Discrepancies that the last comparison found, by kind.")); err != nil {
		return nil, err
	}
	if m.pending, err = m.meter.Int64Gauge("andon.reconcile.pending", metric.WithUnit("{difference}"),
		metric.WithDescription("Differences that were too young to count in the last comparison.")); err != nil {
		return nil, err
	}
	if m.duration, err = m.meter.Float64Histogram("andon.reconcile.duration", metric.WithUnit("s"),
		metric.WithDescription("How long a comparison took, with its queries.")); err != nil {
		return nil, err
	}
	m.cleanAge, err = m.meter.Float64ObservableGauge("andon.reconcile.clean.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the last clean comparison, or since Run began where there was none."))
	return m, err
}

func (m *meters) compared(ctx context.Context, r *Report, took time.Duration) {
	outcome := "differs"
	switch {
	case len(r.Failed) > 0:
		outcome = "unanswered"
	case r.Clean():
		outcome = "clean"
	}
	ctx = context.WithoutCancel(ctx)
	m.duration.Record(ctx, took.Seconds(), m.outcome[outcome])
	if outcome == "unanswered" {
		return // what was found last is not disproved by half an answer
	}
	counts := make([]int64, len(m.kinds))
	for _, d := range r.Discrepancies() {
		counts[d.Kind]++
	}
	for k := 1; k < len(counts); k++ {
		m.discrepancies.Record(ctx, counts[k], m.kinds[k])
	}
	m.pending.Record(ctx, int64(len(r.Pending())), m.venue)
}

// observeAge gives the age of the last clean comparison until it is unregistered.
func (m *meters) observeAge(age func() time.Duration) (metric.Registration, error) {
	return m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveFloat64(m.cleanAge, age().Seconds(), m.venue)
		return nil
	}, m.cleanAge)
}
