package rediscache

import (
	"context"
	"fmt"
	"time"

	"github.com/andon-go/andon/internal/ledger"
)

// Flusher empties a cache in plain types, once for a key: what a runbook needs of it. The
// plan of a key is kept before it is applied, so that a process that was killed meanwhile
// applies the same one, which empties nothing twice. Safe for concurrent use as long as its
// fields are not changed.
type Flusher struct {
	Cache *Cache
	// Request says what may be lost.
	Request Request
	// Dir keeps the plans by key. Required; it is made where it is not there.
	Dir string
}

// Preview says what Flush would remove now, and changes nothing.
func (f *Flusher) Preview(ctx context.Context) (string, error) {
	p, err := f.Cache.PlanFlush(ctx, f.Request, time.Now())
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

func (f *Flusher) once() ledger.Once[Plan] { return ledger.Once[Plan]{Dir: f.Dir, Moved: ErrMoved} }

// Flush makes a plan, keeps it, and applies it. For a key whose plan is kept it applies that
// one; for a key that is done it says the same again and empties nothing. Where the facts of
// a plan have moved and it was not applied, it is dropped and the error is ErrMoved: a new
// one may be made.
func (f *Flusher) Flush(ctx context.Context, key, by, why string) (string, error) {
	return f.once().Do(ctx, key, by, why, func() (Plan, error) {
		return f.Cache.PlanFlush(ctx, f.Request, time.Now())
	}, func(p Plan) (string, error) {
		done, err := f.Cache.Flush(ctx, p, by, why, time.Now())
		switch {
		case err != nil:
			return "", err
		case done.Unchanged:
			return "the cache was emptied before by plan " + p.short(), nil
		}
		return fmt.Sprintf("%d keys were removed by plan %s", done.Keys, p.short()), nil
	})
}

// Done reports whether Flush has come to its end for a key, and what it said. False is not
// that nothing was done: Flush for the same key finds that out.
func (f *Flusher) Done(ctx context.Context, key string) (bool, string, error) {
	return f.once().Done(ctx, key)
}
