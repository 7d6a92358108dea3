package filebackup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/gofrs/flock"
)

var _ recovery.Rehearser = (*Store)(nil)

const (
	drillLock   = "DRILL.LOCK"
	drillPrefix = ".drill-" // no backup is called so
)

// Rehearse restores every source of a backup into a directory of its own beside the
// backups, reads it back from the disk, and removes it. It takes as much room as a
// restore. One is at work at a time, and a restore in earnest never waits for it.
func (s *Store) Rehearse(ctx context.Context, name string, _ time.Time) (r recovery.Rehearsal, err error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	l := flock.New(filepath.Join(s.cfg.Dir, drillLock), flock.SetPermissions(0o600))
	defer func() { err = errors.Join(err, l.Close()) }()
	got, err := l.TryLock()
	if err != nil {
		return r, err
	}
	if !got {
		return r, fmt.Errorf("%s is held by another drill: %w", l.Path(), ErrBusy)
	}
	if err := s.removeAll(drillPrefix); err != nil { // of one that was killed
		return r, err
	}
	defer func() { err = errors.Join(err, s.removeAll(drillPrefix)) }()
	if name == "" {
		return r, fmt.Errorf("%q in %s: %w", name, s.cfg.Dir, recovery.ErrNotFound)
	}
	if _, err := s.pick(ctx, name); err != nil {
		return r, err
	}
	m, _, err := s.manifest(ctx, name)
	if err != nil {
		return r, err
	}
	return s.rehearse(ctx, m)
}

func (s *Store) rehearse(ctx context.Context, m Manifest) (r recovery.Rehearsal, err error) {
	dir, err := os.MkdirTemp(s.cfg.Dir, drillPrefix)
	if err != nil {
		return r, err
	}
	began := time.Now()
	for i, source := range m.Sources {
		entries := s.restored(m, string(source))
		after, err := fingerprint(entries)
		if err != nil {
			return r, err
		}
		j := job{s: s, p: Plan{Backup: m.Name, Source: source, After: after}, stage: filepath.Join(dir, fmt.Sprint(i))}
		if err := j.build(ctx, entries); err != nil {
			return r, fmt.Errorf("restoring %v of %s for practice: %w", source, m.Name, err)
		}
	}
	r.Took = max(time.Since(began), 1)
	files, bytes := totals(m.Entries)
	r.Evidence = fmt.Sprintf("%d files with %d bytes of %v were restored and read back: content, mode, owner, time, names and attributes are as backed up", files, bytes, m.Sources)
	return r, nil
}
