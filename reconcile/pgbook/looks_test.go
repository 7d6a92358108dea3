package pgbook_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/reconcile/pgbook"
)

func TestLooksInPlainTypes(t *testing.T) {
	pool := connect(t, newDatabase(t, wholeTables+healthy))
	l := pgbook.Looks{Book: open(t, pool, func(c *pgbook.Config) {
		c.Mapping = wholeMapping()
		guarded(c)
	})}
	text, err := l.Integrity(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "trades-size")
	text, err = l.Totals(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "BTC-USD: 1.5, worth 75000, in 1 rows")
	text, err = l.Suspicious(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "trades-leverage finds none")

	exec(t, pool, `UPDATE positions SET entry_price = NULL WHERE symbol = 'ETH-USD';
		INSERT INTO trades (id, symbol, status, created_at, size, leverage, ip_address) VALUES ('evil', 'BTC-USD', 'open', now(), 1, 500, '203.0.113.9')`)
	text, err = l.Integrity(t.Context())
	require.ErrorContains(t, err, "the data is not sound")
	require.Contains(t, text, "trades-leverage")
	text, err = l.Totals(t.Context())
	require.ErrorContains(t, err, "the total of ETH-USD leaves out 1 rows")
	require.Contains(t, text, "BTC-USD")
	text, err = l.Suspicious(t.Context())
	require.ErrorContains(t, err, "trades-leverage finds 1 trades")
	require.ErrorContains(t, err, "trades-address finds 1 trades")
	require.Contains(t, text, "id=evil")
	path := filepath.Join(t.TempDir(), "corrupted.json")
	text, err = l.Export(t.Context(), path)
	require.NoError(t, err)
	require.Contains(t, text, path)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), "evil")
	_, err = l.Export(t.Context(), filepath.Join(path, "below a file"))
	require.Error(t, err)

	skips := pgbook.Looks{Book: open(t, pool, func(c *pgbook.Config) {
		c.Mapping = wholeMapping()
		guarded(c)
		c.Skip = []string{"trades-address"}
	})}
	_, err = skips.Suspicious(t.Context())
	require.ErrorContains(t, err, "trades-address is skipped: it is not known")

	pool.Close()
	for _, look := range []func() (string, error){
		func() (string, error) { return l.Integrity(t.Context()) }, func() (string, error) { return l.Totals(t.Context()) },
		func() (string, error) { return l.Suspicious(t.Context()) }, func() (string, error) { return l.Export(t.Context(), path) },
	} {
		text, err := look()
		require.Error(t, err)
		require.Empty(t, text, "law 1: of a database that is gone nothing is known")
	}
}
