package filebackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/frame"
	"github.com/andon-go/andon/recovery"
)

// Request says what is to be restored.
type Request struct {
	// Backup is the name of the backup. Defaults to the newest verified one.
	Backup string

	// Source is which of the backup's sources is restored. Defaults to the only
	// one; with several it must be named.
	Source string

	// Into is where it is restored to. Defaults to Source, which is then replaced.
	Into string
}

// Change is what a restore does to one path.
type Change struct {
	Path Path   `json:"path"` // below the target, "." being the target itself
	What string `json:"what"` // "added", "removed", or "changed: " and in what
}

// Plan is a restore that can be printed, reviewed, sent as JSON and refused. It
// holds the facts that it was made for; it is a value and is not to be edited.
type Plan struct {
	ID       string    `json:"id"` // SHA-256 of all the rest
	At       time.Time `json:"at"`
	Backup   string    `json:"backup"`
	Manifest string    `json:"manifest"` // SHA-256 of the backup's commit record
	Source   Path      `json:"source"`
	Into     Path      `json:"into"`

	// Before and After are the fingerprints of the target as it is and as it will
	// be. Before is empty when there is nothing yet.
	Before string `json:"before"`
	After  string `json:"after"`

	// Keep is where the old tree goes; empty when there is none.
	Keep Path `json:"keep,omitempty"`

	Files   int      `json:"files"` // in the tree that is restored
	Bytes   int64    `json:"bytes"`
	Changes []Change `json:"changes,omitempty"`

	// NotKept is what the source had, and the restored tree will not have.
	NotKept []Loss `json:"not_kept,omitempty"`
}

// NothingToDo reports whether the target is already what it would be restored to.
func (p Plan) NothingToDo() bool { return p.Before == p.After }

// String returns the plan for people, a line for each change.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: restore %v of %s into %v (%d files, %d bytes)\n", p.short(), p.Source, p.Backup, p.Into, p.Files, p.Bytes)
	switch {
	case p.NothingToDo():
		b.WriteString("  nothing to do: the target is as it was backed up\n")
	case p.Keep != "":
		fmt.Fprintf(&b, "  what is there now is kept as %v\n", p.Keep)
	default:
		b.WriteString("  there is nothing at the target now\n")
	}
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "  %v: %s\n", c.Path, c.What)
	}
	for _, l := range p.NotKept {
		fmt.Fprintf(&b, "  %v\n", l)
	}
	return b.String()
}

func (p Plan) short() string { return p.ID[:min(len(p.ID), 12)] }

func (p Plan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return frame.Digest(text), nil
}

// PlanRestore reads the backup's record and the target, and returns what a restore
// would change. It changes nothing. The backup must count: ErrNotVerified else.
func (s *Store) PlanRestore(ctx context.Context, req Request, now time.Time) (Plan, error) {
	p, err := s.plan(ctx, req, now)
	if err != nil {
		return Plan{}, fmt.Errorf("planning a restore: %w", err)
	}
	return p, nil
}

func (s *Store) plan(ctx context.Context, req Request, now time.Time) (Plan, error) {
	b, err := s.pick(ctx, req.Backup)
	if err != nil {
		return Plan{}, err
	}
	m, sum, err := s.manifest(ctx, b.Name)
	if err != nil {
		return Plan{}, err
	}
	source, into, err := s.endpoints(m, req)
	if err != nil {
		return Plan{}, err
	}
	after := s.restored(m, source)
	before, err := s.current(ctx, into)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{At: now.UTC(), Backup: b.Name, Manifest: sum, Source: Path(source), Into: Path(into), Changes: changes(before, after), NotKept: m.losses(source)}
	p.Files, p.Bytes = totals(after)
	if p.Before, err = fingerprint(before); err != nil {
		return Plan{}, err
	}
	if p.After, err = fingerprint(after); err != nil {
		return Plan{}, err
	}
	if p.Before != "" && !p.NothingToDo() {
		if p.Keep, err = freeName(into, now); err != nil {
			return Plan{}, err
		}
	}
	p.ID, err = p.id()
	return p, err
}

// pick returns a backup that counts: the named one, or the newest.
func (s *Store) pick(ctx context.Context, name string) (recovery.Backup, error) {
	backups, err := s.Backups(ctx)
	if err != nil {
		return recovery.Backup{}, err
	}
	for _, b := range backups {
		switch {
		case name == "" && b.Good():
			return b, nil
		case name == b.Name && !b.Good():
			return b, fmt.Errorf("%s is %v: %s: %w", b.Name, b.State, b.Problem, ErrNotVerified)
		case name == b.Name:
			return b, nil
		}
	}
	if name == "" {
		return recovery.Backup{}, fmt.Errorf("%s: %w among %d", s.cfg.Dir, recovery.ErrNoBackup, len(backups))
	}
	return recovery.Backup{}, fmt.Errorf("%q in %s: %w", name, s.cfg.Dir, recovery.ErrNotFound)
}

// endpoints returns where from and where to, both absolute.
func (s *Store) endpoints(m Manifest, req Request) (source, into string, err error) {
	if source, err = chooseSource(m, req.Source); err != nil {
		return "", "", err
	}
	if into = source; req.Into != "" {
		if into, err = filepath.Abs(req.Into); err != nil {
			return "", "", err
		}
	}
	if into == "/" || within(into, s.cfg.Dir) || within(s.cfg.Dir, into) {
		return "", "", fmt.Errorf("the target %q and the backups in %q lie within each other", into, s.cfg.Dir)
	}
	info, err := os.Lstat(into)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source, into, nil
	case err != nil:
		return "", "", err
	case info.Mode()&fs.ModeSymlink != 0:
		return "", "", fmt.Errorf("the target %q is a symbolic link: name what it points to", into)
	}
	return source, into, nil
}

func chooseSource(m Manifest, source string) (string, error) {
	if source == "" && len(m.Sources) == 1 {
		return string(m.Sources[0]), nil
	}
	for _, s := range m.Sources {
		if source == string(s) {
			return source, nil
		}
	}
	return "", fmt.Errorf("source %q is not one of those in %s: %v", source, m.Name, m.Sources)
}

// restored is the tree as it will be.
func (s *Store) restored(m Manifest, source string) []Entry {
	return s.expected(m.tree(source))
}

// current is the tree as it is.
func (s *Store) current(ctx context.Context, into string) ([]Entry, error) {
	entries, err := scan(ctx, into, s.cfg.Tries)
	if err != nil {
		return nil, fmt.Errorf("reading the target: %w", err)
	}
	return s.expected(entries), nil
}

// expected leaves out what the configuration ignores.
func (s *Store) expected(entries []Entry) []Entry {
	for i := range entries {
		if s.cfg.IgnoreOwner {
			entries[i].UID, entries[i].GID = -1, -1
		}
		if s.cfg.IgnoreAttributes {
			entries[i].Attributes = ""
		}
	}
	return entries
}

// freeName returns a name beside the target that says what it was and is not taken.
func freeName(into string, now time.Time) (Path, error) {
	stamp := strings.TrimPrefix(recovery.BackupName(now, 1), "backup_")
	for nth := 1; ; nth++ {
		name := into + ".before_" + stamp
		if nth > 1 {
			name = fmt.Sprintf("%s_%d", name, nth)
		}
		_, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return Path(name), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// changes lists what leads from one tree to another, in the order of the paths.
func changes(before, after []Entry) []Change {
	old := make(map[Path]Entry, len(before))
	for _, e := range before {
		old[e.Path] = e
	}
	all := append([]Entry(nil), after...)
	kept := make(map[Path]bool, len(after))
	for _, e := range after {
		kept[e.Path] = true
	}
	for _, e := range before {
		if !kept[e.Path] {
			all = append(all, e)
		}
	}
	sortEntries(all)
	var list []Change
	for _, e := range all {
		was, is := old[e.Path]
		switch {
		case !kept[e.Path]:
			list = append(list, Change{e.Path, "removed"})
		case !is:
			list = append(list, Change{e.Path, "added"})
		case was != e:
			list = append(list, Change{e.Path, "changed: " + was.differs(e)})
		}
	}
	return list
}
