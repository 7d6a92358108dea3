package ledger_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/internal/ledger"
	"github.com/stretchr/testify/require"
)

type work struct{ Phase string }

func TestAnEntryComesBack(t *testing.T) {
	l := ledger.Open[work](filepath.Join(t.TempDir(), "a", "b"))
	said, err := l.With(t.Context(), "k", "alice", "a reason", func(e work, found bool) (string, error) {
		require.False(t, found)
		require.NoError(t, l.Save("k", work{"begun"}))
		return "said", l.Save("../k", work{"other"})
	})
	require.NoError(t, err)
	require.Equal(t, "said", said)
	_, err = l.With(t.Context(), "k", "alice", "a reason", func(e work, found bool) (string, error) {
		require.True(t, found)
		require.Equal(t, work{"begun"}, e)
		return "", nil
	})
	require.NoError(t, err)
	all, err := l.All()
	require.NoError(t, err)
	require.ElementsMatch(t, []work{{"begun"}, {"other"}}, all)
}

func TestASecondOneWaitsForTheFirst(t *testing.T) {
	l := ledger.Open[work](t.TempDir())
	with := func(ctx context.Context, key string, do func() error) error {
		_, err := l.With(ctx, key, "alice", "a reason", func(work, bool) (string, error) { return "", do() })
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		err := with(t.Context(), "k", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, with(ctx, "other", func() error { panic("it does not wait") }), context.DeadlineExceeded)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, with(t.Context(), "k", func() error { return nil }))
	})
}

func TestWorkHasAKeyAndAPersonWithAReason(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	_, err := ledger.Open[work](dir).With(t.Context(), "", " ", "", func(work, bool) (string, error) { panic("it is done") })
	for _, want := range []string{"key: is empty", "by: is empty", "why: is empty"} {
		require.ErrorContains(t, err, want)
	}
	require.NoDirExists(t, dir)
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
