package ledger_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/internal/ledger"
	"github.com/stretchr/testify/require"
)

type work struct{ Phase string }

func TestAnEntryComesBack(t *testing.T) {
	l := ledger.Open[work](filepath.Join(t.TempDir(), "a", "b"))
	unlock, err := l.Lock(t.Context())
	require.NoError(t, err)
	_, found, err := l.Load("k")
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, l.Save("k", work{"begun"}))
	require.NoError(t, l.Save("../k", work{"other"}))
	e, found, err := l.Load("k")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, work{"begun"}, e)
	all, err := l.All()
	require.NoError(t, err)
	require.ElementsMatch(t, []work{{"begun"}, {"other"}}, all)
	require.NoError(t, unlock())
}

func TestASecondOneWaitsForTheLock(t *testing.T) {
	l := ledger.Open[work](t.TempDir())
	unlock, err := l.Lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Lock(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, unlock())
	unlock, err = l.Lock(t.Context())
	require.NoError(t, err)
	require.NoError(t, unlock())
}

func TestLaw1_ADamagedEntryIsNotAnAbsentOne(t *testing.T) {
	dir := t.TempDir()
	l := ledger.Open[work](dir)
	require.NoError(t, l.Save("k", work{"begun"}))
	path := filepath.Join(dir, ledger.Name("k")+".json")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, bad := range map[string][]byte{
		"torn": good[:len(good)/2], "empty": {}, "altered": bytes.Replace(good, []byte("begun"), []byte("undun"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			_, _, err := l.Load("k")
			require.ErrorContains(t, err, path)
			_, err = l.All()
			require.ErrorContains(t, err, path)
		})
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ledger.Name("other")+".json"), good, 0o600))
	_, _, err = l.Load("other")
	require.Error(t, err, "the entry of another key is not this one's")
}
