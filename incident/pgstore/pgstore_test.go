package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if conn := os.Getenv(childConn); conn != "" {
		if err := child(conn, os.Getenv(childWork)); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var ctx = context.Background()

var schemas struct {
	sync.Mutex
	n int
}

// fresh names a schema that nobody has used, and migrates it.
func fresh(t testing.TB, conn string) pgstore.Config {
	schemas.Lock()
	schemas.n++
	cfg := pgstore.Config{ConnString: conn, Schema: fmt.Sprintf("andon_%d", schemas.n)}
	schemas.Unlock()
	require.NoError(t, open(t, cfg).Migrate(ctx))
	return cfg
}

func open(t testing.TB, cfg pgstore.Config) *pgstore.Store {
	s, err := pgstore.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func read(t require.TestingT, s *pgstore.Store) []incident.Event {
	var all []incident.Event
	for e, err := range s.Read(ctx, 0) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestPostgreSQL(t *testing.T) {
	pg := pgtest.Start(t)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, pg *pgtest.Cluster)
	}{
		{"conforms, by a role with the documented rights", conforms},
		{"several may migrate at once", migratedByMany},
		{"a schema of another version is refused", migratedByOthers},
		{"law 10: the database refuses to change what is recorded", appendOnly},
		{"law 10: Verify names the first altered record", altered},
		{"law 10: a table that was cut or written anew does not have the published tip", anchored},
		{"what other processes append is heard", watched},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, pg) })
	}
}

func conforms(t *testing.T, pg *pgtest.Cluster) {
	pg.Psql("CREATE ROLE bot LOGIN")
	incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
		cfg := fresh(t, pg.ConnString())
		pg.Psql(strings.ReplaceAll("GRANT USAGE ON SCHEMA s TO bot; GRANT SELECT, INSERT ON s.events TO bot; GRANT SELECT ON s.migrations TO bot; GRANT SELECT, UPDATE ON s.responder TO bot", " s", " "+cfg.Schema))
		cfg.ConnString += " user=bot"
		return func() incident.Store {
			s, err := pgstore.Open(cfg)
			require.NoError(t, err)
			return s
		}
	})
}

func migratedByMany(t *testing.T, pg *pgtest.Cluster) {
	cfg := pgstore.Config{ConnString: pg.ConnString(), Schema: "by_many"}
	_, err := open(t, cfg).Append(ctx, 0, incidenttest.Event(1))
	require.ErrorContains(t, err, "call Migrate first")
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		s := open(t, cfg)
		wg.Go(func() { errs <- s.Migrate(ctx) })
	}
	wg.Wait()
	for range 8 {
		require.NoError(t, <-errs)
	}
	s := open(t, cfg)
	_, err = s.Append(ctx, 0, incidenttest.Event(1))
	require.NoError(t, err)
	require.NoError(t, s.Migrate(ctx))
	require.Len(t, read(t, s), 1, "migrating again changes nothing")
}

func migratedByOthers(t *testing.T, pg *pgtest.Cluster) {
	cfg := fresh(t, pg.ConnString())
	pg.Psql("UPDATE " + cfg.Schema + ".migrations SET sum = 'x' WHERE version = 2")
	require.ErrorIs(t, open(t, cfg).Migrate(ctx), pgstore.ErrSchema)
	cfg = fresh(t, pg.ConnString())
	pg.Psql("INSERT INTO " + cfg.Schema + ".migrations VALUES (99, '0099_future', 'x')")
	require.ErrorContains(t, open(t, cfg).Migrate(ctx), "0099_future")
}

func appendOnly(t *testing.T, pg *pgtest.Cluster) {
	cfg := fresh(t, pg.ConnString())
	s := open(t, cfg)
	_, err := s.Append(ctx, 0, incidenttest.Event(1))
	require.NoError(t, err)
	for _, sql := range []string{"UPDATE s.events SET line = ''", "DELETE FROM s.events", "TRUNCATE s.events"} {
		out := pg.Psql("DO $$ BEGIN " + strings.ReplaceAll(sql, "s.", cfg.Schema+".") + "; RAISE 'done'; EXCEPTION WHEN OTHERS THEN PERFORM set_config('a.b', SQLERRM, false); END $$; SELECT current_setting('a.b')")
		require.Contains(t, out, "only ever appended", sql)
	}
	require.Len(t, read(t, s), 1)
}

// meddler does what whoever owns the table can do.
func meddler(t *testing.T, pg *pgtest.Cluster) func(sql string) {
	conn, err := pgx.Connect(ctx, pg.ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(ctx)) })
	return func(sql string) {
		_, err := conn.Exec(ctx, "SET session_replication_role = replica; "+sql)
		require.NoError(t, err)
	}
}

func altered(t *testing.T, pg *pgtest.Cluster) {
	cfg := fresh(t, pg.ConnString())
	s := open(t, cfg)
	const n = 6
	for i := range n {
		_, err := s.Append(ctx, uint64(i), incidenttest.Event(i))
		require.NoError(t, err)
	}
	whole := read(t, s)
	table := cfg.Schema + ".events"
	meddle := meddler(t, pg)
	meddle("CREATE TABLE " + cfg.Schema + ".kept AS SELECT * FROM " + table)
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.IntRange(1, n-1).Draw(t, "record")
		want, sql := uint64(seq), ""
		switch rapid.SampledFrom([]string{"letter", "number", "remove", "swap"}).Draw(t, "what") {
		case "letter":
			at := rapid.IntRange(1, 400).Draw(t, "at")
			sql = fmt.Sprintf("UPDATE %s SET line = overlay(line placing (CASE substr(line, %d, 1) WHEN 'x' THEN 'y' ELSE 'x' END) from %d) WHERE seq = %d", table, at, at, seq)
		case "number":
			sql = fmt.Sprintf("UPDATE %s SET incident = 'INC-20260301-009' WHERE seq = %d", table, seq)
		case "remove":
			sql = fmt.Sprintf("DELETE FROM %s WHERE seq = %d", table, seq)
		case "swap":
			sql = fmt.Sprintf("UPDATE %s e SET line = (SELECT line FROM %s.kept WHERE seq = %d - e.seq) WHERE seq IN (%d, %d)", table, cfg.Schema, 2*seq+1, seq, seq+1)
		}
		meddle(sql)
		defer meddle("DELETE FROM " + table + "; INSERT INTO " + table + " SELECT * FROM " + cfg.Schema + ".kept")
		_, err := s.Verify(ctx)
		require.ErrorIs(t, err, pgstore.ErrDamaged)
		d, ok := errors.AsType[*pgstore.DamagedError](err)
		require.True(t, ok)
		require.Equal(t, want, d.Record, "%v", err)
	})
	tip, err := s.Verify(ctx)
	require.NoError(t, err)
	require.Equal(t, whole[n-1].Tip(), tip)
}

func anchored(t *testing.T, pg *pgtest.Cluster) {
	cfg := fresh(t, pg.ConnString())
	s := open(t, cfg)
	got, err := s.Append(ctx, 0, incidenttest.Event(1), incidenttest.Event(2), incidenttest.Event(3))
	require.NoError(t, err)
	tips := []incident.Tip{got[0].Tip(), got[2].Tip()}
	_, err = s.Verify(ctx, tips...)
	require.NoError(t, err)
	meddler(t, pg)("DELETE FROM " + cfg.Schema + ".events WHERE seq = 3")
	_, err = s.Verify(ctx)
	require.NoError(t, err, "the chain alone does not show it")
	_, err = s.Verify(ctx, tips...)
	require.ErrorContains(t, err, "they were cut off")
	_, err = s.Append(ctx, 3, incidenttest.Event(4))
	require.ErrorIs(t, err, incident.ErrConflict, "nothing goes behind an event that is gone")
	_, err = s.Append(ctx, 2, incidenttest.Event(4))
	require.NoError(t, err)
	_, err = s.Verify(ctx, tips...)
	require.ErrorContains(t, err, "record 3: it is not the record whose tip was published")
}

func watched(t *testing.T, pg *pgtest.Cluster) {
	cfg := fresh(t, pg.ConnString())
	writer := open(t, cfg)
	for name, poll := range map[string]time.Duration{"by notification": time.Hour, "by polling": 50 * time.Millisecond} {
		cfg.PollEvery = poll
		watcher := open(t, cfg)
		heard := make(chan struct{}, 100)
		watching, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- watcher.Watch(watching, func() { heard <- struct{}{} }) }()
		<-heard // at once
		listening := "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN " + cfg.Schema + "_events' AND state = 'idle'"
		require.Eventually(t, func() bool { return pg.Psql(listening) == "1" }, 10*time.Second, 10*time.Millisecond)
		for i := range 3 {
			if name == "by polling" { // whoever listens is cut off, again and again
				pg.Psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
			}
			_, err := writer.Append(ctx, incident.Any, incidenttest.Event(i))
			require.NoError(t, err)
			select {
			case <-heard:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: not heard", name)
			}
		}
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := pgstore.Open(pgstore.Config{Schema: "a; DROP TABLE b", AnswerWithin: -1, LeaseFor: -1, PollEvery: -1})
	for _, want := range []string{"ConnString ", "Schema ", "AnswerWithin ", "LeaseFor ", "PollEvery "} {
		require.ErrorContains(t, err, want)
	}
	_, err = pgstore.Open(pgstore.Config{ConnString: "host=a port=x"})
	require.ErrorContains(t, err, "ConnString")
}

// The database is down when a bot starts.
func TestLaw11_OpenNeedsNoDatabase(t *testing.T) {
	s := open(t, pgstore.Config{ConnString: "host=127.0.0.1 port=1", AnswerWithin: 200 * time.Millisecond, LeaseFor: 100 * time.Millisecond})
	_, err := s.Append(ctx, 0, incidenttest.Event(1))
	require.Error(t, err)
	require.NotErrorIs(t, err, incident.ErrRecordUnknown, "nothing was sent")
	require.ErrorIs(t, s.Lead(ctx, "bot", func(context.Context) error { panic("nobody leads") }), pgstore.ErrUnreachable)
}
