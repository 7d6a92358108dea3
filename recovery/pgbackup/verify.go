package pgbackup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/andon-go/andon/recovery"
)

// Verify reads a backup back: every byte of every object, every row, and that there
// is nothing else. The verdict is kept beside it, durably. When something differs the
// error is a *recovery.DamagedError with the first object in the order of their names;
// when ctx ends the verdict stays as it was.
func (s *Store) Verify(ctx context.Context, name string, now time.Time) (_ recovery.Backup, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Verify")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	span.SetAttributes(attribute.String("andon.backup", name))
	m, sum, err := s.manifest(ctx, name)
	if errors.Is(err, recovery.ErrDamaged) {
		b, derr := s.describe(ctx, name)
		return b, errors.Join(err, derr)
	}
	if err != nil {
		return recovery.Backup{}, err
	}
	v := verdict{Manifest: sum, At: now.UTC(), Digests: map[string]string{}}
	found := s.readBack(ctx, &m, v.Digests)
	damage, isDamage := errors.AsType[*recovery.DamagedError](found)
	if found != nil && !isDamage {
		return recovery.Backup{}, fmt.Errorf("verifying %s: %w", name, found)
	}
	if isDamage {
		v.Digests, v.Object, v.Reason = nil, damage.File, damage.Reason
	}
	if err := putFrame(ctx, s.cfg.Storage, name+"/"+verdictObject, v); err != nil {
		return recovery.Backup{}, errors.Join(found, fmt.Errorf("keeping the verdict on %s: %w", name, err))
	}
	b, err := s.describe(ctx, name)
	return b, errors.Join(found, err)
}

// readBack reads every object, several at a time, and adds the digests of the
// tables' rows. Of several damages it returns the first by name.
func (s *Store) readBack(ctx context.Context, m *Manifest, digests map[string]string) error {
	if err := s.nothingElse(ctx, m); err != nil {
		return err
	}
	type piece struct {
		object Object
		data   *TableData // nil for the schema
		chunk  *Chunk
	}
	var pieces []piece
	for i := range m.Data {
		for j := range m.Data[i].Chunks {
			pieces = append(pieces, piece{m.Data[i].Chunks[j].Object, &m.Data[i], &m.Data[i].Chunks[j]})
		}
	}
	if m.SchemaSQL != nil {
		pieces = append(pieces, piece{*m.SchemaSQL, nil, nil})
	}
	var (
		mu     sync.Mutex
		tables = map[string]*rowsDigest{}
		errs   = make([]error, len(pieces))
	)
	err := parallel(ctx, s.cfg.Workers, len(pieces), func(ctx context.Context, i int) error {
		p := pieces[i]
		var d *digester
		err := s.readObject(ctx, m.Name, p.object, func(r io.Reader) error {
			if p.data == nil {
				_, err := io.Copy(io.Discard, r)
				return err
			}
			d = newDigester(m.Schema.table(p.data.Table))
			return digestRows(ctx, r, len(p.data.Columns), p.chunk.Rows, d)
		})
		if errors.Is(err, recovery.ErrDamaged) {
			errs[i] = err // and on to the others: the first by name is named
			return nil
		}
		if err == nil && p.data != nil {
			mu.Lock()
			defer mu.Unlock()
			if tables[p.data.Table] == nil {
				tables[p.data.Table] = &rowsDigest{}
			}
			tables[p.data.Table].merge(d.rowsDigest)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for table, d := range tables {
		digests[table] = d.String()
	}
	return nil
}

// nothingElse finds what is missing, and what lies in a backup without being in
// its manifest.
func (s *Store) nothingElse(ctx context.Context, m *Manifest) error {
	names, err := s.cfg.Storage.List(ctx, m.Name+"/")
	if err != nil {
		return err
	}
	known := map[string]bool{manifestObject: true, verdictObject: true, restoredObject: true, begunObject: true}
	for _, o := range m.objects() {
		known[o.Name] = true
		if !slices.Contains(names, m.Name+"/"+o.Name) {
			return &recovery.DamagedError{Backup: m.Name, File: o.Name, Reason: "it is missing"}
		}
	}
	for _, name := range names {
		name = strings.TrimPrefix(name, m.Name+"/")
		if !known[name] {
			return &recovery.DamagedError{Backup: m.Name, File: name, Reason: "it is not in the manifest"}
		}
	}
	return nil
}

// readObject gives what an object holds, decompressed, and compares what is stored
// with what was written. Whatever differs, or cannot be read, is
// *recovery.DamagedError, unless ctx has ended or the reader of the rows is foreign.
func (s *Store) readObject(ctx context.Context, backup string, o Object, use func(io.Reader) error) (err error) {
	damaged := func(reason string, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &recovery.DamagedError{Backup: backup, File: o.Name, Reason: reason, Err: err}
	}
	r, err := s.cfg.Storage.Get(ctx, backup+"/"+o.Name, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged("it is missing", err)
	}
	if err != nil {
		return damaged("cannot be read: "+err.Error(), err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h := &hashedReader{hashed{hash: sha256.New()}, r}
	used := decompress(h, use)
	if f, ok := errors.AsType[*foreignError](used); ok {
		return f.err
	}
	// What the decoder left, for the sum to be that of the whole.
	if _, err := io.Copy(io.Discard, h); err != nil {
		return damaged("cannot be read: "+err.Error(), err)
	}
	switch {
	case h.n != o.Bytes:
		return damaged(fmt.Sprintf("it has %d bytes instead of %d", h.n, o.Bytes), nil)
	case hex.EncodeToString(h.hash.Sum(nil)) != o.SHA256:
		return damaged("its SHA-256 differs", nil)
	case used != nil:
		return damaged("it makes no sense: "+used.Error(), used)
	}
	return nil
}

// foreignError is an error of who uses an object, not of the object.
type foreignError struct{ err error }

func (e *foreignError) Error() string { return e.err.Error() }

func decompress(r io.Reader, use func(io.Reader) error) error {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	if err := d.Reset(r); err != nil {
		return err
	}
	defer func() { _ = d.Reset(nil) }() // gives back the reader; nil is never an error
	return use(d)
}

type hashedReader struct {
	hashed
	from io.Reader
}

func (h *hashedReader) Read(b []byte) (int, error) {
	n, err := h.from.Read(b)
	h.hash.Write(b[:n])
	h.n += int64(n)
	return n, err
}

// digestRows reads rows and adds them to d. Their number must be the one given.
func digestRows(ctx context.Context, r io.Reader, fields int, want int64, d *digester) error {
	rows, err := newRowReader(r, fields)
	if err != nil {
		return err
	}
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && d.rows%4096 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = d.add(row)
		}
		if err != nil {
			return err
		}
	}
	if d.rows != want {
		return fmt.Errorf("it holds %d rows instead of %d", d.rows, want)
	}
	return nil
}

// parallel calls f for 0 to n-1, at most limit at a time, until one fails.
func parallel(ctx context.Context, limit, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(limit, n) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	func() {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	wg.Wait()
	return context.Cause(ctx)
}
