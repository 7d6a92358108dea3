package pgbackup

import (
	"errors"
	"fmt"
)

var (
	// ErrBlocked says that a backup gave way because it made others wait, or that
	// it could not get a lock in time. The facts are in *BlockedError. Take the
	// backup again when the DDL is through.
	ErrBlocked = errors.New("gave way to a lock")

	// ErrBusy says that another backup, restore or repair of this database is
	// going on.
	ErrBusy = errors.New("another backup, restore or repair of this database is going on")

	// ErrNothing says that there is no table to back up.
	ErrNothing = errors.New("there is no table to back up")

	// ErrUnsupported says that a table has something that the package could not
	// bring back, and so does not pretend to back up or to replace. The facts are
	// in *UnsupportedError.
	ErrUnsupported = errors.New("not supported")

	// ErrMoved says that the facts of a plan are not so any more: make a new one.
	ErrMoved = errors.New("the facts of the plan have moved")

	// ErrLive says that tables that are there may not be replaced, because nothing
	// shows that the bot's writes are held.
	ErrLive = errors.New("the target is live")

	// ErrDiffers says that what was restored is not what was backed up. Nothing
	// was swapped. The facts are in *DiffersError.
	ErrDiffers = errors.New("restored rows differ from the backup")

	// ErrOutcomeUnknown says that the connection broke while a change was being
	// committed. Apply the same plan again: it settles which it was.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrTooMany says that a repair would touch more rows than the request allows:
	// restore the table instead.
	ErrTooMany = errors.New("too many rows differ")
)

// BlockedError names who waited for what. It is ErrBlocked to errors.Is.
type BlockedError struct {
	Table string // empty when it is not known which of them
	PID   int    // of the session that waited behind the backup; 0: the backup waited
	Err   error  // what the server said; nil when the backup gave way
}

// Error names the session and the table.
func (e *BlockedError) Error() string {
	if e.PID != 0 {
		return fmt.Sprintf("%v: process %d waited to lock %s, and every reader behind it", ErrBlocked, e.PID, e.Table)
	}
	return fmt.Sprintf("%v: %v", ErrBlocked, e.Err)
}

// Is reports whether target is ErrBlocked.
func (e *BlockedError) Is(target error) bool { return target == ErrBlocked }

// Unwrap returns what the server said.
func (e *BlockedError) Unwrap() error { return e.Err }

// UnsupportedError names what the package cannot bring back. It is ErrUnsupported to
// errors.Is.
type UnsupportedError struct {
	Table string
	What  []string // each as a person would say it
	Hint  string   // what to do about it
}

// Error names the table, what it has, and the hint.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %v: %q: %s", e.Table, ErrUnsupported, e.What, e.Hint)
}

// Is reports whether target is ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// DiffersError says how a restored table differs. It is ErrDiffers to errors.Is.
type DiffersError struct {
	Table string
	What  string // such as "rows"
	Want  string
	Got   string
}

// Error names the table and both sides.
func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s: %v: %s: want %s, got %s", e.Table, ErrDiffers, e.What, e.Want, e.Got)
}

// Is reports whether target is ErrDiffers.
func (e *DiffersError) Is(target error) bool { return target == ErrDiffers }

// ErrSchema says that tables are defined otherwise now than in the backup. The facts
// are in *SchemaError.
var ErrSchema = errors.New("tables are defined otherwise than in the backup")

// SchemaError lists the differences. It is ErrSchema to errors.Is.
type SchemaError struct {
	Differences []string
}

// Error lists them, and what to do.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("%v: %q: repair the rows, or ask for the schema of the backup", ErrSchema, e.Differences)
}

// Is reports whether target is ErrSchema.
func (e *SchemaError) Is(target error) bool { return target == ErrSchema }
