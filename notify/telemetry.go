package notify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instruments' library.
const scope = "github.com/andon-go/andon/notify"

// telemetry is what a Courier shows of its work: spans notify.deliver and notify.try,
// and these metrics.
//
//	andon.notify.deliveries         messages to contacts, by kind and outcome
//	andon.notify.delivery.duration  seconds from Deliver to its receipt, by kind and outcome
//	andon.notify.tries              calls of channels, by channel and outcome
//	andon.notify.gathered           pages that went out with others
type telemetry struct {
	log        *slog.Logger
	tracer     trace.Tracer
	deliveries metric.Int64Counter
	duration   metric.Float64Histogram
	tries      metric.Int64Counter
	gathered   metric.Int64Counter
}

func newTelemetry(c Config) (telemetry, error) {
	meter := c.Meter.Meter(scope)
	deliveries, err1 := meter.Int64Counter("andon.notify.deliveries", metric.WithDescription("Messages to contacts"), metric.WithUnit("{message}"))
	duration, err2 := meter.Float64Histogram("andon.notify.delivery.duration", metric.WithDescription("From the call to the receipt"), metric.WithUnit("s"))
	tries, err3 := meter.Int64Counter("andon.notify.tries", metric.WithDescription("Calls of channels"), metric.WithUnit("{try}"))
	gathered, err4 := meter.Int64Counter("andon.notify.gathered", metric.WithDescription("Pages that went out with others"), metric.WithUnit("{message}"))
	return telemetry{c.Log, c.Tracer.Tracer(scope), deliveries, duration, tries, gathered}, errors.Join(err1, err2, err3, err4)
}

// delivery begins the span of a delivery; the function returned ends it.
func (t telemetry) delivery(ctx context.Context, to Contact, m Message) (context.Context, func(Receipt)) {
	begin := time.Now()
	ctx, span := t.tracer.Start(ctx, "notify.deliver", trace.WithAttributes(
		attribute.String("andon.incident", m.Incident), attribute.String("andon.key", m.Key),
		attribute.String("andon.kind", string(m.Kind)), attribute.String("andon.contact", to.Name)))
	return ctx, func(r Receipt) {
		defer span.End()
		log := t.log.With("incident", m.Incident, "key", m.Key, "contact", to.Name, "kind", string(m.Kind))
		for _, a := range r.Failed {
			log.WarnContext(ctx, "a channel did not take the message", "channel", a.Channel, "tries", a.Tries, "error", a.Err)
		}
		outcome := "delivered"
		switch {
		case r.Err == nil:
			span.SetAttributes(attribute.String("andon.channel", r.Accepted.Channel), attribute.Int("andon.tries", r.Accepted.Tries))
			log.DebugContext(ctx, "message delivered", "channel", r.Accepted.Channel, "tries", r.Accepted.Tries)
		case errors.Is(r.Err, context.Canceled):
			outcome = "stopped"
			log.DebugContext(ctx, "message stopped", "error", r.Err)
		default:
			outcome = "undelivered"
			span.SetStatus(codes.Error, r.Err.Error())
			log.ErrorContext(ctx, "no channel took the message", "retry_at", r.RetryAt, "error", r.Err)
		}
		set := metric.WithAttributeSet(attribute.NewSet(attribute.String("kind", string(m.Kind)), attribute.String("outcome", outcome)))
		t.deliveries.Add(ctx, 1, set)
		t.duration.Record(ctx, time.Since(begin).Seconds(), set)
	}
}

// try begins the span of one call of a channel; the function returned ends it.
func (t telemetry) try(ctx context.Context, channel string, m Message) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(ctx, "notify.try", trace.WithAttributes(
		attribute.String("andon.incident", m.Incident), attribute.String("andon.key", m.Key), attribute.String("andon.channel", channel)))
	return ctx, func(err error) {
		outcome := "accepted"
		switch {
		case errors.Is(err, ErrPermanent):
			outcome = "permanent"
		case err != nil:
			outcome = "temporary"
		}
		if err != nil {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
		t.tries.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("channel", channel), attribute.String("outcome", outcome))))
	}
}

// grouped counts the pages of a storm that went out as one.
func (t telemetry) grouped(pages int) { t.gathered.Add(context.Background(), int64(pages)) }
