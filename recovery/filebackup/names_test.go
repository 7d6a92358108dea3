package filebackup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Lstat(a)
	require.NoError(t, err)
	y, err := os.Lstat(b)
	require.NoError(t, err)
	return os.SameFile(x, y)
}

func TestNamesOfOneFileComeBackAsOneFile(t *testing.T) {
	w := newWorld(t).fill(t)
	at := func(name string) string { return filepath.Join(w.source, name) }
	require.NoError(t, os.Link(at("bot.yaml"), at("keys/a second")))
	require.NoError(t, os.Link(at("bot.yaml"), at("zz")))
	require.NoError(t, os.Link(at("keys/key.pem"), at("keys/zkey")))
	b := w.good(t, noon)
	require.Empty(t, b.Note)

	// The same bytes under two names that are two files are another tree.
	require.NoError(t, os.Remove(at("zz")))
	require.NoError(t, os.WriteFile(at("zz"), []byte("leverage: 2\n"), 0o600))
	info, err := os.Stat(at("bot.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.Chmod(at("zz"), info.Mode()))
	require.NoError(t, os.Chtimes(at("zz"), info.ModTime(), info.ModTime()))
	p := w.plan(t, Request{})
	require.Contains(t, p.Changes, Change{"zz", "changed: another name of bot.yaml"})
	_, err = w.restore(t, p)
	require.NoError(t, err)
	require.True(t, sameFile(t, at("bot.yaml"), at("zz")))
	require.True(t, sameFile(t, at("bot.yaml"), at("keys/a second")))
	require.True(t, sameFile(t, at("keys/key.pem"), at("keys/zkey")))
	require.False(t, sameFile(t, at("bot.yaml"), at("production.json")))
	require.True(t, w.plan(t, Request{}).NothingToDo())
	_, err = w.store.Rehearse(t.Context(), b.Name, noon)
	require.NoError(t, err)
}

func TestANameOutsideOfTheSourceIsSaid(t *testing.T) {
	outside := ""
	w := newWorld(t, func(c *Config) {
		outside = filepath.Join(filepath.Dir(c.Sources[0]), "config-too") // sorts between config and what is in it
		c.Sources = append(c.Sources, outside)
	}).fill(t)
	require.NoError(t, os.Mkdir(outside, 0o700))
	require.NoError(t, os.Link(filepath.Join(w.source, "bot.yaml"), filepath.Join(outside, "bot.yaml")))
	require.NoError(t, os.Link(filepath.Join(w.source, "bot.yaml"), filepath.Join(w.source, "more.yaml")))
	b := w.good(t, noon)
	require.Contains(t, b.Note, "1 more of its names lie elsewhere")
	require.Contains(t, b.Note, "2 more of its names lie elsewhere")
	p := w.plan(t, Request{Source: w.source, Into: filepath.Join(w.dir, "there")})
	require.Len(t, p.NotKept, 1)
	require.Equal(t, Path("bot.yaml"), p.NotKept[0].Path)
	_, err := w.restore(t, p)
	require.NoError(t, err)
	require.True(t, sameFile(t, filepath.Join(w.dir, "there", "bot.yaml"), filepath.Join(w.dir, "there", "more.yaml")))
}
