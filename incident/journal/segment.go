package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/andon-go/andon/internal/atomicfile"
)

// segment is one file of a journal. All but the last are never written again.
type segment struct {
	path  string
	first uint64 // the number of its first record
	at    int64  // how many bytes of the journal lie in the files before it
	f     *os.File
}

// nameDigits is how many digits a segment's name has at least, so that names sort as
// numbers do.
const nameDigits = 12

// segmentPath names the file that begins with record first.
func segmentPath(path string, first uint64) string {
	if first == 1 {
		return path
	}
	return fmt.Sprintf("%s.%0*d", path, nameDigits, first)
}

// list returns the files of the journal at path, in the order of their records.
func list(path string) ([]segment, error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, e := range entries {
		if e.Name() == base {
			all = append(all, segment{path: path, first: 1})
			continue
		}
		digits, ok := strings.CutPrefix(e.Name(), base+".")
		first, err := strconv.ParseUint(digits, 10, 63)
		if ok && err == nil && first > 1 && segmentPath(path, first) == dir+e.Name() {
			all = append(all, segment{path: dir + e.Name(), first: first})
		}
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return all, nil
}

// openAll opens the files of a journal. It leaves out those that are empty: they were
// made and not yet written when the process stopped.
func openAll(path string, flags int) ([]segment, error) {
	all, err := list(path)
	if err != nil {
		return nil, err
	}
	var opened []segment
	for _, s := range all {
		if s.f, err = os.OpenFile(s.path, flags, 0o600); err != nil {
			return nil, errors.Join(err, closeAll(opened))
		}
		opened = append(opened, s)
		st, err := s.f.Stat()
		switch {
		case err != nil:
			return nil, errors.Join(err, closeAll(opened))
		case !st.Mode().IsRegular():
			return nil, errors.Join(&DamagedError{Path: s.path, Why: "it is not a regular file"}, closeAll(opened))
		case st.Size() == 0:
			opened = opened[:len(opened)-1]
			if err := s.f.Close(); err != nil {
				return nil, errors.Join(err, closeAll(opened))
			}
		}
	}
	return opened, nil
}

func closeAll(segments []segment) error {
	var errs []error
	for _, s := range segments {
		errs = append(errs, s.f.Close())
	}
	return errors.Join(errs...)
}

// begin makes the file whose first record is first, or takes the empty one that a
// crash left.
func begin(path string, first uint64, at int64) (segment, error) {
	s := segment{path: segmentPath(path, first), first: first, at: at}
	var err error
	if s.f, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return s, err
	}
	st, err := s.f.Stat()
	if err == nil && st.Size() != 0 {
		err = fmt.Errorf("%s: %w", s.path, fs.ErrExist)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return s, errors.Join(err, s.f.Close())
	}
	return s, nil
}

// last returns the segment that is written to.
func (x *extent) last() segment { return x.segments[len(x.segments)-1] }

// holding returns the segment in which record seq is.
func (x *extent) holding(seq uint64) segment {
	n, found := slices.BinarySearchFunc(x.segments, seq, func(s segment, seq uint64) int { return cmp.Compare(s.first, seq) })
	if !found {
		n--
	}
	return x.segments[max(n, 0)]
}

// reader reads the records from the offset from to the end.
func (x *extent) reader(from int64) io.Reader {
	var parts []io.Reader
	for i, s := range x.segments {
		end := x.size
		if i+1 < len(x.segments) {
			end = x.segments[i+1].at
		}
		if begin := max(from, s.at); begin < end {
			parts = append(parts, io.NewSectionReader(s.f, begin-s.at, end-begin))
		}
	}
	return io.MultiReader(parts...)
}

// locate puts the file and the line into a *DamagedError of an open journal.
func (x *extent) locate(d *DamagedError, offset int64) *DamagedError {
	s := x.holding(d.Record)
	d.Path = s.path
	if d.Record >= s.first { // a line is a record
		d.Line, d.At = int(d.Record-s.first)+1, offset-s.at
	}
	return d
}
