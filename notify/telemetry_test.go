package notify_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestTelemetryShowsEachDeliveryAndEachTry(t *testing.T) {
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	var log strings.Builder
	var mail notifytest.Recorder
	c := courier(t, map[string]notify.Notifier{"chat": always(errNoUser), "mail": &mail}, func(c *notify.Config) {
		c.Meter, c.Tracer = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	m := notify.Message{Key: "k", Incident: "INC-20260314-001", Kind: notify.StatusUpdate}
	require.NoError(t, c.Deliver(t.Context(), on("chat", "mail"), m).Err)
	require.Error(t, c.Deliver(t.Context(), on("chat"), m).Err)

	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	counts := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		require.Equal(t, "github.com/andon-go/andon/notify", scope.Scope.Name)
		for _, x := range scope.Metrics {
			switch sum := x.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range sum.DataPoints {
					outcome, _ := p.Attributes.Value("outcome")
					channel, _ := p.Attributes.Value("channel")
					counts[x.Name+" "+channel.AsString()+" "+outcome.AsString()] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range sum.DataPoints {
					counts[x.Name] += int64(p.Count)
				}
			}
		}
	}
	require.Equal(t, map[string]int64{
		"andon.notify.deliveries  delivered": 1, "andon.notify.deliveries  undelivered": 1, "andon.notify.delivery.duration": 2,
		"andon.notify.tries chat permanent": 2, "andon.notify.tries mail accepted": 1,
	}, counts)

	names := map[string]int{}
	for _, s := range spans.GetSpans() {
		names[s.Name]++
		require.Contains(t, s.Attributes, attribute.String("andon.incident", "INC-20260314-001"))
		if s.Name == "notify.try" {
			require.True(t, s.Parent.IsValid(), "a try is part of a delivery")
		}
	}
	require.Equal(t, map[string]int{"notify.deliver": 2, "notify.try": 3}, names)
	for line := range strings.Lines(log.String()) {
		require.Contains(t, line, "incident=INC-20260314-001")
	}
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), "level=WARN")
}
