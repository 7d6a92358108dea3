package pgbackup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"
)

// chunk copies one range of a table's pages into an object.
func (w *snapshot) chunk(ctx context.Context, conn *pgx.Conn, d *TableData, c *Chunk, pages int64) error {
	counted := &counted{ctx: ctx, w: w}
	object, err := putCompressed(ctx, w.s.cfg.Storage, w.name, c.Name, func(to io.Writer) error {
		counted.to, counted.buf = to, make([]byte, 0, 128<<10)
		tag, err := conn.PgConn().CopyTo(ctx, counted, copyOut(d, c))
		if err == nil {
			err = counted.flush()
		}
		c.Rows = tag.RowsAffected()
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.Table, err)
	}
	c.Object, c.Raw = object, counted.total
	w.mu.Lock()
	defer w.mu.Unlock()
	d.Rows, d.Bytes = d.Rows+c.Rows, d.Bytes+c.Raw
	w.progress.Rows, w.progress.Pages = w.progress.Rows+c.Rows, w.progress.Pages+pages
	return nil
}

// copyOut is the statement that gives the rows of a chunk.
func copyOut(d *TableData, c *Chunk) string {
	return copyRange(quoted([]string{d.Table})[0], d.Columns, c.From, c.Until)
}

// copyRange is the statement that gives the rows of a range of pages of a table.
func copyRange(table string, columns []string, from, until int64) string {
	sql := fmt.Sprintf("SELECT %s FROM ONLY %s", columnList(columns), table)
	if from > 0 || until >= 0 {
		sql += fmt.Sprintf(" WHERE ctid >= '(%d,0)'", from)
	}
	if until >= 0 {
		sql += fmt.Sprintf(" AND ctid < '(%d,0)'", until)
	}
	return "COPY (" + sql + ") TO STDOUT (FORMAT binary)"
}

// columnList quotes the names of columns. A table without any is a list that is empty.
func columnList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = ident(name)
	}
	return strings.Join(quoted, ", ")
}

// counted gathers what comes row by row, counts it, and holds it to the rate.
type counted struct {
	ctx   context.Context
	w     *snapshot
	to    io.Writer
	buf   []byte
	total int64
}

func (c *counted) Write(b []byte) (int, error) {
	if len(c.buf)+len(b) > cap(c.buf) {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > cap(c.buf) {
		return len(b), c.pass(b)
	}
	c.buf = append(c.buf, b...)
	return len(b), nil
}

func (c *counted) flush() error {
	b := c.buf
	c.buf = c.buf[:0]
	return c.pass(b)
}

func (c *counted) pass(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := c.w.limit.take(c.ctx, len(b)); err != nil {
		return err
	}
	c.total += int64(len(b))
	c.w.tell(int64(len(b)))
	_, err := c.to.Write(b)
	return err
}

// tell adds to the progress and reports it now and then.
func (w *snapshot) tell(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress.Bytes += n
	if w.s.cfg.Progress != nil && w.progress.Bytes-w.told >= 16<<20 {
		w.told = w.progress.Bytes
		w.s.cfg.Progress(w.progress)
	}
}

// encoders and decoders are kept: each has buffers of a few MiB.
var (
	encoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // a mistake in the options above
		}
		return e
	}}
	decoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// putCompressed stores what write gives, compressed, below a backup's name.
func putCompressed(ctx context.Context, to Storage, backup, name string, write func(io.Writer) error) (Object, error) {
	read, written := io.Pipe()
	h := &hashed{hash: sha256.New(), to: written}
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		err = compress(h, write)
		// The storage's reader gets the error, and so stores nothing.
		_ = written.CloseWithError(err) // always nil
	})
	stored := to.Put(ctx, backup+"/"+name, read)
	// A storage that failed early stops the writer too.
	_ = read.CloseWithError(errors.Join(errStorage, stored)) // always nil
	wg.Wait()
	if errors.Is(err, errStorage) {
		err = nil // the storage's own words say it
	}
	if err := errors.Join(stored, err); err != nil {
		if stored == nil || err == nil {
			return Object{}, err
		}
		return Object{}, stored
	}
	return Object{name, h.n, hex.EncodeToString(h.hash.Sum(nil))}, nil
}

var errStorage = errors.New("the storage stopped reading")

func compress(to io.Writer, write func(io.Writer) error) error {
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	e.Reset(to)
	defer e.Reset(nil)
	if err := write(e); err != nil {
		return err
	}
	return e.Close()
}

// hashed hashes and counts what it passes on.
type hashed struct {
	hash hash.Hash
	to   io.Writer
	n    int64
}

func (h *hashed) Write(b []byte) (int, error) {
	h.hash.Write(b) // never fails
	n, err := h.to.Write(b)
	h.n += int64(n)
	return n, err
}
