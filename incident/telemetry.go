package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/severity"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instruments' library.
const scope = "github.com/andon-go/andon/incident"

// telemetry is what a manager shows of its work: a span for each of incident.declare,
// .halt, .drain, .page, .notice, .acknowledge and .resolve, all in the trace of the
// declaration, across restarts too; a log line for each event; and these metrics.
//
//	andon.incident.events           events, by kind
//	andon.incident.declared         incidents, by level
//	andon.incident.signal_to_halt   seconds from the signal to the closed gate
//	andon.incident.to_page          seconds from the declaration to the first page accepted, by level
//	andon.incident.to_ack           seconds from the declaration to the first acknowledgement, by level
//	andon.incident.to_resolution    seconds from the declaration to the resolution, by level
//	andon.incident.late             seconds from when a message fell due to when its sending began
//	andon.incident.open             incidents that are not over, by level
//	andon.incident.unrecorded       events that wait for the store
//
// Nothing of it is called while a lock is held: what happens is passed on in order, and
// where it comes faster than it is taken the rest is counted and said.
type telemetry struct {
	log    *slog.Logger
	tracer trace.Tracer
	meter  metric.Meter

	events, declared                   metric.Int64Counter
	toHalt, toPage, toAck, toEnd, late metric.Float64Histogram
	open, unrecorded                   metric.Int64ObservableGauge
	heard                              chan heard
	unheard                            atomic.Int64
}

// heard is what is told of an event, and what is to be measured of it. It is small:
// thousands may wait.
type heard struct {
	incident      string
	kind          Kind
	by, what, why string
	level         severity.Level
	into          metric.Float64Histogram // nil: nothing
	took          time.Duration
}

func newTelemetry(c Config) (*telemetry, error) {
	t := &telemetry{log: c.Log, tracer: c.Tracer.Tracer(scope), meter: c.Meter.Meter(scope), heard: make(chan heard, 4096)}
	var errs []error
	counter := func(into *metric.Int64Counter, name, what, unit string) {
		var err error
		*into, err = t.meter.Int64Counter("andon.incident."+name, metric.WithDescription(what), metric.WithUnit(unit))
		errs = append(errs, err)
	}
	gauge := func(into *metric.Int64ObservableGauge, name, what, unit string) {
		var err error
		*into, err = t.meter.Int64ObservableGauge("andon.incident."+name, metric.WithDescription(what), metric.WithUnit(unit))
		errs = append(errs, err)
	}
	seconds := func(into *metric.Float64Histogram, name, what string) {
		var err error
		*into, err = t.meter.Float64Histogram("andon.incident."+name, metric.WithDescription(what), metric.WithUnit("s"),
			metric.WithExplicitBucketBoundaries(.001, .005, .02, .1, .5, 2, 10, 60, 300, 900, 1800, 3600, 4*3600, 8*3600, 24*3600))
		errs = append(errs, err)
	}
	counter(&t.events, "events", "Events of the timeline, by kind.", "{event}")
	counter(&t.declared, "declared", "Incidents that were declared, by level.", "{incident}")
	seconds(&t.toHalt, "signal_to_halt", "From the signal to the closed gate.")
	seconds(&t.toPage, "to_page", "From the declaration to the first page that a channel accepted.")
	seconds(&t.toAck, "to_ack", "From the declaration to the first acknowledgement.")
	seconds(&t.toEnd, "to_resolution", "From the declaration to the resolution.")
	seconds(&t.late, "late", "From when a message fell due to when its sending began.")
	gauge(&t.open, "open", "Incidents that are not over, by level.", "{incident}")
	gauge(&t.unrecorded, "unrecorded", "Events that wait for the store.", "{event}")
	return t, errors.Join(errs...)
}

// hear passes an event of this manager on. It never waits. Called with mu held, after
// the event was taken in.
func (m *Manager) hear(e Event) {
	t := m.telemetry
	h := heard{incident: e.Incident, kind: e.Kind, by: e.By, what: e.What, why: e.Why}
	if in := m.board.incidents[e.Incident]; in != nil {
		h.level = in.Level
		switch {
		case e.Kind == Halted && in.HaltedAt.Equal(e.At):
			h.into, h.took = t.toHalt, between(in.SignalAt, e.At)
		case e.Kind == Paged && in.FirstPageAt.Equal(e.Data.SentAt):
			h.into, h.took = t.toPage, between(in.DeclaredAt, in.FirstPageAt)
		case e.Kind == Acknowledged && in.AckedAt.Equal(e.At):
			h.into, h.took = t.toAck, between(in.DeclaredAt, e.At)
		case e.Kind == Resolved && in.ResolvedAt.Equal(e.At):
			h.into, h.took = t.toEnd, between(in.DeclaredAt, e.At)
		case e.Kind == PageDue || e.Kind == NoticeDue:
			h.into, h.took = t.late, between(latest(e.Data.DueAt, in.paging.retry.at(e.Data.Key)), e.At)
		}
	}
	select {
	case t.heard <- h:
	default:
		t.unheard.Add(1)
	}
}

// tell logs and measures what was heard, until ctx ends, and then what is left.
func (t *telemetry) tell(ctx context.Context) {
	for {
		select {
		case h := <-t.heard:
			t.say(h)
		case <-ctx.Done():
			for {
				select {
				case h := <-t.heard:
					t.say(h)
				default:
					return
				}
			}
		}
	}
}

func (t *telemetry) say(h heard) {
	ctx := context.Background()
	if n := t.unheard.Swap(0); n > 0 {
		t.log.Warn("incident: events came faster than they could be logged; the timeline has them", "events", n)
	}
	t.log.LogAttrs(ctx, loudness(h.kind), "incident: "+h.what, slog.String("incident", h.incident), slog.String("event", string(h.kind)),
		slog.String("by", h.by), slog.String("why", h.why), slog.String("level", h.level.String()))
	t.events.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(h.kind))))
	level := metric.WithAttributes(attribute.String("level", h.level.String()))
	if h.kind == Declared {
		t.declared.Add(ctx, 1, level)
	}
	if h.into != nil && h.took >= 0 {
		h.into.Record(ctx, h.took.Seconds(), level)
	}
}

// loudness is how much an operator wants to see an event.
func loudness(k Kind) slog.Level {
	switch k {
	case PageFailed, NoticeFailed, Audited:
		return slog.LevelError
	case Declared, Assessed, ResponseBreach, ResolutionBreach, AckExpired, Reopened:
		return slog.LevelWarn
	case HaltDue, DrainDue, PageDue, NoticeDue, Unconfirmed: // the last was said at once
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// observe has the gauges read while Run runs; the function returned ends it.
func (m *Manager) observe() (end func() error, err error) {
	t := m.telemetry
	reg, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		open := map[severity.Level]int64{severity.SEV1: 0, severity.SEV2: 0, severity.SEV3: 0, severity.SEV4: 0}
		m.mu.Lock()
		for _, in := range m.board.live {
			open[in.Level]++
		}
		waiting := int64(len(m.queue))
		m.mu.Unlock()
		for level, n := range open {
			o.ObserveInt64(t.open, n, metric.WithAttributes(attribute.String("level", level.String())))
		}
		o.ObserveInt64(t.unrecorded, waiting)
		return nil
	}, t.open, t.unrecorded)
	if err != nil {
		return nil, fmt.Errorf("incident: metrics: %w", err)
	}
	return reg.Unregister, nil
}

// traceparent is the name of a span in the W3C's form, as the timeline keeps it; empty
// where there is none.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// span begins a span of an incident's path. Its parent is the caller's where there is
// one, and it is linked to the declaration; else it is the declaration. The function
// returned ends it. Called without mu.
func (m *Manager) span(ctx context.Context, name, number string) (context.Context, func(error)) {
	parent := ""
	options := []trace.SpanStartOption{trace.WithAttributes(attribute.String("andon.incident", number))}
	m.mu.Lock()
	if in := m.board.incidents[number]; in != nil {
		parent = in.trace
		options = append(options, trace.WithAttributes(attribute.String("andon.level", in.Level.String())))
	}
	m.mu.Unlock()
	if parent != "" {
		declared := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
		if trace.SpanContextFromContext(ctx).IsValid() {
			options = append(options, trace.WithLinks(trace.LinkFromContext(declared)))
		} else {
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.SpanContextFromContext(declared))
		}
	}
	ctx, span := m.telemetry.tracer.Start(ctx, name, options...)
	return ctx, func(err error) {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// declaring begins the span of a declaration; the function returned ends it.
func (m *Manager) declaring(ctx context.Context) (context.Context, func(Incident, error)) {
	ctx, span := m.telemetry.tracer.Start(ctx, "incident.declare")
	return ctx, func(in Incident, err error) {
		span.SetAttributes(
			attribute.String("andon.incident", in.Number), attribute.String("andon.level", in.Level.String()),
			attribute.String("andon.condition", string(in.Condition)), attribute.String("andon.component", in.Component))
		if err != nil && !errors.Is(err, ErrNothing) {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
