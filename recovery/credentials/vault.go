package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/gofrs/flock"
)

var (
	// ErrConflict says that somebody else has written a venue's record since it was read.
	ErrConflict = errors.New("written by somebody else since it was read")

	// ErrExposed says that a place is not fit for a secret.
	ErrExposed = errors.New("a secret must not lie there")
)

// Vault keeps one record a venue. It is the seam to other places than a directory.
// A Vault is safe for concurrent use.
type Vault interface {
	// Load returns a record and its version; both are empty where there is none.
	Load(ctx context.Context, venue string) (record []byte, version string, err error)

	// Save replaces the record of that version, wholly or not at all, and durably. It is
	// ErrConflict when the record has another version, and an empty version means that
	// there is none yet.
	Save(ctx context.Context, venue, version string, record []byte) error
}

// Dir is a Vault in a directory, one file a venue, readable by its owner only.
type Dir struct{ path string }

// OpenDir returns the vault in a directory, which is made with mode 0700. It is
// ErrExposed when that is within the working directory or a git work tree, or is
// open to others.
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := outside(path); err != nil { // before anything is made
		return nil, err
	}
	if err := atomicfile.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w: its mode is %04o; chmod 700 it", path, ErrExposed, info.Mode().Perm())
	}
	if err := outside(path); err != nil {
		return nil, err
	}
	return &Dir{path}, nil
}

// outside makes sure that a place is neither in the working directory nor in a git
// work tree.
func outside(path string) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	if wd, err = filepath.EvalSymlinks(wd); err != nil {
		return err
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) && wd != "/" {
		return fmt.Errorf("%s: %w: it is within the working directory", path, ErrExposed)
	}
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s: %w: %s is a git work tree", path, ErrExposed, at), err)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

var venueName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (d *Dir) file(venue string) (string, error) {
	if !venueName.MatchString(venue) {
		return "", fmt.Errorf("venue: %q has to be lower-case letters, digits, dashes and underscores", venue)
	}
	return filepath.Join(d.path, venue+".json"), nil
}

// Load reads the file of a venue. One that others may read is refused.
func (d *Dir) Load(ctx context.Context, venue string) ([]byte, string, error) {
	path, err := d.file(venue)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return nil, "", fmt.Errorf("%s: %w: it is not a regular file of mode 0600", path, ErrExposed)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}

// Save replaces the file of a venue, atomically and durably.
func (d *Dir) Save(ctx context.Context, venue, version string, record []byte) (err error) {
	path, err := d.file(venue)
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(d.path, ".lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return errors.Join(fmt.Errorf("waiting for %s: %w", lock.Path(), err), lock.Close())
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	_, is, err := d.Load(ctx, venue)
	if err != nil {
		return err
	}
	if is != version {
		return fmt.Errorf("%s: %w", venue, ErrConflict)
	}
	return atomicfile.Write(path, record, 0o600)
}
