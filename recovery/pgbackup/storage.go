package pgbackup

import (
	"context"
	"io"
)

// Storage is where objects lie. Names are relative and use slashes.
type Storage interface {
	// Put stores what r gives under a name, whole and durable or, when r or the
	// storage fails, not at all.
	Put(ctx context.Context, name string, r io.Reader) error

	// Get returns the n bytes of an object from offset on, to its end when n is
	// negative. An object that is not there is fs.ErrNotExist.
	Get(ctx context.Context, name string, offset, n int64) (io.ReadCloser, error)

	// List returns the names that begin with a prefix, sorted. An error means that
	// the answer is not known.
	List(ctx context.Context, prefix string) ([]string, error)

	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}
