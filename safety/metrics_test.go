package safety_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
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

// armed is a venue with a dead man's switch that takes what it is told, or fails.
type armed struct {
	*andontest.Venue
	fails atomic.Bool
}

func (v *armed) Arm(ctx context.Context, _ time.Duration) error { return v.Disarm(ctx) }
func (v *armed) SparesProtection() bool                         { return false }

func (v *armed) Disarm(context.Context) error {
	if v.fails.Load() {
		return errWire
	}
	return nil
}

// Trips: what fired, and how far each window is; the watchdog: how old each beat is; the
// dead man's switch: how old the last refresh is. What does not run is absent.
func TestMetricsOfWhatPlacesHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sdk.NewManualReader()
		cfg := inMemory()
		cfg.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(r))
		sw := active(t, cfg)
		trips := openTrips(t, sw, safety.TripConfig{Symbols: []string{"BTC"}, Off: []safety.Trip{safety.TripPositionError}, MaxFeedAge: time.Hour, MaxDataAge: time.Hour})
		dog, err := safety.NewWatchdog(sw, safety.WatchdogConfig{Components: []safety.Component{{Name: "strategy", Period: time.Minute}, {Name: "feed", Period: 2 * time.Minute}}})
		require.NoError(t, err)
		venue := &armed{Venue: andontest.New(andontest.Config{Name: "kraken"})}
		dead, err := safety.NewDeadManSwitch(sw, venue, safety.DeadManConfig{Venue: "kraken", Account: venue, AcceptNaked: true, Timeout: time.Minute})
		require.NoError(t, err)

		require.NoError(t, trips.Equity(dec("1000")))
		require.NoError(t, trips.Margin("kraken", dec("300"), dec("1000")))
		require.NoError(t, trips.Margin("coinbase", dec("450"), dec("1000")))
		require.NoError(t, trips.Equity(dec("980")))
		require.NoError(t, trips.Trade(trade("a", "-20")))
		require.NoError(t, trips.Trade(trade("b", "-1")))
		for i := range 10 {
			out := safety.Accepted
			if i == 0 {
				out = safety.Refused
			}
			require.NoError(t, trips.Order(out, time.Second))
		}
		require.NoError(t, trips.VenueError("kraken", errWire))
		got := collect(t, r)
		for trip, want := range map[string][2]float64{
			"daily-loss": {0.021, 0.05}, "drawdown": {0.02, 0.2}, "rapid-loss": {0.02, 0.05}, "losing-streak": {2, 5},
			"order-failures": {0.1, 0.2}, "venue-errors": {1, 5}, "margin-use": {0.45, 0.8}, "slow-orders": {1, 3},
		} {
			require.Equal(t, want[0], got["andon.safety.trip.level{bot=test,trip="+trip+"}"], trip)
			require.Equal(t, want[1], got["andon.safety.trip.limit{bot=test,trip="+trip+"}"], trip)
			fired, ok := got["andon.safety.trip.fired{bot=test,trip="+trip+"}"]
			require.True(t, ok, "what never fired is 0, not absent")
			if trip != "slow-orders" { // three of ten fire it, and three more, and more
				require.Zero(t, fired, trip)
			}
		}
		require.Equal(t, 3.0, got["andon.safety.trip.fired{bot=test,trip=slow-orders}"])
		require.Equal(t, 1.0, got["andon.safety.trip.present{bot=test,trip=stale-data}"], "no data of BTC yet")
		require.Zero(t, got["andon.safety.trip.present{bot=test,trip=margin-use}"])
		require.NotContains(t, got, "andon.safety.trip.fired{bot=test,trip=position-error}", "it is off")
		require.NotContains(t, got, "andon.safety.trip.level{bot=test,trip=stale-data}", "it has none")
		for _, name := range []string{"watchdog.silence{bot=test,component=feed}", "deadman.armed{bot=test,venue=kraken}", "deadman.age{bot=test,venue=kraken}"} {
			require.NotContains(t, got, "andon.safety."+name, "Run does not run")
		}

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- dog.Run(ctx) }()
		go func() { done <- dead.Run(ctx) }()
		heart, err := dog.Heart("strategy")
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(10200 * time.Millisecond)
		heart.Beat() // between two looks, which are half a tick apart
		time.Sleep(3800 * time.Millisecond)
		synctest.Wait()
		require.NoError(t, trips.Equity(dec("940"))) // 6 % of the day, and rapid
		got = collect(t, r)
		require.Equal(t, 3.5, got["andon.safety.watchdog.silence{bot=test,component=strategy}"], "as it was noticed")
		require.Equal(t, 60.0, got["andon.safety.watchdog.period{bot=test,component=strategy}"])
		require.Equal(t, 14.0, got["andon.safety.watchdog.silence{bot=test,component=feed}"])
		require.Equal(t, 1.0, got["andon.safety.deadman.armed{bot=test,venue=kraken}"])
		require.Equal(t, 14.0, got["andon.safety.deadman.age{bot=test,venue=kraken}"])
		require.Equal(t, 60.0, got["andon.safety.deadman.timeout{bot=test,venue=kraken}"])
		require.Equal(t, 1.0, got["andon.safety.trip.fired{bot=test,trip=daily-loss}"])
		require.Equal(t, 1.0, got["andon.safety.trip.fired{bot=test,trip=rapid-loss}"])
		heart.Beat()
		got = collect(t, r)
		require.LessOrEqual(t, got["andon.safety.watchdog.silence{bot=test,component=strategy}"], 0.5, "a beat that no look has noticed yet counts")

		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		venue.fails.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		got = collect(t, r)
		require.Zero(t, got["andon.safety.deadman.armed{bot=test,venue=kraken}"])
		require.Equal(t, 15.5, got["andon.safety.deadman.age{bot=test,venue=kraken}"], "of the last one that was answered")
		cancel()
		require.Error(t, errors.Join(<-done, <-done), "it could not be disarmed")
		got = collect(t, r)
		require.NotContains(t, got, "andon.safety.watchdog.silence{bot=test,component=feed}")
		require.NotContains(t, got, "andon.safety.deadman.armed{bot=test,venue=kraken}")
		require.NoError(t, sw.Close())
		require.Empty(t, collect(t, r), "with the switch goes what stands beside it")
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
	openTrips(t, sw, onlyMoney())
	dog, err := safety.NewWatchdog(sw, safety.WatchdogConfig{Components: []safety.Component{{Name: "strategy"}}})
	require.NoError(t, err)
	require.NotNil(t, dog)
	_, err = sw.Halt(t.Context(), "bob", "drill")
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
