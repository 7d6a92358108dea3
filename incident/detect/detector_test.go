package detect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
)

// incidents keeps what is said, or does as it is told.
type incidents struct {
	mu    sync.Mutex
	said  []string
	begin time.Time
	last  severity.Signal
	do    func(what string) error
}

func newIncidents() *incidents { return &incidents{begin: time.Now()} }

func (i *incidents) note(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	i.mu.Lock()
	i.said = append(i.said, fmt.Sprintf("%v %s", time.Since(i.begin).Round(time.Second), what))
	do := i.do
	i.mu.Unlock()
	if do != nil {
		return do(what)
	}
	return nil
}

func (i *incidents) Declare(_ context.Context, by, _ string, s ...severity.Signal) (incident.Incident, error) {
	i.mu.Lock()
	i.last = s[0]
	i.mu.Unlock()
	return incident.Incident{}, i.note("%s declares %s of %s", by, s[0].Condition, s[0].Component)
}

func (i *incidents) Clear(_ context.Context, by, ref string, _ time.Time, _ string) (incident.Incident, error) {
	return incident.Incident{}, i.note("%s clears %s", by, ref)
}

func (i *incidents) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.said...)
}

func (i *incidents) signal() severity.Signal {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.last
}

// run runs a detector until the test ends.
func run(t testing.TB, in detect.Incidents, change func(*detect.Config), indicators ...detect.Indicator) (d *detect.Detector, stop func()) {
	t.Helper()
	cfg := detect.Config{Incidents: in, Indicators: indicators, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&cfg)
	}
	d, err := detect.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	t.Cleanup(stop)
	return d, stop
}

// level is a count that fires from 10 on and is calm below 5.
func level() detect.Indicator {
	return detect.Indicator{
		Rule: severity.Rule{
			Name: "level", Condition: severity.QueueBacklog, AtLeast: severity.Number(10), Level: severity.SEV2, Below: severity.SEV4,
		},
		ClearBelow: severity.Number(5),
	}
}

// A value that swings around the threshold is one incident, which ends once the value has
// stayed below the lower threshold.
func TestDetector_AFlappingIndicatorIsOneIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		d, _ := run(t, in, nil, level())
		feed := func(n int64) {
			require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "ws", Value: severity.Number(n)}))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(300 * time.Millisecond) // not at the instants at which the detector looks by itself
		for range 11 {
			feed(11)
			feed(9)
			feed(3)
		}
		require.Equal(t, []string{"0s detector declares queue-backlog of ws", "5m0s detector declares queue-backlog of ws"}, in.all(),
			"once, and as a reminder after 5 min")
		for range 7 {
			feed(4)
		}
		require.Equal(t, "6m20s detector clears detector/level/ws", in.all()[2], "a minute after the last 9 was in force")
		require.Len(t, in.all(), 3)
		feed(10)
		require.Len(t, in.all(), 4, "on its bound, and anew")
		require.Contains(t, in.all()[3], "declares")
	})
}

// What the manager does not take is said again: after an error, after a panic.
func TestDetector_SaysItAgainUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		tries := 0
		in.do = func(string) error {
			switch tries++; tries {
			case 1, 4:
				return errors.New("the disk is full")
			case 2, 5:
				panic("a bug")
			}
			return nil
		}
		d, _ := run(t, in, nil, level())
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "ws", Value: severity.Number(11)}))
		time.Sleep(20 * time.Second)
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "ws", Value: severity.Number(1)}))
		time.Sleep(3 * time.Minute)
		require.Equal(t, []string{
			"0s detector declares queue-backlog of ws", "6s detector declares queue-backlog of ws", "11s detector declares queue-backlog of ws",
			"1m20s detector clears detector/level/ws", "1m25s detector clears detector/level/ws", "1m30s detector clears detector/level/ws",
		}, in.all())
	})
}

// A manager that hangs with one indicator, and a probe that hangs, keep no other waiting.
func TestDetector_OneNeverWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		release := make(chan struct{})
		in.do = func(what string) error {
			if strings.Contains(what, "of stuck") {
				<-release
			}
			return nil
		}
		hangs := level().On("hangs", func(context.Context) (severity.Value, string, error) { <-release; return severity.Number(0), "", nil })
		panics := level().On("panics", func(context.Context) (severity.Value, string, error) { panic("a nil map") })
		fails := level().On("fails", func(context.Context) (severity.Value, string, error) {
			return severity.Value{}, "", errors.New("refused")
		})
		d, _ := run(t, in, nil, hangs, panics, fails)
		defer close(release)
		for _, c := range []string{"stuck", "free"} {
			require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: c, Value: severity.Number(11)}))
		}
		time.Sleep(30 * time.Second)
		require.ElementsMatch(t, []string{
			"0s detector declares queue-backlog of stuck", "0s detector declares queue-backlog of free",
			"0s detector declares queue-backlog of panics", "0s detector declares queue-backlog of fails",
			"5s detector declares queue-backlog of hangs",
		}, in.all())
		why := map[string]string{}
		for _, s := range d.Status() {
			require.True(t, s.Firing, s.Component)
			why[s.Component] = s.Why
		}
		require.Contains(t, why["hangs"], "unknown")
	})
}

// A hung probe is not called again, and recovers when it returns.
func TestDetector_AHungProbeRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		var calls atomic.Int32
		release := make(chan struct{})
		d, _ := run(t, in, nil, level().On("probe", func(context.Context) (severity.Value, string, error) {
			if calls.Add(1) == 1 {
				<-release
			}
			return severity.Number(0), "", nil
		}))
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, calls.Load())
		require.True(t, d.Status()[0].Firing)
		close(release)
		time.Sleep(2 * time.Minute)
		require.False(t, d.Status()[0].Firing)
		require.Greater(t, calls.Load(), int32(10))
	})
}

func TestDetector_SilenceIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		owes := level()
		owes.Component, owes.Rule.Silence = "strategy", 30*time.Second
		d, _ := run(t, in, nil, owes)
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "strategy", Value: severity.Number(0)}))
		time.Sleep(29 * time.Second)
		require.Empty(t, in.all())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"30s detector declares queue-backlog of strategy"}, in.all())
		require.Contains(t, in.signal().Detail, "no sample for 30s")
	})
}

// The playbook's failure rate, over samples that come with orders.
func TestDetector_AWindowOfSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		d, _ := run(t, in, nil, detect.Playbook(severity.TradingFailures))
		order := func(failed int64) {
			require.NoError(t, d.Sample(detect.Sample{Indicator: "failure rate", Component: "venue/x", Value: severity.Part(failed, 1)}))
			time.Sleep(time.Second)
		}
		for i := range 90 {
			order(int64(max(0, i%6-4))) // one in six
		}
		require.Empty(t, in.all())
		for range 20 {
			order(1)
		}
		require.Len(t, in.all(), 1)
		time.Sleep(5*time.Minute + 2*time.Second) // the window is empty
		time.Sleep(time.Minute)
		require.Contains(t, in.all()[len(in.all())-1], "clears detector/failure rate/venue/x")
	})
}

func TestDetector_SecretsStayHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		d, _ := run(t, in, nil, level())
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "ws", Value: severity.Number(11), Detail: "password=canary-77 is wrong"}))
		time.Sleep(time.Second)
		require.Contains(t, in.signal().Detail, "is wrong")
		require.NotContains(t, in.signal().Detail, "canary-77")
	})
}

func TestDetector_ComponentsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIncidents()
		d, _ := run(t, in, func(c *detect.Config) { c.MaxComponents = 3 }, level())
		for i := range 3 {
			require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: fmt.Sprint(i), Value: severity.Number(1)}))
		}
		err := d.Sample(detect.Sample{Indicator: "level", Component: "3", Value: severity.Number(1)})
		require.ErrorIs(t, err, detect.ErrTooManyComponents)
		require.ErrorIs(t, d.Sample(detect.Sample{Indicator: "no", Component: "3"}), detect.ErrUnknownIndicator)
		time.Sleep(11 * time.Minute)
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "3", Value: severity.Number(1)}), "the others are forgotten")
	})
}

// With the manager: declared, repeated into one incident, cleared.
func TestDetector_WithAManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := incidenttest.NewManager(t)
		var up atomic.Bool
		d, stop := run(t, m, nil, detect.Playbook(severity.HealthCheckFailed).On("engine", detect.Failing(func(context.Context) error {
			if up.Load() {
				return nil
			}
			return errors.New("connection refused")
		})))
		time.Sleep(9 * time.Second)
		require.Empty(t, m.Open())
		time.Sleep(10 * time.Second)
		require.Len(t, m.Open(), 1, "%v", d.Status())
		in := m.Open()[0]
		require.Equal(t, severity.SEV1, in.Level)
		require.NotEmpty(t, m.Gate.Reasons(), "SEV-1 halts")
		time.Sleep(11 * time.Minute) // two reminders
		require.Len(t, m.Open(), 1)
		up.Store(true)
		time.Sleep(2 * time.Minute)
		require.False(t, d.Status()[0].Firing)
		stop()
		cleared := false
		events, err := m.Timeline(t.Context(), in.Number)
		require.NoError(t, err)
		for _, e := range events {
			cleared = cleared || e.Kind == incident.Cleared
		}
		require.True(t, cleared, "the timeline says that it has ended")
	})
}

func TestDetector_Metrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		d, _ := run(t, newIncidents(), func(c *detect.Config) { c.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(reader)) },
			level().On("slow", func(context.Context) (severity.Value, string, error) {
				time.Sleep(2 * time.Second)
				return severity.Number(11), "", nil
			}))
		require.NoError(t, d.Sample(detect.Sample{Indicator: "level", Component: "ws"})) // could not be read
		time.Sleep(5 * time.Second)
		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		got := map[string]float64{}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				got[m.Name] = float64(data.DataPoints[0].Value)
			case metricdata.Sum[int64]:
				got[m.Name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				got[m.Name] = data.DataPoints[0].Value
			}
		}
		require.Equal(t, map[string]float64{
			"andon.detect.firing": 2, "andon.detect.samples": 2, "andon.detect.samples.unknown": 1, "andon.detect.probe.duration": 2,
		}, got)
	})
}

func TestNew_RefusesWhatCannotBeMeant(t *testing.T) {
	bad := level()
	bad.Rule.Level = 0
	bad.ClearBelow = severity.Number(11)
	bad.Every = time.Second
	owes := level()
	owes.Rule.Name, owes.Rule.Silence = "owes", time.Second
	twice := level().On("a", detect.HTTP("http://127.0.0.1"))
	other := level()
	other.Rule.AtLeast = severity.Number(12)
	probe := level().On("", detect.HTTP("http://127.0.0.1"))
	_, err := detect.New(detect.Config{Remind: -1, Indicators: []detect.Indicator{bad, owes, twice, twice, other, probe}})
	for _, want := range []string{
		"Incidents is nil", "Remind and MaxComponents are -1ns", "Level: is unclassified", "ClearBelow is 11, want no more than AtLeast, 10",
		"Every and Within are of a probe", "Rule.Silence is of a component", `indicator "level" of component "a" is there twice`,
		"is there with another rule", "Component is empty: the probe looks at something",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = detect.New(detect.Config{Incidents: newIncidents()})
	require.ErrorContains(t, err, "nothing would be watched")
}

func TestPlaybook_HasEachIndicator(t *testing.T) {
	for _, def := range severity.Definitions() {
		if def.Runbook == "" {
			continue
		}
		ind := detect.Playbook(def.Condition)
		require.Equal(t, def.Condition, ind.Rule.Condition)
		_, err := detect.New(detect.Config{Incidents: newIncidents(), Indicators: []detect.Indicator{ind, ind.On("x", detect.HTTP("http://127.0.0.1"))}})
		require.NoError(t, err, def.Condition)
	}
	require.Panics(t, func() { detect.Playbook(severity.ActiveBreach) })
	for _, p := range detect.PlaybookPatterns() {
		require.Equal(t, p.Name, detect.Playbook(severity.Condition(p.Name)).Rule.Name, "a pattern counts into an indicator")
	}
}

func TestProbes(t *testing.T) {
	answer := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer == http.StatusFound {
			http.Redirect(w, r, "/elsewhere", answer)
			return
		}
		w.WriteHeader(answer)
	}))
	defer srv.Close()
	look := func(p detect.Probe) (severity.Value, string, error) { return p(t.Context()) }
	for status, want := range map[int]int64{200: 0, 204: 0, 302: 1, 404: 1, 500: 1} {
		answer = status
		v, detail, err := look(detect.HTTP(srv.URL))
		require.NoError(t, err)
		require.Equal(t, severity.Number(want), v, status)
		require.Equal(t, want == 1, strings.Contains(detail, fmt.Sprint(status)), detail)
	}
	srv.Close()
	v, _, err := look(detect.HTTP(srv.URL))
	require.NoError(t, err)
	require.Equal(t, severity.Number(1), v)
	v, _, err = look(detect.HTTP("http://127.0.0.1:bad"))
	require.NoError(t, err)
	require.Equal(t, severity.Number(1), v)

	_, _, err = look(detect.Latency(func(context.Context) error { return errors.New("no") }))
	require.Error(t, err)
	v, _, err = look(detect.Latency(func(context.Context) error { return nil }))
	require.NoError(t, err)
	require.Equal(t, severity.Nanos, v.Unit)

	v, _, err = look(detect.Age(func() time.Time { return time.Time{} }))
	require.NoError(t, err)
	require.False(t, v.Known())
	v, _, err = look(detect.Age(func() time.Time { return time.Now().Add(-time.Hour) }))
	require.NoError(t, err)
	require.True(t, v.Reaches(severity.Took(time.Hour)))
}

func TestDrift(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "production.json"), filepath.Join(dir, ".env")
	require.NoError(t, os.WriteFile(a, []byte("{}"), 0o600))
	p, err := detect.Drift(a, b)
	require.NoError(t, err)
	want := func(n int64, details ...string) {
		t.Helper()
		v, detail, err := p(t.Context())
		require.NoError(t, err)
		require.Equal(t, severity.Number(n), v, detail)
		for _, d := range details {
			require.Contains(t, detail, d)
		}
	}
	want(0)
	require.NoError(t, os.WriteFile(a, []byte("{ }"), 0o600))
	require.NoError(t, os.WriteFile(b, nil, 0o600))
	want(2, "production.json has changed", ".env is new")
	require.NoError(t, os.Remove(a))
	require.NoError(t, os.Remove(b))
	require.NoError(t, os.Mkdir(b, 0o700))
	want(2, "production.json is gone", ".env cannot be read")
	_, err = detect.Drift(b)
	require.ErrorContains(t, err, "no regular file")
}

// BenchmarkDeclare is the time from a sample to the declared incident.
func BenchmarkDeclare(b *testing.B) {
	heard := make(chan struct{}, 1)
	in := newIncidents()
	in.do = func(what string) error {
		if strings.Contains(what, "declares") {
			heard <- struct{}{}
		}
		return nil
	}
	d, _ := run(b, in, func(c *detect.Config) { c.MaxComponents = 1 << 20 }, level())
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		require.NoError(b, d.Sample(detect.Sample{Indicator: "level", Component: fmt.Sprint(len(took)), Value: severity.Number(11)}))
		<-heard
		took = append(took, time.Since(begin))
	}
	reportTimes(b, took)
}
