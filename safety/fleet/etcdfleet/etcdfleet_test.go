package etcdfleet_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/etcdfleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

func TestConforms(t *testing.T) {
	e := startEtcd(t)
	var fleets atomic.Int64
	fleettest.TestBackend(t, func(t *testing.T) func() fleet.Backend {
		name := fmt.Sprintf("fleet-%d", fleets.Add(1)%3*100+fleets.Load()) // some names begin others
		return func() fleet.Backend {
			b, err := openBackend(name + "|127.0.0.1:" + e.port)
			require.NoError(t, err)
			return b
		}
	})
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := etcdfleet.New(etcdfleet.Config{Fleet: "a/b", Prefix: "x"})
	for _, want := range []string{"Client ", "Fleet ", "Prefix "} {
		require.ErrorContains(t, err, want)
	}
}

func TestLaw2_InAFleetOfProcesses(t *testing.T) {
	e := startEtcd(t)
	server := func(name string) fleetdrill.Server {
		return fleetdrill.Server{
			Conn:    name + "|127.0.0.1:" + e.port,
			Address: "127.0.0.1:" + e.port,
			Through: func(port int) string { return fmt.Sprintf("%s|127.0.0.1:%d", name, port) },
			Open:    openBackend,
			Stop:    e.stop,
			Start:   e.start,
		}
	}
	t.Run("no Enter after a Halt has returned", func(t *testing.T) { fleetdrill.Run(t, server("drill")) })
	t.Run("frozen after Enter", func(t *testing.T) { fleetdrill.FrozenAfterEnter(t, server("frozen")) })
}
