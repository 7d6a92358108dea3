package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// build makes the new tree at the stage, durable, and reads it back.
func (j job) build(ctx context.Context, entries []Entry) (err error) {
	if err := removeTree(j.stage); err != nil { // of an interrupted try
		return err
	}
	from, err := j.s.contents(ctx, j.p.Backup)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, base, err := openParent(j.stage)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	b := builder{from: from, source: string(j.p.Source[1:]), to: to, base: base, backup: j.p.Backup, bare: j.s.cfg.IgnoreAttributes, buf: newBuffer()}
	if err := b.all(ctx, entries); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(filepath.Dir(j.stage)); err != nil {
		return err
	}
	return j.readBack(ctx)
}

// readBack compares the new tree with what it must be, from the disk.
func (j job) readBack(ctx context.Context) error {
	built, err := j.s.current(ctx, j.stage)
	if err != nil {
		return err
	}
	sum, err := fingerprint(built)
	if err != nil {
		return err
	}
	if sum != j.p.After {
		return errors.New("the new tree, read back, is not what was backed up: the file system keeps less of it, or somebody else writes there")
	}
	return nil
}

// builder copies entries of a backup into a new tree.
type builder struct {
	from   contents
	source string // in the paths of from
	to     *os.Root
	base   string // below to
	backup string
	bare   bool // attributes are left as they come
	buf    []byte
}

func (b builder) all(ctx context.Context, entries []Entry) error {
	for _, e := range entries {
		if err := b.create(ctx, e); err != nil {
			return err
		}
	}
	// Owner, mode and time last and from the leaves to the root: writing into a
	// directory changes its time, and may not be permitted afterwards.
	for _, e := range slices.Backward(entries) {
		if err := b.dress(e); err != nil {
			return err
		}
	}
	return nil
}

func (b builder) create(ctx context.Context, e Entry) error {
	to := path.Join(b.base, string(e.Path))
	switch e.Kind {
	case Dir:
		return b.to.Mkdir(to, 0o700)
	case Link:
		return b.to.Symlink(string(e.Target), to)
	}
	if e.Same != "" {
		return b.to.Link(path.Join(b.base, string(e.Same)), to)
	}
	return b.copy(ctx, e, to)
}

// copy copies a file and checks that it is the one that was backed up.
func (b builder) copy(ctx context.Context, e Entry, to string) (err error) {
	p := path.Join(b.source, string(e.Path))
	f, err := b.from.open(ctx, Path(p))
	if err != nil {
		return unreadable(b.backup, Path(p), err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, sum, err := writeFile(ctx, b.to, to, f, b.buf)
	if err != nil {
		return err
	}
	if size != e.Size || sum != e.SHA256 {
		return &recovery.DamagedError{Backup: b.backup, File: path.Join(filesDir, p), Reason: "its content differs since it was verified"}
	}
	return nil
}

// dress gives an entry its owner, mode and time, and makes it durable. It is opened
// before that, since its mode may forbid it to be opened.
func (b builder) dress(e Entry) (err error) {
	to := path.Join(b.base, string(e.Path))
	switch {
	case e.Kind == Link:
		return b.own(to, e)
	case e.Same != "": // its first name is dressed
		return nil
	}
	f, err := b.to.Open(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if !b.bare { // before the mode forbids it
		if err := setAttributes(f, e.Attributes, false); err != nil {
			return fmt.Errorf("\"%v\": %w", e.Path, err)
		}
	}
	if err := b.own(to, e); err != nil {
		return err
	}
	if err := b.to.Chmod(to, e.Mode.fileMode()); err != nil {
		return err
	}
	if !b.bare { // after the mode, of which an access list is the larger part
		if err := setAttributes(f, e.Attributes, true); err != nil {
			return fmt.Errorf("\"%v\": %w", e.Path, err)
		}
	}
	if err := b.to.Chtimes(to, e.ModTime, e.ModTime); err != nil {
		return err
	}
	return f.Sync()
}

// own gives an entry its owner, where it has another one.
func (b builder) own(to string, e Entry) error {
	if e.UID < 0 || e.GID < 0 {
		return nil
	}
	info, err := b.to.Lstat(to)
	if err != nil {
		return err
	}
	if st := systemOf(info); st.uid == e.UID && st.gid == e.GID {
		return nil
	}
	if err := b.to.Lchown(to, e.UID, e.GID); err != nil {
		return fmt.Errorf("owner %d:%d of \"%v\": %w: restore as root, or set Config.IgnoreOwner", e.UID, e.GID, e.Path, err)
	}
	return nil
}

// removeTree removes a tree, directories without write permission included. There
// may be none.
func removeTree(dir string) error {
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
