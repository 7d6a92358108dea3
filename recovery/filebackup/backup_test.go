package filebackup

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func TestStoreConforms(t *testing.T) {
	open := func(t *testing.T) recoverytest.Subject {
		w := newWorld(t).fill(t)
		return recoverytest.Subject{Target: w.store, Damage: func(name string) error {
			return flip(filepath.Join(w.backups, name, filesDir, w.source, "bot.yaml"), 13)
		}}
	}
	recoverytest.TestTarget(t, open)
	recoverytest.TestRehearser(t, open)
}

// flip changes one bit of a file and nothing else.
func flip(p string, bit int) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	data[bit/8%len(data)] ^= 1 << (bit % 8)
	if err := os.WriteFile(p, data, 0o600); err != nil {
		return err
	}
	return os.Chtimes(p, info.ModTime(), info.ModTime())
}

func TestBackupKeepsWhatItSays(t *testing.T) {
	w := newWorld(t).fill(t)
	b := w.good(t, noon)
	require.Equal(t, "backup_20260304_150405", b.Name)
	require.Equal(t, recovery.Configuration, b.Component)
	require.Equal(t, 5, b.Files)
	require.Equal(t, int64(13+12+6+0+3), b.Bytes)
	m, err := w.store.Manifest(t.Context(), b.Name)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"bot": "1.4.2"}, m.Versions)
	require.Equal(t, look(t, w.source), m.tree(w.source))
	for _, e := range m.Entries {
		info, err := os.Lstat(filepath.Join(w.backups, b.Name, filesDir, string(e.Path)))
		require.NoError(t, err)
		if e.Kind != Link {
			require.Zero(t, info.Mode().Perm()&0o077, "%v can be read by others", e.Path)
		}
	}
}

func TestSeveralSourcesAndASingleFile(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Sources = append(c.Sources, filepath.Join(filepath.Dir(c.Dir), "bot.env")) }).fill(t)
	env := filepath.Join(w.dir, "bot.env")
	require.NoError(t, os.WriteFile(env, []byte("KEY=1"), 0o600))
	b := w.good(t, noon)
	require.Equal(t, 6, b.Files)

	_, err := w.store.PlanRestore(t.Context(), Request{}, noon)
	require.ErrorContains(t, err, "is not one of those in "+b.Name, "with two sources one must be named")
	require.NoError(t, os.WriteFile(env, []byte("KEY=2"), 0o600))
	done, err := w.restore(t, w.plan(t, Request{Source: env}))
	require.NoError(t, err)
	data, err := os.ReadFile(env)
	require.NoError(t, err)
	require.Equal(t, "KEY=1", string(data))
	data, err = os.ReadFile(done.Kept)
	require.NoError(t, err)
	require.Equal(t, "KEY=2", string(data))
}

func TestLaw1_NoBackupOfWhatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, w world)
		is      error
		says    string
	}{
		"source is missing":  {func(*testing.T, world) {}, os.ErrNotExist, "config"},
		"source has no file": {func(t *testing.T, w world) { require.NoError(t, os.MkdirAll(filepath.Join(w.source, "x"), 0o700)) }, ErrNothing, "config"},
		"source is a link":   {func(t *testing.T, w world) { require.NoError(t, os.Symlink(w.dir, w.source)) }, nil, "is a symbolic link: name what it points to"},
		"a named pipe in it": {func(t *testing.T, w world) {
			w.fill(t)
			require.NoError(t, syscall.Mkfifo(filepath.Join(w.source, "pipe"), 0o600))
		}, ErrSpecial, `config/pipe" is a named pipe`},
		"a socket in it":        {listen, ErrSpecial, `s" is a socket`},
		"the source is special": {func(t *testing.T, w world) { require.NoError(t, syscall.Mkfifo(w.source, 0o600)) }, ErrSpecial, `config" is a named pipe`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(t, w)
			b, err := w.store.Backup(t.Context(), noon)
			require.Error(t, err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.ErrorContains(t, err, c.says)
			require.Zero(t, b)
			require.Empty(t, ls(t, w.backups), "nothing half written is left")
		})
	}
}

func listen(t *testing.T, w world) {
	require.NoError(t, os.Mkdir(w.source, 0o700))
	t.Chdir(w.source) // the path of a socket must be short
	l, err := net.Listen("unix", "s")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
}

func TestBackupsThatCannotBeListedAreAnError(t *testing.T) {
	w := newWorld(t).fill(t)
	w.good(t, noon)
	require.NoError(t, os.Rename(w.backups, w.backups+".gone"))
	_, err := w.store.Backups(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestABackupIsOneInstant writes a number into two files, first into a, then into
// b. At every instant b is at most a, and a at most b+1, so that a copy in which
// they differ by more was never on the disk.
func TestABackupIsOneInstant(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Tries = 1000 })
	require.NoError(t, os.MkdirAll(filepath.Join(w.source, "sub"), 0o700))
	w.write(t, "a", "0")
	w.write(t, "sub/b", "0")
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := byte(1); ; i++ {
			for _, name := range []string{"a", "sub/b"} {
				if err := os.WriteFile(filepath.Join(w.source, name), []byte{i}, 0o600); err != nil {
					done <- err
					return
				}
			}
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(time.Duration(i%8) * 20 * time.Millisecond):
			}
		}
	}()
	for i := range 6 {
		b, err := w.store.Backup(t.Context(), noon.Add(time.Duration(i)*time.Second))
		require.NoError(t, err)
		copied := func(name string) byte {
			data, err := os.ReadFile(filepath.Join(w.backups, b.Name, filesDir, w.source, name))
			require.NoError(t, err)
			if len(data) == 0 { // the instant between truncating and writing
				return 0
			}
			return data[0]
		}
		x, y := copied("a"), copied("sub/b")
		if x != 0 && y != 0 {
			require.Contains(t, []byte{0, 1}, x-y, "a is %d and b is %d", x, y)
		}
	}
	close(stop)
	require.NoError(t, <-done)
}

// meddler is a context that does something whenever somebody asks whether it has
// ended, which reading does before each directory and each piece of a file.
type meddler struct {
	context.Context
	meddle func()
}

func (m meddler) Err() error {
	m.meddle()
	return m.Context.Err()
}

func TestWhatWillNotHoldStillIsNamed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Tries = 3 }).fill(t)
	n := 0
	ctx := meddler{t.Context(), func() {
		n++
		w.write(t, "busy.log", strconv.Itoa(n))
	}}
	_, err := w.store.Backup(ctx, noon)
	require.ErrorIs(t, err, ErrChanging)
	require.ErrorContains(t, err, `config/busy.log", read 3 times`)
	require.Empty(t, ls(t, w.backups))
}

func TestWhatHoldsStillAtLastIsBackedUpAsItIsThen(t *testing.T) {
	for last := range 30 { // every moment of the first passes
		w := newWorld(t).fill(t)
		n := 0
		ctx := meddler{t.Context(), func() {
			if n++; n <= last {
				w.write(t, "busy.log", strconv.Itoa(n%10))
				require.NoError(t, os.RemoveAll(filepath.Join(w.source, "keys")))
			}
		}}
		b, err := w.store.Backup(ctx, noon)
		if errors.Is(err, ErrChanging) {
			continue
		}
		require.NoError(t, err)
		m, err := w.store.Manifest(t.Context(), b.Name)
		require.NoError(t, err)
		require.Equal(t, look(t, w.source), m.tree(w.source), "after %d changes", last)
		_, err = w.store.Verify(t.Context(), b.Name, noon)
		require.NoError(t, err, "after %d changes", last)
	}
}

func TestWhatChangesOnceIsReadAgain(t *testing.T) {
	w := newWorld(t).fill(t)
	r, err := newReader(w.source, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.close()) }()
	require.NoError(t, r.pass(t.Context()))
	moved, err := r.moved(t.Context())
	require.NoError(t, err)
	require.Empty(t, moved)

	// The same size and the same modification time, as cp -p would leave them.
	p := filepath.Join(w.source, "bot.yaml")
	info, err := os.Stat(p)
	require.NoError(t, err)
	require.NoError(t, flip(p, 3))
	require.NoError(t, os.Chtimes(p, info.ModTime(), info.ModTime()))
	moved, err = r.moved(t.Context())
	require.NoError(t, err)
	require.Equal(t, "config/bot.yaml", moved)
	require.NoError(t, os.RemoveAll(filepath.Join(w.source, "keys")))
	require.NoError(t, os.WriteFile(filepath.Join(w.source, "keys"), []byte("a file now"), 0o600))
	require.NoError(t, snapshot(t.Context(), 1, r))
	entries, _ := r.rooted(".")
	require.Equal(t, look(t, w.source), entries)
}

// A kernel without fine-grained stamps gives all changes of one tick the same time.
// Reading must not begin before that tick is over.
func TestAChangeInTheSameTickOfTheClockWouldBeSeen(t *testing.T) {
	for range 20 {
		now, err := stampClock()
		require.NoError(t, err)
		nodes := []node{{stamp: stamp{system: system{changed: now}}}, {stamp: stamp{system: system{changed: now + int64(time.Hour)}}}}
		require.NoError(t, settle(t.Context(), nodes), "a time far in the future is not waited for")
		then, err := stampClock()
		require.NoError(t, err)
		require.Greater(t, then, now, "what changes from here on gets a later time")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	soon, err := stampClock()
	require.NoError(t, err)
	nodes := []node{{stamp: stamp{system: system{changed: soon + int64(time.Second)/2}}}}
	require.ErrorIs(t, settle(ctx, nodes), context.Canceled)
}

func TestTwoBackupsAtOnceAreTwo(t *testing.T) {
	w := newWorld(t).fill(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { _, errs[i] = w.store.Backup(context.WithoutCancel(t.Context()), noon) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	backups, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	require.Len(t, backups, 8)
	for _, b := range backups {
		_, err := w.store.Verify(t.Context(), b.Name, noon)
		require.NoError(t, err)
	}
}

func TestACancelledBackupLeavesNothing(t *testing.T) {
	w := newWorld(t).fill(t)
	r, err := newReader(w.source, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, snapshot(ctx, 1, r), context.Canceled)
	_, _, err = w.store.copySources(ctx, filepath.Join(w.dir, "copy"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = w.store.Backup(ctx, noon)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, ls(t, w.backups))
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := New(Config{Tries: -1})
	for _, want := range []string{"Component: is empty", "Tries: -1", "Sources: there are none"} {
		require.ErrorContains(t, err, want)
	}
	dir := t.TempDir()
	_, err = New(Config{Component: "c", Dir: dir, Sources: []string{dir, filepath.Join(dir, "a"), filepath.Join(dir, "a", "b"), "/"}})
	for _, want := range []string{"and Dir, ", `/a/b" lie within each other`, "root directory cannot"} {
		require.ErrorContains(t, err, want)
	}
	_, err = New(Config{Component: "c", Dir: dir, Sources: []string{""}})
	require.ErrorContains(t, err, "Sources: one of them is empty")
	_, err = New(Config{Component: "c", Dir: filepath.Join(dir, "new"), Sources: []string{dir + "x"}})
	require.NoError(t, err)
	s := Config{}.withDefaults()
	require.Equal(t, "/backups/files", s.Dir)
}

func TestAManifestThatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Versions = map[string]string{"bot": "\xff"} }).fill(t)
	_, err := w.store.Backup(t.Context(), noon)
	require.ErrorContains(t, err, "its manifest could not be read again")
	require.Empty(t, ls(t, w.backups))
}
