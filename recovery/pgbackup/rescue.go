package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/ledger"
)

// Rescue restores the same tables again and again in plain types, once for a key: what a
// runbook needs of backups. The plan of a key is kept before it is applied, so that a
// process that was killed meanwhile applies the same one, which changes nothing where it
// was applied already. Safe for concurrent use as long as its fields are not changed.
type Rescue struct {
	Store *Store
	// Request says what is restored. Its Tables should be named: without them it is all
	// that the backup holds. Its Backup is taken where a caller names none.
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
		parts := []string{fmt.Sprintf("%d rows of %s by plan %s", done.Rows, p.Backup, p.short())}
		if len(done.Kept) > 0 {
			parts = append(parts, "what they replaced is kept in "+strings.Join(done.Kept, ", "))
		}
		return strings.Join(append(parts, done.Notes...), "; "), nil
	})
}

// Done reports whether Restore has come to its end for a key, and what it said. False is
// not that nothing was done: Restore for the same key finds that out.
func (r *Rescue) Done(ctx context.Context, key string) (bool, string, error) {
	return r.once().Done(ctx, key)
}

// Verify compares what is there with the backup: the number of rows of each table, and
// Config.Sums. Restore itself has compared every row before it took the place of the old
// ones.
func (r *Rescue) Verify(ctx context.Context, backup string) (string, error) {
	p, err := r.Store.PlanRestore(ctx, r.request(backup), time.Now())
	if err != nil {
		return "", err
	}
	var errs []error
	var rows int64
	for _, t := range p.Tables {
		switch {
		case t.Live == nil:
			errs = append(errs, fmt.Errorf("%s is not there", t.Table))
		case t.Live.Rows != t.Rows:
			errs = append(errs, fmt.Errorf("%s has %d rows, the backup %d", t.Table, t.Live.Rows, t.Rows))
		default:
			rows += t.Rows
		}
	}
	for _, s := range p.Sums {
		if s.Live != s.Backup {
			errs = append(errs, fmt.Errorf("%s of %s by %s %s is %s, was %s", s.Of, s.Table, s.By, s.Group, orNone(s.Live), orNone(s.Backup)))
		}
	}
	return fmt.Sprintf("%d tables, %d rows and %d sums as in %s", len(p.Tables), rows, len(p.Sums), p.Backup), errors.Join(errs...)
}
