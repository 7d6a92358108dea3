package safety_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// collect reads every point of every instrument: its name and attributes, its value.
func collect(t *testing.T, r *sdk.ManualReader) map[string]float64 {
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(context.Background(), &rm))
	points := map[string]float64{}
	for _, sm := range rm.ScopeMetrics {
		require.Equal(t, "github.com/andon-go/andon/safety", sm.Scope.Name)
		for _, m := range sm.Metrics {
			require.NotEmpty(t, m.Description)
			add := func(attrs string, v float64) { points[m.Name+"{"+attrs+"}"] = v }
			switch d := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.Encoded(attribute.DefaultEncoder()), float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value)
				}
			case metricdata.Sum[int64]:
				require.True(t, d.IsMonotonic)
				for _, p := range d.DataPoints {
					add(p.Attributes.Encoded(attribute.DefaultEncoder()), float64(p.Value))
				}
			default:
				require.Failf(t, "unexpected data", "%T", d)
			}
		}
	}
	return points
}

// What is observed is what the switch says of itself.
func TestMetricsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sdk.NewManualReader()
		sw := limited(t, safety.Limits{MaxOrders: 1, OrdersWithin: time.Minute}, func(c *safety.Config) {
			c.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(r))
		})
		got := collect(t, r)
		require.Equal(t, 2.0, got["andon.safety.trading_state{bot=test}"])
		require.Zero(t, got["andon.safety.orders.in_flight{bot=test}"])
		require.Zero(t, got["andon.safety.halt.duration{bot=test}"])
		require.Contains(t, got, "andon.safety.orders.denied{bot=test,reason=MaxNotional}", "what never happened is 0, not absent")

		flying, err := enter(sw, order("a", andon.Buy, "1"))
		require.NoError(t, err)
		for i := range 3 {
			_, err = enter(sw, order(fmt.Sprint("more", i), andon.Buy, "1"))
			require.ErrorIs(t, err, safety.ErrDenied)
		}
		_, err = enter(sw, order("exit", andon.Sell, "0.5"))
		require.NoError(t, err)
		require.NoError(t, sw.Reduce("carol", "slow"))
		require.NoError(t, sw.Throttle("carol", "slow", safety.ReduceLoad()))
		_, err = sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		_, err = enter(sw, order("late", andon.Buy, "1"))
		require.ErrorIs(t, err, safety.ErrDenied)
		halted := sw.Status().Holds[0].At
		time.Sleep(90 * time.Second)

		got = collect(t, r)
		require.Equal(t, 0.0, got["andon.safety.trading_state{bot=test}"])
		require.Equal(t, 2.0, got["andon.safety.orders.in_flight{bot=test}"])
		require.Equal(t, 3.0, got["andon.safety.orders.denied{bot=test,reason=MaxOrders}"])
		require.Equal(t, 1.0, got["andon.safety.orders.denied{bot=test,reason=hold}"])
		require.Equal(t, 1.0, got["andon.safety.exits.past_limit{bot=test,reason=MaxOrders}"])
		require.Equal(t, 1.0, got["andon.safety.holds{bot=test,source=bob,state=halted}"])
		require.Equal(t, 1.0, got["andon.safety.holds{bot=test,source=carol,state=reducing}"])
		require.Equal(t, 1.0, got["andon.safety.holds{bot=test,source=carol,state=throttle}"])
		require.Equal(t, time.Since(halted).Seconds(), got["andon.safety.halt.duration{bot=test}"])
		require.GreaterOrEqual(t, got["andon.safety.halt.duration{bot=test}"], 90.0)

		flying.Exit(safety.Accepted)
		resume(t, sw)
		got = collect(t, r)
		require.Equal(t, 1.0, got["andon.safety.orders.in_flight{bot=test}"])
		require.Zero(t, got["andon.safety.halt.duration{bot=test}"])
		require.NotContains(t, got, "andon.safety.holds{bot=test,source=bob,state=halted}", "lifted")

		require.NoError(t, sw.Close())
		require.Empty(t, collect(t, r), "a closed switch is observed no more")
	})
}

// noMeters gives no instruments.
type noMeters struct{ noop.MeterProvider }
type noMeter struct{ noop.Meter }

func (noMeters) Meter(string, ...metric.MeterOption) metric.Meter { return noMeter{} }

var errNoMeters = errors.New("out of instruments")

func (noMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errNoMeters
}

// The stop does not depend on who looks at it.
func TestLaw11_WithoutMetricsTheStopWorks(t *testing.T) {
	cfg := inMemory()
	cfg.MeterProvider = noMeters{}
	sw := active(t, cfg)
	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	require.Error(t, sw.Check())
}

// An order that passes, and its exit, allocate nothing, whatever limits are on.
func TestEnterAllocatesNothing(t *testing.T) {
	for _, l := range []safety.Limits{
		{},
		{MinTimeBetweenTrades: 1, MaxPositionSize: dec("0.1"), MaxOrders: 1000, OrdersWithin: 1},
		{MinTimeBetweenTrades: 1, MaxPositionSize: dec("0.1"), PriceCollar: dec("0.1"), MaxRepeats: 1 << 30, MaxLeverage: dec("3"),
			MaxOrders: 1000, OrdersWithin: 1, MaxNotional: dec("1e14"), NotionalWithin: 1},
	} {
		cfg := benchConfig()
		cfg.Limits, cfg.MaxMarkAge, cfg.MaxEquityAge = l, time.Hour, time.Hour
		sw := active(t, cfg)
		observe(t, sw, nil)
		require.NoError(t, sw.Mark("sim", "BTC", dec("65123.45"), time.Now()))
		require.NoError(t, sw.Equity("sim", dec("1000000000.5"), time.Now()))
		o := pricedOrder("a", andon.Buy, "0.125", "65000.5")
		once := func() {
			p, err := sw.Enter(&o)
			if err != nil {
				panic(err)
			}
			p.Exit(safety.Refused)
		}
		once()
		require.Zero(t, testing.AllocsPerRun(1000, once), "%v", l)
	}
}
