package filebackup

import (
	"errors"

	"github.com/andon-go/andon/recovery"
)

var (
	// ErrChanging says that a source changed each time that it was read.
	ErrChanging = errors.New("it changes while it is read")

	// ErrSpecial says that something is neither a file nor a directory nor a link.
	ErrSpecial = errors.New("not a file, a directory or a symbolic link")

	// ErrNothing says that a source holds no file at all.
	ErrNothing = errors.New("there is no file in it")

	// ErrNotVerified says that a backup does not count and cannot be restored.
	ErrNotVerified = recovery.ErrNotVerified

	// ErrMoved says that a plan was made for facts that are no longer so.
	ErrMoved = recovery.ErrMoved

	// ErrLive says that a target may be written to while it would be replaced.
	ErrLive = errors.New("the target is live")

	// ErrBusy says that another restore from the same directory is at work.
	ErrBusy = errors.New("another restore is at work")
)
