package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged says that the file is not the journal that was written: a record
	// was altered, removed or moved, or the file is something else. Nothing was
	// changed. Keep the file as evidence, and open a new journal elsewhere.
	ErrDamaged = errors.New("journal damaged")

	// ErrInUse says that another process, or this one, has the journal open.
	ErrInUse = errors.New("journal in use")

	// ErrClosed says that the journal was closed.
	ErrClosed = errors.New("journal closed")
)

// DamagedError is an ErrDamaged with the place.
type DamagedError struct {
	Path string
	Line int   // counted from 1, as an editor does; 0 where no line is meant
	At   int64 // the offset of that line in the file, in bytes

	// Record is the first record that is not as it was written, by its sequence
	// number; 0 where that cannot be said.
	Record uint64

	Why string
}

// Error names the file, the place and the record.
func (e *DamagedError) Error() string {
	s := fmt.Sprintf("%v: %s", ErrDamaged, e.Path)
	if e.Line > 0 {
		s += fmt.Sprintf(":%d (byte %d)", e.Line, e.At)
	}
	if e.Record > 0 {
		s += fmt.Sprintf(": record %d", e.Record)
	}
	return s + ": " + e.Why
}

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }
