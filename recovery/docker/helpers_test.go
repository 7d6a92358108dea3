package docker_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)

const (
	alice = "alice"
	why   = "a drill"
)

// world is a stack on a real engine, with a sandbox to make containers for it.
type world struct {
	*docker.Stack
	box *dockertest.Sandbox
	rec *recoverytest.Recorder
	cfg docker.Config
}

func newWorld(t testing.TB, change ...func(*docker.Config)) world {
	t.Helper()
	box := dockertest.NewSandbox(t)
	w := world{box: box, rec: new(recoverytest.Recorder)}
	w.cfg = quick(docker.Config{
		Engine: dial(t, ""), Project: box.ID, Dir: t.TempDir(), Recorder: w.rec, Quiet: func(context.Context) error { return nil },
	})
	w.open(t, change...)
	return w
}

// quick is a configuration that does not wait long where all goes well. Whoever counts on a
// container's end being noticed asks for slowly too.
func quick(c docker.Config) docker.Config {
	c.Grace, c.WellWithin, c.Settle, c.Poll = 10*time.Second, time.Minute, 100*time.Millisecond, 20*time.Millisecond
	c.Timeout = time.Minute
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return c
}

// slowly gives a container that ends at once the time to do so, and the engine the time to
// notice, before it is taken for well.
func slowly(c *docker.Config) { c.Settle = 5 * time.Second }

// open makes another stack on the same sandbox.
func (w *world) open(t testing.TB, change ...func(*docker.Config)) {
	t.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	var err error
	w.Stack, err = docker.New(cfg)
	require.NoError(t, err)
}

// image builds an image of the bot.
func (w world) image(version string, env ...string) string {
	img := dockertest.Image{Tag: version, Env: map[string]string{"VERSION": version}, Labels: map[string]string{"andon.signals": "SIGUSR1,SIGUSR2"}}
	for i := 0; i < len(env); i += 2 {
		img.Env[env[i]] = env[i+1]
	}
	return w.box.Image(img)
}

func policy(name string) map[string]any {
	return map[string]any{"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": name}}}
}

// status is what the engine itself says of a container.
func (w world) status(container string) string {
	s, _ := w.box.State(container)
	return s.State.Status
}

// failing is an engine that fails in one way, at the calls that are named.
type failing struct {
	docker.Engine
	err error
}

func (f failing) Objects(context.Context, docker.Kind, ...string) ([]docker.Object, error) {
	return nil, f.err
}

func (f failing) Inspect(context.Context, string) (docker.Container, error) {
	return docker.Container{}, f.err
}

var errBroken = errors.New("broken")
