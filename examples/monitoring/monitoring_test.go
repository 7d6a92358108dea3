package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.yaml.in/yaml/v4"
)

var (
	made   = regexp.MustCompile(`\.(Int64|Float64)(Observable)?(Counter|UpDownCounter|Gauge|Histogram)\("(andon\.[a-z_.]+)"(?:\+name)?`)
	named  = regexp.MustCompile(`\b(counter|gauge|seconds)\(&t\.\w+, "([a-z_]+)"`)
	series = regexp.MustCompile(`\bandon_[a-z_]+`)
)

// instrumentsOfTheSource are the names of every instrument that the library makes.
func instrumentsOfTheSource(t *testing.T) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "examples" || d.Name() == "internal" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2) {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range made.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(m[4], ".") {
				names = append(names, m[4])
			}
		}
		if strings.HasSuffix(path, filepath.Join("incident", "telemetry.go")) {
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				names = append(names, "andon.incident."+m[2])
			}
		}
		return err
	}))
	slices.Sort(names)
	return slices.Compact(names)
}

func TestTheDashboardShowsEveryInstrument(t *testing.T) {
	want := instrumentsOfTheSource(t)
	require.Greater(t, len(want), 40)
	var got []string
	for _, i := range instruments {
		got = append(got, i.name)
	}
	slices.Sort(got)
	require.Equal(t, want, got)

	text, err := dashboard()
	require.NoError(t, err)
	kept, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	require.Equal(t, string(text), string(kept), "go run ./examples/monitoring > examples/monitoring/dashboard.json")
	var d struct {
		Panels []struct {
			ID      int
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	shown := map[string]bool{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID])
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, s := range series.FindAllString(target.Expr, -1) {
				shown[strings.TrimSuffix(s, "_bucket")] = true
			}
		}
	}
	for _, i := range instruments {
		require.True(t, shown[i.series()], i.name)
	}
}

// What a bot really emits has the unit and the kind that the names are made from.
func TestWhatABotEmitsIsNamedSo(t *testing.T) {
	reader := metric.NewManualReader()
	p := playbook.Default()
	for _, who := range []string{"primary", "secondary"} {
		p.Contacts["on_call_rotation"][who] = who + "@example.com"
	}
	dir := t.TempDir()
	p.Files.EmergencyStop, p.Files.ReadOnly, p.Files.Incidents = filepath.Join(dir, "EMERGENCY_STOP"), filepath.Join(dir, "READONLY_MODE"), dir
	a, err := playbook.Assemble(t.Context(), p, playbook.Deps{
		Name: "bot", Dir: dir, Store: &incidenttest.Memory{}, Logs: []string{}, Channels: map[string]notify.Notifier{"email": &notifytest.Recorder{}},
		Safety:   safety.Config{PollOnly: true},
		Trips:    &safety.TripConfig{NoSymbols: true},
		Watchdog: &safety.WatchdogConfig{Components: []safety.Component{{Name: "feed", Period: time.Minute}}},
		Venues:   map[string]safety.CloseVenue{"coinbase": {Venue: andontest.New(andontest.Config{Name: "coinbase"})}},
		Meter:    metric.NewMeterProvider(metric.WithReader(reader)), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	_, err = a.Incidents.Declare(t.Context(), "Ada", "a drill", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine", At: time.Now()})
	require.NoError(t, err)
	emitted := map[string]metricdata.Metrics{}
	require.Eventually(t, func() bool {
		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		for _, s := range rm.ScopeMetrics {
			for _, m := range s.Metrics {
				emitted[m.Name] = m
			}
		}
		_, paged := emitted["andon.incident.to_page"]
		_, told := emitted["andon.notify.delivery.duration"]
		return paged && told
	}, 30*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Greater(t, len(emitted), 20)
	for name, m := range emitted {
		i := slices.IndexFunc(instruments, func(i instrument) bool { return i.name == name })
		require.GreaterOrEqual(t, i, 0, name)
		require.Equal(t, m.Unit, instruments[i].unit, name)
		var k kind
		switch m.Data.(type) {
		case metricdata.Gauge[int64], metricdata.Gauge[float64]:
			k = gauge
		case metricdata.Sum[int64], metricdata.Sum[float64]:
			k = counter
		case metricdata.Histogram[int64], metricdata.Histogram[float64]:
			k = histogram
		}
		require.Equal(t, k, instruments[i].kind, name)
	}
}

// rules are the alerts of rules.yml.
func rules(t *testing.T) (all []struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}) {
	t.Helper()
	text, err := os.ReadFile("rules.yml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				For                 string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, r := range file.Groups[0].Rules {
		all = append(all, struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}{r.Alert, r.Expr, r.Labels, r.Annotations})
	}
	return all
}

func TestTheRulesAskForWhatThereIs(t *testing.T) {
	known := map[string]bool{}
	for _, i := range instruments {
		known[i.series()] = true
	}
	conditions := map[string]bool{}
	for _, c := range severity.Definitions() {
		conditions[string(c.Condition)] = true
	}
	all := rules(t)
	require.Greater(t, len(all), 20)
	for _, r := range all {
		for _, s := range series.FindAllString(r.Expr, -1) {
			require.True(t, known[strings.TrimSuffix(s, "_bucket")], "%s asks for %s", r.Alert, s)
		}
		require.True(t, conditions[r.Labels["condition"]], "%s: %q", r.Alert, r.Labels["condition"])
		require.NotEmpty(t, r.Annotations["summary"])
	}
}

func TestPromtoolAgrees(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		needs.Missing(t, "promtool (Debian and Ubuntu: apt-get install prometheus): %v", err)
	}
	for _, args := range [][]string{
		{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}, {"check", "config", "prometheus.yml"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, promtool, args...).CombinedOutput()
		cancel()
		require.NoError(t, err, "promtool %v: %s", args, out)
	}
}
