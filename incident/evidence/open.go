package evidence

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openNoFollow opens a file to be written, for its owner alone, and no link.
func openNoFollow(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

// openRegular opens a regular file to be read, and no link. It does not wait, as it would
// for a pipe that somebody has put there since.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a %v", path, info.Mode().Type())
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}
