//go:build !linux

package filebackup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const openFlags = 0

// system is what only the system's own stat says; here it says nothing.
type system struct {
	uid, gid   int
	dev, inode uint64
	names      uint64
	changed    int64
}

func systemOf(info fs.FileInfo) system {
	return system{uid: -1, gid: -1, changed: info.ModTime().UnixNano()}
}

// stampClock stays behind the clock by more than the steps in which file systems
// count time.
func stampClock() (int64, error) { return time.Now().Add(-20 * time.Millisecond).UnixNano(), nil }

func forget(*os.File) error { return nil }

// exchange swaps two names in one step, which this system is not known to do.
func exchange(a, b string) error {
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: errors.ErrUnsupported}
}

// moveNew renames a to b and fails when there is a b.
func moveNew(a, b string) error {
	if _, err := os.Lstat(b); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("moving %s: %s is there: %w", a, b, errors.Join(fs.ErrExist, err))
	}
	return os.Rename(a, b)
}
