package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
)

func TestEachStepOfARecoveryIsSeenFromOutside(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	var log bytes.Buffer
	s, err := recovery.NewSequence(recovery.SequenceConfig{
		Steps: []recovery.Step{
			{Name: "database", Purpose: "rows", Check: func(context.Context) (string, error) { return "3 tables", nil }},
			{Name: "bot", Purpose: "trade", Check: func(context.Context) (string, error) { return "", errors.New("it does not answer") }, Needs: []string{"database"}},
		},
		Recorder: new(recoverytest.Recorder),
		Meter:    sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		Tracer:   sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	_, err = s.Run(t.Context(), "alice", nil)
	require.ErrorIs(t, err, recovery.ErrUnproven)

	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	require.Len(t, got.ScopeMetrics, 1)
	require.Equal(t, "andon.recovery.step.duration", got.ScopeMetrics[0].Metrics[0].Name)
	outcomes := map[string]string{}
	for _, p := range got.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints {
		step, _ := p.Attributes.Value("step")
		outcome, _ := p.Attributes.Value("outcome")
		require.Equal(t, uint64(1), p.Count)
		outcomes[step.AsString()] = outcome.AsString()
	}
	require.Equal(t, map[string]string{"database": "ok", "bot": "failed"}, outcomes)

	ended := spans.Ended()
	require.Len(t, ended, 2)
	require.Equal(t, "recovery.step", ended[0].Name())
	require.Equal(t, codes.Unset, ended[0].Status().Code)
	require.Equal(t, codes.Error, ended[1].Status().Code)
	require.Contains(t, ended[1].Status().Description, "it does not answer")
	require.Contains(t, log.String(), "level=INFO msg=\"recovery step: database: proven")
	require.Contains(t, log.String(), "level=ERROR msg=\"recovery step: bot: UNPROVEN")
}
