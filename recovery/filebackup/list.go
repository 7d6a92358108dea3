package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/andon-go/andon/recovery"
)

// Backups lists the backups in any state, newest first.
func (s *Store) Backups(ctx context.Context) ([]recovery.Backup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.far != nil {
		return s.far.list(ctx)
	}
	dirs, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var backups []recovery.Backup
	for _, d := range dirs {
		if !d.IsDir() || !recovery.IsBackupName(d.Name()) {
			continue
		}
		b, err := s.describe(d.Name())
		if errors.Is(err, recovery.ErrNotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("listing backups: %w", err)
		}
		backups = append(backups, b)
	}
	recovery.SortBackups(backups)
	return backups, nil
}

// Manifest returns the commit record of a backup; with Config.Repository, of one that counts.
func (s *Store) Manifest(ctx context.Context, name string) (Manifest, error) {
	m, _, err := s.manifest(ctx, name)
	return m, err
}

// manifest reads a commit record and returns its SHA-256 too. A record that is
// missing or makes no sense is *recovery.DamagedError.
func (s *Store) manifest(ctx context.Context, name string) (Manifest, string, error) {
	if s.far != nil {
		return s.far.manifest(ctx, name)
	}
	return s.local(name)
}

// local is manifest of a backup in Dir.
func (s *Store) local(name string) (Manifest, string, error) {
	if err := s.exists(name); err != nil {
		return Manifest{}, "", err
	}
	damaged := func(reason string, err error) (Manifest, string, error) {
		return Manifest{}, "", &recovery.DamagedError{Backup: name, File: manifestFile, Reason: reason, Err: err}
	}
	var m Manifest
	sum, err := readFrame(s.dir(name), manifestFile, "manifest", &m)
	if err == nil {
		err = m.validate()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return damaged("there is none: the backup is still being written, or was cut off", err)
	case err != nil:
		return damaged(err.Error(), err)
	case m.Name != name:
		return damaged(fmt.Sprintf("it is that of %s", m.Name), nil)
	case m.Component != s.cfg.Component:
		return damaged(fmt.Sprintf("it belongs to %q, not to %q", m.Component, s.cfg.Component), nil)
	}
	return m, sum, nil
}

func (s *Store) exists(name string) error {
	if !recovery.IsBackupName(name) {
		return fmt.Errorf("%q in %s: %w", name, s.cfg.Dir, recovery.ErrNotFound)
	}
	info, err := os.Lstat(s.dir(name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return fmt.Errorf("%q in %s: %w", name, s.cfg.Dir, recovery.ErrNotFound)
	}
	return err
}

// describe says what a backup is by what lies on the disk, and by nothing else.
func (s *Store) describe(name string) (recovery.Backup, error) {
	b := recovery.Backup{Component: s.cfg.Component, Name: name, Place: s.dir(name), State: recovery.Damaged}
	m, sum, err := s.local(name)
	if d, ok := errors.AsType[*recovery.DamagedError](err); ok {
		b.Problem = fmt.Sprintf("%s: %s", d.File, d.Reason)
		if errors.Is(err, fs.ErrNotExist) {
			b.State = recovery.Writing
			err = s.startedAt(&b)
			return b, err
		}
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.At, b.CompletedAt = m.At, m.CompletedAt
	b.Files, b.Bytes = totals(m.Entries)
	b.State, b.Problem = recovery.Complete, "it was not read back yet"
	var notes []string
	for _, l := range m.NotKept {
		notes = append(notes, l.String())
	}
	b.Note = strings.Join(notes, "; ")
	s.readVerdict(&b, sum)
	s.readRestored(&b, sum)
	return b, nil
}

// startedAt gives a backup without a manifest the time of its directory, for the
// order of the list.
func (s *Store) startedAt(b *recovery.Backup) error {
	info, err := os.Lstat(b.Place)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: %w", b.Name, recovery.ErrNotFound)
	}
	if err != nil {
		return err
	}
	b.At = info.ModTime().UTC()
	return nil
}

// readVerdict takes the newest verdict into account, if it is about this manifest.
// One that cannot be read proves nothing.
func (s *Store) readVerdict(b *recovery.Backup, manifest string) {
	var v verdict
	_, err := readFrame(b.Place, verdictFile, "verdict", &v)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		b.Problem = fmt.Sprintf("%s: %v", verdictFile, err)
	case v.Manifest != manifest:
		b.Problem = verdictFile + ": it is about another manifest"
	case v.Reason != "":
		b.State, b.Problem = recovery.Damaged, fmt.Sprintf("\"%v\": %s", v.File, v.Reason)
	default:
		b.State, b.Problem, b.VerifiedAt = recovery.Verified, "", v.At
	}
}

// readRestored adds the newest measured restore. One that cannot be read was, for
// the objectives, never made.
func (s *Store) readRestored(b *recovery.Backup, manifest string) {
	var r measured
	if _, err := readFrame(b.Place, restoredFile, "restored", &r); err == nil && r.Manifest == manifest {
		b.RestoredAt, b.RestoreTook = r.At, r.Took
	}
}
