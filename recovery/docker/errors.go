package docker

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrEngineGone says that the engine does not answer.
	ErrEngineGone = errors.New("the container engine does not answer")

	// ErrTooOld says that the engine's API is older than MinAPI, or that it no
	// longer speaks one that the client knows.
	ErrTooOld = errors.New("no version of the API that both sides speak")

	// ErrNotFound says that a container, an image or a volume is not there, or not
	// there any more.
	ErrNotFound = errors.New("not found")

	// ErrConflict says that the engine refused because of what there is already,
	// such as another container of the same name.
	ErrConflict = errors.New("in conflict with what there is")

	// ErrNotRunning says that a container does not run.
	ErrNotRunning = errors.New("the container is not running")

	// ErrNotOurs says that a name is neither one of the configured ones nor a
	// service of the project.
	ErrNotOurs = errors.New("not one of the bot's containers")

	// ErrNotWell says that a container did not come up, or did not stay up.
	ErrNotWell = errors.New("the container is not well")

	// ErrNotHandled says that an image does not say that it handles a signal.
	ErrNotHandled = errors.New("the image does not say that it handles this signal")

	// ErrNoPrevious says that no image is known to go back to.
	ErrNoPrevious = errors.New("no previous image is pinned")

	// ErrMoved says that a plan was made for facts that are no longer so.
	ErrMoved = errors.New("the facts have moved since the plan was made")

	// ErrTakenBack says that a replacement did not become well, and that the old
	// container runs again. The facts are in *RecreateError.
	ErrTakenBack = errors.New("the replacement was taken back")

	// ErrUnfinished says that an earlier recreation was interrupted and comes first.
	ErrUnfinished = errors.New("an earlier recreation is unfinished")

	// ErrBusy says that another process recreates a container with the same journal.
	ErrBusy = errors.New("another recreation is at work")

	// ErrIncident says that something waits until no incident is open.
	ErrIncident = errors.New("not while an incident may be open")

	// ErrNoCompose says that the program of compose is not there.
	ErrNoCompose = errors.New("docker compose is not installed")
)

// EngineError is an answer of the engine, or its absence. It is Kind to errors.Is.
type EngineError struct {
	Op     string // such as "start"
	Object string // the container, image or volume; empty when it is about none
	Kind   error  // one of this package's sentinels; nil for any other failure
	Err    error  // what the client says
}

// Error names the call, what it was about, what the client says, and a hint for the
// operator.
func (e *EngineError) Error() string {
	var b strings.Builder
	b.WriteString("docker " + e.Op)
	if e.Object != "" {
		fmt.Fprintf(&b, " %s", e.Object)
	}
	if e.Kind != nil {
		fmt.Fprintf(&b, ": %v", e.Kind)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if hint := e.Hint(); hint != "" {
		fmt.Fprintf(&b, " (%s)", hint)
	}
	return b.String()
}

// Hint returns what an operator can do; empty when nothing is known.
func (e *EngineError) Hint() string {
	switch e.Kind {
	case ErrEngineGone:
		return "is it running (systemctl status docker), and does DOCKER_HOST name it? Trading, paging and the record do not need it"
	case ErrTooOld:
		return "API " + MinAPI + ", of Docker 20.10, is the oldest that is served: upgrade the engine, or the bot when the engine is the newer one"
	case ErrConflict:
		return "docker ps -a shows who holds the name or what is in use"
	}
	return ""
}

// Is reports whether target is Kind.
func (e *EngineError) Is(target error) bool { return e.Kind != nil && target == e.Kind }

// Unwrap returns what the client says.
func (e *EngineError) Unwrap() error { return e.Err }

// RecreateError says what became of a replacement that was taken back. It is
// ErrTakenBack to errors.Is.
type RecreateError struct {
	Plan      string // the plan's ID
	Container string // the canonical name, which the old container bears again
	Failed    string // the name under which the replacement is kept; empty when there is none
	Output    string // the last lines that the replacement printed
	Err       error  // why it was taken back
}

// Error names what failed and what runs now.
func (e *RecreateError) Error() string {
	s := fmt.Sprintf("plan %s: %v and %s is the old container again: %v", short(e.Plan), ErrTakenBack, e.Container, e.Err)
	if e.Failed != "" {
		s += fmt.Sprintf(" (kept, stopped, as %s)", e.Failed)
	}
	return s
}

// Is reports whether target is ErrTakenBack.
func (e *RecreateError) Is(target error) bool { return target == ErrTakenBack }

// Unwrap returns why.
func (e *RecreateError) Unwrap() error { return e.Err }
