package recorded

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrMalformed says that a recording is not what it should be.
	ErrMalformed = errors.New("malformed recording")

	errMissing = errors.New("is missing")
)

// Error says what is wrong with a recording and where. It is ErrMalformed to
// errors.Is.
type Error struct {
	File   string
	Line   int    // counted from 1
	Page   int    // counted from 1; 0 where it is not about a page
	Record int    // counted from 1 within its page; 0 where it is not about a record
	Field  string // as in the file; empty where it is not about a field
	Err    error
}

// Error returns "file:line: page 2, record 7, field "size": what is wrong".
func (e *Error) Error() string {
	var where []string
	if e.Page > 0 {
		where = append(where, fmt.Sprintf("page %d", e.Page))
	}
	if e.Record > 0 {
		where = append(where, fmt.Sprintf("record %d", e.Record))
	}
	if e.Field != "" {
		where = append(where, fmt.Sprintf("field %q", e.Field))
	}
	place := strings.Join(where, ", ")
	if place != "" {
		place += ": "
	}
	return fmt.Sprintf("%s:%d: %s%v", e.File, e.Line, place, e.Err)
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is ErrMalformed.
func (e *Error) Is(target error) bool { return target == ErrMalformed }
