package pgfleet_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/andon-go/andon/safety/fleet/pgfleet"
	"github.com/jackc/pgx/v5"
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
	t.Run("a commit waits for the disk, whatever the default", func(t *testing.T) {
		pg.Psql("CREATE DATABASE hasty")
		pg.Psql("ALTER DATABASE hasty SET synchronous_commit = off")
		for setting, want := range map[string]string{"off": "on", "local": "on", "on": "on", "remote_apply": "remote_apply"} {
			pg.Psql("ALTER DATABASE hasty SET synchronous_commit = " + setting)
			b := open(t, pgfleet.Config{ConnString: pg.ConnString() + " dbname=hasty", Fleet: setting, Table: "fleet_" + setting})
			require.NoError(t, b.Create(t.Context()))
			psql(t, pg, "hasty", "ALTER TABLE fleet_"+setting+" ADD commits text DEFAULT current_setting('synchronous_commit')")
			_, err := b.Write(t.Context(), fleet.Record{Key: "order", Value: []byte("1")}, false)
			require.NoError(t, err)
			require.Equal(t, want, psql(t, pg, "hasty", "SELECT commits FROM fleet_"+setting), setting)
		}
	})
	t.Run("watches share a connection", func(t *testing.T) { shared(t, pg) })
	t.Run("several may create the table at once", func(t *testing.T) { createdByMany(t, pg) })
	t.Run("a server that takes no writes is refused", func(t *testing.T) {
		// A standby may be behind, and a halt would be missed.
		_, err := open(t, pgfleet.Config{ConnString: pg.ConnString() + " dbname=standby", Fleet: "f"}).Read(t.Context())
		require.ErrorContains(t, err, "read only")
	})
}

// psql runs SQL in another database.
func psql(t *testing.T, pg *pgtest.Cluster, database, sql string) (answer string) {
	conn, err := pgx.Connect(t.Context(), pg.ConnString()+" dbname="+database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	err = conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&answer)
	if !errors.Is(err, pgx.ErrNoRows) {
		require.NoError(t, err)
	}
	return answer
}

// All watches of a backend listen on one connection; each ends by itself, and the
// connection with the last.
func shared(t *testing.T, pg *pgtest.Cluster) {
	b := open(t, pgfleet.Config{ConnString: pg.ConnString(), Fleet: "shared", PingEvery: time.Hour}) // LISTEN stays its last query
	listening := func() string {
		return pg.Psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'andon fleet shared' AND query LIKE 'LISTEN%'")
	}
	type watch struct {
		said chan string
		stop func()
	}
	begin := func(prefix string) watch {
		ctx, cancel := context.WithCancel(t.Context())
		said, ended := make(chan string, 100), make(chan error, 1)
		go func() { ended <- b.Watch(ctx, prefix, func(key string) { said <- key }) }()
		require.Empty(t, hears(t, said), "it listens")
		return watch{said, func() { cancel(); require.ErrorIs(t, <-ended, context.Canceled) }}
	}
	order, members := begin("order"), begin("member/")
	require.Equal(t, "1", listening())
	write := func(key string) {
		_, err := b.Write(t.Context(), fleet.Record{Key: key, Value: []byte("1")}, false)
		require.NoError(t, err)
	}
	write("order")
	write("member/a@1")
	require.Equal(t, "order", hears(t, order.said))
	require.Equal(t, "member/a@1", hears(t, members.said), "each hears its own")
	order.stop()
	require.Equal(t, "1", listening())
	write("member/b@1")
	require.Equal(t, "member/b@1", hears(t, members.said))
	members.stop()
	require.Eventually(t, func() bool { return listening() == "0" }, 20*time.Second, time.Millisecond, "nobody watches")

	// What ends the connection ends every watch, and the next one opens another.
	first, second := make(chan error, 1), make(chan error, 1)
	for _, ended := range []chan error{first, second} {
		said := make(chan string, 100)
		go func() { ended <- b.Watch(t.Context(), "", func(key string) { said <- key }) }()
		hears(t, said)
	}
	pg.Psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'andon fleet shared' AND query LIKE 'LISTEN%'")
	require.ErrorContains(t, <-first, "pgfleet: listen: ")
	require.ErrorContains(t, <-second, "pgfleet: listen: ")
	begin("").stop()
}

// hears waits for what a watch says.
func hears(t *testing.T, said <-chan string) string {
	select {
	case key := <-said:
		return key
	case <-time.After(20 * time.Second):
		t.Fatal("the watch says nothing")
		return ""
	}
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
