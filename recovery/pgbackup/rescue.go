package pgbackup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
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

func (r *Rescue) path(key, kind string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(r.Dir, hex.EncodeToString(sum[:12])+"."+kind+".json")
}

// Restore makes a plan, keeps it, and applies it. For a key whose plan is kept it applies
// that one. Where its facts have moved and it was not applied, it is dropped and the error
// is ErrMoved: a new one may be made.
func (r *Rescue) Restore(ctx context.Context, key, by, why, backup string) (string, error) {
	p, err := r.plan(ctx, key, backup)
	if err != nil {
		return "", err
	}
	if p.NothingToDo() {
		return "there is nothing to restore", nil
	}
	done, err := r.Store.Restore(ctx, p, by, why, time.Now())
	if errors.Is(err, ErrMoved) {
		return "", errors.Join(err, os.Remove(r.path(key, "plan")))
	}
	if err != nil {
		return "", err
	}
	parts := []string{fmt.Sprintf("%d rows of %s by plan %s", done.Rows, p.Backup, p.short())}
	if len(done.Kept) > 0 {
		parts = append(parts, "what they replaced is kept in "+strings.Join(done.Kept, ", "))
	}
	said := strings.Join(append(parts, done.Notes...), "; ")
	b, err := json.Marshal(said)
	if err != nil {
		return said, err
	}
	return said, atomicfile.Write(r.path(key, "done"), b, 0o600)
}

// plan returns the plan of a key, and makes and keeps one where there is none.
func (r *Rescue) plan(ctx context.Context, key, backup string) (p Plan, err error) {
	if r.Dir == "" {
		return p, errors.New("rescue: Dir is empty: a plan has to be kept before it is applied")
	}
	b, err := os.ReadFile(r.path(key, "plan"))
	if err == nil {
		return p, json.Unmarshal(b, &p) // Restore refuses one that is not as it was made
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if p, err = r.Store.PlanRestore(ctx, r.request(backup), time.Now()); err != nil {
		return p, err
	}
	if b, err = json.Marshal(p); err != nil {
		return p, err
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return p, err
	}
	return p, atomicfile.Write(r.path(key, "plan"), b, 0o600)
}

// Done reports whether Restore has come to its end for a key, and what it said. False is
// not that nothing was done: Restore for the same key finds that out.
func (r *Rescue) Done(_ context.Context, key string) (bool, string, error) {
	b, err := os.ReadFile(r.path(key, "done"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	var said string
	err = json.Unmarshal(b, &said)
	return err == nil, said, err
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
