package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/andon-go/andon"
)

// ErrCorrupt says that a book's file is torn, foreign or damaged. What it held is not
// known: restore it, it is not an empty book.
var ErrCorrupt = errors.New("corrupt book")

// CorruptError is a book's file that cannot be believed. It is ErrCorrupt to
// errors.Is.
type CorruptError struct {
	Path string
	Line int // counted from 1
	Err  error
}

// Error names the file, the line and what is wrong with it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt book: %s: line %d: %v: restore it from a verified backup", e.Path, e.Line, e.Err)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// bookFile is what a file holds:
//
//	{"andon_book":1,"rows":3,"sha256":"..."}     the checksum is of all lines below
//	{"position":{...}}
//	{"fill":{...}}
//	{"applied":{"id":"plan-...","at":"...","by":"ada","note":"..."}}
type bookFile struct {
	records Records
	applied []appliedRow
}

type appliedRow struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	Note string    `json:"note,omitempty"`
}

func (f *bookFile) has(id string) bool {
	for _, a := range f.applied {
		if a.ID == id {
			return true
		}
	}
	return false
}

type bookHeader struct {
	Version *int   `json:"andon_book"`
	Rows    int    `json:"rows"`
	SHA256  string `json:"sha256"`
}

// bookRow is one line; exactly one field is set.
type bookRow struct {
	Position *andon.Position `json:"position,omitempty"`
	Order    *andon.Order    `json:"order,omitempty"`
	Fill     *andon.Fill     `json:"fill,omitempty"`
	Balance  *andon.Balance  `json:"balance,omitempty"`
	Applied  *appliedRow     `json:"applied,omitempty"`
}

const bookVersion = 1

func encodeBook(f bookFile) ([]byte, error) {
	var rows []bookRow
	for i := range f.records.Positions {
		rows = append(rows, bookRow{Position: &f.records.Positions[i]})
	}
	for i := range f.records.Orders {
		rows = append(rows, bookRow{Order: &f.records.Orders[i]})
	}
	for i := range f.records.Fills {
		rows = append(rows, bookRow{Fill: &f.records.Fills[i]})
	}
	for i := range f.records.Balances {
		rows = append(rows, bookRow{Balance: &f.records.Balances[i]})
	}
	for i := range f.applied {
		rows = append(rows, bookRow{Applied: &f.applied[i]})
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body) // ends every row with a new line
	for i, r := range rows {
		if err := enc.Encode(r); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	version := bookVersion
	head, err := json.Marshal(bookHeader{&version, len(rows), bookSum(body.Bytes())})
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), body.Bytes()...), nil
}

func bookSum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// decodeBook reads a file. A line that cannot be read is named before a checksum that
// does not fit, since it says more.
func decodeBook(data []byte) (bookFile, error) {
	first, body, _ := bytes.Cut(data, []byte("\n"))
	var head bookHeader
	if err := decodeStrict(first, &head); err != nil {
		return bookFile{}, &CorruptError{Line: 1, Err: fmt.Errorf("not the head of a book: %w", err)}
	}
	switch {
	case head.Version == nil:
		return bookFile{}, &CorruptError{Line: 1, Err: errors.New("andon_book is missing: not the head of a book")}
	case *head.Version != bookVersion:
		return bookFile{}, &CorruptError{Line: 1, Err: fmt.Errorf("andon_book %d, want %d: another version of the library wrote it", *head.Version, bookVersion)}
	}
	var f bookFile
	line := 1
	for row := range bytes.Lines(body) {
		line++
		if err := f.decodeRow(row); err != nil {
			return bookFile{}, &CorruptError{Line: line, Err: err}
		}
	}
	switch {
	case line-1 != head.Rows:
		return bookFile{}, &CorruptError{Line: line, Err: fmt.Errorf("the file ends after %d rows of %d", line-1, head.Rows)}
	case bookSum(body) != head.SHA256:
		return bookFile{}, &CorruptError{Line: 1, Err: errors.New("sha256 does not fit the rows: some of them were changed")}
	}
	return f, nil
}

func (f *bookFile) decodeRow(line []byte) error {
	var row bookRow
	if err := decodeStrict(line, &row); err != nil {
		return err
	}
	set := 0
	if row.Position != nil {
		set++
		f.records.Positions = append(f.records.Positions, *row.Position)
	}
	if row.Order != nil {
		set++
		if row.Order.Kind == 0 {
			return errors.New("order: kind is missing")
		}
		if row.Order.Side == 0 {
			return errors.New("order: side is missing")
		}
		f.records.Orders = append(f.records.Orders, *row.Order)
	}
	if row.Fill != nil {
		set++
		if row.Fill.Side == 0 {
			return errors.New("fill: side is missing")
		}
		f.records.Fills = append(f.records.Fills, *row.Fill)
	}
	if row.Balance != nil {
		set++
		f.records.Balances = append(f.records.Balances, *row.Balance)
	}
	if row.Applied != nil {
		set++
		f.applied = append(f.applied, *row.Applied)
	}
	if set != 1 {
		return fmt.Errorf("%d rows in a line, want one of position, order, fill, balance, applied", set)
	}
	return nil
}

// decodeStrict reads exactly one JSON value without unknown fields.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the value")
	}
	return nil
}
