package recovery

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget asks the kernel to drop what it holds of a file in memory, so that what
// is read next comes from the disk. It is advice: a file system may keep it.
func forget(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
