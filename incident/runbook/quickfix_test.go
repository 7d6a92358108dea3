package runbook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
)

// said is what the bot in a sandbox has printed.
func said(t *testing.T, box *dockertest.Sandbox) string {
	t.Helper()
	engine, err := docker.Dial("")
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	var out bytes.Buffer
	require.NoError(t, engine.Logs(t.Context(), box.Name("ai-trading-bot"), docker.LogQuery{}, &out, nil))
	return out.String()
}

// The bot is sent SIGUSR1 in its real container and connects anew; the timeouts are set.
func TestWebSocketDisconnectionOnARealContainer(t *testing.T) {
	var box *dockertest.Sandbox
	drill{
		runbook: "WebSocket Disconnection",
		fault: func(t *testing.T, _ string, _ *andontest.Venue) (env []string) {
			box, env = sandbox(t)
			return env
		},
		deps: func(t *testing.T, dir string, b *bot) {
			b.Containers, b.Settings = stack(t, dir, b), variables(t, dir, b.manager)
			b.Bot.WebSocket = func(context.Context) (string, error) { return "connected", nil }
		},
		end: func(t *testing.T, dir string) string {
			return fmt.Sprintf("reconnected: %v, started %d times; %s", strings.Contains(said(t, box), "bot reconnected"), starts(t, box), set(t, dir))
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, "reconnected: true, started 1 times; EXCHANGE__WEBSOCKET_PING_INTERVAL=20 EXCHANGE__WEBSOCKET_TIMEOUT=60")
		},
	}.run(t)
}

// The cache in the bot's real container is emptied, and it is started once more.
func TestMemoryDatabaseOnARealContainer(t *testing.T) {
	var box *dockertest.Sandbox
	drill{
		runbook: "Memory/Database Issues",
		fault: func(t *testing.T, _ string, _ *andontest.Venue) (env []string) {
			box, env = sandbox(t)
			_, err := dockerExec(t, box, "/bin/box", "write", "/tmp/cache/stale", "x")
			require.NoError(t, err)
			return env
		},
		deps: func(t *testing.T, dir string, b *bot) {
			s := stack(t, dir, b)
			s.Memory, s.Rebuild = "ai-trading-bot", []string{"/bin/box", "write", "/tmp/indices", "made anew"}
			b.Containers = s
		},
		end: func(t *testing.T, _ string) string {
			out, err := dockerExec(t, box, "/bin/box", "read", "/tmp/cache/stale")
			indices, ierr := dockerExec(t, box, "/bin/box", "read", "/tmp/indices")
			return fmt.Sprintf("stale: %q %v; indices: %q %v; started %d times", out, err == nil, indices, ierr == nil, starts(t, box))
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, `stale: "" false; indices: "made anew" true; started 2 times`)
		},
	}.run(t)
}

// dockerExec runs a program in the bot's container and returns what it printed.
func dockerExec(t *testing.T, box *dockertest.Sandbox, command ...string) (string, error) {
	t.Helper()
	engine, err := docker.Dial("")
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	s, err := docker.New(docker.Config{Engine: engine, Project: box.ID, Dir: t.TempDir(), Recorder: nobody{}, Logger: quiet})
	require.NoError(t, err)
	o, err := s.Exec(t.Context(), "ai-trading-bot", command, "Ada", "a test", time.Now())
	require.NoError(t, err)
	if o.Exit != 0 {
		return "", errors.New(string(o.Stderr))
	}
	return string(o.Stdout), nil
}

// The key in use does not work: a new one is made, tested, and takes its place.
func TestAuthenticationFailureWithRealFiles(t *testing.T) {
	drill{
		runbook: "Exchange API Authentication Failure", finds: []string{"key"},
		fault: func(t *testing.T, dir string, _ *andontest.Venue) []string { hold(t, dir); return nil },
		deps:  func(t *testing.T, dir string, b *bot) { b.Credentials = keysOf(t, dir, b.manager, "old") },
		end:   func(t *testing.T, dir string) string { return "key " + inUse(t, dir) },
		want:  func(t *testing.T, _ string, end string) { require.Contains(t, end, "key new") },
	}.run(t)
}

// A new key that does not work replaces nothing: the run waits.
func TestAKeyThatDoesNotWorkReplacesNothing(t *testing.T) {
	w := newWorld(t)
	d := w.deps()
	dir := t.TempDir()
	hold(t, dir)
	d.Credentials = keysOf(t, dir, nobody{}, "new")
	books, err := runbook.Playbook(d)
	require.NoError(t, err)
	e, _ := engine(t, &timeline{}, books...)
	id, err := e.Start(t.Context(), "Exchange API Authentication Failure", "INC-20260301-001", "Ada", "401", nil)
	require.NoError(t, err)
	_, err = e.Wait(t.Context(), id)
	require.ErrorIs(t, err, runbook.ErrWaiting)
	require.NoError(t, e.Approve(t.Context(), id, "rotate", "Grace", "it has expired"))
	r, err := e.Wait(t.Context(), id)
	require.ErrorIs(t, err, runbook.ErrWaiting)
	require.Contains(t, r.For, `step "rotate" has failed`)
	require.Equal(t, "old", inUse(t, dir))
}

// The bot's container gets other limits and a new start, and what nothing uses goes.
func TestHighUsageOnARealContainer(t *testing.T) {
	var box *dockertest.Sandbox
	drill{
		runbook: "High CPU/Memory Usage",
		fault: func(t *testing.T, _ string, _ *andontest.Venue) (env []string) {
			box, env = sandbox(t)
			box.Image(dockertest.Image{Tag: "old", Env: map[string]string{"VERSION": "old"}, Labels: map[string]string{"com.docker.compose.project": box.ID}})
			return env
		},
		deps: func(t *testing.T, dir string, b *bot) {
			b.Containers = stack(t, dir, b)
			b.Resources = runbook.Resources{Memory: "512m", CPUs: "1.5"}
		},
		end: func(t *testing.T, _ string) string {
			state, ok := box.State(box.Name("ai-trading-bot"))
			require.True(t, ok)
			return fmt.Sprintf("memory %d, running %v, started %d times; old image there: %v, its own: %v", state.HostConfig.Memory, state.State.Running, starts(t, box), box.ImageID(box.ID+":old") != "", box.ImageID(box.ID+":v1") != "")
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, "memory 536870912, running true, started 2 times; old image there: false, its own: true")
		},
	}.run(t)
}
