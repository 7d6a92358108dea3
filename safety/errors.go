package safety

import (
	"errors"
	"fmt"
	"strings"

	"github.com/andon-go/andon"
)

var (
	// ErrDenied says that the gate did not let something through. The facts are in
	// a *DeniedError.
	ErrDenied = errors.New("denied")

	// ErrNotDurable says that the gate is closed and that the hold is not yet on
	// disk: it would not outlive this process. The switch goes on trying.
	ErrNotDurable = errors.New("the gate is closed but the hold is not durable yet")

	// ErrResumeRefused says that Resume or Lift lifted nothing. The facts are in a
	// *ResumeError.
	ErrResumeRefused = errors.New("resume refused")

	// ErrNoState says that a store holds no state: the very first start, or
	// somebody deleted it. Either way a person has to resume.
	ErrNoState = errors.New("no state")

	// ErrStateDamaged says that a store's state cannot be trusted: torn, altered,
	// unreadable, of another bot or of a newer version.
	ErrStateDamaged = errors.New("state cannot be trusted")

	// ErrInUse says that another process has the state directory open.
	ErrInUse = errors.New("state directory is in use by another process")

	// ErrStaleView says that a view of the venue was asked for before orders that
	// it may not show. Read the venue again.
	ErrStaleView = errors.New("view is older than orders it may not show")

	// ErrClosed says that the switch was closed. Its gate stays shut.
	ErrClosed = errors.New("switch is closed")

	// ErrRunning says that Run is already running on this switch.
	ErrRunning = errors.New("switch is already running")
)

// DeniedError says what was denied and by what. It is ErrDenied to errors.Is.
type DeniedError struct {
	State  TradingState
	Intent Intent
	Order  string       // client id; empty for a check without an order
	Leg    andon.LegKey // zero for a check without an order
	Holds  []Hold       // in force, strictest first
	Reason Reason       // the rule that stood in the way: the holds, a limit, the order itself
	Bound  string       // where Reason is a limit: its value
	Found  string       // where Reason is a limit: what was found, or the datum that is missing
	Why    string       // in words; empty where the holds say it all
}

// Error says what was denied, why, and what stands in the way.
func (e *DeniedError) Error() string {
	var b strings.Builder
	b.WriteString("denied")
	if e.Order != "" {
		fmt.Fprintf(&b, ": order %s on %v", e.Order, e.Leg)
		if e.State != Active || e.Why == "" {
			fmt.Fprintf(&b, " would %v", e.Intent)
		}
	}
	fmt.Fprintf(&b, ": trading is %v", e.State)
	if e.Why != "" {
		b.WriteString(": " + e.Why)
	}
	if len(e.Holds) > 0 {
		b.WriteString(": " + holdList(e.Holds))
	}
	return b.String()
}

// Is reports whether target is ErrDenied.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// ResumeError says why trading was not resumed. Nothing was lifted. It is
// ErrResumeRefused to errors.Is.
type ResumeError struct {
	Why   string // in words, with what to do
	Holds []Hold // the holds that the caller had not seen, where that is why
	Err   error  // the cause, where there is one
}

// Error says why, and names the holds.
func (e *ResumeError) Error() string {
	s := "resume refused: " + e.Why
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if len(e.Holds) > 0 {
		s += ": " + holdList(e.Holds)
	}
	return s
}

// Is reports whether target is ErrResumeRefused.
func (e *ResumeError) Is(target error) bool { return target == ErrResumeRefused }

// Unwrap returns the cause.
func (e *ResumeError) Unwrap() error { return e.Err }
