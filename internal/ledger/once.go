package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/andon-go/andon/internal/atomicfile"
)

// Once is work that is planned and then applied, once for a key. P is a plan that
// comes back from JSON as it was, and that changes nothing when it is applied again.
// It is safe for concurrent use, and for several processes.
type Once[P any] struct {
	Dir   string // keeps an entry for each key. Required; it is made where it is not there
	Moved error  // Apply's error where a plan's facts have moved and nothing was changed
}

var errNoDir = errors.New("its Dir is empty: a plan has to be kept before it is applied")

// planned is the entry of a key.
type planned[P any] struct {
	Plan P
	Done bool
	Said string // what Apply said
}

// Do makes a plan, keeps it, applies it, and keeps what was said of that. For a key that
// is done it says the same and calls neither. For one that a crash or an error cut off
// it applies the plan that is kept. A plan whose facts have moved is dropped, and the
// error is Moved: the next call makes a new one.
//
// Two at once for a key do it once: the second waits for the first, as long as ctx lets
// it. Keys do not wait for each other. An error together with a text means that the work
// is done, and that this could not be kept.
func (o Once[P]) Do(ctx context.Context, key, by, why string, plan func() (P, error), apply func(P) (string, error)) (said string, err error) {
	if o.Dir == "" {
		return "", errNoDir
	}
	l := Open[planned[P]](o.Dir)
	return l.with(ctx, Name(key)+".lock", key, by, why, func(e planned[P], found bool) (string, error) {
		if e.Done {
			return e.Said, nil
		}
		if !found {
			p, err := plan()
			if err != nil {
				return "", err
			}
			e.Plan = p
			if err := l.Save(key, e); err != nil {
				return "", err
			}
		}
		said, err := apply(e.Plan)
		if o.Moved != nil && errors.Is(err, o.Moved) {
			return "", errors.Join(err, l.drop(key))
		}
		if err != nil {
			return "", err
		}
		e.Done, e.Said = true, said
		return said, l.Save(key, e)
	})
}

// Done reports whether Do has come to its end for a key, and what it said. False is not
// that nothing was done: Do for the same key finds that out.
func (o Once[P]) Done(ctx context.Context, key string) (done bool, said string, err error) {
	if err := ctx.Err(); err != nil {
		return false, "", err
	}
	if o.Dir == "" {
		return false, "", errNoDir
	}
	e, _, err := Open[planned[P]](o.Dir).Load(key)
	return e.Done, e.Said, err
}

// drop removes the entry of a key, durably.
func (l *Ledger[E]) drop(key string) error {
	path := l.path(key)
	if err := os.Remove(path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}
