package filebackup

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
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
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
	done, err := r.Store.Restore(ctx, p, by, why, time.Now())
	if errors.Is(err, ErrMoved) {
		return "", errors.Join(err, os.Remove(r.path(key, "plan")))
	}
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%d files of %s are in %s by plan %s", p.Files, p.Backup, done.Into, p.ID[:min(len(p.ID), 12)])
	if done.Kept != "" {
		said += "; what they replaced is kept in " + done.Kept
	}
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
