package filebackup

import (
	"strconv"
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallDisk returns a directory on a disk of its own of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size))
	if err != nil {
		needs.Missing(t, "a small disk: mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

// blocks is how many bytes a file takes on the disk.
func blocks(t *testing.T, p string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(p, &st))
	return st.Blocks * 512
}
