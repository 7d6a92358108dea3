package rediscache

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

func (f *Flusher) path(key, kind string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(f.Dir, hex.EncodeToString(sum[:12])+"."+kind+".json")
}

// Flush makes a plan, keeps it, and applies it. For a key whose plan is kept it applies that
// one. Where its facts have moved and it was not applied, it is dropped and the error is
// ErrMoved: a new one may be made.
func (f *Flusher) Flush(ctx context.Context, key, by, why string) (string, error) {
	p, err := f.plan(ctx, key)
	if err != nil {
		return "", err
	}
	done, err := f.Cache.Flush(ctx, p, by, why, time.Now())
	if errors.Is(err, ErrMoved) {
		return "", errors.Join(err, os.Remove(f.path(key, "plan")))
	}
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%d keys were removed by plan %s", done.Keys, p.short())
	if done.Unchanged {
		said = "the cache was emptied before by plan " + p.short()
	}
	b, err := json.Marshal(said)
	if err != nil {
		return said, err
	}
	return said, atomicfile.Write(f.path(key, "done"), b, 0o600)
}

// plan returns the plan of a key, and makes and keeps one where there is none.
func (f *Flusher) plan(ctx context.Context, key string) (p Plan, err error) {
	if f.Dir == "" {
		return p, errors.New("flusher: Dir is empty: a plan has to be kept before it is applied")
	}
	b, err := os.ReadFile(f.path(key, "plan"))
	if err == nil {
		return p, json.Unmarshal(b, &p) // Flush refuses one that is not as it was made
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if p, err = f.Cache.PlanFlush(ctx, f.Request, time.Now()); err != nil {
		return p, err
	}
	if b, err = json.Marshal(p); err != nil {
		return p, err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return p, err
	}
	return p, atomicfile.Write(f.path(key, "plan"), b, 0o600)
}

// Done reports whether Flush has come to its end for a key, and what it said. False is not
// that nothing was done: Flush for the same key finds that out.
func (f *Flusher) Done(_ context.Context, key string) (bool, string, error) {
	b, err := os.ReadFile(f.path(key, "done"))
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
