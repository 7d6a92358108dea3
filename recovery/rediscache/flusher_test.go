package rediscache_test

import (
	"context"
	"errors"
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

	w.set(t, "book", time.Hour)
	again, err := f.Flush(t.Context(), "run/flush", "Ada", "stale order books")
	require.NoError(t, err)
	require.Equal(t, text, again)
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

// record is a Recorder out of a function.
type record func() error

func (r record) Record(context.Context, time.Time, string, string, string) error { return r() }

// A process that was killed before it noted the end has left the plan as it was kept: the
// same call does not flush a second time.
func TestLaw9_AKeyThatWasCutOffIsNotFlushedTwice(t *testing.T) {
	w := newWorld(t)
	dir, before := filepath.Join(t.TempDir(), "plans"), filepath.Join(t.TempDir(), "before")
	w.open(t, func(c *rediscache.Config) {
		c.Recorder = record(func() error { return os.CopyFS(before, os.DirFS(dir)) }) // the plan is kept before it is applied
	})
	f := &rediscache.Flusher{Cache: w.Cache, Dir: dir}
	w.set(t, "book", time.Hour)
	_, err := f.Flush(t.Context(), "k", "Ada", "stale order books")
	require.NoError(t, err)
	require.False(t, w.has(t, "book"))
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Rename(before, dir))
	done, _, err := f.Done(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, done)
	w.set(t, "book", time.Hour)
	text, err := f.Flush(t.Context(), "k", "Ada", "stale order books")
	require.NoError(t, err)
	require.Contains(t, text, "emptied before")
	require.True(t, w.has(t, "book"), "what has come into the cache since stays")
}

// A plan that was kept, not applied, and overtaken is dropped; the next one is made anew.
func TestLaw9_AKeyDropsAPlanWhoseFactsHaveMoved(t *testing.T) {
	w := newWorld(t)
	unwell := errors.New("the timeline is unwell")
	w.open(t, func(c *rediscache.Config) { c.Recorder = record(func() error { return unwell }) })
	f := &rediscache.Flusher{Cache: w.Cache, Request: rediscache.Request{Permanent: true}, Dir: filepath.Join(t.TempDir(), "plans")}
	w.set(t, "book", time.Hour)
	_, err := f.Flush(t.Context(), "k", "Ada", "stale order books")
	require.ErrorIs(t, err, unwell)
	w.set(t, "for ever", 0)
	unwell = nil
	_, err = f.Flush(t.Context(), "k", "Ada", "stale order books")
	require.ErrorIs(t, err, rediscache.ErrMoved)
	require.True(t, w.has(t, "book"))
	_, err = f.Flush(t.Context(), "k", "Ada", "stale order books")
	require.NoError(t, err)
	require.False(t, w.has(t, "book"))
}
