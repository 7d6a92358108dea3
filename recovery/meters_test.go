package recovery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestWhatIsDoneAndHowItStandsIsSeenFromOutside(t *testing.T) {
	ctx := t.Context()
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	target := recoverytest.NewTarget(recovery.Configuration, []byte("x"))
	c, err := recovery.NewCatalog(recovery.CatalogConfig{
		Objectives: []recovery.Objective{{Component: recovery.Configuration, RTO: time.Minute, RPO: time.Minute}},
		Targets:    map[recovery.Component]recovery.Target{recovery.Configuration: target}, History: new(recoverytest.Storage),
		Meter:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	require.NoError(t, err)
	_, err = c.Backup(ctx, recovery.Configuration, noon)
	require.NoError(t, err)
	_, err = c.Drill(ctx, recovery.Configuration, "alice", noon)
	require.NoError(t, err)
	target.Rehearsals(0, errors.New("index is missing"))
	_, err = c.Drill(ctx, recovery.Configuration, "alice", noon.Add(time.Second))
	require.Error(t, err)
	c.Compliance(ctx, noon.Add(40*time.Second))

	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(ctx, &got))
	byName := map[string]metricdata.Aggregation{}
	for _, m := range got.ScopeMetrics[0].Metrics {
		byName[m.Name] = m.Data
	}
	require.InDelta(t, 40, byName["andon.recovery.backup.age"].(metricdata.Gauge[float64]).DataPoints[0].Value, 0)
	met := map[string]int64{}
	for _, p := range byName["andon.recovery.objective.met"].(metricdata.Gauge[int64]).DataPoints {
		objective, _ := p.Attributes.Value("objective")
		met[objective.AsString()] = p.Value
		component, _ := p.Attributes.Value("component")
		require.Equal(t, attribute.StringValue("Configuration"), component)
	}
	require.Equal(t, map[string]int64{"rpo": 1, "rto": 0}, met)
	require.Len(t, byName["andon.recovery.drill.duration"].(metricdata.Histogram[float64]).DataPoints, 2, "by outcome")
	require.EqualValues(t, 1, byName["andon.recovery.backup.duration"].(metricdata.Histogram[float64]).DataPoints[0].Count)

	ended := spans.Ended()
	require.Len(t, ended, 3)
	require.Equal(t, "recovery.backup", ended[0].Name())
	require.Equal(t, codes.Unset, ended[1].Status().Code)
	require.Equal(t, "recovery.drill", ended[2].Name())
	require.Equal(t, codes.Error, ended[2].Status().Code)
}
