package docker_test

import (
	"testing"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/stretchr/testify/require"
)

func dial(t testing.TB, host string) *docker.Client {
	t.Helper()
	engine, err := docker.Dial(host)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

func TestClientConforms(t *testing.T) {
	dockertest.TestEngine(t, func(t *testing.T, host string) docker.Engine { return dial(t, host) })
}
