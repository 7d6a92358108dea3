package evidence

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// sealedChunk is in which parts the sealed archive is hashed.
const sealedChunk = 1 << 20

// Chunk is a part of a sealed archive.
type Chunk struct {
	SHA256 string `json:"sha256"`
	File   string `json:"file"` // that was being written when the part began
}

// archive is an archive that is being written: tar, zstd, age, hashes, file.
type archive struct {
	f      *os.File
	sealed *sealedWriter
	age    io.WriteCloser
	zip    *zstd.Encoder
	tar    *tar.Writer

	mu       sync.Mutex // of all below, and of the writers above
	manifest Manifest
	paths    map[string]bool
	err      error // of a write: nothing more can be put in
}

func newArchive(f *os.File, recipients []age.Recipient, m Manifest) (*archive, error) {
	a := &archive{f: f, manifest: m, paths: map[string]bool{}}
	a.sealed = &sealedWriter{w: f, whole: sha256.New(), part: sha256.New()}
	var err error
	if a.age, err = age.Encrypt(a.sealed, recipients...); err != nil {
		return nil, err
	}
	a.zip, err = zstd.NewWriter(a.age, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	a.tar = tar.NewWriter(a.zip)
	return a, nil
}

// finish writes the manifest and makes the file durable.
func (a *archive) finish() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.manifest.Ended = time.Now()
	b, err := json.MarshalIndent(a.manifest, "", "  ")
	if err != nil {
		return err
	}
	a.sealed.at = manifestName
	h := &tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(b)), Mode: 0o600, ModTime: a.manifest.Ended, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	if _, err := a.tar.Write(b); err != nil {
		return err
	}
	if err := errors.Join(a.tar.Close(), a.zip.Close(), a.age.Close()); err != nil {
		return err
	}
	a.sealed.endPart()
	return a.f.Sync()
}

// put writes one entry of exactly size bytes; r may give fewer, and the rest is zeros. The
// entry's hash is of what was written.
func (a *archive) put(h *tar.Header, e Entry, r io.Reader) (Entry, error) {
	if a.err != nil {
		return e, a.err
	}
	if a.paths[e.Path] {
		return e, fmt.Errorf("%s: %w", e.Path, errTwice)
	}
	a.paths[e.Path] = true
	a.sealed.at = e.Path
	h.Name, h.Format = e.Path, tar.FormatPAX
	if a.err = a.tar.WriteHeader(h); a.err != nil {
		return e, a.err
	}
	sum := sha256.New()
	n, err := copyAll(io.MultiWriter(&failing{a.tar, &a.err}, sum), r, h.Size)
	if a.err != nil {
		return e, a.err
	}
	if n < h.Size {
		e.Note = fmt.Sprintf("only %d of %d bytes could be read, the others are zeros", n, h.Size)
		if err != nil {
			e.Note += ": " + err.Error()
		}
		if _, err := copyAll(io.MultiWriter(&failing{a.tar, &a.err}, sum), zeros{}, h.Size-n); err != nil {
			return e, err
		}
	}
	e.Size, e.SHA256, e.Collected = h.Size, hex.EncodeToString(sum.Sum(nil)), time.Now()
	a.manifest.Entries = append(a.manifest.Entries, e)
	return e, nil
}

// errTwice says that an archive has a file of that name.
var errTwice = errors.New("it was collected before")

// failing remembers that a write failed, which is another thing than a read that failed.
type failing struct {
	w   io.Writer
	err *error
}

func (f *failing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err != nil {
		*f.err = err
	}
	return n, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// copyAll copies no more than size bytes.
func copyAll(w io.Writer, r io.Reader, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	buf := make([]byte, min(size, 256<<10))
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.LimitReader(r, size)}, buf)
}

// sealedWriter hashes what is written, whole and in parts.
type sealedWriter struct {
	w           io.Writer
	whole, part hash.Hash
	n           int64
	at, began   string // the file that is being written, now and when the part began
	chunks      []Chunk
}

func (s *sealedWriter) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	for rest := b[:n]; len(rest) > 0; {
		if s.n%sealedChunk == 0 {
			s.began = s.at
		}
		k := min(int64(len(rest)), sealedChunk-s.n%sealedChunk)
		s.whole.Write(rest[:k])
		s.part.Write(rest[:k])
		s.n += k
		rest = rest[k:]
		if s.n%sealedChunk == 0 {
			s.endPart()
		}
	}
	return n, err
}

func (s *sealedWriter) endPart() {
	if s.n > int64(len(s.chunks))*sealedChunk {
		s.chunks = append(s.chunks, Chunk{hex.EncodeToString(s.part.Sum(nil)), s.began})
		s.part.Reset()
	}
}

// Sink is where an item puts what it collects. Safe for concurrent use, until Collect of
// the item returns or its time is over: after that it takes nothing.
type Sink struct {
	a      *archive
	item   string
	closed bool // below a.mu
}

// ErrLate says that an item went on after its time was over.
var ErrLate = errors.New("the time of this item is over")

func (s *Sink) lock() error {
	s.a.mu.Lock()
	if s.closed {
		s.a.mu.Unlock()
		return ErrLate
	}
	return nil
}

func (s *Sink) close() {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.closed = true
}

// problem notes what could not be had.
func (s *Sink) problem(source string, err error) {
	if s.lock() != nil {
		return // Collect has said that the item was late
	}
	defer s.a.mu.Unlock()
	s.a.manifest.Problems = append(s.a.manifest.Problems, Problem{Item: s.item, Source: source, Error: err.Error()})
}

// Text puts a text that is at hand under a name, such as "network_state.txt". A name can
// be used once.
func (s *Sink) Text(name string, b []byte) error {
	if name == "" {
		return errors.New("a text needs a name")
	}
	if err := s.lock(); err != nil {
		return err
	}
	defer s.a.mu.Unlock()
	_, err := s.a.put(&tar.Header{Typeflag: tar.TypeReg, Size: int64(len(b)), Mode: 0o600, ModTime: time.Now()},
		Entry{Path: s.path(name)}, bytes.NewReader(b))
	return err
}

// streamPart is how much of a stream is one file of the archive.
const streamPart = 4 << 20

// Stream puts what r gives until its end, in files of 4 MiB: name, name.001 and so on,
// since an archive must know a file's size beforehand and nothing is kept in the clear.
// It reads while ctx lasts.
func (s *Sink) Stream(ctx context.Context, name string, r io.Reader) error {
	ahead := newReadAhead(ctx, r)
	buf := make([]byte, streamPart)
	for i := 0; ; i++ {
		n, err := io.ReadFull(ahead, buf)
		if n > 0 || i == 0 {
			part := name
			if i > 0 {
				part = fmt.Sprintf("%s.%03d", name, i)
			}
			if err := s.Text(part, buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// File puts a file under its own path, as it is: a symbolic link as a link, which is not
// followed. The file is read while ctx lasts. What cannot be read is a problem in the
// manifest, and no error.
func (s *Sink) File(ctx context.Context, path string) error {
	err := s.file(ctx, path)
	if errors.Is(err, errTwice) {
		return nil // two patterns that overlap
	}
	if err != nil && s.a.failed() == nil && !errors.Is(err, ErrLate) {
		s.problem(path, err)
		return nil
	}
	return err
}

func (a *archive) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (s *Sink) file(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	e := Entry{Path: s.path(path), Source: path, Mode: info.Mode(), Modified: info.ModTime()}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		e.Note = "a symbolic link to " + to
		if err := s.lock(); err != nil {
			return err
		}
		defer s.a.mu.Unlock()
		_, err = s.a.put(&tar.Header{Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777, ModTime: info.ModTime()}, e, nil)
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is a %v", info.Mode().Type())
	}
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err = f.Stat(); err != nil {
		return err
	}
	if err := s.lock(); err != nil {
		return err
	}
	put, err := s.a.put(&tar.Header{Typeflag: tar.TypeReg, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()},
		e, newReadAhead(ctx, f))
	at := len(s.a.manifest.Entries) - 1
	s.a.mu.Unlock()
	if err != nil {
		return err
	}
	after, err := again(ctx, f, put.Size)
	if err := s.lock(); err != nil {
		return err
	}
	defer s.a.mu.Unlock()
	kept := &s.a.manifest.Entries[at]
	switch kept.After = after; {
	case err != nil:
		kept.Note = note(kept.Note, "it could not be read again: "+err.Error())
	case after != kept.SHA256:
		kept.Note = note(kept.Note, "it was changed while it was collected")
	}
	return nil
}

func note(notes ...string) string {
	out := ""
	for _, n := range notes {
		if out != "" && n != "" {
			out += "; "
		}
		out += n
	}
	return out
}

// again hashes the first bytes of a file once more.
func again(ctx context.Context, f *os.File, size int64) (string, error) {
	h := sha256.New()
	n, err := copyAll(h, newReadAhead(ctx, io.NewSectionReader(f, 0, size)), size)
	if err == nil && n < size {
		err = fmt.Errorf("only %d of %d bytes are left", n, size)
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
