package filebackup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// reader reads one tree, and copies it where it has a copier.
type reader struct {
	source string
	root   *os.Root // the directory that holds the source
	base   string   // the source in it
	to     *copier  // nil only reads
	buf    []byte

	entries map[string]Entry    // by path below root
	stamps  map[string]stamp    // of the entries, taken before they were read
	lost    map[string][]string // the names of attributes that are not kept

	vacuum    func(ctx context.Context, from, to string) error // copies a SQLite database
	databases map[string]bool                                  // SQLite databases, by path below root
	holders   map[string]bool                                  // the directories that hold one
}

func newReader(source string, to *copier) (*reader, error) {
	root, base, err := openParent(source)
	if err != nil {
		return nil, err
	}
	return &reader{
		source: source, root: root, base: base, to: to, buf: newBuffer(),
		entries: map[string]Entry{}, stamps: map[string]stamp{}, lost: map[string][]string{}, databases: map[string]bool{}, holders: map[string]bool{},
	}, nil
}

func (r *reader) close() error { return r.root.Close() }

// snapshot reads until nothing has changed from before the first byte was read to
// after the last one of all readers: what was read is the state of one instant.
func snapshot(ctx context.Context, tries int, readers ...*reader) error {
	moved := ""
	for range tries {
		for _, r := range readers {
			if err := r.pass(ctx); err != nil {
				return err
			}
		}
		moved = ""
		for _, r := range readers {
			m, err := r.moved(ctx)
			if err != nil {
				return err
			}
			if m != "" {
				moved = filepath.Join(filepath.Dir(r.source), m)
			}
		}
		if moved == "" {
			return nil
		}
	}
	return fmt.Errorf("%q, read %d times: %w: stop what writes to it, or leave it out of the sources", moved, tries, ErrChanging)
}

// pass reads what was not read yet or has changed since.
func (r *reader) pass(ctx context.Context) error {
	nodes, err := walk(ctx, r.root, r.base)
	if err != nil {
		return err
	}
	if err := r.findDatabases(nodes); err != nil {
		return err
	}
	nodes = r.withoutSidecars(nodes)
	if err := settle(ctx, nodes); err != nil {
		return err
	}
	if err := r.dropStale(nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		if r.stamps[n.path] == n.stamp {
			continue
		}
		if err := r.read(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// moved returns the first path that is not as it was when it was read; it is empty
// when there is none.
func (r *reader) moved(ctx context.Context) (string, error) {
	nodes, err := walk(ctx, r.root, r.base)
	if err != nil {
		return "", err
	}
	nodes = r.withoutSidecars(nodes)
	for _, n := range nodes {
		was, read := r.stamps[n.path]
		if !read || was != n.stamp && !r.restless(n.path) {
			return n.path, nil
		}
	}
	if len(nodes) == len(r.stamps) {
		return "", nil
	}
	for p := range r.stamps {
		if !slices.ContainsFunc(nodes, func(n node) bool { return n.path == p }) {
			return p, nil
		}
	}
	return r.base, nil
}

// dropStale removes what an earlier pass read and what is gone or of another kind.
func (r *reader) dropStale(nodes []node) error {
	kinds := make(map[string]Kind, len(nodes))
	for _, n := range nodes {
		kind, ok := kindOf(n.info.Mode())
		if !ok {
			return fmt.Errorf("%q is a %s: %w", filepath.Join(filepath.Dir(r.source), n.path), specialName(n.info.Mode()), ErrSpecial)
		}
		kinds[n.path] = kind
	}
	for p, e := range r.entries {
		if kinds[p] == e.Kind {
			continue
		}
		if err := r.to.remove(p); err != nil {
			return err
		}
		for below := range r.entries {
			if below == p || strings.HasPrefix(below, p+"/") {
				delete(r.entries, below)
				delete(r.stamps, below)
			}
		}
	}
	return nil
}

func specialName(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// read reads one thing. When it changes meanwhile, or is gone, its stamp is left
// out, so that moved finds it.
func (r *reader) read(ctx context.Context, n node) error {
	delete(r.stamps, n.path)
	kind, _ := kindOf(n.info.Mode())
	e := Entry{Path: Path(n.path), Kind: kind, UID: n.stamp.uid, GID: n.stamp.gid}
	if kind != Link {
		e.Mode, e.ModTime = modeOf(n.info.Mode()), n.info.ModTime().UTC()
	}
	steady, err := true, error(nil)
	switch kind {
	case Dir:
		if err = r.to.mkdir(n.path); err == nil {
			err = r.readAttributes(n.path, &e)
		}
	case Link:
		e.Target, err = r.readLink(n.path)
	case File:
		if r.databases[n.path] {
			if err = r.readDatabase(ctx, n, &e); err == nil {
				err = r.readAttributes(n.path, &e)
			}
			break
		}
		steady, err = r.readFile(ctx, n, &e)
	}
	switch {
	case errors.Is(err, errGone):
		return nil
	case err != nil:
		return err
	}
	r.entries[n.path] = e
	if steady {
		r.stamps[n.path] = n.stamp
	}
	return nil
}

// errGone says that something vanished between being listed and being read.
var errGone = errors.New("gone")

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return err
}

func (r *reader) readLink(p string) (Path, error) {
	target, err := r.root.Readlink(p)
	if err != nil {
		return "", gone(err)
	}
	return Path(target), r.to.link(target, p)
}

// readFile reads a file, and reports whether it held still.
func (r *reader) readFile(ctx context.Context, n node, e *Entry) (steady bool, err error) {
	f, err := r.root.OpenFile(n.path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return false, gone(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := f.Stat()
	if err != nil {
		return false, err
	}
	if e.Size, e.SHA256, err = r.to.file(ctx, n.path, f, r.buf); err != nil {
		return false, err
	}
	if e.Attributes, r.lost[n.path], err = attributesOf(f); err != nil {
		return false, err
	}
	after, err := f.Stat()
	if err != nil {
		return false, err
	}
	return stampOf(before) == n.stamp && stampOf(after) == n.stamp, nil
}

// readAttributes opens what is read by other means than its bytes.
func (r *reader) readAttributes(p string, e *Entry) (err error) {
	f, err := r.root.OpenFile(p, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return gone(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	e.Attributes, r.lost[p], err = attributesOf(f)
	return err
}

// rooted returns the entries in order, with paths below root instead of the base:
// the source itself is root. With them comes what is not kept of them.
func (r *reader) rooted(root string) ([]Entry, []Loss) {
	entries := make([]Entry, 0, len(r.entries))
	from := make(map[Path]string, len(r.entries))
	for p, e := range r.entries {
		e.Path = Path(path.Join(root, strings.TrimPrefix(p, r.base)))
		from[e.Path] = p
		entries = append(entries, e)
	}
	sortEntries(entries)
	return entries, r.sameFiles(entries, from)
}

// sameFiles finds the names that are one file, and says what of that, and of the
// attributes, is not kept.
func (r *reader) sameFiles(entries []Entry, from map[Path]string) (losses []Loss) {
	type inode struct{ dev, number uint64 }
	first, found := map[inode]Path{}, map[inode]uint64{}
	of := func(e Entry) (inode, uint64) {
		s := r.stamps[from[e.Path]]
		return inode{s.dev, s.inode}, s.names
	}
	for i, e := range entries {
		for _, name := range r.lost[from[e.Path]] {
			losses = append(losses, Loss{e.Path, "its attribute " + name})
		}
		id, names := of(e)
		switch {
		case e.Kind != File || names < 2:
			continue
		case r.databases[from[e.Path]]: // copied by its engine, each name by itself
			losses = append(losses, Loss{e.Path, fmt.Sprintf("that its %d names are one database", names)})
			continue
		}
		found[id]++
		if is, ok := first[id]; ok {
			entries[i].Same = is
			continue
		}
		first[id] = e.Path
	}
	for _, e := range entries {
		id, names := of(e)
		if n := found[id]; n > 0 && n < names && first[id] == e.Path {
			losses = append(losses, Loss{e.Path, fmt.Sprintf("that %d more of its names lie elsewhere: restored, they are no longer one file", names-n)})
		}
	}
	return losses
}

// sortEntries puts the root of a tree first and the rest in the order of the paths.
func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		switch {
		case a.Path == b.Path:
			return 0
		case a.Path == ".":
			return -1
		case b.Path == ".":
			return 1
		}
		return comparePaths(string(a.Path), string(b.Path))
	})
}

// scan reads the tree at a path, the path itself being "."; it has no entries when
// there is nothing.
func scan(ctx context.Context, p string, tries int) (entries []Entry, err error) {
	r, err := newReader(p, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if _, err := r.root.Lstat(r.base); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err := snapshot(ctx, tries, r); err != nil {
		return nil, err
	}
	entries, _ = r.rooted(".")
	return entries, nil
}

// newBuffer returns what copyHashing needs, so that many small files share one.
func newBuffer() []byte { return make([]byte, 1<<17) }

// copyHashing copies to w by way of buf, stopping when ctx ends, and returns what
// it saw.
func copyHashing(ctx context.Context, w io.Writer, f io.Reader, buf []byte) (int64, string, error) {
	hash := sha256.New()
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return 0, "", err
		}
		n, err := f.Read(buf)
		hash.Write(buf[:n]) // a hash never gives an error
		if _, werr := w.Write(buf[:n]); werr != nil {
			return 0, "", werr
		}
		size += int64(n)
		if err == io.EOF {
			return size, hex.EncodeToString(hash.Sum(nil)), nil
		}
		if err != nil {
			return 0, "", err
		}
	}
}
