package reconcile_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/andon-go/andon/reconcile"
)

// collect reads every metric, by name.
func collect(t *testing.T, reader metric.Reader) map[string]metricdata.Aggregation {
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	byName := map[string]metricdata.Aggregation{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, "github.com/andon-go/andon/reconcile", scope.Scope.Name)
		for _, m := range scope.Metrics {
			byName[m.Name] = m.Data
		}
	}
	return byName
}

func byKind(t *testing.T, metrics map[string]metricdata.Aggregation) map[string]int64 {
	gauge, ok := metrics["andon.reconcile.discrepancies"].(metricdata.Gauge[int64])
	require.True(t, ok, "%T", metrics["andon.reconcile.discrepancies"])
	counts := map[string]int64{}
	for _, p := range gauge.DataPoints {
		kind, _ := p.Attributes.Value("kind")
		venue, _ := p.Attributes.Value("venue")
		require.Equal(t, "v", venue.AsString())
		counts[kind.AsString()] = p.Value
	}
	return counts
}

func TestMetrics_DiscrepanciesByKindAndDurationByOutcome(t *testing.T) {
	reader := metric.NewManualReader()
	g := newGuard(t, func(c *reconcile.Config) { c.Meters = metric.NewMeterProvider(metric.WithReader(reader)) })
	g.differ()
	require.NoError(t, g.check())
	counts := byKind(t, collect(t, reader))
	require.Len(t, counts, int(reconcile.Dust), "every kind has a value, if it is zero")
	require.EqualValues(t, 1, counts["quantity"])
	require.Zero(t, counts["missing"])

	g.venue.failOrders = errDown
	g.venue.positions = nil
	require.Error(t, g.check())
	require.EqualValues(t, 1, byKind(t, collect(t, reader))["quantity"], "half an answer disproves nothing")

	g.venue.failOrders = nil
	g.agree()
	require.NoError(t, g.check())
	metrics := collect(t, reader)
	require.Zero(t, byKind(t, metrics)["quantity"])
	durations, ok := metrics["andon.reconcile.duration"].(metricdata.Histogram[float64])
	require.True(t, ok)
	outcomes := map[string]uint64{}
	for _, p := range durations.DataPoints {
		outcome, _ := p.Attributes.Value("outcome")
		outcomes[outcome.AsString()] = p.Count
	}
	require.Equal(t, map[string]uint64{"clean": 1, "differs": 1, "unanswered": 1}, outcomes)
}

func TestMetrics_TheAgeOfTheLastCleanComparisonGrowsWhileRunRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		g := newGuard(t, func(c *reconcile.Config) { c.Meters = metric.NewMeterProvider(metric.WithReader(reader)) })
		age := func() float64 {
			gauge, ok := collect(t, reader)["andon.reconcile.clean.age"].(metricdata.Gauge[float64])
			require.True(t, ok)
			return gauge.DataPoints[0].Value
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		require.Zero(t, age())
		time.Sleep(4 * time.Second)
		require.InDelta(t, 4, age(), 0.001)
		g.venue.set(position("A", "2", "2"))
		time.Sleep(time.Minute)
		require.Greater(t, age(), 60.0)
		cancel()
		require.NoError(t, <-done)
		require.NotContains(t, collect(t, reader), "andon.reconcile.clean.age", "nothing is observed after Run")
	})
}
