package filebackup

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)

func idle(context.Context, string) error { return nil }

// world is a directory with something to back up and a store beside it.
type world struct {
	dir, source, backups string
	rec                  *recoverytest.Recorder
	store                *Store
}

func newWorld(t testing.TB, change ...func(*Config)) world {
	t.Helper()
	return worldIn(t, t.TempDir(), change...)
}

func worldIn(t testing.TB, dir string, change ...func(*Config)) world {
	t.Helper()
	w := world{dir: dir, source: filepath.Join(dir, "config"), backups: filepath.Join(dir, "backups"), rec: new(recoverytest.Recorder)}
	cfg := Config{
		Component: recovery.Configuration, Dir: w.backups, Sources: []string{w.source},
		Versions: map[string]string{"bot": "1.4.2"}, Recorder: w.rec, Idle: idle,
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	w.store, err = New(cfg)
	require.NoError(t, err)
	return w
}

// fill makes a small tree of every kind of thing.
func (w world) fill(t testing.TB) world {
	t.Helper()
	require.NoError(t, fillTree(w.source, "leverage: 2\n"))
	return w
}

func fillTree(source, leverage string) error {
	if err := os.MkdirAll(filepath.Join(source, "keys", "empty"), 0o750); err != nil {
		return err
	}
	for name, f := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"production.json":                      {`{"live":true}`, 0o640},
		"bot.yaml":                             {leverage, 0o644},
		"keys/key.pem":                         {"secret", 0o400},
		"keys/none":                            {"", 0o600},
		"keys/odd \xff\n\"name\\ \u00e9\u2028": {"odd", 0o4711},
	} {
		p := filepath.Join(source, name)
		if err := os.WriteFile(p, []byte(f.text), 0o600); err != nil {
			return err
		}
		if err := os.Chmod(p, f.mode); err != nil {
			return err
		}
	}
	return os.Symlink("/nowhere/at all", filepath.Join(source, "keys", "link"))
}

// good takes a backup and verifies it.
func (w world) good(t testing.TB, now time.Time) recovery.Backup {
	t.Helper()
	b, err := w.store.Backup(t.Context(), now)
	require.NoError(t, err)
	b, err = w.store.Verify(t.Context(), b.Name, now)
	require.NoError(t, err)
	require.True(t, b.Good())
	return b
}

func (w world) plan(t testing.TB, req Request) Plan {
	t.Helper()
	p, err := w.store.PlanRestore(t.Context(), req, noon.Add(time.Hour))
	require.NoError(t, err)
	return p
}

func (w world) restore(t testing.TB, p Plan) (Restored, error) {
	t.Helper()
	return w.store.Restore(t.Context(), p, "alice", "config is damaged", noon.Add(2*time.Hour))
}

func (w world) write(t testing.TB, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.source, name), []byte(text), 0o600))
}

func look(t testing.TB, p string) []Entry {
	t.Helper()
	entries, err := scan(t.Context(), p, 3)
	require.NoError(t, err)
	return entries
}

// ls returns every path below a directory.
func ls(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	var base []string
	for _, n := range append(names, hidden...) {
		base = append(base, filepath.Base(n))
	}
	return base
}
