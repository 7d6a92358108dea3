package docker_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := docker.New(docker.Config{Services: []string{"a", "a", ""}, CacheDir: "/tmp", Grace: -1, Poll: -1})
	for _, want := range []string{"Engine:", "Project:", "without a Project", `"a" is there twice`, "is empty", `CacheDir: "/tmp"`, "Grace:", "Poll:"} {
		require.ErrorContains(t, err, want)
	}
	_, err = docker.New(docker.Config{Engine: failing{}, Names: []string{"/bot"}, CacheDir: "/tmp/../etc"})
	require.ErrorContains(t, err, "begins with a slash")
	require.ErrorContains(t, err, "CacheDir")
}

func TestLaw1_AnEngineThatIsGoneLeavesNothingRunning(t *testing.T) {
	stack, err := docker.New(quick(docker.Config{Engine: dial(t, "unix:///nowhere/docker.sock"), Project: "p", Services: []string{"bot"}, Names: []string{"pg"}}))
	require.NoError(t, err)
	all, err := stack.Status(t.Context())
	require.ErrorIs(t, err, docker.ErrEngineGone)
	require.Len(t, all, 2, "what cannot be read is not left out")
	for _, s := range all {
		require.Equal(t, docker.Unknown, s.Container.State)
		require.False(t, s.Container.Up())
		require.Contains(t, s.String(), "NOT WELL")
	}
	_, err = stack.ServicesRunning(t.Context())
	require.ErrorIs(t, err, docker.ErrEngineGone)
	_, err = stack.NoErrorLogs(t.Context(), time.Minute)
	require.ErrorIs(t, err, docker.ErrEngineGone)
	_, err = stack.Stop(t.Context(), "bot", alice, why, noon)
	require.ErrorIs(t, err, docker.ErrEngineGone)
}

func TestLaw1_AnAnswerWithoutAStateIsNotRunning(t *testing.T) {
	require.Equal(t, docker.Unknown, docker.State(0))
	require.Equal(t, docker.Unknown, docker.ParseState("hibernating"))
	require.False(t, docker.Container{State: docker.Running}.Up(), "health that is not known is not well")
	for _, raw := range []string{``, `{}`, `{"Id":"a","State":{"Status":"running"}}`, `{"Name":"/a","State":{"Status":"running"}}`, `{"Id":"a","Name":"/a"}`, `{"Id":"a","Name":"/a","State":{"Status":"fine"}}`} {
		c, err := docker.ReadContainer([]byte(raw))
		require.Error(t, err, raw)
		require.False(t, c.Up(), raw)
	}
	c, err := docker.ReadContainer([]byte(`{"Id":"a","Name":"/a","State":{"Status":"running","Health":{"Status":"splendid"}}}`))
	require.NoError(t, err)
	require.Equal(t, docker.HealthUnknown, c.Health)
	require.False(t, c.Up())
	var s docker.State
	require.NoError(t, json.Unmarshal([]byte(`"paused"`), &s))
	require.Equal(t, docker.Paused, s)
	for _, raw := range []string{`{}`, `{"read":"2026-03-04T00:00:00Z"}`, `{"read":"0001-01-01T00:00:00Z","cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{"usage":0}}`} {
		_, err := docker.ReadStats([]byte(raw))
		require.ErrorIs(t, err, docker.ErrNotRunning, raw)
	}
}

func TestLaw1_AServiceThatIsMissingOrUnwellIsSaid(t *testing.T) {
	w := newWorld(t, func(c *docker.Config) { c.Services = []string{"bot", "absent"} })
	sick := w.box.Image(dockertest.Image{Tag: "sick", Health: true, Env: map[string]string{"BOT_SICK": "1"}})
	w.box.Run("bot", w.image("1"), nil)
	w.box.Run("sick", sick, nil)
	w.box.Make("created", w.image("1"), nil)
	w.box.Eventually("the health check speaks", func() bool {
		c, err := w.Find(t.Context(), "sick")
		return err == nil && c.Health == docker.Unhealthy
	})
	all, err := w.Status(t.Context())
	require.ErrorIs(t, err, docker.ErrNotFound)
	problems := map[string]string{}
	for _, s := range all {
		problems[s.Name] = s.Problem
	}
	require.Empty(t, problems["bot"])
	require.Contains(t, problems["absent"], "not found")
	require.Contains(t, problems["sick"], "unhealthy")
	require.Contains(t, problems["created"], "created")
	require.Len(t, all, 4)
	_, err = w.ServicesRunning(t.Context())
	require.Error(t, err)

	w.open(t, func(c *docker.Config) { c.Project, c.Names = "", []string{w.box.Name("bot")} })
	evidence, err := w.ServicesRunning(t.Context())
	require.NoError(t, err)
	require.Contains(t, evidence, "running")
}

func TestNothingButTheBotsOwnContainersIsTouched(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	for _, project := range []string{"another", ""} {
		w.open(t, func(c *docker.Config) { c.Project, c.Names = project, []string{"only"} })
		for _, name := range []string{"bot", w.box.Name("bot"), ""} {
			_, err := w.Stop(t.Context(), name, alice, why, noon)
			require.Error(t, err)
			require.True(t, isNot(err), err)
			_, err = w.PlanRecreate(t.Context(), name, w.box.ID+":1", noon)
			require.True(t, isNot(err), err)
		}
	}
	require.Equal(t, "running", w.status(w.box.Name("bot")))
}

func TestSeveralContainersOfOneServiceAreNotGuessedAt(t *testing.T) {
	w := newWorld(t)
	image := w.image("1")
	w.box.Run("bot", image, nil)
	w.box.Run("twin", image, map[string]any{"Labels": map[string]string{"com.docker.compose.service": "bot"}})
	w.box.Run("once", image, map[string]any{"Labels": map[string]string{"com.docker.compose.service": "job", "com.docker.compose.oneoff": "True"}})
	_, err := w.Stop(t.Context(), "bot", alice, why, noon)
	require.ErrorContains(t, err, "has 2 containers")
	_, err = w.Find(t.Context(), "job")
	require.ErrorIs(t, err, docker.ErrNotFound, "a container for one command is not the service")
	require.Len(t, w.box.Running(), 3)
}

func TestLaw11_AnEngineThatHangsIsAnEngineThatIsGone(t *testing.T) {
	stack, err := docker.New(docker.Config{Engine: hanging{}, Names: []string{"bot"}, Timeout: 10 * time.Millisecond})
	require.NoError(t, err)
	_, err = stack.Find(t.Context(), "bot")
	require.ErrorIs(t, err, docker.ErrEngineGone)
	require.ErrorContains(t, err, "no answer within 10ms")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stack.Find(ctx, "bot")
	require.NotErrorIs(t, err, docker.ErrEngineGone, "the caller gave up, the engine did not")
}

// hanging is an engine that never answers.
type hanging struct{ docker.Engine }

func (hanging) Inspect(ctx context.Context, _ string) (docker.Container, error) {
	<-ctx.Done()
	return docker.Container{}, ctx.Err()
}

func TestLaw10_WhatChangesSomethingIsRecordedFirst(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	plan, err := w.PlanRecreate(t.Context(), "bot", w.image("2"), noon)
	require.NoError(t, err)
	prune, err := w.PlanPrune(t.Context(), docker.PruneRequest{Images: true, Labels: []string{dockertest.Label + "=" + w.box.ID}}, noon)
	require.NoError(t, err)
	require.NotEmpty(t, prune.Items)
	before, _ := w.box.State(w.box.Name("bot"))
	for name, do := range map[string]func(by, why string) error{
		"restart": func(by, why string) error { _, err := w.Restart(t.Context(), "bot", by, why, noon); return err },
		"start":   func(by, why string) error { _, err := w.Start(t.Context(), "bot", by, why, noon); return err },
		"signal": func(by, why string) error {
			_, err := w.Signal(t.Context(), "bot", "SIGUSR1", by, why, noon)
			return err
		},
		"cache": func(by, why string) error { return w.ClearCache(t.Context(), "bot", by, why, noon) },
		"limits": func(by, why string) error {
			_, err := w.SetLimits(t.Context(), "bot", docker.Limits{CPUs: 1}, by, why, noon)
			return err
		},
		"recreate": func(by, why string) error { _, err := w.Recreate(t.Context(), plan, by, why, noon); return err },
		"prune":    func(by, why string) error { _, err := w.Prune(t.Context(), prune, by, why, noon); return err },
		"exec": func(by, why string) error {
			_, err := w.Exec(t.Context(), "bot", []string{"/bin/box", "write", "/tmp/x", "y"}, by, why, noon)
			return err
		},
	} {
		w.rec.Fail(errBroken)
		require.ErrorIs(t, do(alice, why), recovery.ErrNotRecorded, name)
		w.rec.Fail(nil)
		require.Error(t, do("", why), name)
		require.Error(t, do(alice, ""), name)
	}
	require.Empty(t, w.rec.Entries())
	after, _ := w.box.State(w.box.Name("bot"))
	require.Equal(t, before, after)
	require.Len(t, w.box.Containers(), 1)

	w.rec.Fail(errBroken)
	_, err = w.Stop(t.Context(), "bot", alice, why, noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded, "it is said")
	require.Equal(t, "exited", w.status(w.box.Name("bot")), "and stopping did not wait for it")
	w.box.API("POST", "/containers/"+w.box.Name("bot")+"/start")
	_, err = w.Kill(t.Context(), "bot", alice, why, noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.Equal(t, "exited", w.status(w.box.Name("bot")))
	w.rec.Fail(nil)
	_, err = w.Start(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, []string{"container start: bot"}, w.rec.Whats())
}

func TestTheEnginesCallsAreMeasured(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	stack, err := docker.New(docker.Config{Engine: failing{err: errBroken}, Names: []string{"bot"}, Meters: provider})
	require.NoError(t, err)
	_, err = stack.Find(t.Context(), "bot")
	require.ErrorIs(t, err, errBroken)
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	m := got.ScopeMetrics[0].Metrics[0]
	require.Equal(t, "andon.recovery.docker.call.duration", m.Name)
	point := m.Data.(metricdata.Histogram[float64]).DataPoints[0]
	require.Equal(t, uint64(1), point.Count)
	outcome, _ := point.Attributes.Value("outcome")
	call, _ := point.Attributes.Value("call")
	require.Equal(t, []string{"inspect", "error"}, []string{call.AsString(), outcome.AsString()})
}
