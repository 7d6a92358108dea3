package filebackup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const (
	draftLock   = "DRAFT.LOCK"
	draftPrefix = ".draft-" // no backup is called so
)

// scratch makes a directory below Dir, readable by its owner alone, for copies of databases
// on their way into a repository. One backup at a time has one, so that what a kill left of
// another can be told and is removed.
func (s *Store) scratch() (_ *os.Root, done func() error, err error) {
	l := flock.New(filepath.Join(s.cfg.Dir, draftLock), flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err == nil && !got {
		err = fmt.Errorf("%s is held by another backup: %w", l.Path(), ErrBusy)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	dir := ""
	if err = s.removeAll(draftPrefix); err == nil {
		dir, err = os.MkdirTemp(s.cfg.Dir, draftPrefix)
	}
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return root, func() error { return errors.Join(root.Close(), removeTree(dir), l.Close()) }, nil
}

// removeAll removes what begins with a prefix in Dir.
func (s *Store) removeAll(prefix string) error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			err = errors.Join(err, removeTree(filepath.Join(s.cfg.Dir, e.Name())))
		}
	}
	return err
}
