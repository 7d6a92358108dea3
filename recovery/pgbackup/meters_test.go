package pgbackup_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/andon-go/andon/recovery/pgbackup"
)

// measured returns what the instruments say now, by name and kind.
func measured(t *testing.T, reader sdk.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	out := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			key := func(set attribute.Set) string {
				stream, _ := set.Value("stream")
				require.NotEmpty(t, stream.AsString())
				if kind, ok := set.Value("kind"); ok {
					return m.Name + " " + kind.AsString()
				}
				return m.Name
			}
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				out[key(data.DataPoints[0].Attributes)] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				out[key(data.DataPoints[0].Attributes)] = data.DataPoints[0].Value
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					out[key(p.Attributes)] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				out[key(data.DataPoints[0].Attributes)] = float64(data.DataPoints[0].Count)
			}
		}
	}
	return out
}

func TestAStreamIsMeasured(t *testing.T) {
	w := newWorld(t, streamTable)
	dropSlot(t, w)
	reader := sdk.NewManualReader()
	s := stream(t, w.conn, filepath.Join(t.TempDir(), "log"), func(c *pgbackup.StreamConfig) {
		c.MeterProvider, c.MaxRetained = sdk.NewMeterProvider(sdk.WithReader(reader)), 1
	})
	s.connected(t)
	for id := range 3 { // each durable before the next: three batches
		execSQL(t, w.pool, fmt.Sprintf("INSERT INTO t VALUES (%d, repeat('x', 10000))", id))
		s.caughtUp(t, w)
	}
	s.says(t, pgbackup.ErrRetained.Error())
	execSQL(t, w.pool, "ALTER TABLE t ADD c int")
	s.says(t, pgbackup.ErrAltered.Error())
	require.Eventually(t, func() bool {
		m := measured(t, reader)
		return m["andon.pgbackup.stream.retained"] > 0 && m["andon.pgbackup.stream.age"] > 0
	}, time.Minute, time.Millisecond)
	m := measured(t, reader)
	require.Equal(t, 1.0, m["andon.pgbackup.stream.connected"])
	require.Equal(t, 3.0, m["andon.pgbackup.stream.transactions"])
	require.Greater(t, m["andon.pgbackup.stream.bytes"], 30000.0)
	require.Less(t, m["andon.pgbackup.stream.bytes"], 40000.0)
	require.Positive(t, m["andon.pgbackup.stream.sync.duration"])
	require.Equal(t, 1.0, m["andon.pgbackup.stream.alarms altered"])
	require.Positive(t, m["andon.pgbackup.stream.alarms retained"])
	s.stop(t)
	require.Zero(t, measured(t, reader)["andon.pgbackup.stream.connected"])
}
