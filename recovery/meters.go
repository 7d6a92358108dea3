package recovery

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/andon-go/andon/recovery"

// meters are the instruments, bound once.
type meters struct {
	backup metric.Float64Histogram
	drill  metric.Float64Histogram
	age    metric.Float64Gauge
	met    metric.Int64Gauge
}

func newMeters(provider metric.MeterProvider) (*meters, error) {
	meter := provider.Meter(scope)
	m := &meters{}
	var err error
	if m.backup, err = meter.Float64Histogram("andon.recovery.backup.duration", metric.WithUnit("s"),
		metric.WithDescription("How long a backup took, with its verification.")); err != nil {
		return nil, err
	}
	if m.drill, err = meter.Float64Histogram("andon.recovery.drill.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the restore of a drill took.")); err != nil {
		return nil, err
	}
	if m.age, err = meter.Float64Gauge("andon.recovery.backup.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the newest verified backup; not given where there is none.")); err != nil {
		return nil, err
	}
	m.met, err = meter.Int64Gauge("andon.recovery.objective.met", metric.WithUnit("1"),
		metric.WithDescription("1 where an objective, rpo or rto, was shown to be met, else 0."))
	return m, err
}

func outcome(ok bool) attribute.KeyValue {
	if ok {
		return attribute.String("outcome", "ok")
	}
	return attribute.String("outcome", "failed")
}

func componentAttr(c Component) attribute.KeyValue {
	return attribute.String("component", string(c))
}

func (m *meters) backedUp(ctx context.Context, c Component, took time.Duration, err error) {
	m.backup.Record(context.WithoutCancel(ctx), took.Seconds(), metric.WithAttributes(componentAttr(c), outcome(err == nil)))
}

func (m *meters) drilled(ctx context.Context, d Drill) {
	m.drill.Record(context.WithoutCancel(ctx), d.Took.Seconds(), metric.WithAttributes(componentAttr(d.Component), outcome(d.Passed)))
}

func (m *meters) judged(ctx context.Context, c Compliance) {
	component := componentAttr(c.Objective.Component)
	if c.Newest.Name != "" {
		m.age.Record(ctx, c.Age.Seconds(), metric.WithAttributes(component))
	}
	for objective, met := range map[string]bool{"rpo": c.RPOMet, "rto": c.RTOMet} {
		value := int64(0)
		if met {
			value = 1
		}
		m.met.Record(ctx, value, metric.WithAttributes(component, attribute.String("objective", objective)))
	}
}

// span begins a span and returns how it ends: with the error that the pointer holds
// then.
func (c *Catalog) span(ctx *context.Context, name string, component Component) func(*error) {
	var span trace.Span
	*ctx, span = c.tracer.Start(*ctx, name, trace.WithAttributes(componentAttr(component)))
	return func(err *error) {
		if *err != nil {
			span.RecordError(*err)
			span.SetStatus(codes.Error, (*err).Error())
		}
		span.End()
	}
}
