//go:build unix

package atomicfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
)

func TestReplaceKeepsTheOwner(t *testing.T) {
	if os.Getuid() != 0 {
		needs.Missing(t, "the rights of root, to give a file to somebody else")
	}
	path := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(path, []byte("a"), 0o600))
	require.NoError(t, os.Chown(path, 1234, 4321))
	require.NoError(t, atomicfile.Replace(path, []byte("b"), 0o640))
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	require.Equal(t, [3]uint32{1234, 4321, 0o640}, [3]uint32{stat.Uid, stat.Gid, uint32(info.Mode())})
}
