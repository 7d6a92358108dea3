package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
)

// Verify reads a backup back: every byte of every file, every link, and that there
// is nothing else. The verdict is kept beside it, durably. When something differs
// the error is a *recovery.DamagedError with the first file in the order of the
// paths; when ctx ends the verdict stays as it was.
func (s *Store) Verify(ctx context.Context, name string, now time.Time) (recovery.Backup, error) {
	if s.far != nil {
		return s.far.verify(ctx, name, now)
	}
	m, sum, err := s.local(name)
	if errors.Is(err, recovery.ErrDamaged) {
		b, derr := s.describe(name)
		return b, errors.Join(err, derr)
	}
	if err != nil {
		return recovery.Backup{}, err
	}
	found := s.readBack(ctx, m)
	damage, isDamage := errors.AsType[*recovery.DamagedError](found)
	if found != nil && !isDamage {
		return recovery.Backup{}, fmt.Errorf("verifying %s: %w", name, found)
	}
	v := verdict{Manifest: sum, At: now.UTC()}
	if isDamage {
		v.File, v.Reason = Path(damage.File), strings.ToValidUTF8(damage.Reason, "?")
	}
	if err := writeFrame(s.dir(name), verdictFile, "verdict", v); err != nil {
		return recovery.Backup{}, errors.Join(found, fmt.Errorf("keeping the verdict on %s: %w", name, err))
	}
	b, err := s.describe(name)
	return b, errors.Join(found, err)
}

// readBack compares a backup with its manifest and returns the first difference.
func (s *Store) readBack(ctx context.Context, m Manifest) (err error) {
	root, err := os.OpenRoot(filepath.Join(s.dir(m.Name), filesDir))
	if err != nil {
		return unreadable(m.Name, "", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	buf := newBuffer()
	for _, e := range m.Entries {
		if err := compareStored(ctx, root, m.Name, e, buf); err != nil {
			return err
		}
	}
	if err := s.nothingElse(ctx, root, m); err != nil {
		return err
	}
	return s.compareChecksums(m)
}

func damaged(name string, p Path, format string, args ...any) error {
	return &recovery.DamagedError{Backup: name, File: path.Join(filesDir, string(p)), Reason: fmt.Sprintf(format, args...)}
}

// unreadable is damage too: what cannot be read back is not proven to be there.
func unreadable(name string, p Path, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &recovery.DamagedError{Backup: name, File: path.Join(filesDir, string(p)), Reason: "cannot be read: " + err.Error(), Err: err}
}

func compareStored(ctx context.Context, root *os.Root, name string, e Entry, buf []byte) error {
	info, err := root.Lstat(string(e.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(name, e.Path, "it is missing")
	}
	if err != nil {
		return unreadable(name, e.Path, err)
	}
	if kind, _ := kindOf(info.Mode()); kind != e.Kind {
		return damaged(name, e.Path, "it is not a %s any more", e.Kind)
	}
	switch e.Kind {
	case Link:
		target, err := root.Readlink(string(e.Path))
		if err != nil {
			return unreadable(name, e.Path, err)
		}
		if Path(target) != e.Target {
			return damaged(name, e.Path, "the link leads elsewhere")
		}
	case File:
		size, sum, err := hashStored(ctx, root, e.Path, buf)
		switch {
		case err != nil:
			return unreadable(name, e.Path, err)
		case size != e.Size:
			return damaged(name, e.Path, "it has %d bytes instead of %d", size, e.Size)
		case sum != e.SHA256:
			return damaged(name, e.Path, "its SHA-256 differs")
		}
	}
	return nil
}

func hashStored(ctx context.Context, root *os.Root, p Path, buf []byte) (size int64, sum string, err error) {
	f, err := root.Open(string(p))
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := forget(f); err != nil {
		return 0, "", err
	}
	return copyHashing(ctx, io.Discard, f, buf)
}

// nothingElse finds what lies in a backup without being in its manifest.
func (s *Store) nothingElse(ctx context.Context, root *os.Root, m Manifest) error {
	known := map[string]bool{".": true}
	for _, e := range m.Entries {
		known[string(e.Path)] = true
	}
	for _, source := range m.Sources {
		for p := path.Dir(string(source[1:])); p != "."; p = path.Dir(p) {
			known[p] = true
		}
	}
	nodes, err := walk(ctx, root, ".")
	if err != nil {
		return unreadable(m.Name, "", err)
	}
	for _, n := range nodes {
		if !known[n.path] {
			return damaged(m.Name, Path(n.path), "it is not in the manifest")
		}
	}
	return nil
}
