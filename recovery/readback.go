package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
)

// ErrNotVerified says that a backup does not count and cannot be restored.
var ErrNotVerified = errors.New("the backup is not verified")

// Verify reads a backup back: every chunk of every part is compared with its
// SHA-256, opened where it is sealed, and unpacked. The verdict is kept beside it.
// When something differs the error is a *DamagedError with the first object in the
// order of the parts. When the storage does not answer, or ctx ends, there is no
// verdict.
func (r *Repository) Verify(ctx context.Context, name string, now time.Time) (Backup, error) {
	if _, err := r.objects(ctx, name); err != nil {
		return Backup{}, err
	}
	m, sum, err := r.manifest(ctx, name)
	if errors.Is(err, ErrDamaged) {
		b, derr := r.describe(ctx, name)
		return b, errors.Join(err, derr)
	}
	if err != nil {
		return Backup{}, err
	}
	found := r.readBack(ctx, m)
	damage, isDamage := errors.AsType[*DamagedError](found)
	if found != nil && !isDamage {
		return Backup{}, fmt.Errorf("verifying %s: %w", name, found)
	}
	v := verdict{Manifest: sum, At: now.UTC()}
	if isDamage {
		v.Object, v.Reason = damage.File, damage.Reason
	}
	if err := appendLog(ctx, r.cfg.Storage, r.key(name, verdictLog), "verdict", v); err != nil {
		return Backup{}, errors.Join(found, fmt.Errorf("keeping the verdict on %s: %w", name, err))
	}
	b, err := r.describe(ctx, name)
	return b, errors.Join(found, err)
}

// readBack reads all parts, several at once, and returns the first damage, or why
// it is not known whether there is any.
func (r *Repository) readBack(ctx context.Context, m Manifest) error {
	if err := r.checkClaim(ctx, m); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]error, len(m.Parts))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.cfg.Workers, len(m.Parts)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(m.Parts); i = int(next.Add(1)) - 1 {
				found[i] = r.readPart(ctx, m, m.Parts[i])
				if found[i] == nil {
					continue
				}
				// Parts before this one are being read and go on; none after it begins.
				next.Store(int64(len(m.Parts)))
				if !errors.Is(found[i], ErrDamaged) {
					cancel(found[i])
				}
				return
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	for _, err := range found {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkClaim reads the claim back: it is part of the backup too.
func (r *Repository) checkClaim(ctx context.Context, m Manifest) error {
	var claim begun
	_, err := readRecord(ctx, r.cfg.Storage, r.key(m.Name, begunKey), "begun", &claim)
	_, senseless := errors.AsType[*recordError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &DamagedError{Backup: m.Name, File: begunKey, Reason: "it is missing", Err: err}
	case senseless:
		return &DamagedError{Backup: m.Name, File: begunKey, Reason: err.Error(), Err: err}
	case err != nil:
		return err
	case claim.Name != m.Name || claim.Component != m.Component || !claim.At.Equal(m.At):
		return &DamagedError{Backup: m.Name, File: begunKey, Reason: "it is that of another backup"}
	}
	return nil
}

func (r *Repository) readPart(ctx context.Context, m Manifest, p Part) (err error) {
	part, err := r.part(ctx, m, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	_, err = io.Copy(io.Discard, part)
	return err
}

// Reader reads one backup that counts.
type Reader struct {
	r        *Repository
	manifest Manifest
}

// Read opens a backup that counts: ErrNotVerified for any other.
func (r *Repository) Read(ctx context.Context, name string) (*Reader, error) {
	b, err := r.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	if !b.Good() {
		return nil, fmt.Errorf("%s is %v: %s: %w", name, b.State, b.Problem, ErrNotVerified)
	}
	m, _, err := r.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Reader{r, m}, nil
}

// Manifest returns the commit record.
func (r *Reader) Manifest() Manifest { return r.manifest }

// Open reads a part as it was written. Each chunk is compared with its SHA-256
// before a byte of it is given out: *DamagedError when it differs. io.EOF comes only
// when the part is whole. The caller closes it.
func (r *Reader) Open(ctx context.Context, part string) (io.ReadCloser, error) {
	p, ok := r.manifest.Part(part)
	if !ok {
		return nil, fmt.Errorf("part %q of %s: %w", part, r.manifest.Name, fs.ErrNotExist)
	}
	return r.r.part(ctx, r.manifest, p)
}

func (r *Repository) part(ctx context.Context, m Manifest, p Part) (*partReader, error) {
	chunks := &chunkReader{ctx: ctx, r: r, backup: m.Name, part: p}
	var from io.Reader = chunks
	if m.Sealed {
		opened, err := r.cfg.Seal.open(ctx, chunks)
		if err != nil {
			return nil, chunks.explain(err)
		}
		from = opened
	}
	unzip, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, chunks.explain(err)
	}
	return &partReader{chunks, unzip, p.Bytes}, nil
}

// partReader gives a part as it was written.
type partReader struct {
	chunks *chunkReader
	unzip  *zstd.Decoder
	left   int64 // bytes that are still to come
}

func (r *partReader) Read(p []byte) (int, error) {
	n, err := r.unzip.Read(p)
	r.left -= int64(n)
	if err == nil {
		return n, nil
	}
	if err == io.EOF && r.left == 0 && r.chunks.ended() {
		return n, io.EOF
	}
	if err == io.EOF {
		err = errors.New("it has another length than was written")
	}
	return n, r.chunks.explain(err)
}

func (r *partReader) Close() error {
	r.unzip.Close()
	return nil
}

// chunkReader gives the chunks of a part, one after the other, each of them
// compared first.
type chunkReader struct {
	ctx    context.Context // of the part: an io.Reader is given none
	r      *Repository
	backup string
	part   Part

	next int // the chunk that is read next
	data []byte
	buf  []byte
	err  error
}

func (c *chunkReader) ended() bool { return c.next == len(c.part.Chunks) && len(c.data) == 0 }

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		if c.err == nil && c.next == len(c.part.Chunks) {
			return 0, io.EOF
		}
		if c.err == nil {
			c.err = c.load()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

func (c *chunkReader) load() (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	want := c.part.Chunks[c.next]
	key := numbered(chunkPrefix(c.part.Number), c.next+1)
	r, err := c.r.cfg.Storage.Get(c.ctx, c.r.key(c.backup, key), 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return c.damaged(key, "it is missing", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if int64(cap(c.buf)) < want.Size+1 {
		c.buf = make([]byte, want.Size+1)
	}
	n, err := io.ReadFull(r, c.buf[:want.Size+1])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	sum := sha256.Sum256(c.buf[:n])
	switch {
	case int64(n) > want.Size:
		return c.damaged(key, fmt.Sprintf("it has more than %d bytes", want.Size), nil)
	case int64(n) < want.Size:
		return c.damaged(key, fmt.Sprintf("it has %d bytes instead of %d", n, want.Size), nil)
	case hex.EncodeToString(sum[:]) != want.SHA256:
		return c.damaged(key, "its SHA-256 differs", nil)
	}
	c.data, c.next = c.buf[:n], c.next+1
	return nil
}

func (c *chunkReader) damaged(key, reason string, err error) error {
	return &DamagedError{Backup: c.backup, File: key, Reason: fmt.Sprintf("part %q: %s", c.part.Name, reason), Err: err}
}

// explain says why a part cannot be read: what its chunks gave comes before what
// unpacking made of it.
func (c *chunkReader) explain(err error) error {
	switch {
	case c.err != nil:
		return c.err
	case errors.Is(err, ErrKey), c.ctx.Err() != nil:
		return err
	}
	return c.damaged(numbered(chunkPrefix(c.part.Number), max(1, c.next)), "its chunks are as they were written and make no sense: "+err.Error(), err)
}
