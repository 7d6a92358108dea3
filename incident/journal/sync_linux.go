package journal

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes the data of f, and its size, durable.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
