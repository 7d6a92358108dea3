// Package ledger remembers one piece of work for each key, so that it is done once
// for a key however often it is asked for and wherever a crash cut it off.
//
// An entry is one file, replaced atomically and durably, readable by its owner only.
// One that cannot be understood is an error, never an absence: the work may be half
// done. Who reads an entry to change it does so in With, which holds the lock.
package ledger

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
	"github.com/gofrs/flock"
)

// Ledger is the entries in one directory, each of type E. It is safe for concurrent use.
type Ledger[E any] struct {
	dir string
}

// Open returns the ledger in dir, which is made with the first work.
func Open[E any](dir string) *Ledger[E] { return &Ledger[E]{dir: dir} }

// entry is what a file holds.
type entry struct {
	Key  string          `json:"key"`
	Sum  string          `json:"sum"` // SHA-256 of the key and the body, in hexadecimal
	Body json.RawMessage `json:"body"`
}

func sum(key string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(key), key)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Name returns 24 hexadecimal digits that stand for a key in file names.
func Name(key string) string {
	s := sha256.Sum256([]byte(key))
	return hex.EncodeToString(s[:12])
}

func (l *Ledger[E]) path(key string) string { return filepath.Join(l.dir, Name(key)+".json") }

// With lets do work on the entry of a key, in the name of by and for a reason, and keeps
// other goroutines and processes out of the ledger meanwhile. It waits as long as ctx
// lets it. Without a key, a name and a reason do is not called.
func (l *Ledger[E]) With(ctx context.Context, key, by, why string, do func(e E, found bool) (string, error)) (string, error) {
	return l.with(ctx, "LOCK", key, by, why, do)
}

func (l *Ledger[E]) with(ctx context.Context, lock, key, by, why string, do func(e E, found bool) (string, error)) (said string, err error) {
	if err := named(key, by, why); err != nil {
		return "", err
	}
	unlock, err := l.lock(ctx, lock)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	e, found, err := l.Load(key)
	if err != nil {
		return "", err
	}
	return do(e, found)
}

// named makes sure that work has a key and a person with a reason.
func named(key, by, why string) error {
	var errs []error
	for _, f := range []struct{ name, v string }{{"key", key}, {"by", by}, {"why", why}} {
		if strings.TrimSpace(f.v) == "" {
			errs = append(errs, fmt.Errorf("%s: is empty", f.name))
		}
	}
	return errors.Join(errs...)
}

func (l *Ledger[E]) lock(ctx context.Context, name string) (unlock func() error, err error) {
	if err := atomicfile.MkdirAll(l.dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(l.dir, name), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for %s, which another holds: %w", lock.Path(), err), lock.Close())
	}
	return lock.Close, nil
}

// Load returns the entry of a key; found is false where there is none.
func (l *Ledger[E]) Load(key string) (e E, found bool, err error) {
	e, err = l.read(l.path(key), key)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	return e, err == nil, err
}

// read reads one file. With an empty key any key will do.
func (l *Ledger[E]) read(path, key string) (body E, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return body, err
	}
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return body, fmt.Errorf("%s is damaged, so that it is not known how far its work came: %w", path, err)
	}
	if e.Sum != sum(e.Key, e.Body) || filepath.Base(path) != Name(e.Key)+".json" || key != "" && e.Key != key {
		return body, fmt.Errorf("%s is not as it was written, so that it is not known how far its work came", path)
	}
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return body, fmt.Errorf("%s: %w", path, err)
	}
	return body, nil
}

// Save makes the entry of a key durable. Call it in With.
func (l *Ledger[E]) Save(key string, body E) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	text, err := json.Marshal(entry{Key: key, Sum: sum(key, raw), Body: raw})
	if err != nil {
		return err
	}
	return atomicfile.Write(l.path(key), append(text, '\n'), 0o600)
}

// All returns every entry, in no order that means something. It returns those that
// it can read along with the errors of those that it cannot.
func (l *Ledger[E]) All() ([]E, error) {
	files, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []E
	var errs []error
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") || !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		e, err := l.read(filepath.Join(l.dir, f.Name()), "")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, e)
	}
	return all, errors.Join(errs...)
}
