package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
)

// DirStorage is a Storage in a directory: an object is a file, a common prefix a
// directory. Files are readable by their owner alone. The file system must have
// hard links, by which a name is taken only if it is free. It is safe for
// concurrent use, by several processes too.
type DirStorage struct {
	dir string
}

var _ Storage = (*DirStorage)(nil)

// tempPrefix begins the names of files that are being written. No key begins so.
const tempPrefix = ".tmp-"

// staleTemp is the age at which a file that is being written was left behind.
const staleTemp = time.Hour

// NewDirStorage returns the storage in a directory, which it makes if it is not
// there.
func NewDirStorage(dir string) (*DirStorage, error) {
	if dir == "" {
		return nil, errors.New("the directory of the storage is empty")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the directory of the storage: %w", err)
	}
	if err := atomicfile.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of the storage: %w", err)
	}
	return &DirStorage{abs}, nil
}

// String returns the directory, for people.
func (s *DirStorage) String() string { return s.dir }

// Put writes a file under another name, makes it durable, and gives it its own.
func (s *DirStorage) Put(ctx context.Context, key string, data []byte) error {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	for try := 1; ; try++ {
		err := put(path, data)
		// Delete may have removed the directory as the last thing in it went.
		if errors.Is(err, fs.ErrNotExist) && try < 100 {
			if err = atomicfile.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("putting %s: %w", key, err)
		}
		return nil
	}
}

func put(path string, data []byte) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist // without writing all of it first; the link below decides
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// Get opens a file at an offset. What the kernel holds of it in memory is dropped
// where the system allows, so that the disk is read and not what was written to it.
func (s *DirStorage) Get(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("getting %s: offset %d", key, offset)
	}
	f, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(key)))
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a common prefix is no object
	}
	if err == nil {
		err = forget(f)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("getting %s: %w", key, err), f.Close())
	}
	if n < 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, n), f}, nil
}

// List reads one directory.
func (s *DirStorage) List(ctx context.Context, prefix string) ([]Object, error) {
	if err := errors.Join(ctx.Err(), CheckPrefix(prefix)); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, filepath.FromSlash(prefix)))
	if errors.Is(err, fs.ErrNotExist) && prefix != "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", prefix, err)
	}
	var objects []Object
	for _, e := range entries {
		if CheckKey(e.Name()) != nil {
			continue // being written, or none of ours
		}
		o, err := s.object(prefix, e)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since it was listed, or a directory with nothing in it
		}
		if err != nil {
			return nil, fmt.Errorf("listing %q: %w", prefix, err)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func (s *DirStorage) object(prefix string, e fs.DirEntry) (Object, error) {
	if e.IsDir() {
		return Object{Key: prefix + e.Name() + "/"}, holds(filepath.Join(s.dir, filepath.FromSlash(prefix), e.Name()))
	}
	info, err := e.Info()
	if err != nil {
		return Object{}, err
	}
	return Object{Key: prefix + e.Name(), Size: info.Size(), Modified: info.ModTime()}, nil
}

// holds is fs.ErrNotExist for a directory that holds no object at any depth: what a
// kill in Delete leaves, or one in Put.
func holds(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if CheckKey(e.Name()) != nil {
			continue
		}
		if !e.IsDir() {
			return nil
		}
		if err := holds(filepath.Join(dir, e.Name())); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fs.ErrNotExist
}

// Delete removes a file, and the directories that it leaves empty.
func (s *DirStorage) Delete(ctx context.Context, key string) error {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil // a common prefix is no object
	}
	if err := removeIfThere(path); err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	err := atomicfile.SyncDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	s.prune(filepath.Dir(path))
	return nil
}

// prune removes a directory and those above it while they are empty but for files
// that a crash left half written. What cannot be removed is found by the next one.
func (s *DirStorage) prune(dir string) {
	for ; strings.HasPrefix(dir, s.dir+string(filepath.Separator)); dir = filepath.Dir(dir) {
		if os.Remove(dir) == nil {
			continue
		}
		if !sweep(dir) || os.Remove(dir) != nil {
			return
		}
	}
}

// sweep removes what was left half written and directories that hold nothing, and
// reports whether there was nothing else.
func sweep(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() && sweep(path) && os.Remove(path) == nil {
			continue
		}
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), tempPrefix) || time.Since(info.ModTime()) < staleTemp {
			return false
		}
		if os.Remove(path) != nil {
			return false
		}
	}
	return true
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
