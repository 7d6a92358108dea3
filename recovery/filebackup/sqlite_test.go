package filebackup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
)

func sql(t testing.TB, db, text string) string {
	t.Helper()
	out, err := sqlite3(t.Context(), "sqlite3", db, text)
	require.NoError(t, err)
	return out
}

func needSQLite(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		needs.Missing(t, "the program sqlite3: %v", err)
	}
}

// A process writes two rows in each transaction, without a pause, while backups are
// taken: each backup holds whole transactions, whatever its journals held.
func TestADatabaseThatIsWrittenToIsCopiedWhole(t *testing.T) {
	needSQLite(t)
	for _, journal := range []string{"wal", "delete"} {
		t.Run(journal, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.SQLite = SQLite3("") })
			require.NoError(t, os.Mkdir(w.source, 0o700))
			db := filepath.Join(w.source, "positions.db")
			sql(t, db, "PRAGMA journal_mode="+journal+"; CREATE TABLE legs(n INTEGER, side TEXT); CREATE TABLE ready(x)")
			ctx, cancel := context.WithCancel(t.Context())
			cmd := exec.CommandContext(ctx, "sqlite3", "-batch", "-init", os.DevNull, "-cmd", ".timeout 10000", db)
			var script strings.Builder
			for n := range 20000 {
				fmt.Fprintf(&script, "BEGIN; INSERT INTO legs VALUES(%d,'long'); INSERT INTO legs VALUES(%d,'short'); COMMIT;\n", n, n)
			}
			cmd.Stdin = strings.NewReader(script.String())
			require.NoError(t, cmd.Start())
			defer func() { cancel(); _ = cmd.Wait() }() // it is killed in the middle
			require.Eventually(t, func() bool { return sql(t, db, "SELECT count(*)>10 FROM legs") == "1" }, 20*time.Second, time.Millisecond)

			b := w.good(t, noon)
			copied := filepath.Join(b.Place, filesDir, db)
			require.Equal(t, "0", sql(t, copied, "SELECT count(*) FROM (SELECT n FROM legs GROUP BY n HAVING count(*)<>2)"))
			require.Equal(t, "1", sql(t, copied, "SELECT count(*)>10 FROM legs"))
			m, err := w.store.Manifest(t.Context(), b.Name)
			require.NoError(t, err)
			require.Len(t, m.Entries, 2, "the directory and the database, without its journals")
			cancel()
			_ = cmd.Wait()

			into := filepath.Join(w.dir, "restored")
			_, err = w.restore(t, w.plan(t, Request{Backup: b.Name, Into: into}))
			require.NoError(t, err)
			require.Equal(t, "ok", sql(t, filepath.Join(into, "positions.db"), "PRAGMA integrity_check"))
		})
	}
}

func TestADatabaseIsNeverCopiedAsItLies(t *testing.T) {
	needSQLite(t)
	w := newWorld(t).fill(t)
	sql(t, filepath.Join(w.source, "positions.db"), "CREATE TABLE legs(n)")
	_, err := w.store.Backup(t.Context(), noon)
	require.ErrorIs(t, err, ErrDatabase)
	require.ErrorContains(t, err, "positions.db")

	broken := errors.New("database is locked")
	w.store.cfg.SQLite = func(context.Context, string, string) error { return broken }
	_, err = w.store.Backup(t.Context(), noon)
	require.ErrorIs(t, err, broken)
	w.store.cfg.SQLite = func(_ context.Context, _, to string) error { return os.WriteFile(to, []byte("no database"), 0o600) }
	_, err = w.store.Backup(t.Context(), noon)
	require.ErrorContains(t, err, "is none")
	backups, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	require.Empty(t, backups)
}

func TestADatabaseThatIsDamagedIsNotBackedUp(t *testing.T) {
	needSQLite(t)
	w := newWorld(t, func(c *Config) { c.SQLite = SQLite3("") }).fill(t)
	db := filepath.Join(w.source, "positions.db")
	sql(t, db, "CREATE TABLE legs(n); INSERT INTO legs SELECT value FROM generate_series(1,5000)")
	data, err := os.ReadFile(db)
	require.NoError(t, err)
	for i := 4096; i < len(data); i++ {
		data[i] = 0xff
	}
	require.NoError(t, os.WriteFile(db, data, 0o600))
	_, err = w.store.Backup(t.Context(), noon)
	require.Error(t, err)
	require.ErrorContains(t, SQLite3("/no/such/program")(t.Context(), db, db+"2"), "/no/such/program")
}

func TestSHA256SumChecksABackup(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		needs.Missing(t, "the program sha256sum: %v", err)
	}
	w := newWorld(t).fill(t)
	b := w.good(t, noon)
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), "sha256sum", "--strict", "-c", checksumsFile)
		cmd.Dir = b.Place
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := check()
	require.NoError(t, err, out)
	require.Equal(t, 5, strings.Count(out, ": OK"), out)
	require.NoError(t, flip(filepath.Join(b.Place, filesDir, w.source, "bot.yaml"), 3))
	out, err = check()
	require.Error(t, err)
	require.Contains(t, out, "bot.yaml: FAILED")

	require.NoError(t, flip(filepath.Join(b.Place, filesDir, w.source, "bot.yaml"), 3))
	require.NoError(t, os.Remove(filepath.Join(b.Place, checksumsFile)))
	_, err = w.store.Verify(t.Context(), b.Name, noon)
	d, ok := errors.AsType[*recovery.DamagedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, checksumsFile, d.File)
}

func TestASparseFileStaysSparse(t *testing.T) {
	w := newWorld(t).fill(t)
	const size = 64 << 20
	sparse := filepath.Join(w.source, "sparse")
	f, err := os.Create(sparse)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("in the middle"), size/2)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
	b := w.good(t, noon)
	into := filepath.Join(w.dir, "restored")
	_, err = w.restore(t, w.plan(t, Request{Into: into}))
	require.NoError(t, err)
	for _, p := range []string{filepath.Join(b.Place, filesDir, sparse), filepath.Join(into, "sparse")} {
		require.Less(t, blocks(t, p), int64(size/10), p)
		data, err := os.ReadFile(p)
		require.NoError(t, err)
		require.Len(t, data, size)
		require.Equal(t, "in the middle", string(data[size/2:size/2+13]))
	}
}

func TestARehearsalLeavesNothingAndHindersNoRestore(t *testing.T) {
	w := newWorld(t).fill(t)
	b := w.good(t, noon)
	left := filepath.Join(w.backups, drillPrefix+"killed")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "x"), 0o700))
	r, err := w.store.Rehearse(t.Context(), b.Name, noon)
	require.NoError(t, err)
	require.Contains(t, r.Evidence, "5 files")
	require.Positive(t, r.Took)
	require.ElementsMatch(t, []string{b.Name, drillLock}, ls(t, w.backups), "what a killed one left is gone too")

	unlock, err := w.store.lock() // a restore in earnest is at work
	require.NoError(t, err)
	_, err = w.store.Rehearse(t.Context(), b.Name, noon)
	require.NoError(t, err)
	require.NoError(t, unlock())
}
