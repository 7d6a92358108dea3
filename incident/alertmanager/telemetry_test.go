package alertmanager_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestTelemetryShowsEachPostAndEachAlert(t *testing.T) {
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Tracer = tracer }), func(c *alertmanager.Config) {
		c.Meter, c.Tracer = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), tracer
		c.Rules = append(c.Rules, alertmanager.Rule{Match: []alertmanager.Match{{Label: "alertname", Equals: "Watchdog"}}, Ignore: true})
	})
	a := fires("RiskOffline", "instance", "x")
	r.post(group(a, fires("Watchdog")))
	p := group(a, fires("RiskOffline", "instance", "y").over())
	p.TruncatedAlerts = 3
	r.post(p)
	status, _ := r.send([]byte("{}"), "Authorization", "")
	require.Equal(t, http.StatusUnauthorized, status)

	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	counts := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, x := range scope.Metrics {
			sum, ok := x.Data.(metricdata.Sum[int64])
			require.True(t, ok, x.Name)
			for _, p := range sum.DataPoints {
				outcome, _ := p.Attributes.Value("outcome")
				status, _ := p.Attributes.Value("status")
				source, _ := p.Attributes.Value("source")
				require.Equal(t, "alertmanager", source.AsString())
				counts[strings.TrimSpace(x.Name+" "+outcome.AsString()+" "+status.String())] = p.Value
			}
		}
	}
	require.EqualValues(t, 2, counts["andon.alerts.taken firing"], counts)
	require.EqualValues(t, 1, counts["andon.alerts.taken resolved"], counts)
	require.EqualValues(t, 1, counts["andon.alerts.taken ignored"], counts)
	require.EqualValues(t, 3, counts["andon.alerts.taken left_out"], counts)
	require.EqualValues(t, 2, counts["andon.alerts.posts  200"], counts)
	require.EqualValues(t, 1, counts["andon.alerts.posts  401"], counts)

	received, within := map[string]bool{}, 0
	for _, s := range spans.GetSpans() {
		if s.Name == "alertmanager.receive" {
			received[s.SpanContext.SpanID().String()] = true
		}
	}
	require.Len(t, received, 3)
	for _, s := range spans.GetSpans() {
		if s.Name == "incident.declare" && received[s.Parent.SpanID().String()] {
			within++
		}
	}
	require.Positive(t, within, "a declaration is part of the post that brought it")
}
