package recovery

import (
	"errors"
	"fmt"
)

var (
	// ErrUnproven says that something could not be shown to be so. The facts are
	// in *UnprovenError.
	ErrUnproven = errors.New("unproven")

	// ErrDamaged says that a backup is not what was written. The facts are in
	// *DamagedError.
	ErrDamaged = errors.New("backup is damaged")

	// ErrNotFound says that there is no backup of that name.
	ErrNotFound = errors.New("no such backup")

	// ErrNoBackup says that a component has no verified backup.
	ErrNoBackup = errors.New("no verified backup")

	// ErrNotRecorded says that something was refused because it could not be put
	// on the timeline.
	ErrNotRecorded = errors.New("refused: it could not be recorded")
)

// UnprovenError says what could not be shown, and why. It is ErrUnproven to
// errors.Is.
type UnprovenError struct {
	What string // the step, the item or the look
	Err  error  // why
}

// Error names both.
func (e *UnprovenError) Error() string { return fmt.Sprintf("%s: unproven: %v", e.What, e.Err) }

// Is reports whether target is ErrUnproven.
func (e *UnprovenError) Is(target error) bool { return target == ErrUnproven }

// Unwrap returns why.
func (e *UnprovenError) Unwrap() error { return e.Err }

// DamagedError names the first part of a backup that is not what was written. It
// is ErrDamaged to errors.Is.
type DamagedError struct {
	Backup string
	File   string // within the backup
	Reason string // what differs
	Err    error  // what reading gave; nil when it could be read
}

// Error names the backup, the file and what differs.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("backup %s is damaged: %q: %s", e.Backup, e.File, e.Reason)
}

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// Unwrap returns what reading gave.
func (e *DamagedError) Unwrap() error { return e.Err }
