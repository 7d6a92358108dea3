package filebackup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"
)

// copier writes a tree that is being read to where the backup lies. A nil copier
// writes nothing.
type copier struct {
	root  *os.Root // the files of the backup
	from  string   // the base name of the source
	at    string   // the path of the source below root
	parts *parts   // if set, files become parts of a draft, and root is scratch
}

func (c *copier) path(p string) string { return path.Join(c.at, strings.TrimPrefix(p, c.from)) }

// database is the path below root where an engine may copy a database to.
func (c *copier) database(p string) string {
	if c.parts != nil {
		return "database"
	}
	return c.path(p)
}

func (c *copier) mkdir(p string) error {
	if c == nil || c.parts != nil {
		return nil
	}
	return c.root.MkdirAll(c.path(p), 0o700)
}

func (c *copier) link(target, p string) error {
	if c == nil || c.parts != nil {
		return nil
	}
	if err := c.remove(p); err != nil {
		return err
	}
	return c.root.Symlink(target, c.path(p))
}

func (c *copier) remove(p string) error {
	if c == nil || c.parts != nil {
		return nil
	}
	return c.root.RemoveAll(c.path(p))
}

// file copies an open file, durably, and returns its size and SHA-256.
func (c *copier) file(ctx context.Context, p string, f io.Reader, buf []byte) (int64, string, error) {
	if c == nil {
		return copyHashing(ctx, io.Discard, f, buf)
	}
	if c.parts != nil {
		return c.parts.write(ctx, Path(c.path(p)), f, buf)
	}
	return writeFile(ctx, c.root, c.path(p), f, buf)
}

// writeFile replaces a file, readable by its owner alone, and fsyncs it.
func writeFile(ctx context.Context, root *os.Root, p string, from io.Reader, buf []byte) (size int64, sum string, err error) {
	w, err := root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if size, sum, err = copyHashing(ctx, holes{w}, from, buf); err != nil {
		return 0, "", err
	}
	if err := w.Truncate(size); err != nil { // a hole at the end has no byte that was written
		return 0, "", err
	}
	return size, sum, w.Sync()
}

// holes leaves out what is all zeros, so that a sparse file takes no more room than
// it did.
type holes struct{ f *os.File }

var zeros = make([]byte, 1<<17)

func (h holes) Write(p []byte) (int, error) {
	if len(p) < 4096 || len(p) > len(zeros) || !bytes.Equal(p, zeros[:len(p)]) {
		return h.f.Write(p)
	}
	if _, err := h.f.Seek(int64(len(p)), io.SeekCurrent); err != nil {
		return 0, err
	}
	return len(p), nil
}

// syncDirs makes the names in every directory below and in start durable.
func syncDirs(ctx context.Context, root *os.Root, start string) error {
	nodes, err := walk(ctx, root, start)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.info.IsDir() {
			continue
		}
		if err := syncOne(root, n.path); err != nil {
			return err
		}
	}
	return nil
}

func syncOne(root *os.Root, p string) error {
	f, err := root.Open(p)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// storedFiles are the contents of a backup that lies in a directory as it was.
type storedFiles struct{ root *os.Root }

func openFiles(dir string) (contents, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return storedFiles{root}, nil
}

func (c storedFiles) open(_ context.Context, p Path) (io.ReadCloser, error) {
	return c.root.OpenFile(string(p), os.O_RDONLY|openFlags, 0)
}

func (c storedFiles) close() error { return c.root.Close() }
