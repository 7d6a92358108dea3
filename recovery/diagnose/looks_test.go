package diagnose

import (
	"testing"
	"time"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/stretchr/testify/require"
)

func TestLooksInPlainTypes(t *testing.T) {
	c := pgtest.Start(t, "autovacuum=off")
	pool := open(t, c)
	c.Psql("CREATE TABLE trades (n int); INSERT INTO trades SELECT generate_series(1, 100); DELETE FROM trades WHERE n > 10")
	l := Looks{Database: pool, Executor: pool, SampleFor: 10 * time.Millisecond}
	text, err := l.Connections(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^\d+ of \d+ taken`, text)
	text, err = l.CacheRates(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "all tables: ")
	text, err = l.SlowQueries(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Contains(t, text, "none was seen")
	text, err = l.Vacuum(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "public.trades: ")
	require.Equal(t, "t", c.Psql("SELECT relallvisible > 0 FROM pg_class WHERE relname = 'trades'"))

	pool.Close()
	for name, look := range map[string]func() (string, error){
		"connections": func() (string, error) { return l.Connections(t.Context()) },
		"cache rates": func() (string, error) { return l.CacheRates(t.Context()) },
		"slow":        func() (string, error) { return l.SlowQueries(t.Context(), time.Second) },
		"vacuum":      func() (string, error) { return l.Vacuum(t.Context()) },
		"no database": func() (string, error) { return Looks{}.Connections(t.Context()) },
		"no executor": func() (string, error) { return Looks{Database: pool}.Vacuum(t.Context()) },
	} {
		text, err := look()
		require.Error(t, err, name)
		require.Empty(t, text, "law 1: of a database that is gone nothing is known: %s", name)
	}
	_, err = Looks{Database: pool}.Vacuum(t.Context())
	require.ErrorContains(t, err, "Executor is nil")
	require.NotErrorIs(t, err, errNoDatabase)
}
