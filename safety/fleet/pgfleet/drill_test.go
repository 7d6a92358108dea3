package pgfleet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/safety/fleet/pgfleet"
	"github.com/stretchr/testify/require"
)

// server is a PostgreSQL for the drill of a fleet of that name.
func server(t testing.TB, pg *pgtest.Cluster, name string) fleetdrill.Server {
	require.NoError(t, open(t, pgfleet.Config{ConnString: pg.ConnString(), Fleet: name}).Create(t.Context()))
	_, rest, _ := strings.Cut(pg.TCPConnString(), "port=")
	port, _, _ := strings.Cut(rest, " ")
	return fleetdrill.Server{
		Conn:    name + "|" + pg.ConnString(),
		Address: "127.0.0.1:" + port,
		Through: func(through int) string {
			return name + "|" + strings.Replace(pg.TCPConnString(), "port="+port, fmt.Sprintf("port=%d", through), 1)
		},
		Open:  openBackend,
		Stop:  pg.Stop,
		Start: pg.Restart,
	}
}

func TestLaw2_InAFleetOfProcesses(t *testing.T) {
	pg := pgtest.Start(t)
	t.Run("no Enter after a Halt has returned", func(t *testing.T) { fleetdrill.Run(t, server(t, pg, "drill")) })
	t.Run("frozen after Enter", func(t *testing.T) { fleetdrill.FrozenAfterEnter(t, server(t, pg, "frozen")) })
}
