package diagnose

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T, c *pgtest.Cluster) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), c.ConnString())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// session opens a connection of its own name.
func session(t *testing.T, c *pgtest.Cluster, name string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.ConnString()+" application_name="+name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// inBackground runs SQL that will wait, and returns how to wait for its end.
func inBackground(t *testing.T, conn *pgx.Conn, sql string) (wait func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), sql)
		done <- err
	}()
	return func() error { return <-done }
}

func TestTheDatabaseIsDiagnosedWhileItSuffers(t *testing.T) {
	ctx := t.Context()
	c := pgtest.Start(t, "autovacuum=off")
	pool := open(t, c)
	c.Psql("CREATE TABLE trades(id int PRIMARY KEY, note text); INSERT INTO trades SELECT g, 'x' FROM generate_series(1,2000) g; UPDATE trades SET note='y' WHERE id<=1500; CREATE TABLE idle(x int)")

	culprit, victim, third, reader := session(t, c, "culprit"), session(t, c, "victim"), session(t, c, "third"), session(t, c, "reader")
	exec(t, culprit, "BEGIN; UPDATE trades SET note='z' WHERE id=1")
	victimEnds := inBackground(t, victim, "BEGIN; UPDATE trades SET note='v' WHERE id=2; UPDATE trades SET note='v' WHERE id=1; COMMIT")
	require.Eventually(t, func() bool {
		return c.Psql("SELECT count(*) FROM pg_stat_activity WHERE application_name='victim' AND wait_event_type='Lock'") == "1"
	}, time.Minute, 5*time.Millisecond)
	thirdEnds := inBackground(t, third, "UPDATE trades SET note='t' WHERE id=2")
	require.Eventually(t, func() bool {
		return c.Psql("SELECT count(*) FROM pg_stat_activity WHERE application_name='third' AND wait_event_type='Lock'") == "1"
	}, time.Minute, 5*time.Millisecond)
	readerEnds := inBackground(t, reader, "/* slow report */ SELECT pg_sleep(600)")
	require.Eventually(t, func() bool {
		return c.Psql("SELECT count(*) FROM pg_stat_activity WHERE application_name='reader' AND wait_event='PgSleep'") == "1"
	}, time.Minute, 5*time.Millisecond)

	t.Run("blocking", func(t *testing.T) {
		tree, err := Blocking(ctx, pool)
		require.NoError(t, err)
		require.Len(t, tree, 1)
		require.Equal(t, "culprit", tree[0].App)
		require.Equal(t, "idle in transaction", tree[0].State)
		require.Len(t, tree[0].Blocks, 1)
		require.Equal(t, "victim", tree[0].Blocks[0].App)
		require.Contains(t, tree[0].Blocks[0].Wait, "Lock/")
		require.Len(t, tree[0].Blocks[0].Blocks, 1)
		require.Equal(t, "third", tree[0].Blocks[0].Blocks[0].App)
		require.Contains(t, tree.lines(), "\n    ", "the third hangs two levels deep")
	})
	t.Run("activity", func(t *testing.T) {
		all, err := Activity(ctx, pool)
		require.NoError(t, err)
		for _, app := range []string{"culprit", "victim", "third", "reader"} {
			require.True(t, slices.ContainsFunc(all, func(s Session) bool { return s.App == app && s.For > 0 }), app)
		}
		require.Equal(t, "culprit", all[0].App, "the longest first")
	})
	t.Run("slow statements, sampled", func(t *testing.T) {
		slow, err := Slow(ctx, pool, 100*time.Millisecond, 300*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, "sampled", slow.Source)
		require.Contains(t, slow.Why, "pg_stat_statements")
		i := slices.IndexFunc(slow.All, func(s Statement) bool { return strings.Contains(s.Query, "slow report") })
		require.GreaterOrEqual(t, i, 0, slow.lines())
		require.GreaterOrEqual(t, slow.All[i].Max, 100*time.Millisecond)
		none, err := Slow(ctx, pool, time.Hour, 0)
		require.NoError(t, err)
		require.Empty(t, none.All)
	})
	t.Run("connections", func(t *testing.T) {
		u, err := Connections(ctx, pool)
		require.NoError(t, err)
		require.GreaterOrEqual(t, u.Used, int64(5))
		require.EqualValues(t, 1, u.Idle)
		require.Positive(t, u.Max)
		require.Positive(t, u.Oldest)
	})
	t.Run("everything at once, and no trace", func(t *testing.T) {
		r := Run(ctx, Config{Database: pool, Budget: 10 * time.Second})
		require.Empty(t, r.Unseen())
		s, ok := r.Section("database: activity")
		require.True(t, ok)
		require.True(t, slices.ContainsFunc(s.Found.(Sessions), func(s Session) bool { return s.App == "reader" }))
		require.Contains(t, r.String(), "slow report")
		require.Equal(t, "0", c.Psql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name = ''"), "no transaction is left open")
	})
	require.NoError(t, func() error {
		_, err := pool.Exec(ctx, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'")
		return err
	}())
	require.ErrorContains(t, readerEnds(), "canceling statement")
	t.Run("bloat, and vacuum", func(t *testing.T) {
		exec(t, culprit, "ROLLBACK")
		require.NoError(t, victimEnds())
		require.NoError(t, thirdEnds())
		var before Tables
		require.Eventually(t, func() bool {
			var err error
			before, err = Bloat(ctx, pool)
			return err == nil && before[0].Name == "public.trades" && before[0].Dead >= 1500
		}, time.Minute, 50*time.Millisecond, "the server tells its statistics after a while")
		require.Positive(t, before[0].Bytes)
		require.NoError(t, VacuumAnalyze(ctx, pool, "public.trades", "idle"))
		require.Eventually(t, func() bool {
			after, err := Bloat(ctx, pool)
			return err == nil && slices.ContainsFunc(after, func(t Table) bool {
				return t.Name == "public.trades" && t.Dead == 0 && t.Analyzed != nil && t.Vacuumed != nil && t.Live == 2000
			})
		}, time.Minute, 50*time.Millisecond)
		require.Error(t, VacuumAnalyze(ctx, pool, "nowhere"))
		require.Error(t, VacuumAnalyze(ctx, pool, `trades"; DROP TABLE trades; --`))
		require.NoError(t, VacuumAnalyze(ctx, pool))
	})
	t.Run("cache", func(t *testing.T) {
		rates, err := Cache(ctx, pool)
		require.NoError(t, err)
		require.Equal(t, "all tables", rates[0].Name)
		rate, ok := rates[0].Rate()
		require.True(t, ok)
		require.Greater(t, rate, 0.5)
	})
}

func TestStatementsComeFromTheServerWhereItKeepsThem(t *testing.T) {
	c := pgtest.Start(t, "shared_preload_libraries=pg_stat_statements")
	pool := open(t, c)
	c.Psql("CREATE EXTENSION pg_stat_statements")
	c.Psql("SELECT pg_sleep(0.2)")
	slow, err := Slow(t.Context(), pool, 100*time.Millisecond, 0)
	require.NoError(t, err)
	require.Equal(t, "pg_stat_statements", slow.Source)
	i := slices.IndexFunc(slow.All, func(s Statement) bool { return strings.Contains(s.Query, "pg_sleep") })
	require.GreaterOrEqual(t, i, 0, slow.lines())
	require.EqualValues(t, 1, slow.All[i].Calls)
	require.GreaterOrEqual(t, slow.All[i].Mean, 200*time.Millisecond)
}

func TestLaw11_ADatabaseThatIsGoneSaysSo(t *testing.T) {
	c := pgtest.Start(t)
	pool := open(t, c)
	c.Stop()
	_, err := Slow(t.Context(), pool, time.Second, time.Second)
	require.Error(t, err, "it is not sampled as if it had refused")
	r := Run(t.Context(), Config{Database: pool, Budget: 10 * time.Second})
	require.Len(t, r.Unseen(), 6, "all of the database, and nothing else")
	for _, name := range []string{"host", "process"} {
		s, _ := r.Section(name)
		require.Empty(t, s.Problem, name)
	}
}

func TestBlockersOfEveryShape(t *testing.T) {
	s := func(pid int32, waits ...int32) Session { return Session{PID: pid, Waiting: waits} }
	for name, c := range map[string]struct {
		sessions []Session
		want     string
	}{
		"none":                 {nil, ""},
		"one waits":            {[]Session{s(1), s(2, 1)}, "1(2)"},
		"a chain":              {[]Session{s(3), s(5, 3), s(4, 5)}, "3(5(4))"},
		"two for one":          {[]Session{s(1), s(2, 1), s(3, 1)}, "1(2 3)"},
		"one for two":          {[]Session{s(1), s(2), s(3, 1, 2)}, "1(3) 2"},
		"a circle":             {[]Session{s(1, 2), s(2, 1)}, "1(2)"},
		"a circle with a tail": {[]Session{s(1, 2), s(2, 1), s(3, 2)}, "1(2(3))"},
		"its blocker is gone":  {[]Session{s(2, 1)}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			var tell func(bs []*Blocker) string
			tell = func(bs []*Blocker) string {
				var all []string
				for _, b := range bs {
					text := string(rune('0' + b.PID))
					if len(b.Blocks) > 0 {
						text += "(" + tell(b.Blocks) + ")"
					}
					all = append(all, text)
				}
				return strings.Join(all, " ")
			}
			require.Equal(t, c.want, tell(blockers(c.sessions)))
		})
	}
}

func TestNoRateIsNotABadRate(t *testing.T) {
	_, ok := HitRate{}.Rate()
	require.False(t, ok)
	rate, ok := HitRate{Hits: 3, Read: 1}.Rate()
	require.True(t, ok)
	require.InDelta(t, 0.75, rate, 0)
	require.Equal(t, "x: nothing was asked for\ny: 75.0 % of 4 blocks\n", HitRates{{Name: "x"}, {Name: "y", Hits: 3, Read: 1}}.lines())
}
