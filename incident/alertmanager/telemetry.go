package alertmanager

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instruments' library.
const scope = "github.com/andon-go/andon/incident/alertmanager"

// telemetry is what a Handler shows of its work: a span alertmanager.receive for
// each post, and these metrics.
//
//	andon.alerts.posts   posts, by status of the answer
//	andon.alerts.taken   alerts, by outcome: firing, resolved, ignored, left_out
type telemetry struct {
	tracer trace.Tracer
	posts  metric.Int64Counter
	taken  metric.Int64Counter
	source attribute.KeyValue
	by     map[string]metric.MeasurementOption
}

func newTelemetry(c Config) (telemetry, error) {
	meter := c.Meter.Meter(scope)
	posts, err1 := meter.Int64Counter("andon.alerts.posts", metric.WithDescription("Posts, by the status of the answer"), metric.WithUnit("{request}"))
	taken, err2 := meter.Int64Counter("andon.alerts.taken", metric.WithDescription("Alerts, by what became of them"), metric.WithUnit("{alert}"))
	t := telemetry{c.Tracer.Tracer(scope), posts, taken, attribute.String("source", c.Source), map[string]metric.MeasurementOption{}}
	for _, outcome := range []string{"firing", "resolved", "ignored", "left_out"} {
		t.by[outcome] = metric.WithAttributeSet(attribute.NewSet(t.source, attribute.String("outcome", outcome)))
	}
	return t, errors.Join(err1, err2)
}

// receive begins the span of a post; the function returned ends it.
func (t telemetry) receive(ctx context.Context) (context.Context, func(status int, r Result, err error)) {
	ctx, span := t.tracer.Start(ctx, "alertmanager.receive", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(status int, r Result, err error) {
		defer span.End()
		span.SetAttributes(attribute.Int("http.response.status_code", status),
			attribute.Int("andon.alerts.firing", r.Firing), attribute.Int("andon.alerts.resolved", r.Resolved))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, err.Error())
		}
		t.posts.Add(ctx, 1, metric.WithAttributes(t.source, attribute.Int("status", status)))
		for outcome, n := range map[string]int64{"firing": int64(r.Firing), "resolved": int64(r.Resolved), "ignored": int64(r.Ignored), "left_out": int64(r.LeftOut)} {
			if n > 0 {
				t.taken.Add(ctx, n, t.by[outcome])
			}
		}
	}
}
