package gitrelease

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/andon-go/andon/internal/atomicfile"
)

// syncTree makes a checkout durable, so that current never leads to one that a power
// cut has emptied. It does not follow links.
func syncTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return atomicfile.SyncDir(path)
		case !d.Type().IsRegular():
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(dir))
}
