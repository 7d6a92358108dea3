package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// ErrEmpty says that a backup would hold nothing: it is refused, since an empty one
// looks like success and restores nothing.
var ErrEmpty = errors.New("a backup without a byte would prove nothing")

// Draft is a backup in the making. It is safe for concurrent use: parts may be
// written by several goroutines, each by one at a time.
type Draft struct {
	r     *Repository
	began time.Time // by the monotonic clock

	mu       sync.Mutex
	manifest Manifest
	names    map[string]bool
	parts    int            // created so far
	puts     sync.WaitGroup // of chunks that are being stored
	open     int
	failed   error // why the draft can no longer be committed
	ended    bool
	progress Progress
}

func newDraft(r *Repository, m Manifest) *Draft {
	began := time.Now()
	return &Draft{
		r: r, began: began, manifest: m, names: map[string]bool{},
		progress: Progress{Component: m.Component, Backup: m.Name, Began: began, At: began},
	}
}

// Name returns the name of the backup.
func (d *Draft) Name() string { return d.manifest.Name }

// Manifest returns what the commit record would be now: of the parts, those that are closed.
// Its details are those that Commit is given.
func (d *Draft) Manifest() Manifest {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.manifest
	m.Versions, m.Parts = maps.Clone(m.Versions), slices.Clone(m.Parts)
	return m
}

// Expect says how much there will be in all, as far as it is known, for the
// estimate in Progress; 0 is not known.
func (d *Draft) Expect(bytes, rows int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.WantBytes, d.progress.WantRows = bytes, rows
}

// Versions adds to the versions in the manifest.
func (d *Draft) Versions(versions map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.manifest.Versions == nil {
		d.manifest.Versions = map[string]string{}
	}
	maps.Copy(d.manifest.Versions, versions)
}

var errEnded = errors.New("the draft has ended")

// Create begins a part, of a name that is not empty and not there yet. ctx ends its
// writes. The part is in the backup when its Close gives no error.
func (d *Draft) Create(ctx context.Context, name string) (*PartWriter, error) {
	number, err := d.reserve(name)
	if err != nil {
		return nil, fmt.Errorf("part %q: %w", name, err)
	}
	w := &PartWriter{d: d, part: Part{Number: number, Name: name}}
	w.chunks = &chunker{ctx: ctx, d: d, key: d.r.key(d.manifest.Name, chunkPrefix(number)), stored: w.stored}
	if err := w.start(); err != nil { // the part stays open: the draft can only be discarded
		return nil, fmt.Errorf("part %q: %w", name, err)
	}
	return w, nil
}

// reserve takes a name and a number for a part.
func (d *Draft) reserve(name string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
		return 0, errEnded
	case name == "" || d.names[name]:
		return 0, errors.New("the name is empty or there twice")
	}
	d.names[name] = true
	d.parts++
	d.open++
	return d.parts, nil
}

// chunkPrefix is what the keys of the chunks of a part begin with.
func chunkPrefix(part int) string { return fmt.Sprintf("%s%06d.", dataPrefix, part) }

// Commit writes the commit record, with details that the target needs to restore:
// anything that marshals to JSON, or nil. Every part must be closed. What it
// returns is Complete; Verify makes it count. On an error the draft should be
// discarded; when the storage does not answer, the backup is there or is not, and
// the list says which.
func (d *Draft) Commit(ctx context.Context, details any) (Backup, error) {
	m, err := d.finish(details)
	if err == nil {
		err = d.r.put(ctx, d.r.key(m.Name, manifestKey), "manifest", m)
	}
	if err != nil {
		return Backup{}, fmt.Errorf("committing %s: %w", d.manifest.Name, err)
	}
	return d.r.describe(ctx, m.Name)
}

func (d *Draft) finish(details any) (Manifest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
		return Manifest{}, errEnded
	case d.failed != nil:
		return Manifest{}, d.failed
	case d.open > 0:
		return Manifest{}, fmt.Errorf("%d parts are not closed", d.open)
	}
	d.ended = true
	m := d.manifest
	if bytes, _, _ := m.Totals(); bytes == 0 {
		return Manifest{}, ErrEmpty
	}
	if details != nil {
		text, err := json.Marshal(details)
		if err != nil {
			return Manifest{}, fmt.Errorf("its details: %w", err)
		}
		m.Details = text
	}
	slices.SortFunc(m.Parts, func(a, b Part) int { return a.Number - b.Number })
	m.CompletedAt = m.At.Add(time.Since(d.began))
	return m, m.validate()
}

// Discard ends the draft and removes what it wrote, also when ctx has ended. After a
// Commit without an error it does nothing, so that it can be deferred.
func (d *Draft) Discard(ctx context.Context) error {
	d.mu.Lock()
	committed := d.ended && d.failed == nil
	d.ended, d.failed = true, errors.Join(d.failed, errEnded)
	name := d.manifest.Name
	d.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	d.puts.Wait() // else what is removed could come back
	if committed {
		b, err := d.r.describe(ctx, name)
		if err != nil || b.State != Writing {
			return err
		}
	}
	return d.r.remove(ctx, name)
}

// PartWriter writes one part. It is not safe for concurrent use, AddRows excepted.
type PartWriter struct {
	d      *Draft
	part   Part
	chunks *chunker
	sealed io.WriteCloser // nil where nothing is sealed
	zip    *zstd.Encoder
	err    error
	closed bool
}

func (w *PartWriter) start() (err error) {
	var to io.Writer = w.chunks
	if seal := w.d.r.cfg.Seal; seal != nil {
		if w.sealed, err = age.Encrypt(w.chunks, seal.Recipients...); err != nil {
			return err
		}
		to = w.sealed
	}
	if w.zip, err = w.d.r.encoder(); err != nil {
		return err
	}
	w.zip.Reset(to)
	return nil
}

// Write adds to the part. After an error nothing more can be written, and the draft
// cannot be committed.
func (w *PartWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, fmt.Errorf("part %q: it is closed", w.part.Name)
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.zip.Write(p)
	w.part.Bytes += int64(n)
	w.d.wrote(int64(n))
	if err != nil {
		w.fail(err)
	}
	return n, w.err
}

// AddRows counts rows that were written, for the manifest and the progress.
func (w *PartWriter) AddRows(n int64) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	w.part.Rows += n
	w.d.progress.Rows += n
}

// Close stores the rest. A part of which it gives no error is in the backup.
func (w *PartWriter) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	for _, end := range []func() error{w.zip.Close, w.closeSeal, w.chunks.flush, w.chunks.settle} {
		if w.err != nil {
			break
		}
		if err := end(); err != nil {
			w.fail(err)
		}
	}
	w.zip.Reset(nil)
	w.d.r.encoders.Put(w.zip)
	w.chunks.release()
	w.part.Chunks = w.chunks.done
	w.d.closed(w)
	return w.err
}

func (w *PartWriter) closeSeal() error {
	if w.sealed == nil {
		return nil
	}
	return w.sealed.Close()
}

func (w *PartWriter) fail(err error) {
	w.err = fmt.Errorf("part %q: %w", w.part.Name, err)
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	if w.d.failed == nil {
		w.d.failed = w.err
	}
}

func (d *Draft) wrote(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.Bytes += n
}

func (d *Draft) closed(w *PartWriter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if w.err == nil {
		d.manifest.Parts = append(d.manifest.Parts, w.part)
	}
}

// background does what Discard waits for, unless the draft has ended.
func (d *Draft) background(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return errEnded
	}
	d.puts.Go(f)
	return nil
}

// stored tells of the progress. The lock is not held while it is told.
func (w *PartWriter) stored(n int64) {
	w.d.mu.Lock()
	w.d.progress.Stored += n
	w.d.progress.Part, w.d.progress.At = w.part.Name, time.Now()
	p := w.d.progress
	w.d.mu.Unlock()
	w.d.r.cfg.OnProgress(p)
}

// chunker cuts what is written to it into objects. One is stored while the next is
// filled: a disk that is waited for costs no time then.
type chunker struct {
	ctx    context.Context // of the part: an io.Writer is given none
	d      *Draft
	key    string // what each key begins with
	stored func(n int64)

	buf     []byte
	done    []Chunk
	storing chan answer // the answer of the chunk that is being stored; nil when none is
}

// answer is what came of a chunk, and its memory.
type answer struct {
	buf []byte
	sum [sha256.Size]byte
	err error
}

func (c *chunker) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if c.buf == nil {
			c.buf = c.d.r.chunk()
		}
		n := min(len(p), c.d.r.cfg.ChunkSize-len(c.buf))
		c.buf = append(c.buf, p[:n]...)
		p = p[n:]
		written += n
		if len(c.buf) == c.d.r.cfg.ChunkSize {
			if err := c.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush begins to store what there is, once what came before is stored.
func (c *chunker) flush() error {
	if err := c.settle(); err != nil || len(c.buf) == 0 {
		return err
	}
	key, buf, to := numbered(c.key, len(c.done)+1), c.buf, make(chan answer, 1)
	if err := c.d.background(func() {
		err := c.d.r.cfg.Storage.Put(c.ctx, key, buf)
		to <- answer{buf, sha256.Sum256(buf), err}
	}); err != nil {
		return err
	}
	c.buf, c.storing = nil, to
	return nil
}

// settle waits for the chunk that is being stored.
func (c *chunker) settle() error {
	if c.storing == nil {
		return c.ctx.Err()
	}
	p := <-c.storing
	c.storing = nil
	n := int64(len(p.buf))
	c.d.r.chunks.Put(&p.buf)
	if p.err != nil {
		return p.err
	}
	c.done = append(c.done, Chunk{n, hex.EncodeToString(p.sum[:])})
	c.stored(n)
	return c.ctx.Err()
}

// release gives back the memory, once nothing is written any more.
func (c *chunker) release() {
	if c.storing != nil { // of a part that failed otherwise, and says so
		p := <-c.storing
		c.storing = nil
		c.d.r.chunks.Put(&p.buf)
	}
	if c.buf != nil {
		c.d.r.chunks.Put(&c.buf)
		c.buf = nil
	}
}
