package atomicfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestWriteReplacesContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, atomicfile.Write(path, []byte("one"), 0o600))
	require.NoError(t, atomicfile.Write(path, []byte("two"), 0o640))
	require.Equal(t, "two", read(t, path))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), fi.Mode().Perm())
}

func TestWriteIgnoresTheUmask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, atomicfile.Write(path, nil, 0o666))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), fi.Mode().Perm())
}

func TestWriteThatFailsLeavesTheOldAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, os.Mkdir(path, 0o755)) // a rename onto a directory is refused
	err := atomicfile.Write(path, []byte("new"), 0o600)
	require.ErrorContains(t, err, path)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "the temporary file is removed")
	require.True(t, entries[0].IsDir())
}

func TestWriteNamesADirectoryThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	require.ErrorIs(t, atomicfile.Write(filepath.Join(dir, "state"), nil, 0o600), os.ErrNotExist)
	require.ErrorIs(t, atomicfile.SyncDir(dir), os.ErrNotExist)
}

func TestReplaceOnlyTakesARegularFileThatIsThere(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "env"), filepath.Join(dir, "link")
	require.ErrorIs(t, atomicfile.Replace(path, []byte("a"), 0o600), os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("a"), 0o600))
	require.NoError(t, os.Symlink(path, link))
	require.ErrorContains(t, atomicfile.Replace(link, []byte("b"), 0o600), "not a regular file")
	require.Equal(t, "a", read(t, path))
	require.NoError(t, atomicfile.Replace(path, []byte("b"), 0o640))
	require.Equal(t, "b", read(t, path))
}

func BenchmarkWrite(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state")
	data := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if err := atomicfile.Write(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "atomicfile")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "state.json")
	if err := atomicfile.Write(path, []byte(`{"state":"halted"}`), 0o600); err != nil {
		panic(err)
	}
	b, err := os.ReadFile(path)
	fmt.Println(string(b), err)
	// Output: {"state":"halted"} <nil>
}
