package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon/recovery"
)

// piece copies one range of a table's pages into a part.
func (w *snapshot) piece(ctx context.Context, conn *pgx.Conn, d *TableData, p *Piece) error {
	err := w.write(ctx, p.Part, func(part *recovery.PartWriter) error {
		b := &batched{to: &limited{ctx: ctx, w: w, to: part}, buf: make([]byte, 0, 128<<10)}
		tag, err := conn.PgConn().CopyTo(ctx, b, copyRange(quoted([]string{d.Table})[0], d.Columns, p.From, p.Until))
		if err == nil {
			err = b.flush()
		}
		p.Rows, p.Bytes = tag.RowsAffected(), b.total
		part.AddRows(p.Rows)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.Table, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.Rows, d.Bytes = d.Rows+p.Rows, d.Bytes+p.Bytes
	return nil
}

// write makes a part of what f writes.
func (w *snapshot) write(ctx context.Context, name string, f func(*recovery.PartWriter) error) error {
	part, err := w.draft.Create(ctx, name)
	if err != nil {
		return err
	}
	err = f(part)
	if err != nil { // the draft is discarded: what is stored for it does not matter
		_ = part.Close()
		return err
	}
	return part.Close()
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

// limited holds what is written to the rate.
type limited struct {
	ctx context.Context
	w   *snapshot
	to  io.Writer
}

func (l *limited) Write(b []byte) (int, error) {
	if err := l.w.limit.take(l.ctx, len(b)); err != nil {
		return 0, err
	}
	return l.to.Write(b)
}

// batched gathers what comes row by row, and counts it.
type batched struct {
	to    io.Writer
	buf   []byte
	total int64
}

func (b *batched) Write(p []byte) (int, error) {
	b.total += int64(len(p))
	if len(b.buf)+len(p) > cap(b.buf) {
		if err := b.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > cap(b.buf) {
		return b.to.Write(p)
	}
	b.buf = append(b.buf, p...)
	return len(p), nil
}

func (b *batched) flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	_, err := b.to.Write(b.buf)
	b.buf = b.buf[:0]
	return err
}

// checkedRows gives rows on as COPY wants them, once it has read them: each is whole,
// their number is known, and they are added to a digest.
type checkedRows struct {
	rows    *rowReader
	digest  *digester
	pending []byte
	end     bool
}

func newCheckedRows(from io.Reader, t *Table) (*checkedRows, error) {
	rows, err := newRowReader(from, len(t.stored()))
	return &checkedRows{rows: rows, digest: newDigester(t), pending: []byte(copySignature)}, err
}

func (c *checkedRows) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if len(c.pending) == 0 {
			if c.end {
				return n, io.EOF
			}
			if err := c.next(); err != nil {
				return n, err
			}
		}
		m := copy(b[n:], c.pending)
		c.pending, n = c.pending[m:], n+m
	}
	return n, nil
}

func (c *checkedRows) next() error {
	row, err := c.rows.next()
	if errors.Is(err, io.EOF) {
		c.pending, c.end = []byte{0xff, 0xff}, true
		return nil
	}
	if err == nil {
		err = c.digest.add(row)
	}
	c.pending = row
	return err
}
