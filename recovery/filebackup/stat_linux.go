package filebackup

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags keeps an open from waiting for a writer, should a named pipe have taken
// the place of a file since it was looked at.
const openFlags = syscall.O_NONBLOCK

// system is what only the system's own stat says.
type system struct {
	uid, gid   int
	dev, inode uint64
	names      uint64 // how many names the file has
	changed    int64  // ctime in nanoseconds: no program can set it back
}

func systemOf(info fs.FileInfo) system {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return system{uid: -1, gid: -1, changed: info.ModTime().UnixNano()}
	}
	return system{int(st.Uid), int(st.Gid), uint64(st.Dev), st.Ino, uint64(st.Nlink), st.Ctim.Nano()}
}

// stampClock reads the clock from which the kernel stamps changes, in nanoseconds.
// It moves in steps of up to 10 ms, and later when a virtual machine is held up.
func stampClock() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return ts.Nano(), nil
}

// forget asks the kernel to drop what it holds of a file in memory, so that what
// is read next comes from the disk. It is advice: a file system may keep it.
func forget(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// exchange swaps two names in one step of the file system.
func exchange(a, b string) error {
	return renameat2(a, b, unix.RENAME_EXCHANGE)
}

// moveNew renames a to b and fails when there is a b.
func moveNew(a, b string) error {
	return renameat2(a, b, unix.RENAME_NOREPLACE)
}

func renameat2(a, b string, flags uint) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, flags); err != nil {
		return &os.LinkError{Op: "renameat2", Old: a, New: b, Err: err}
	}
	return nil
}
