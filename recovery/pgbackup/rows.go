package pgbackup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// copySignature begins COPY's binary format. Flags and the length of an extension
// follow, both 0, then the rows, then a count of fields of -1.
const copySignature = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// maxRow bounds one row: PostgreSQL itself sends none that is longer.
const maxRow = 1 << 30

// rowReader reads COPY's binary format row by row. A row is its fields as they come:
// a count, and for each field its length, or -1 for NULL, and its bytes.
type rowReader struct {
	r      *bufio.Reader
	fields int
	row    []byte // of a row that is longer than the buffer
	last   int    // how much of the buffer the last row was
}

func newRowReader(r io.Reader, fields int) (*rowReader, error) {
	b := bufio.NewReaderSize(r, 128<<10)
	head, err := b.Peek(len(copySignature))
	if err != nil {
		return nil, fmt.Errorf("reading COPY's signature: %w", unexpected(err))
	}
	if string(head) != copySignature {
		return nil, errors.New("it is not in COPY's binary format")
	}
	_, err = b.Discard(len(copySignature))
	return &rowReader{r: b, fields: fields}, err
}

// unexpected makes an end within something an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next returns the next row, valid until the next call, or io.EOF after the last one,
// when nothing follows the end mark.
func (r *rowReader) next() ([]byte, error) {
	if _, err := r.r.Discard(r.last); err != nil {
		return nil, err
	}
	r.last = 0
	head, err := r.r.Peek(2)
	if err != nil {
		return nil, unexpected(err)
	}
	switch n := int16(binary.BigEndian.Uint16(head)); {
	case n == -1:
		return nil, r.end()
	case int(n) != r.fields:
		return nil, fmt.Errorf("a row has %d fields instead of %d", n, r.fields)
	}
	if row, ok, err := r.inBuffer(); ok || err != nil {
		return row, err
	}
	return r.outsideBuffer()
}

func (r *rowReader) end() error {
	if _, err := r.r.Discard(2); err != nil {
		return err
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("something follows the last row"), err)
	}
	return io.EOF
}

// inBuffer returns a row that lies in the buffer whole; false when it may be longer.
func (r *rowReader) inBuffer() ([]byte, bool, error) {
	buf, err := r.r.Peek(r.r.Buffered())
	if err != nil {
		return nil, false, err
	}
	for refilled := false; ; {
		size, err := rowSize(buf, r.fields)
		if err != nil {
			return nil, false, err
		}
		if size > 0 {
			r.last = size
			return buf[:size], true, nil
		}
		if refilled {
			return nil, false, nil
		}
		refilled = true
		if buf, err = r.r.Peek(r.r.Size()); err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
	}
}

// rowSize returns how long the row is that b begins with; 0 when b ends within it.
func rowSize(b []byte, fields int) (int, error) {
	at := 2
	for range fields {
		if at+4 > len(b) {
			return 0, nil
		}
		n, err := fieldSize(b[at:])
		if err != nil {
			return 0, err
		}
		if at += 4 + n; at > len(b) {
			return 0, nil
		}
	}
	return at, nil
}

// fieldSize reads the length of a field; NULL has no bytes.
func fieldSize(b []byte) (int, error) {
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < -1 || n > maxRow {
		return 0, fmt.Errorf("a field has %d bytes", n)
	}
	return max(n, 0), nil
}

// outsideBuffer reads a long row, field by field.
func (r *rowReader) outsideBuffer() ([]byte, error) {
	r.row = r.row[:0]
	if err := r.take(2); err != nil {
		return nil, err
	}
	for range r.fields {
		if err := r.take(4); err != nil {
			return nil, err
		}
		n, err := fieldSize(r.row[len(r.row)-4:])
		if err == nil {
			err = r.take(n)
		}
		if err != nil {
			return nil, err
		}
		if len(r.row) > maxRow {
			return nil, fmt.Errorf("a row has more than %d bytes", maxRow)
		}
	}
	return r.row, nil
}

// take appends n bytes to the row, growing it only as they come: a length that is a
// lie costs no memory.
func (r *rowReader) take(n int) error {
	for n > 0 {
		part := min(n, 1<<20)
		at := len(r.row)
		r.row = append(r.row, make([]byte, part)...)
		if _, err := io.ReadFull(r.r, r.row[at:]); err != nil {
			return unexpected(err)
		}
		n -= part
	}
	return nil
}

// rowsDigest is a fingerprint of a set of rows that does not depend on their order:
// the sum of the rows' SHA-256, in four lanes of 64 bits, and their number. A row that
// is there twice counts twice.
type rowsDigest struct {
	rows int64
	lane [4]uint64
}

func (d *rowsDigest) add(row []byte) {
	sum := sha256.Sum256(row)
	d.rows++
	for i := range d.lane {
		d.lane[i] += binary.LittleEndian.Uint64(sum[8*i:])
	}
}

func (d *rowsDigest) merge(o rowsDigest) {
	d.rows += o.rows
	for i := range d.lane {
		d.lane[i] += o.lane[i]
	}
}

func (d rowsDigest) String() string {
	var b [40]byte
	binary.BigEndian.PutUint64(b[:], uint64(d.rows))
	for i, lane := range d.lane {
		binary.BigEndian.PutUint64(b[8+8*i:], lane)
	}
	return hex.EncodeToString(b[:])
}

// digester adds rows to a digest. An array says which type its elements are of by a
// number that another database has given to another type, or to none: where the type is
// not the system's own it is left out.
type digester struct {
	rowsDigest
	arrays []bool // by column: of a type that is not the system's own
	buf    []byte
}

func newDigester(t *Table) *digester {
	d := &digester{}
	any := false
	for _, c := range t.Columns {
		if c.Generated {
			continue
		}
		foreign := strings.HasSuffix(c.Type, "[]") && strings.Contains(c.Type, ".")
		d.arrays = append(d.arrays, foreign)
		any = any || foreign
	}
	if !any {
		d.arrays = nil
	}
	return d
}

func (d *digester) add(row []byte) error {
	row, err := d.normal(row)
	if err == nil {
		d.rowsDigest.add(row)
	}
	return err
}

// normal returns a row without what is another database's affair, valid until the next
// call.
func (d *digester) normal(row []byte) ([]byte, error) {
	if d.arrays == nil {
		return row, nil
	}
	d.buf = append(d.buf[:0], row...)
	at := 2
	for _, foreign := range d.arrays {
		n, err := fieldSize(d.buf[at:])
		if err != nil {
			return nil, err
		}
		at += 4
		if foreign && n >= 12 {
			clear(d.buf[at+8 : at+12]) // after the number of dimensions and flags
		}
		at += n
	}
	return d.buf, nil
}
