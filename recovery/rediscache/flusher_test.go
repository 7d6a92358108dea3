package rediscache_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/rediscache"
	"github.com/stretchr/testify/require"
)

func TestLaw9_AKeyFlushesOnce(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "plans")
	f := &rediscache.Flusher{Cache: w.Cache, Dir: dir}
	w.set(t, "book", time.Hour)
	text, err := f.Preview(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "1 now")
	require.True(t, w.has(t, "book"), "a preview removes nothing")
	done, _, err := f.Done(t.Context(), "run/flush")
	require.NoError(t, err)
	require.False(t, done)
	text, err = f.Flush(t.Context(), "run/flush", "Ada", "stale order books")
	require.NoError(t, err)
	require.Contains(t, text, "1 keys were removed")
	require.False(t, w.has(t, "book"))
	done, evidence, err := f.Done(t.Context(), "run/flush")
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, text, evidence)

	// A process that was killed before it noted the end does not do it again.
	all, err := filepath.Glob(filepath.Join(dir, "*.done.json"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.NoError(t, os.Remove(all[0]))
	w.set(t, "book", time.Hour)
	text, err = f.Flush(t.Context(), "run/flush", "Ada", "stale order books")
	require.NoError(t, err)
	require.Contains(t, text, "emptied before")
	require.True(t, w.has(t, "book"), "what has come into the cache since stays")
	_, err = f.Flush(t.Context(), "another", "Ada", "stale order books")
	require.NoError(t, err)
	require.False(t, w.has(t, "book"))

	_, err = (&rediscache.Flusher{Cache: w.Cache}).Flush(t.Context(), "run/flush", "Ada", "stale")
	require.ErrorContains(t, err, "Dir is empty")
	w.stop()
	_, err = f.Preview(t.Context())
	require.ErrorIs(t, err, rediscache.ErrUnreachable)
}
