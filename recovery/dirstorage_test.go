package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func openDir(t testing.TB, dir string) *recovery.DirStorage {
	t.Helper()
	s, err := recovery.NewDirStorage(dir)
	require.NoError(t, err)
	return s
}

func TestDirStorageConforms(t *testing.T) {
	recoverytest.TestStorage(t, func(t *testing.T) recovery.Storage { return openDir(t, filepath.Join(t.TempDir(), "deep", "er")) })
}

func TestDirStorageRefusesWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := recovery.NewDirStorage(file)
	require.ErrorContains(t, err, "is not a directory")
	_, err = recovery.NewDirStorage("")
	require.ErrorContains(t, err, "is empty")
}

func TestAStorageWhoseDirectoryIsGoneIsNotEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	s := openDir(t, dir)
	require.NoError(t, os.Remove(dir))
	_, err := s.List(t.Context(), "")
	require.ErrorIs(t, err, os.ErrNotExist, "an unmounted disk has no backups that can be known")
}

func TestFilesOfBackupsAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, openDir(t, dir).Put(t.Context(), "a/b", []byte("secret")))
	for path, want := range map[string]os.FileMode{"a": 0o700, "a/b": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), path)
	}
}

func TestWhatAKillLeftHalfWrittenGoesWithItsDirectory(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir)
	require.NoError(t, s.Put(t.Context(), "a/b", []byte("x")))
	left := filepath.Join(dir, "a", ".tmp-1")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	objects, err := s.List(t.Context(), "a/")
	require.NoError(t, err)
	require.Len(t, objects, 1, "it is no object")

	require.NoError(t, s.Delete(t.Context(), "a/b"))
	require.FileExists(t, left, "it may be somebody's who is writing now")
	require.NoError(t, s.Put(t.Context(), "a/b", []byte("x")))
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(left, old, old))
	require.NoError(t, s.Delete(t.Context(), "a/b"))
	require.NoDirExists(t, filepath.Join(dir, "a"))
}

func TestAKilledPutLeavesTheWholeObjectOrNone(t *testing.T) {
	const text = "a whole object, every byte of it"
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 40}, func(dir string) error {
		s, err := recovery.NewDirStorage(filepath.Join(dir, "storage"))
		if err != nil {
			return err
		}
		if err := s.Put(t.Context(), "a/b", []byte(text)); err != nil {
			return err
		}
		fmt.Println("put")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		s := openDir(t, filepath.Join(dir, "storage"))
		objects, err := s.List(t.Context(), "a/")
		require.NoError(t, err)
		if len(at.Lines) > 0 {
			require.Len(t, objects, 1)
		}
		for _, o := range objects {
			require.EqualValues(t, len(text), o.Size)
			data, err := os.ReadFile(filepath.Join(dir, "storage", o.Key))
			require.NoError(t, err)
			require.Equal(t, text, string(data))
		}
	})
	require.Empty(t, crashtest.Unsynced(steps), "a power cut would lose it")
}
