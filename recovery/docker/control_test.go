package docker_test

import (
	"context"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/stretchr/testify/require"
)

func isNot(err error) bool {
	return err != nil && (errorsIs(err, docker.ErrNotOurs) || errorsIs(err, docker.ErrNotFound))
}

func TestRestartIsGracefulAndForcedOnlyWhenThatFails(t *testing.T) {
	w := newWorld(t, func(c *docker.Config) { c.Grace = time.Minute })
	w.box.Run("bot", w.image("1"), nil)
	w.box.Run("deaf", w.image("deaf", "BOT_DEAF", "1"), nil)
	r, err := w.Restart(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	require.False(t, r.Forced)
	require.True(t, r.Container.Up())
	require.Positive(t, r.Took)
	out, err := logsOf(w, "bot")
	require.NoError(t, err)
	require.Contains(t, out, "bot ended\n", "it was asked")

	w.open(t, func(c *docker.Config) { c.Grace = time.Second })
	r, err = w.Restart(t.Context(), "deaf", alice, why, noon)
	require.NoError(t, err)
	require.True(t, r.Forced)
	require.True(t, r.Container.Up())
	w.open(t)
	_, err = w.Stop(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	r, err = w.Restart(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err, "one that is down is started")
	require.False(t, r.Forced)
}

func TestRestartForcesWhenTheEngineCannotStop(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	w.open(t, func(c *docker.Config) { c.Engine = cannotStop{c.Engine} })
	r, err := w.Restart(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	require.True(t, r.Forced)
	require.Equal(t, "running", w.status(w.box.Name("bot")))
}

// cannotStop is an engine whose graceful stop fails.
type cannotStop struct{ docker.Engine }

func (cannotStop) Stop(context.Context, string, time.Duration) error { return errBroken }

func TestRestartThatLostItsCallerStillStarts(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	w.open(t, func(c *docker.Config) { c.Engine = cancelsAtStop{c.Engine, cancel} })
	_, err := w.Restart(ctx, "bot", alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, "running", w.status(w.box.Name("bot")))
}

// cancelsAtStop is an engine at whose stop the caller gives up.
type cancelsAtStop struct {
	docker.Engine
	cancel func()
}

func (e cancelsAtStop) Stop(ctx context.Context, id string, grace time.Duration) error {
	e.cancel()
	return e.Engine.Stop(ctx, id, grace)
}

// The trap: the engine takes a kill through its API for a wish that the container
// stays down.
func TestTrap_AKillDisablesTheRestartPolicyAndRestartRepairsIt(t *testing.T) {
	w := newWorld(t)
	id := w.box.Run("bot", w.image("1"), policy("always"))
	_, err := w.Kill(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	for range 25 {
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, "exited", w.status(id), "policy always, and nobody starts it")
	}
	_, err = w.Restart(t.Context(), "bot", alice, why, noon)
	require.NoError(t, err)
	w.crash(t, id, 2)
}

// crash lets the bot, once it has come up so many times, die by itself and expects the engine to start it again.
func (w world) crash(t *testing.T, id string, ups int) {
	t.Helper()
	before, _ := w.box.State(id)
	w.box.Ready(id, ups)
	_, _ = w.Exec(t.Context(), "bot", []string{"/bin/kill", "-USR2", "1"}, alice, why, noon) // it may die before the answer
	w.box.Eventually("the engine starts it again", func() bool {
		now, _ := w.box.State(id)
		return now.RestartCount > before.RestartCount && now.State.Running
	})
}

func TestSignalGoesThroughTheContainersOwnKillSoThatThePolicyHolds(t *testing.T) {
	w := newWorld(t)
	id := w.box.Run("bot", w.image("1"), policy("unless-stopped"))
	got, err := w.Signal(t.Context(), "bot", "SIGUSR1", alice, "reconnect", noon)
	require.NoError(t, err)
	require.True(t, got.PolicyHolds)
	w.box.Eventually("it reconnects", func() bool { out, err := logsOf(w, "bot"); return err == nil && contains(out, "bot reconnected") })
	w.crash(t, id, 1)
}

// Trap: the same signal by the engine makes it take the next end for wanted.
func TestTrap_ASignalThroughTheEngineDisablesThePolicyAndIsSaid(t *testing.T) {
	w := newWorld(t)
	id := w.box.Run("bot", w.image("1", "PATH", "/none"), policy("unless-stopped"))
	got, err := w.Signal(t.Context(), "bot", "SIGUSR1", alice, "reconnect", noon)
	require.NoError(t, err)
	require.False(t, got.PolicyHolds, "the image has no kill in its PATH")
	w.box.Eventually("it reconnects", func() bool { out, err := logsOf(w, "bot"); return err == nil && contains(out, "bot reconnected") })
	_, _ = w.Exec(t.Context(), "bot", []string{"/bin/kill", "-USR2", "1"}, alice, why, noon) // it may die before the answer
	w.box.Eventually("it crashed", func() bool { return w.status(id) == "exited" })
	for range 25 {
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, "exited", w.status(id), "policy unless-stopped, and nobody starts it")
	}
}

func TestSignalIsSentOnlyWhereTheImageSaysThatItHandlesIt(t *testing.T) {
	w := newWorld(t)
	silent := w.box.Image(dockertest.Image{Tag: "silent"})
	id := w.box.Run("bot", silent, map[string]any{"Labels": map[string]string{"andon.signals": "SIGUSR1"}})
	for _, sig := range []string{"SIGUSR1", "SIGKILL", "SIGTERM", "USR1", "SIG", ""} {
		_, err := w.Signal(t.Context(), "bot", sig, alice, why, noon)
		require.ErrorIs(t, err, docker.ErrNotHandled, "%q: the label is the container's, not the image's", sig)
	}
	require.Equal(t, "running", w.status(id))
	require.Empty(t, w.rec.Entries())
	w.box.Run("other", w.image("1"), nil)
	_, err := w.Stop(t.Context(), "other", alice, why, noon)
	require.NoError(t, err)
	_, err = w.Signal(t.Context(), "other", "SIGUSR1", alice, why, noon)
	require.ErrorIs(t, err, docker.ErrNotRunning)
}

func TestAwaitSaysWhenAContainerDoesNotBecomeWell(t *testing.T) {
	w := newWorld(t)
	healthy := w.box.Image(dockertest.Image{Tag: "healthy", Health: true})
	sick := w.box.Image(dockertest.Image{Tag: "sick", Health: true, Env: map[string]string{"BOT_SICK": "1"}})
	w.box.Run("healthy", healthy, nil)
	c, err := w.Await(t.Context(), "healthy")
	require.NoError(t, err)
	require.Equal(t, docker.Healthy, c.Health)
	w.box.Run("sick", sick, nil)
	_, err = w.Await(t.Context(), "sick")
	require.ErrorIs(t, err, docker.ErrNotWell)
	require.ErrorContains(t, err, "unhealthy")
	w.open(t, slowly)
	w.box.Run("exits", w.image("exits", "BOT_EXIT", "7"), nil)
	c, err = w.Await(t.Context(), "exits")
	require.ErrorIs(t, err, docker.ErrNotWell)
	require.Equal(t, 7, c.ExitCode)
	w.box.Run("loops", w.image("loops", "BOT_EXIT", "7"), policy("always"))
	_, err = w.Await(t.Context(), "loops")
	require.ErrorIs(t, err, docker.ErrNotWell, "one that is started again and again is not well")

	id := w.box.Run("vanishes", w.image("1"), nil)
	removed := make(chan struct{})
	go func() { defer close(removed); w.box.API("DELETE", "/containers/"+id+"?force=1") }()
	_, err = w.Await(t.Context(), "vanishes")
	require.ErrorIs(t, err, docker.ErrNotWell)
	<-removed
}
