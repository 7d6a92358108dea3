package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/andon-go/andon/recovery"
)

// Backups lists the backups in any state, newest first.
func (s *Store) Backups(ctx context.Context) ([]recovery.Backup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	objects, err := s.cfg.Storage.List(ctx, "backup_")
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var backups []recovery.Backup
	last := ""
	for _, object := range objects {
		name, _, isBackup := strings.Cut(object, "/")
		if !isBackup || name == last || !recovery.IsBackupName(name) {
			continue
		}
		last = name
		b, err := s.describe(ctx, name)
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

// Manifest returns the commit record of a backup.
func (s *Store) Manifest(ctx context.Context, name string) (Manifest, error) {
	m, _, err := s.manifest(ctx, name)
	return m, err
}

// manifest reads a commit record and returns its SHA-256 too. A record that is
// missing or makes no sense is *recovery.DamagedError.
func (s *Store) manifest(ctx context.Context, name string) (Manifest, string, error) {
	var m Manifest
	if !recovery.IsBackupName(name) {
		return m, "", fmt.Errorf("%q: %w", name, recovery.ErrNotFound)
	}
	damaged := func(reason string, err error) (Manifest, string, error) {
		return Manifest{}, "", &recovery.DamagedError{Backup: name, File: manifestObject, Reason: reason, Err: err}
	}
	sum, err := getFrame(ctx, s.cfg.Storage, name+"/"+manifestObject, &m)
	if _, isFrame := errors.AsType[*frameError](err); isFrame {
		return damaged(err.Error(), err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		names, lerr := s.cfg.Storage.List(ctx, name+"/")
		if lerr != nil {
			return m, "", lerr
		}
		if len(names) == 0 {
			return m, "", fmt.Errorf("%q: %w", name, recovery.ErrNotFound)
		}
		return damaged("there is none: the backup is still being written, or was cut off", err)
	}
	if err != nil {
		return m, "", fmt.Errorf("reading the manifest of %s: %w", name, err)
	}
	if err := m.validate(); err != nil {
		return damaged(err.Error(), err)
	}
	switch {
	case m.Name != name:
		return damaged(fmt.Sprintf("it is that of %s", m.Name), nil)
	case m.Component != s.cfg.Component:
		return damaged(fmt.Sprintf("it belongs to %q, not to %q", m.Component, s.cfg.Component), nil)
	}
	return m, sum, nil
}

// describe says what a backup is by what is stored, and by nothing else.
func (s *Store) describe(ctx context.Context, name string) (recovery.Backup, error) {
	b := recovery.Backup{Component: s.cfg.Component, Name: name, Place: name, State: recovery.Damaged}
	m, sum, err := s.manifest(ctx, name)
	if d, ok := errors.AsType[*recovery.DamagedError](err); ok {
		b.Problem = fmt.Sprintf("%s: %s", d.File, d.Reason)
		if errors.Is(err, fs.ErrNotExist) {
			b.State = recovery.Writing
		}
		var begun begunRecord
		if _, err := getFrame(ctx, s.cfg.Storage, name+"/"+begunObject, &begun); err == nil {
			b.At = begun.At
		}
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.At, b.CompletedAt = m.At, m.CompletedAt
	for _, o := range m.objects() {
		b.Files, b.Bytes = b.Files+1, b.Bytes+o.Bytes
	}
	b.State, b.Problem = recovery.Complete, "it was not read back yet"
	_, err = s.verdict(ctx, &b, sum)
	if err != nil {
		return b, err
	}
	var r measured
	_, err = getFrame(ctx, s.cfg.Storage, name+"/"+restoredObject, &r)
	if err == nil && r.Manifest == sum {
		b.RestoredAt, b.RestoreTook = r.At, r.Took
	}
	return b, nil
}

// verdict takes the newest verdict into account, if it is about this manifest. One
// that makes no sense proves nothing; one that the storage does not give is an error.
func (s *Store) verdict(ctx context.Context, b *recovery.Backup, manifest string) (verdict, error) {
	var v verdict
	_, err := getFrame(ctx, s.cfg.Storage, b.Name+"/"+verdictObject, &v)
	_, isFrame := errors.AsType[*frameError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case isFrame:
		b.Problem = fmt.Sprintf("%s: %v", verdictObject, err)
	case err != nil:
		return v, err
	case v.Manifest != manifest:
		b.Problem = verdictObject + ": it is about another manifest"
	case v.Reason != "":
		b.State, b.Problem = recovery.Damaged, fmt.Sprintf("%q: %s", v.Object, v.Reason)
	default:
		b.State, b.Problem, b.VerifiedAt = recovery.Verified, "", v.At
	}
	return v, nil
}
