package settings

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrMoved says that a file is not as it was when the plan was made.
	ErrMoved = errors.New("the facts have moved since the plan was made")

	// ErrLoosens says that a change would add exposure and was not asked for by name.
	// The facts are in *LoosensError.
	ErrLoosens = errors.New("it would loosen a limit")

	// ErrConflict says that somebody else has changed a variable since. The facts are
	// in *ConflictError.
	ErrConflict = errors.New("changed by somebody else since")

	// ErrKeyUsed says that a key stands for another change, or for one that was taken
	// back.
	ErrKeyUsed = errors.New("the key is used")

	// ErrUnknownKey says that nothing was done under a key.
	ErrUnknownKey = errors.New("nothing was done under this key")

	// ErrNotHeard says that the files are changed and the bot could not be told.
	ErrNotHeard = errors.New("the files are changed and the bot has not heard of it")
)

// LoosensError names the variables whose change adds exposure, and why. It is
// ErrLoosens to errors.Is.
type LoosensError struct {
	Names []string
	Why   []string // for each name
	Kept  bool     // an undo left them strict; false when a change was refused
}

// Error names each variable, and what to do.
func (e *LoosensError) Error() string {
	parts := make([]string, len(e.Names))
	for i, n := range e.Names {
		parts[i] = n + " (" + e.Why[i] + ")"
	}
	if e.Kept {
		return fmt.Sprintf("left as strict as they are: %s: Restore puts them back too", strings.Join(parts, ", "))
	}
	return fmt.Sprintf("nothing is changed, %v: %s: name them in Request.Loosen if that is meant", ErrLoosens, strings.Join(parts, ", "))
}

// Is reports whether target is ErrLoosens.
func (e *LoosensError) Is(target error) bool { return target == ErrLoosens }

// ConflictError names the variables that an undo has left to whoever changed them.
// It is ErrConflict to errors.Is.
type ConflictError struct{ Names []string }

// Error names each variable.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: %v, and left: look at them by hand", strings.Join(e.Names, ", "), ErrConflict)
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
