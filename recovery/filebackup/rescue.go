package filebackup

import (
	"context"
	"fmt"
	"time"

	"github.com/andon-go/andon/internal/ledger"
)

// Rescue restores the same source again and again in plain types, once for a key: what a
// runbook needs of a backup that a breach could not reach. The plan of a key is kept before
// it is applied, so that a process that was killed meanwhile applies the same one, which
// finishes what was begun. Safe for concurrent use as long as its fields are not changed.
type Rescue struct {
	Store *Store
	// Request says what is restored. Its Backup is taken where a caller names none.
	Request Request
	// Dir keeps the plans by key. Required; it is made where it is not there.
	Dir string
}

func (r *Rescue) request(backup string) Request {
	req := r.Request
	if backup != "" {
		req.Backup = backup
	}
	return req
}

// Preview says what Restore would do now, and changes nothing.
func (r *Rescue) Preview(ctx context.Context, backup string) (string, error) {
	p, err := r.Store.PlanRestore(ctx, r.request(backup), time.Now())
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

func (r *Rescue) once() ledger.Once[Plan] { return ledger.Once[Plan]{Dir: r.Dir, Moved: ErrMoved} }

// Restore makes a plan, keeps it, and applies it. For a key whose plan is kept it applies
// that one; for a key that is done it says the same again and restores nothing. Where the
// facts of a plan have moved and it was not applied, it is dropped and the error is
// ErrMoved: a new one may be made.
func (r *Rescue) Restore(ctx context.Context, key, by, why, backup string) (string, error) {
	return r.once().Do(ctx, key, by, why, func() (Plan, error) {
		return r.Store.PlanRestore(ctx, r.request(backup), time.Now())
	}, func(p Plan) (string, error) {
		done, err := r.Store.Restore(ctx, p, by, why, time.Now())
		if err != nil {
			return "", err
		}
		said := fmt.Sprintf("%d files of %s are in %s by plan %s", p.Files, p.Backup, done.Into, p.short())
		if done.Kept != "" {
			said += "; what they replaced is kept in " + done.Kept
		}
		return said, nil
	})
}

// Done reports whether Restore has come to its end for a key, and what it said. False is
// not that nothing was done: Restore for the same key finds that out.
func (r *Rescue) Done(ctx context.Context, key string) (bool, string, error) {
	return r.once().Done(ctx, key)
}

// Verify compares what is there with the backup, every byte: the error names what differs.
func (r *Rescue) Verify(ctx context.Context, backup string) (string, error) {
	p, err := r.Store.PlanRestore(ctx, r.request(backup), time.Now())
	if err != nil {
		return "", err
	}
	if !p.NothingToDo() {
		return p.String(), fmt.Errorf("%s is not as in %s: %d paths differ", p.Into, p.Backup, len(p.Changes))
	}
	return fmt.Sprintf("%s is as in %s, %d files", p.Into, p.Backup, p.Files), nil
}
