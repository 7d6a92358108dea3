package fleet

import (
	"errors"
	"strings"

	"github.com/andon-go/andon/safety"
)

var (
	// ErrNotFleetWide says that the halt could not be written, or may not have been:
	// other members go on until it is.
	ErrNotFleetWide = errors.New("the halt is not fleet-wide")

	// ErrIncomplete says that the fleet is halted and that members are left of which it
	// is not known whether they are. The names are in an *IncompleteError.
	ErrIncomplete = errors.New("the roster is incomplete")

	// ErrRunning says that Run is already running on this member.
	ErrRunning = errors.New("member is already running")
)

// IncompleteError says whom a roster could not account for. It is ErrIncomplete to
// errors.Is.
type IncompleteError struct {
	Missing []string // "name (id)"; empty where the members could not even be listed
	Why     string
	Err     error // the backend's last error, where there is one
}

// Error names who is missing and why.
func (e *IncompleteError) Error() string {
	s := "the fleet is halted but the roster is incomplete: " + e.Why
	if len(e.Missing) > 0 {
		s += ": " + strings.Join(e.Missing, ", ")
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is reports whether target is ErrIncomplete.
func (e *IncompleteError) Is(target error) bool { return target == ErrIncomplete }

// Unwrap returns the backend's error.
func (e *IncompleteError) Unwrap() error { return e.Err }

// ResumeError says why the fleet was not resumed. It is safety.ErrResumeRefused to
// errors.Is.
type ResumeError struct {
	Why   string // in words, with what to do
	Holds []Hold // those that the caller had not seen, where that is why
	Err   error  // the cause, where there is one
}

// Error says why, and names the holds.
func (e *ResumeError) Error() string {
	parts := []string{"resume of the fleet refused: " + e.Why}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	for _, h := range e.Holds {
		parts = append(parts, h.String())
	}
	return strings.Join(parts, ": ")
}

// Is reports whether target is safety.ErrResumeRefused.
func (e *ResumeError) Is(target error) bool { return target == safety.ErrResumeRefused }

// Unwrap returns the cause.
func (e *ResumeError) Unwrap() error { return e.Err }
