package pgstore

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged says that the table does not hold what was appended: an event was
	// altered, removed or moved. It is a *DamagedError. Keep the table as evidence.
	ErrDamaged = errors.New("store damaged")

	// ErrSchema says that the database's tables are not those of this version.
	ErrSchema = errors.New("schema does not fit")

	// ErrUnreachable says that the database did not answer for longer than a lease.
	ErrUnreachable = errors.New("database does not answer")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store closed")
)

// DamagedError is an ErrDamaged with the place.
type DamagedError struct {
	Record uint64 // the first event that is not as it was appended, by its sequence number
	Why    string
}

// Error names the event.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%v: record %d: %s", ErrDamaged, e.Record, e.Why)
}

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }
