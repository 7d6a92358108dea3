package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Replace is Write for a file that is there and keeps its owner, such as another
// program's configuration. It is an error, and nothing is changed, where the path is
// not a regular file (a symbolic link is none) or where this process may not give a
// file to that owner.
func Replace(path string, data []byte, perm fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	return write(path, data, perm, func(f *os.File) error {
		if err := sameOwner(f, info); err != nil {
			return errors.Join(fmt.Errorf("keeping the owner of %s", path), err)
		}
		return nil
	})
}
