package filebackup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/frame"
	"github.com/andon-go/andon/recovery"
)

// A backup in a recovery.Repository has a part for each file, and one more with its record:
// the manifest that a backup in a directory has, and which part each file is. Parts are
// numbered, so that nothing of a name can be read where the repository is sealed.
const recordPart = "record"

// record is what the record part holds.
type record struct {
	Manifest Manifest `json:"manifest"`
	Stored   []place  `json:"stored"` // in the order of the entries
}

// place says which part the content of a file is. One without a byte has none.
type place struct {
	Path Path   `json:"path"`
	Part string `json:"part,omitempty"`
}

// counts is what can be read of a sealed backup without its key.
type counts struct {
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`
	NotKept int   `json:"not_kept,omitempty"` // how many things: what they are, the plan of a restore says
}

func (r record) validate(m recovery.Manifest) error {
	if err := r.Manifest.validate(); err != nil {
		return err
	}
	if r.Manifest.Name != m.Name || r.Manifest.Component != m.Component {
		return fmt.Errorf("it is that of %s of %s", r.Manifest.Name, r.Manifest.Component)
	}
	left := r.Stored
	for _, e := range r.Manifest.Entries {
		if e.Kind != File {
			continue
		}
		if len(left) == 0 || left[0].Path != e.Path {
			return fmt.Errorf("it does not say where \"%v\" is", e.Path)
		}
		part, ok := m.Part(left[0].Part)
		if (left[0].Part == "") != (e.Size == 0) || e.Size > 0 && (!ok || part.Bytes != e.Size) {
			return fmt.Errorf("\"%v\" is in no part of its size", e.Path)
		}
		left = left[1:]
	}
	if len(left) > 0 {
		return fmt.Errorf("\"%v\" is no file of the backup", left[0].Path)
	}
	return nil
}

// repository keeps the backups of a store in a recovery.Repository.
type repository struct {
	s *Store
	*recovery.Repository
}

func (r repository) backup(ctx context.Context, now time.Time) (b recovery.Backup, err error) {
	began := time.Now()
	draft, err := r.Begin(ctx, now)
	if err != nil {
		return b, err
	}
	defer func() {
		if derr := draft.Discard(ctx); err != nil || derr != nil {
			b, err = recovery.Backup{}, fmt.Errorf("backup %s: %w", draft.Name(), errors.Join(err, derr))
		}
	}()
	parts := &parts{draft: draft, of: map[Path]string{}}
	m := Manifest{Name: draft.Name(), Component: r.Component(), At: now.UTC(), Versions: r.s.cfg.Versions, Host: draft.Manifest().Host}
	if m.Entries, m.NotKept, err = r.copySources(ctx, parts); err != nil {
		return b, err
	}
	for _, source := range r.s.cfg.Sources {
		m.Sources = append(m.Sources, Path(source))
	}
	m.CompletedAt = now.UTC().Add(time.Since(began))
	if err := parts.writeRecord(ctx, m); err != nil {
		return b, err
	}
	c := counts{NotKept: len(m.NotKept)}
	c.Files, c.Bytes = totals(m.Entries)
	if b, err = draft.Commit(ctx, c); err != nil {
		return b, err
	}
	return b, r.count(ctx, &b)
}

// copySources is that of the store, with a place for the copies of databases, which their
// engine can write only to a file. It is removed in the end, and by the next backup after a kill.
func (r repository) copySources(ctx context.Context, parts *parts) (entries []Entry, losses []Loss, err error) {
	to := func(source string) (*copier, error) {
		return &copier{from: filepath.Base(source), at: source[1:], parts: parts}, nil
	}
	if r.s.cfg.SQLite == nil {
		return r.s.copyTo(ctx, to)
	}
	root, done, err := r.s.scratch()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return r.s.copyTo(ctx, func(source string) (*copier, error) {
		c, err := to(source)
		c.root = root
		return c, err
	})
}

// parts writes files as parts of a draft.
type parts struct {
	draft *recovery.Draft
	n     int
	of    map[Path]string // the newest part of each path
}

// write copies an open file into a part of its own, and returns its size and SHA-256. What
// was written of the path before stays in the backup and is nothing's content any more.
func (p *parts) write(ctx context.Context, at Path, f io.Reader, buf []byte) (size int64, sum string, err error) {
	w := &lazyPart{ctx: ctx, parts: p}
	size, sum, err = copyHashing(ctx, w, f, buf)
	if w.w == nil {
		delete(p.of, at)
		return size, sum, err
	}
	p.of[at] = w.name
	if cerr := w.w.Close(); err == nil {
		err = cerr
	}
	return size, sum, err
}

// lazyPart begins its part with the first byte: a part without one there cannot be.
type lazyPart struct {
	ctx   context.Context // of the file: an io.Writer is given none
	parts *parts
	name  string
	w     *recovery.PartWriter
}

func (w *lazyPart) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.w == nil {
		w.parts.n++
		w.name = fmt.Sprintf("file.%06d", w.parts.n)
		part, err := w.parts.draft.Create(w.ctx, w.name)
		if err != nil {
			return 0, err
		}
		w.w = part
	}
	return w.w.Write(p)
}

// writeRecord writes the part that says what the others are. It is read back in memory
// first: one that could not be read is never written.
func (p *parts) writeRecord(ctx context.Context, m Manifest) error {
	r := record{Manifest: m}
	for _, e := range m.Entries {
		if e.Kind == File {
			r.Stored = append(r.Stored, place{e.Path, p.of[e.Path]})
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var again record
	if err := json.Unmarshal(data, &again); err != nil {
		return fmt.Errorf("its record could not be read again: %w", err)
	}
	if err := again.validate(p.draft.Manifest()); err != nil {
		return fmt.Errorf("its record could not be read again: %w", err)
	}
	w, err := p.draft.Create(ctx, recordPart)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

func (r repository) list(ctx context.Context) ([]recovery.Backup, error) {
	backups, err := r.Backups(ctx)
	if err != nil {
		return nil, err
	}
	for i := range backups {
		if err := r.count(ctx, &backups[i]); err != nil {
			return nil, fmt.Errorf("listing backups: %w", err)
		}
	}
	return backups, nil
}

// count says of a backup what it holds as files, and not as the parts of the repository.
func (r repository) count(ctx context.Context, b *recovery.Backup) error {
	if b.State == recovery.Writing {
		return nil
	}
	m, err := r.Repository.Manifest(ctx, b.Name)
	if errors.Is(err, recovery.ErrDamaged) || errors.Is(err, recovery.ErrNotFound) {
		return nil // it says so itself
	}
	if err != nil {
		return err
	}
	var c counts
	if err := json.Unmarshal(m.Details, &c); err != nil {
		b.State, b.Problem = recovery.Damaged, "MANIFEST: its details make no sense: "+err.Error()
		return nil
	}
	b.Files, b.Bytes = c.Files, c.Bytes
	if c.NotKept > 0 {
		b.Note = fmt.Sprintf("%d things are not kept: the plan of a restore names them", c.NotKept)
	}
	return nil
}

func (r repository) verify(ctx context.Context, name string, now time.Time) (recovery.Backup, error) {
	b, err := r.Verify(ctx, name, now)
	if b.Name == "" {
		return b, err
	}
	return b, errors.Join(err, r.count(ctx, &b))
}

// manifest reads the record of a backup that counts, and returns its SHA-256 too.
func (r repository) manifest(ctx context.Context, name string) (Manifest, string, error) {
	_, rec, sum, err := r.read(ctx, name)
	return rec.Manifest, sum, err
}

func (r repository) read(ctx context.Context, name string) (_ *recovery.Reader, rec record, sum string, err error) {
	reader, err := r.Read(ctx, name)
	if err != nil {
		return nil, rec, "", err
	}
	part, err := reader.Open(ctx, recordPart)
	if err != nil {
		return nil, rec, "", err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	data, err := io.ReadAll(io.LimitReader(part, maxFrame+1))
	if err != nil {
		return nil, rec, "", err
	}
	if err = json.Unmarshal(data, &rec); err == nil {
		err = rec.validate(reader.Manifest())
	}
	if err != nil {
		return nil, rec, "", &recovery.DamagedError{Backup: name, File: recordPart, Reason: strings.ToValidUTF8(err.Error(), "?"), Err: err}
	}
	return reader, rec, frame.Digest(data), nil
}

// contents gives what a backup holds of a file, by its path in the manifest.
type contents interface {
	open(ctx context.Context, p Path) (io.ReadCloser, error)
	close() error
}

// contents opens what a backup that counts holds.
func (s *Store) contents(ctx context.Context, name string) (contents, error) {
	if s.far == nil {
		return openFiles(filepath.Join(s.dir(name), filesDir))
	}
	reader, rec, _, err := s.far.read(ctx, name)
	if err != nil {
		return nil, err
	}
	of := make(map[Path]string, len(rec.Stored))
	for _, st := range rec.Stored {
		of[st.Path] = st.Part
	}
	return storedParts{reader, of}, nil
}

// storedParts are the contents of a backup in a repository.
type storedParts struct {
	reader *recovery.Reader
	of     map[Path]string
}

func (c storedParts) open(ctx context.Context, p Path) (io.ReadCloser, error) {
	part, ok := c.of[p]
	switch {
	case !ok:
		return nil, fmt.Errorf("\"%v\": %w", p, fs.ErrNotExist)
	case part == "":
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return c.reader.Open(ctx, part)
}

func (storedParts) close() error { return nil }
