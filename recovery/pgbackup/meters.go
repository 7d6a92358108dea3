package pgbackup

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/andon-go/andon/recovery/pgbackup"

// streamMeters are the instruments of a stream, bound once. All carry its name.
type streamMeters struct {
	sync         metric.Float64Histogram
	age          metric.Float64Gauge
	retained     metric.Int64Gauge
	connected    metric.Int64Gauge
	transactions metric.Int64Counter
	bytes        metric.Int64Counter
	alarms       metric.Int64Counter

	stream metric.MeasurementOption
	kinds  map[error]metric.MeasurementOption // of alarms
}

func newStreamMeters(provider metric.MeterProvider, name string) (*streamMeters, error) {
	meter := provider.Meter(scope)
	var errs [7]error
	m := &streamMeters{}
	m.sync, errs[0] = meter.Float64Histogram("andon.pgbackup.stream.sync.duration", metric.WithUnit("s"),
		metric.WithDescription("How long it took to write and sync a batch of the log."))
	m.age, errs[1] = meter.Float64Gauge("andon.pgbackup.stream.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the newest moment up to which everything is durable in the log, by the server's clock."))
	m.retained, errs[2] = meter.Int64Gauge("andon.pgbackup.stream.retained", metric.WithUnit("By"),
		metric.WithDescription("WAL that the server holds back for the stream."))
	m.connected, errs[3] = meter.Int64Gauge("andon.pgbackup.stream.connected", metric.WithUnit("1"),
		metric.WithDescription("1 while the stream is connected, else 0."))
	m.transactions, errs[4] = meter.Int64Counter("andon.pgbackup.stream.transactions", metric.WithUnit("{transaction}"),
		metric.WithDescription("Transactions that became durable in the log."))
	m.bytes, errs[5] = meter.Int64Counter("andon.pgbackup.stream.bytes", metric.WithUnit("By"),
		metric.WithDescription("Bytes that were written to the log."))
	m.alarms, errs[6] = meter.Int64Counter("andon.pgbackup.stream.alarms", metric.WithUnit("{alarm}"),
		metric.WithDescription("Alarms by kind: gap and altered, after which a base backup is due, and retained."))
	stream := attribute.String("stream", name)
	m.stream = metric.WithAttributeSet(attribute.NewSet(stream))
	m.kinds = map[error]metric.MeasurementOption{}
	for err, kind := range map[error]string{ErrGap: "gap", ErrAltered: "altered", ErrRetained: "retained"} {
		m.kinds[err] = metric.WithAttributeSet(attribute.NewSet(stream, attribute.String("kind", kind)))
	}
	return m, errors.Join(errs[:]...)
}

// synced counts a batch that is durable.
func (m *streamMeters) synced(ctx context.Context, took time.Duration, bytes, transactions int64) {
	m.sync.Record(ctx, took.Seconds(), m.stream)
	m.bytes.Add(ctx, bytes, m.stream)
	m.transactions.Add(ctx, transactions, m.stream)
}

// looked keeps how the stream is. The age is left out where it is not known.
func (m *streamMeters) looked(ctx context.Context, st StreamStatus, now time.Time) {
	m.retained.Record(ctx, st.Retained, m.stream)
	if !st.DurableAt.IsZero() {
		m.age.Record(ctx, max(0, now.Sub(st.DurableAt).Seconds()), m.stream)
	}
	m.isConnected(ctx, st.Connected)
}

func (m *streamMeters) isConnected(ctx context.Context, is bool) {
	value := int64(0)
	if is {
		value = 1
	}
	m.connected.Record(context.WithoutCancel(ctx), value, m.stream)
}

// alarm counts an alarm, writes it to the logger, and tells whom it concerns.
func (s *Stream) alarm(ctx context.Context, kind, alarm error) {
	s.meters.alarms.Add(ctx, 1, s.meters.kinds[kind])
	s.cfg.Logger.ErrorContext(ctx, "stream: "+alarm.Error(), "stream", s.cfg.Name)
	s.cfg.OnAlarm(alarm)
}
