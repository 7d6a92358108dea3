package pgfleet_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/andon-go/andon/safety/fleet/pgfleet"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	fleetdrill.Main(m, openBackend, func(m *testing.M) { goleak.VerifyTestMain(m) })
}

// openBackend opens by the name of a fleet, a bar, and a connection string.
func openBackend(conn string) (fleet.Backend, error) {
	name, conn, _ := strings.Cut(conn, "|")
	return pgfleet.Open(pgfleet.Config{ConnString: conn, Fleet: name})
}

func open(t testing.TB, cfg pgfleet.Config) *pgfleet.Backend {
	b, err := pgfleet.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func TestPostgreSQL(t *testing.T) {
	pg := pgtest.Start(t)
	require.NoError(t, open(t, pgfleet.Config{ConnString: pg.ConnString(), Fleet: "f"}).Create(t.Context()))
	pg.Psql("CREATE ROLE bot LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON andon_fleet TO bot; GRANT USAGE ON SEQUENCE andon_fleet_revision_seq TO bot")
	pg.Psql("CREATE SCHEMA ops")
	pg.Psql("CREATE DATABASE standby")
	pg.Psql("ALTER DATABASE standby SET default_transaction_read_only = on")
	t.Run("conforms, by an ordinary role with the documented rights", func(t *testing.T) { conforms(t, pg) })
	t.Run("several may create the table at once", func(t *testing.T) { createdByMany(t, pg) })
	t.Run("a server that takes no writes is refused", func(t *testing.T) {
		// A standby may be behind, and a halt would be missed.
		_, err := open(t, pgfleet.Config{ConnString: pg.ConnString() + " dbname=standby", Fleet: "f"}).Read(t.Context())
		require.ErrorContains(t, err, "read only")
	})
}

func conforms(t *testing.T, pg *pgtest.Cluster) {
	fleettest.TestBackend(t, func(t *testing.T) func() fleet.Backend {
		return func() fleet.Backend {
			b, err := pgfleet.Open(pgfleet.Config{ConnString: pg.ConnString() + " user=bot", Fleet: t.Name()})
			require.NoError(t, err)
			return b
		}
	})
	require.NotEqual(t, "0", pg.Psql("SELECT count(*) FROM andon_fleet"), "that was this table")
}

func createdByMany(t *testing.T, pg *pgtest.Cluster) {
	cfg := pgfleet.Config{ConnString: pg.ConnString(), Fleet: "f", Table: "ops.stop"}
	errs := make(chan error, 8)
	var wg sync.WaitGroup
	for range 8 {
		b := open(t, cfg)
		wg.Go(func() { errs <- b.Create(t.Context()) })
	}
	wg.Wait()
	for range 8 {
		require.NoError(t, <-errs)
	}
	b := open(t, cfg)
	rev, err := b.Write(t.Context(), fleet.Record{Key: "order", Value: []byte("1")}, false)
	require.NoError(t, err)
	_, err = b.Write(t.Context(), fleet.Record{Key: "order", Revision: rev}, false)
	require.NoError(t, err)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := pgfleet.Open(pgfleet.Config{Table: "a; DROP TABLE b", ConnectWithin: -1, PingEvery: -1})
	for _, want := range []string{"ConnString ", "Fleet ", "Table ", "ConnectWithin ", "PingEvery "} {
		require.ErrorContains(t, err, want)
	}
	_, err = pgfleet.Open(pgfleet.Config{ConnString: "host=a port=x", Fleet: "f"})
	require.ErrorContains(t, err, "ConnString")
}

// The database is down when a bot starts: Open does not fail, and the member is halted.
func TestLaw11_OpenNeedsNoDatabase(t *testing.T) {
	b := open(t, pgfleet.Config{ConnString: "host=127.0.0.1 port=1", Fleet: "f", ConnectWithin: time.Second})
	_, err := b.Read(t.Context())
	require.Error(t, err)
	require.NoError(t, b.Close())
}
