package mobyengine_test

import (
	"testing"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/andon-go/andon/recovery/docker/mobyengine"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngineConforms(t *testing.T) {
	dockertest.TestEngine(t, func(t *testing.T, host string) docker.Engine {
		engine, err := mobyengine.Dial(host)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, engine.Close()) })
		return engine
	})
}
