package control

import "errors"

var (
	// ErrNotRunning says that nobody listens at the socket. Nothing was asked.
	ErrNotRunning = errors.New("no bot is running there")

	// ErrForbidden says that the socket, or the bot behind it, is another user's.
	ErrForbidden = errors.New("the control socket is not yours")

	// ErrInUse says that a bot that runs has the socket.
	ErrInUse = errors.New("the control socket is in use")

	// ErrNotWired says that the bot was not given what the command needs.
	ErrNotWired = errors.New("not wired in this bot")

	// ErrBad says that a request cannot be meant.
	ErrBad = errors.New("bad request")

	// ErrRefused says that a law stands in the way. Nothing was changed.
	ErrRefused = errors.New("refused")

	// ErrUnwell says that it was looked, and that something is not well.
	ErrUnwell = errors.New("not well")

	// ErrOutcome says that it is not known whether it was done.
	ErrOutcome = errors.New("not known whether it was done")
)

// codes are the errors by the word that stands for them on the wire.
var codes = map[string]error{
	"forbidden": ErrForbidden, "not-wired": ErrNotWired, "bad": ErrBad,
	"refused": ErrRefused, "unwell": ErrUnwell, "outcome-unknown": ErrOutcome,
}

// Error is what a bot answered instead of doing it.
type Error struct {
	Command string
	Code    string // the word for the kind of error; "failed" for what has none
	Text    string // in words, without secrets
}

// Error says what was asked and what came of it.
func (e *Error) Error() string { return e.Command + ": " + e.Text }

// Is reports whether target is the error that the code stands for.
func (e *Error) Is(target error) bool { return codes[e.Code] == target && target != nil }

// coded is an error with the word for its kind.
type coded struct {
	kind error
	err  error
}

func (c coded) Error() string   { return c.err.Error() }
func (c coded) Unwrap() []error { return []error{c.kind, c.err} }

// as gives an error its kind; nil stays nil.
func as(kind, err error) error {
	if err == nil {
		return nil
	}
	return coded{kind, err}
}

// code is the word for an error.
func code(err error) string {
	for word, kind := range codes {
		if errors.Is(err, kind) {
			return word
		}
	}
	return "failed"
}
