package docker_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/stretchr/testify/require"
)

// project writes a compose project whose image is built from its own folder.
func (w *world) project(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("docker-compose"); err != nil && exec.Command("docker", "compose", "version").Run() != nil {
		needs.Missing(t, "docker compose or docker-compose (apt-get install docker-compose)")
	}
	dir := t.TempDir()
	for name, text := range w.box.Context(map[string]string{"VERSION": "built"}) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	yml := fmt.Sprintf(`version: "3.3"
services:
  bot:
    build: .
    image: "%s:built"
    environment: ["MODE=${MODE}"]
    labels: {%q: %q}
    volumes: ["state:/state"]
volumes:
  state:
    labels: {%q: %q}
networks:
  default:
    labels: {%q: %q}
`, w.box.ID, dockertest.Label, w.box.ID, dockertest.Label, w.box.ID, dockertest.Label, w.box.ID)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(yml), 0o600))
	w.cfg.ComposeDir, w.cfg.ComposeEnv = dir, []string{"MODE=paper", "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0"}
	w.open(t)
}

func TestComposeBuildUpAndDown(t *testing.T) {
	w := newWorld(t)
	w.project(t)
	_, err := w.Build(t.Context(), []string{"bot"}, alice, why, noon)
	require.NoError(t, err)
	require.NotEmpty(t, w.box.ImageID(w.box.ID+":built"))
	_, err = w.Up(t.Context(), nil, alice, why, noon)
	require.NoError(t, err)
	c, err := w.Await(t.Context(), "bot")
	require.NoError(t, err)
	require.Equal(t, "built", w.version(t))
	state, _ := w.box.State(c.ID)
	require.Contains(t, state.Config.Env, "MODE=paper")

	r, err := w.Recreate(t.Context(), w.planTo(t, w.image("2")), alice, why, noon)
	require.NoError(t, err, "what compose made is replaced with its networks and volumes")
	after, _ := w.box.State(r.Container.ID)
	require.ElementsMatch(t, state.Mounts, after.Mounts)
	require.Contains(t, after.Config.Env, "MODE=paper")
	for name := range state.NetworkSettings.Networks {
		require.Contains(t, after.NetworkSettings.Networks[name].Aliases, "bot")
	}
	_, err = w.Up(t.Context(), nil, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrConflict, "compose would start the old one beside the new one")
	require.Equal(t, []string{r.Container.Name}, w.box.Running())
	require.NoError(t, w.Discard(t.Context(), r.Plan, alice, why, noon))

	_, err = w.Down(t.Context(), alice, why, noon)
	require.NoError(t, err)
	require.Empty(t, w.box.Containers())
	require.NotEmpty(t, w.box.ImageID(w.box.ID+":built"))
	require.True(t, w.box.HasVolume(w.box.ID+"_state"), "volumes stay")
	require.Contains(t, w.rec.Whats(), "compose up -d")
}

func TestComposeSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	_, err := w.Up(t.Context(), nil, alice, why, noon)
	require.ErrorContains(t, err, "ComposeDir")
	w.cfg.ComposeDir = t.TempDir()
	w.open(t, func(c *docker.Config) { c.Compose = []string{"andon-no-such-compose"} })
	_, err = w.Build(t.Context(), nil, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrNoCompose)
	t.Setenv("PATH", t.TempDir())
	w.open(t)
	_, err = w.Down(t.Context(), alice, why, noon)
	require.ErrorIs(t, err, docker.ErrNoCompose)
	require.ErrorContains(t, err, "apt-get install")
	require.Empty(t, w.rec.Entries())
}

func TestComposeFailureAndItsEndAreSaid(t *testing.T) {
	w := newWorld(t)
	program := filepath.Join(t.TempDir(), "compose")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho working\necho no such service: $5 >&2\n[ \"$5\" != slow ] || exec sleep 60\nexit 3\n"), 0o700))
	w.cfg.ComposeDir = t.TempDir()
	w.open(t, func(c *docker.Config) { c.Compose = []string{program, "--quiet"}; c.Timeout = time.Second })
	out, err := w.Build(t.Context(), []string{"trader"}, alice, why, noon)
	require.ErrorContains(t, err, "no such service: trader")
	require.Equal(t, "working\nno such service: trader\n", out)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = w.Build(ctx, []string{"slow"}, alice, why, noon)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
