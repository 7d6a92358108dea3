package incident_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// locked is a buffer that may be written while it is read.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// The whole path is one trace, although a restart lies in it.
func TestThePathOfAnIncidentIsOneTrace(t *testing.T) {
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var log locked
	path := place(t)
	shown := func(c *incident.Config) {
		c.Tracer, c.Meter = provider, meter
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		courier, err := notify.NewCourier(notify.Config{
			Channels: map[string]notify.Notifier{"phone": &phone{}}, Tracer: provider, Log: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		c.Courier = courier
	}
	var points map[string]int64
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path, shown)
		in := s.declare(signal("book"))
		time.Sleep(10 * time.Minute)
		s.stop()
		s.open(shown)
		time.Sleep(7 * time.Minute)
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		require.NoError(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "x", Despite: "a drill"}))
		time.Sleep(time.Minute)
		points = collect(t, reader)
		s.stop()
	})

	roots := map[string]bool{}
	names := map[string]int{}
	for _, s := range spans.GetSpans() {
		names[s.Name]++
		roots[s.SpanContext.TraceID().String()] = true
		if s.Name != "incident.declare" {
			require.True(t, s.Parent.IsValid(), s.Name)
		}
	}
	require.Len(t, roots, 1, "one trace")
	for _, name := range []string{"declare", "halt", "drain", "page", "notice", "acknowledge", "resolve"} {
		require.Positive(t, names["incident."+name], name)
	}
	require.Positive(t, names["notify.deliver"], "down to the channel")

	require.Equal(t, map[string]int64{
		"declared": 1, "signal_to_halt": 1, "to_page": 1, "to_ack": 1, "to_resolution": 1,
	}, map[string]int64{
		"declared": points["declared"], "signal_to_halt": points["signal_to_halt"], "to_page": points["to_page"],
		"to_ack": points["to_ack"], "to_resolution": points["to_resolution"],
	})
	require.Greater(t, points["events"], int64(15))
	require.Positive(t, points["late"])
	require.Contains(t, points, "open")
	require.Contains(t, points, "unrecorded")

	seen := 0
	for line := range strings.Lines(log.b.String()) {
		require.Contains(t, line, "incident=INC-20000101-001")
		seen++
	}
	require.Greater(t, seen, 15)
	for _, want := range []string{"event=declared", "event=halted", "event=paged", "event=acknowledged", "event=resolved"} {
		require.Contains(t, log.b.String(), want)
	}
}

// collect counts the points of each metric.
func collect(t *testing.T, r *sdkmetric.ManualReader) map[string]int64 {
	var data metricdata.ResourceMetrics
	require.NoError(t, r.Collect(t.Context(), &data))
	counts := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		require.Equal(t, "github.com/andon-go/andon/incident", scope.Scope.Name)
		for _, x := range scope.Metrics {
			name := strings.TrimPrefix(x.Name, "andon.incident.")
			switch points := x.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range points.DataPoints {
					counts[name] += p.Value
				}
			case metricdata.Gauge[int64]:
				for _, p := range points.DataPoints {
					counts[name] += p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range points.DataPoints {
					counts[name] += int64(p.Count)
				}
			}
		}
	}
	return counts
}

func TestALogThatHangsHoldsUpNothing(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := start(t, path, func(c *incident.Config) { c.Log = slog.New(slog.NewTextHandler(stuck{hang}, nil)) })
		in := s.declare(signal("book"))
		require.Equal(t, incident.GateClosed, in.Gate)
		time.Sleep(16 * time.Minute)
		require.Len(t, s.phone.messages(notify.InitialAlert), 2)
		close(hang)
		s.stop()
	})
}

// stuck is a writer that waits.
type stuck struct{ until chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.until; return len(p), nil }
