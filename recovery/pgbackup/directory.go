package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/andon-go/andon/internal/atomicfile"
)

// Directory is a Storage in a directory of its own. It is safe for concurrent use.
type Directory struct {
	dir string
}

// NewDirectory returns the storage in a directory, which it makes, for its owner
// alone, when it is not there.
func NewDirectory(dir string) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	return &Directory{dir}, nil
}

// unfinished is how the names of objects end that are still being written.
const unfinished = ".unfinished"

func (d *Directory) path(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." || strings.HasSuffix(name, unfinished) {
		return "", fmt.Errorf("object %q: not a name", name)
	}
	return filepath.Join(d.dir, filepath.FromSlash(name)), nil
}

// Put writes beside the name, syncs, renames, and syncs the directories.
func (d *Directory) Put(ctx context.Context, name string, r io.Reader) (err error) {
	p, err := d.path(name)
	if err != nil {
		return err
	}
	if err := d.makeParents(filepath.Dir(p)); err != nil {
		return fmt.Errorf("object %q: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(p), filepath.Base(p)+".*"+unfinished)
	if err != nil {
		return fmt.Errorf("object %q: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("object %q: %w", name, err), os.Remove(f.Name()))
		}
	}()
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close(), ctx.Err()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), p); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(p))
}

// makeParents makes a directory below the storage's own, each durable in the one
// above.
func (d *Directory) makeParents(dir string) error {
	if _, err := os.Stat(dir); err == nil || dir == d.dir {
		return err
	}
	if err := d.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(dir))
}

// Get opens a file.
func (d *Directory) Get(_ context.Context, name string, offset, n int64) (io.ReadCloser, error) {
	p, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, fmt.Errorf("object %q: %w", name, err)
	}
	if offset == 0 && n < 0 {
		return f, nil
	}
	if n < 0 {
		n = 1<<63 - 1 - offset
	}
	return section{io.NewSectionReader(f, offset, n), f}, nil
}

type section struct {
	io.Reader
	io.Closer
}

// List walks the directory. What is still being written is not listed.
func (d *Directory) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(d.dir, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p != d.dir {
			return nil // removed meanwhile
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(d.dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			if rel != "." && !strings.HasPrefix(rel, prefix) && !strings.HasPrefix(prefix, rel+"/") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasPrefix(rel, prefix) && !strings.HasSuffix(rel, unfinished) {
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing objects: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// Delete removes a file, and the directories that it leaves empty.
func (d *Directory) Delete(_ context.Context, name string) error {
	p, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := filepath.Dir(p); dir != d.dir && os.Remove(dir) == nil; {
		dir = filepath.Dir(dir)
	}
	return nil
}
