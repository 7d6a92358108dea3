package runbook_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
)

const project = "ANDON_RUNBOOK_PROJECT"

// stack is the containers of a sandbox, as a process of the bot sees them.
func stack(t *testing.T, dir string, b *bot) *docker.Service {
	t.Helper()
	engine, err := docker.Dial("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	s, err := docker.New(docker.Config{
		Engine: engine, Project: os.Getenv(project), Services: []string{"ai-trading-bot"}, Dir: filepath.Join(dir, "docker"), Recorder: b.manager,
		Quiet: func(context.Context) error { return nil }, Grace: 10 * time.Second, WellWithin: 30 * time.Second, Settle: 50 * time.Millisecond, Poll: 10 * time.Millisecond, Logger: quiet,
	})
	require.NoError(t, err)
	b.proofs.ServicesRunning = s.ServicesRunning
	b.proofs.NoErrorLogs = s.NoErrorLogs
	return &docker.Service{Stack: s, Bot: "ai-trading-bot"}
}

// sandbox is a bot in a real container of the test's own.
func sandbox(t *testing.T) (box *dockertest.Sandbox, env []string) {
	t.Helper()
	box = dockertest.NewSandbox(t)
	box.Run("ai-trading-bot", box.Image(dockertest.Image{Tag: "v1", Env: map[string]string{"VERSION": "v1"}, Labels: map[string]string{"andon.signals": "SIGUSR1"}}), map[string]any{})
	return box, []string{project + "=" + box.ID}
}

// starts is how often the bot in a sandbox was started: it says so each time.
func starts(t *testing.T, box *dockertest.Sandbox) int {
	t.Helper()
	engine, err := docker.Dial("")
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	var out bytes.Buffer
	require.NoError(t, engine.Logs(t.Context(), box.Name("ai-trading-bot"), docker.LogQuery{}, &out, nil))
	return strings.Count(out.String(), " up\n")
}

var _ runbook.Containers = (*docker.Service)(nil)

// A bot's container is killed: the runbook halts, protects, tells, looks, starts it once,
// watches, and proves the checklist.
func TestServiceOutageOnARealContainer(t *testing.T) {
	var box *dockertest.Sandbox
	drill{
		runbook: "Service Outage", finds: []string{"status"}, found: []string{"force-restart"},
		fault: func(t *testing.T, dir string, _ *andontest.Venue) []string {
			repository(t, dir)
			var env []string
			box, env = sandbox(t)
			box.API("POST", "/containers/"+box.Name("ai-trading-bot")+"/kill")
			return env
		},
		deps: func(t *testing.T, dir string, b *bot) {
			s := stack(t, dir, b)
			b.Containers, b.Releases = s, releasesOf(t, dir, b.manager)
			b.Bot.Health = s.Status
			b.Bot.TestTrade = func(context.Context) (string, error) { return "paper order filled", nil }
			b.Bot.Accounts = func(ctx context.Context) (string, error) {
				all, err := b.Venues["coinbase"].Balances(ctx)
				return fmt.Sprint(len(all), " balances"), err
			}
		},
		end: func(t *testing.T, dir string) string {
			state, ok := box.State(box.Name("ai-trading-bot"))
			require.True(t, ok)
			world, err := os.ReadFile(filepath.Join(dir, "world"))
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			return fmt.Sprintf("running: %v, started %d times; version %s; told: %s", state.State.Running, starts(t, box), running(t, dir), strings.Fields(string(world)))
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, "running: true, started 2 times; version good of 1; told: [alert channel status-page]")
			require.Contains(t, end, "stop-market sell 2 live", "the position has its stop")
		},
	}.run(t)
}
