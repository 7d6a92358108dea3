package recovery

import (
	"errors"
	"fmt"
	"time"
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

	// ErrNoTarget says that nothing is configured that would back a component up. It has no
	// verified backup either: such an error is ErrNoBackup too.
	ErrNoTarget = errors.New("no backup target is configured")

	// ErrLastVerified says that a backup is the only one that counts, and is kept.
	ErrLastVerified = errors.New("it is the last verified backup")

	// ErrClock says that a backup would be dated before one that is there. Either
	// that one or the clock is wrong; until it is known which, the newest backup
	// is not known either. The facts are in *ClockError.
	ErrClock = errors.New("one of the clocks is wrong")

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

// ClockError names the backup that is dated after now. It is ErrClock to errors.Is.
type ClockError struct {
	Now    time.Time
	Backup string
	At     time.Time // when that backup says that it was taken
}

// Error names both times, and what to do.
func (e *ClockError) Error() string {
	return fmt.Sprintf("it is %s, and %s is dated %v later: one of the clocks is wrong: put the clock right, or delete that backup",
		e.Now.UTC().Format(time.RFC3339), e.Backup, e.At.Sub(e.Now))
}

// Is reports whether target is ErrClock.
func (e *ClockError) Is(target error) bool { return target == ErrClock }
