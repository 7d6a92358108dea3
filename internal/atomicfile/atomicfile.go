// Package atomicfile replaces files so that a crash at any instant leaves either
// the old content or the new, never a mixture and never nothing.
//
// Write fsyncs the file before it is renamed and the directory after it, so that
// the new content is on disk when Write returns nil. A crash can leave a temporary
// file named ".NAME.tmp-*" beside the file; it is never read.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path with data and gives it exactly the permissions in
// perm, whatever the umask. A symbolic link at path is replaced, not followed. It is
// safe for concurrent use: the last of several writers wins, whole. On an error the old content, or its
// absence, is what a reader sees, except that a failed fsync of the directory
// leaves the new content in place but not yet durable; the error says which.
func Write(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, func(*os.File) error { return nil })
}

// write lets prepare see the new file before it has its permissions and its content:
// a change of owner may take permissions away.
func write(path string, data []byte, perm fs.FileMode, prepare func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), ignoreNotExist(os.Remove(f.Name())))
		}
	}()
	if err := prepare(f); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fsync %s: %w", f.Name(), err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("%s is replaced but not durable: %w", path, err)
	}
	return f.Close()
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("fsync directory %s: %w", dir, err), d.Close())
	}
	return d.Close()
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
