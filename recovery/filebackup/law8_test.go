package filebackup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tree draws any tree and writes it at root.
func drawTree(t *rapid.T, root string) {
	names := rapid.StringOfN(rapid.SampledFrom([]rune("ab.- \"\\\nüA0")), 1, 6, -1).
		Filter(func(s string) bool { return s != "." && s != ".." })
	dirs := []string{root}
	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "first"), []byte("x"), 0o600))
	for range rapid.IntRange(0, 12).Draw(t, "things") {
		p := filepath.Join(rapid.SampledFrom(dirs).Draw(t, "dir"), names.Draw(t, "name"))
		if _, err := os.Lstat(p); err == nil {
			continue
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			require.NoError(t, os.Mkdir(p, 0o700))
			dirs = append(dirs, p)
		case 1:
			require.NoError(t, os.Symlink(names.Draw(t, "target"), p))
		default:
			require.NoError(t, os.WriteFile(p, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"), 0o600))
			mode := fs.FileMode(rapid.IntRange(0, 0o777).Draw(t, "mode")) | 0o400
			if rapid.Bool().Draw(t, "setuid") {
				mode |= fs.ModeSetuid
			}
			require.NoError(t, os.Chmod(p, mode))
		}
	}
	for _, d := range slices.Backward(dirs) {
		require.NoError(t, os.Chmod(d, fs.FileMode(rapid.IntRange(0, 0o777).Draw(t, "dir mode"))|0o700))
	}
}

func TestAnyTreeComesBackEqual(t *testing.T) {
	t.Parallel() // it waits for the clock of the file system more than it works
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		w := worldIn(t, dir)
		drawTree(rt, w.source)
		before := look(t, w.source)
		w.good(t, noon)

		other := filepath.Join(dir, "other")
		_, err = w.restore(t, w.plan(t, Request{Into: other}))
		require.NoError(rt, err)
		require.Equal(rt, before, look(t, other), "beside it")

		require.NoError(rt, removeTree(w.source))
		drawTree(rt, w.source)
		damaged := look(t, w.source)
		done, err := w.restore(t, w.plan(t, Request{}))
		require.NoError(rt, err)
		require.Equal(rt, before, look(t, w.source), "in its place")
		if !done.Unchanged {
			require.Equal(rt, damaged, look(t, done.Kept), "the old tree is kept as it was")
		}
	})
}

// stored lists every file of a backup that has bytes.
func stored(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			files = append(files, p)
		}
		return err
	}))
	return files
}

func TestLaw8_AnySingleFlippedBitIsFoundAndNamed(t *testing.T) {
	w := newWorld(t).fill(t)
	b := w.good(t, noon)
	files := stored(t, b.Place)
	require.Len(t, files, 4+3, "four files with bytes, checksums.txt, the manifest and the verdict")
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(files).Draw(rt, "file")
		info, err := os.Stat(p)
		require.NoError(rt, err)
		bit := rapid.IntRange(0, int(info.Size())*8-1).Draw(rt, "bit")
		require.NoError(rt, flip(p, bit))
		name, err := filepath.Rel(b.Place, p)
		require.NoError(rt, err)
		if name == verdictFile {
			listed := describe(t, w, b.Name)
			require.False(rt, listed.Good(), "a verdict that was altered proves nothing")
			require.Contains(rt, listed.Problem, verdictFile)
		} else {
			_, err := w.store.Verify(t.Context(), b.Name, noon)
			damage, ok := errors.AsType[*recovery.DamagedError](err)
			require.True(rt, ok, "%v", err)
			require.Equal(rt, name, damage.File)
			require.Equal(rt, b.Name, damage.Backup)
			listed := describe(t, w, b.Name)
			require.Equal(rt, recovery.Damaged, listed.State)
			_, err = w.store.PlanRestore(t.Context(), Request{Backup: b.Name}, noon)
			require.ErrorIs(rt, err, ErrNotVerified)
		}
		require.NoError(rt, flip(p, bit))
		_, err = w.store.Verify(t.Context(), b.Name, noon)
		require.NoError(rt, err, "the bit is flipped back")
	})
}

func describe(t testing.TB, w world, name string) recovery.Backup {
	t.Helper()
	backups, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(backups, func(b recovery.Backup) bool { return b.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return backups[i]
}

func TestLaw8_DamageOfEveryKindIsFoundAndNamed(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir, files string) error
		file   string // after the source's path
		says   string
		state  recovery.State
	}{
		"a file is missing":     {func(_, f string) error { return os.Remove(f + "/bot.yaml") }, "/bot.yaml", "it is missing", recovery.Damaged},
		"a file was cut short":  {func(_, f string) error { return os.Truncate(f+"/bot.yaml", 5) }, "/bot.yaml", "it has 5 bytes instead of 12", recovery.Damaged},
		"a file is a directory": {func(_, f string) error { return errors.Join(os.Remove(f+"/bot.yaml"), os.Mkdir(f+"/bot.yaml", 0o700)) }, "/bot.yaml", "not a file any more", recovery.Damaged},
		"a file became a link": {func(_, f string) error {
			return errors.Join(os.Remove(f+"/bot.yaml"), os.Symlink("production.json", f+"/bot.yaml"))
		}, "/bot.yaml", "not a file any more", recovery.Damaged},
		"a link leads elsewhere": {func(_, f string) error {
			return errors.Join(os.Remove(f+"/keys/link"), os.Symlink("/etc", f+"/keys/link"))
		}, "/keys/link", "leads elsewhere", recovery.Damaged},
		"an empty directory gone": {func(_, f string) error { return os.Remove(f + "/keys/empty") }, "/keys/empty", "it is missing", recovery.Damaged},
		"a file too many":         {func(_, f string) error { return os.WriteFile(f+"/keys/more", nil, 0o600) }, "/keys/more", "not in the manifest", recovery.Damaged},
		"an empty file has bytes": {func(_, f string) error { return os.WriteFile(f+"/keys/none", []byte("x"), 0o600) }, "/keys/none", "1 bytes instead of 0", recovery.Damaged},
		"the first one is named":  {func(_, f string) error { return errors.Join(os.Remove(f+"/keys/none"), os.Remove(f+"/bot.yaml")) }, "/bot.yaml", "it is missing", recovery.Damaged},
		"no files at all":         {func(d, _ string) error { return os.RemoveAll(d + "/files") }, "files", "cannot be read", recovery.Damaged},
		"no manifest":             {func(d, _ string) error { return os.Remove(d + "/MANIFEST") }, "MANIFEST", "still being written, or was cut off", recovery.Writing},
		"an empty manifest":       {func(d, _ string) error { return os.Truncate(d+"/MANIFEST", 0) }, "MANIFEST", "cut off in its first line", recovery.Damaged},
		"a manifest is cut short": {func(d, _ string) error { return os.Truncate(d+"/MANIFEST", 300) }, "MANIFEST", "SHA-256 differs", recovery.Damaged},
		"not a manifest":          {func(d, _ string) error { return os.WriteFile(d+"/MANIFEST", []byte("{}\n{}\n"), 0o600) }, "MANIFEST", "not that of a manifest", recovery.Damaged},
		"a newer format": {func(d, _ string) error {
			return os.WriteFile(d+"/MANIFEST", []byte("andon-manifest 2 sha256:00\n{}\n"), 0o600)
		}, "MANIFEST", "its format is 2 and this program reads 1", recovery.Damaged},
		"the verdict in place of the manifest": {func(d, _ string) error { return os.Rename(d+"/VERIFIED", d+"/MANIFEST") }, "MANIFEST", "not that of a manifest", recovery.Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).fill(t)
			b := w.good(t, noon)
			require.NoError(t, c.damage(b.Place, filepath.Join(b.Place, filesDir, w.source)))
			got, err := w.store.Verify(t.Context(), b.Name, noon)
			damage, ok := errors.AsType[*recovery.DamagedError](err)
			require.True(t, ok, "%v", err)
			require.ErrorIs(t, err, recovery.ErrDamaged)
			want := c.file
			if strings.HasPrefix(c.file, "/") {
				want = filepath.Join(filesDir, w.source) + c.file
			}
			require.Equal(t, want, damage.File)
			require.Contains(t, damage.Reason, c.says)
			require.Equal(t, c.state, got.State)
			require.Contains(t, got.Problem, c.says)
			require.Equal(t, c.state, describe(t, w, b.Name).State)
			_, err = w.store.PlanRestore(t.Context(), Request{}, noon)
			require.ErrorIs(t, err, recovery.ErrNoBackup)
		})
	}
}

func TestLaw8_AVerdictCountsOnlyForItsOwnBackup(t *testing.T) {
	w := newWorld(t).fill(t)
	old := w.good(t, noon)
	w.write(t, "bot.yaml", "leverage: 3\n")
	b, err := w.store.Backup(t.Context(), noon.Add(1e9))
	require.NoError(t, err)
	verdict, err := os.ReadFile(filepath.Join(old.Place, verdictFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.Place, verdictFile), verdict, 0o600))
	got := describe(t, w, b.Name)
	require.Equal(t, recovery.Complete, got.State)
	require.Contains(t, got.Problem, "about another manifest")

	require.NoError(t, os.Rename(old.Place, filepath.Join(w.backups, "backup_20270101_000000")))
	got = describe(t, w, "backup_20270101_000000")
	require.Equal(t, recovery.Damaged, got.State, "a renamed backup pretends to be newer than it is")
	require.Contains(t, got.Problem, "it is that of "+old.Name)

	other := worldIn(t, w.dir, func(c *Config) { c.Component = recovery.MonitoringLogs })
	got = describe(t, other, b.Name)
	require.Equal(t, recovery.Damaged, got.State)
	require.Contains(t, got.Problem, `belongs to "Configuration", not to "Monitoring/Logs"`)
}

func TestLaw8_AFullDiskLeavesNoGoodBackup(t *testing.T) {
	dir := smallDisk(t, 512<<10)
	source := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.Mkdir(source, 0o700))
	full := 0
	for size := 300 << 10; size <= 520<<10; size += 4 << 10 {
		require.NoError(t, os.WriteFile(filepath.Join(source, "data"), bytes.Repeat([]byte("x"), size), 0o600))
		store, err := New(Config{Component: "c", Dir: dir, Sources: []string{source}})
		require.NoError(t, err)
		b, err := store.Backup(t.Context(), noon)
		if err == nil {
			_, err = store.Verify(t.Context(), b.Name, noon)
		}
		listed, lerr := store.Backups(t.Context())
		require.NoError(t, lerr)
		if err == nil {
			require.Len(t, listed, 1)
			require.True(t, listed[0].Good())
		} else {
			full++
			require.ErrorContains(t, err, "no space left on device", fmt.Sprint(size))
			for _, l := range listed {
				require.False(t, l.Good(), l)
			}
		}
		for _, l := range listed {
			require.NoError(t, discard(l.Place))
		}
	}
	require.NotZero(t, full, "the disk was full at least once")
}
