package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/frame"
	"github.com/andon-go/andon/recovery"
)

// Backup copies every source as it is at one instant, and writes the commit record
// last. What it returns is Complete; Verify makes it count. On an error it removes
// what it wrote.
func (s *Store) Backup(ctx context.Context, now time.Time) (b recovery.Backup, err error) {
	if err := ctx.Err(); err != nil {
		return b, err
	}
	if s.far != nil {
		return s.far.backup(ctx, now)
	}
	began := time.Now()
	backups, err := s.Backups(ctx)
	if err != nil {
		return b, err
	}
	if err := recovery.CheckClock(now, backups); err != nil {
		return b, fmt.Errorf("a new backup: %w", err)
	}
	name, err := s.claim(now)
	if err != nil {
		return b, err
	}
	dir := s.dir(name)
	defer func() {
		if err != nil {
			b, err = recovery.Backup{}, errors.Join(fmt.Errorf("backup %s: %w", name, err), discard(dir))
		}
	}()
	m := Manifest{Name: name, Component: s.cfg.Component, At: now.UTC(), Versions: s.cfg.Versions}
	if m.Host, err = os.Hostname(); err != nil {
		return b, err
	}
	if m.Entries, m.NotKept, err = s.copySources(ctx, filepath.Join(dir, filesDir)); err != nil {
		return b, err
	}
	for _, source := range s.cfg.Sources {
		m.Sources = append(m.Sources, Path(source))
	}
	if err := writeChecksums(dir, m.Entries); err != nil {
		return b, err
	}
	m.CompletedAt = now.UTC().Add(time.Since(began))
	if err := commit(dir, m); err != nil {
		return b, err
	}
	return s.describe(name)
}

// claim makes the directory of a new backup; of two that begin in one second each
// gets its own.
func (s *Store) claim(now time.Time) (string, error) {
	for nth := 1; ; nth++ {
		name := recovery.BackupName(now, nth)
		if !recovery.IsBackupName(name) {
			return "", fmt.Errorf("no backup can be named for %v", now)
		}
		err := os.Mkdir(s.dir(name), 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("a new backup: %w", err)
		}
		if err := atomicfile.SyncDir(s.cfg.Dir); err != nil {
			return "", errors.Join(err, os.Remove(s.dir(name)))
		}
		return name, nil
	}
}

func (s *Store) dir(name string) string { return filepath.Join(s.cfg.Dir, name) }

func (s *Store) copySources(ctx context.Context, files string) (entries []Entry, losses []Loss, err error) {
	if err := os.Mkdir(files, 0o700); err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, losses, err = s.copyTo(ctx, func(source string) (*copier, error) {
		if parent := filepath.Dir(source[1:]); parent != "." {
			if err := root.MkdirAll(parent, 0o700); err != nil {
				return nil, err
			}
		}
		return &copier{root: root, from: filepath.Base(source), at: source[1:]}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return entries, losses, syncDirs(ctx, root, ".")
}

// copyTo reads every source as it is at one instant, each by way of the copier that to
// gives for it.
func (s *Store) copyTo(ctx context.Context, to func(source string) (*copier, error)) (entries []Entry, losses []Loss, err error) {
	readers, err := s.readers(to)
	defer func() {
		for _, r := range readers {
			err = errors.Join(err, r.close())
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	if err := snapshot(ctx, s.cfg.Tries, readers...); err != nil {
		return nil, nil, err
	}
	for _, r := range readers {
		tree, lost := r.rooted(r.source[1:])
		losses = append(losses, lost...)
		if files, _ := totals(tree); files == 0 {
			return nil, nil, fmt.Errorf("source %q: %w: a backup without a file would prove nothing", r.source, ErrNothing)
		}
		entries = append(entries, tree...)
	}
	sortEntries(entries)
	return entries, losses, nil
}

// readers opens every source, each with its copier. What was opened is returned with an
// error too.
func (s *Store) readers(to func(source string) (*copier, error)) (readers []*reader, err error) {
	for _, source := range s.cfg.Sources {
		info, err := os.Lstat(source)
		if err != nil {
			return readers, fmt.Errorf("source: %w", err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return readers, fmt.Errorf("source %q is a symbolic link: name what it points to", source)
		}
		c, err := to(source)
		if err != nil {
			return readers, err
		}
		r, err := newReader(source, c)
		if err != nil {
			return readers, err
		}
		r.vacuum = s.cfg.SQLite
		readers = append(readers, r)
	}
	return readers, nil
}

// commit writes the record that makes a backup one. It is read back in memory
// first: one that could not be read is never written.
func commit(dir string, m Manifest) error {
	data, err := frame.Encode("manifest", m)
	if err != nil {
		return err
	}
	if _, err := decodeManifest(data); err != nil {
		return fmt.Errorf("its manifest could not be read again: %w", err)
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, manifestFile), data, 0o600)
}

// Delete removes a backup. The only one that counts is kept:
// recovery.ErrLastVerified.
func (s *Store) Delete(ctx context.Context, name string) error {
	if s.far != nil {
		return s.far.Delete(ctx, name)
	}
	backups, err := s.Backups(ctx)
	if err != nil {
		return err
	}
	if err := recovery.CheckDelete(name, backups); err != nil {
		return fmt.Errorf("deleting a backup in %s: %w", s.cfg.Dir, err)
	}
	if err := discard(s.dir(name)); err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return atomicfile.SyncDir(s.cfg.Dir)
}

// discard removes a backup, its commit record first, so that a kill on the way
// leaves one that does not count.
func discard(dir string) error {
	err := os.Remove(filepath.Join(dir, manifestFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
