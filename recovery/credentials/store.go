package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon/recovery"
)

var (
	// ErrNoKey says that a venue has no key.
	ErrNoKey = errors.New("there is no key")

	// ErrNothingStaged says that no new key waits.
	ErrNothingStaged = errors.New("no new key waits: Generate or Import one")

	// ErrNotWorking says that a key failed its test, and that nothing was replaced.
	ErrNotWorking = errors.New("the key does not work")

	// ErrNotUsed says that a key was replaced and the bot could not be told.
	ErrNotUsed = errors.New("the key is replaced and the bot does not use it yet")

	// ErrUnrevoked says that an older key waits for a person to attest its revocation.
	ErrUnrevoked = errors.New("the revocation of the key before was not attested")

	// ErrKeyUsed says that a key of the caller's stands for another rotation, or for
	// one that was taken back.
	ErrKeyUsed = errors.New("the key is used")

	// ErrUnknownKey says that nothing was done under a key of the caller's.
	ErrUnknownKey = errors.New("nothing was done under this key")
)

// Config says where keys are kept and how they are tried.
type Config struct {
	Vault Vault // Required.

	// Venues are those that have keys here; any other is refused. Required.
	Venues []string

	// Test tries a key at its venue without changing anything there. Required. Its
	// error must not quote the secret; where it does, the secret is taken out.
	Test func(ctx context.Context, venue string, key Key) error

	// Use tells the running bot that the key in use is another, after it is durable. It
	// is called once more where a crash or an error came before its success was kept. Nil
	// means that the bot asks Key when it starts.
	Use func(ctx context.Context, venue string, key Key) error

	// Recipients are who the replaced key is sealed to. Required.
	Recipients []age.Recipient

	// Unseal returns who opens a sealed key, for Undo. Without it Undo is refused.
	Unseal func(ctx context.Context) ([]age.Identity, error)

	// Recorder puts what is done on the timeline beforehand. Without one only looking
	// is possible.
	Recorder recovery.Recorder
}

// Store is the keys of one bot. It keeps nothing in memory. It is safe for concurrent use.
type Store struct{ cfg Config }

// New returns a store, or every problem of the configuration, joined.
func New(cfg Config) (*Store, error) {
	var errs []error
	if cfg.Vault == nil {
		errs = append(errs, errors.New("Vault: is nil"))
	}
	if cfg.Test == nil {
		errs = append(errs, errors.New("Test: is nil"))
	}
	if len(cfg.Recipients) == 0 {
		errs = append(errs, errors.New("Recipients: there are none, so that no old key could be kept"))
	}
	if len(cfg.Venues) == 0 {
		errs = append(errs, errors.New("Venues: there are none"))
	}
	for _, v := range cfg.Venues {
		if !venueName.MatchString(v) {
			errs = append(errs, fmt.Errorf("Venues: %q has to be lower-case letters, digits, dashes and underscores", v))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Store{cfg}, nil
}

// stored is a key in a record.
type stored struct {
	Key
	Text string // the secret
}

func (s stored) key() Key { k := s.Key; k.secret = &s.Text; return k }

// rotation is what became of one.
type rotation struct {
	Key, By, Why     string // Key is the caller's
	At               time.Time
	Old, New         Key // without secrets
	Told, Undone     bool
	UndoBy, UndoWhy  string
	RevokedBy, Proof string
}

// record is all of a venue, in one file: a rotation is one replacement of it.
type record struct {
	Current   *stored
	Staged    *stored
	Sealed    []byte // the key before the current one, in age's format
	Rotations []rotation
}

func (s *Store) load(ctx context.Context, venue string) (r record, version string, err error) {
	if !slices.Contains(s.cfg.Venues, venue) {
		// Done and Undo would not find what was done for it.
		return r, "", fmt.Errorf("venue: %q is none of Config.Venues: %q", venue, s.cfg.Venues)
	}
	text, version, err := s.cfg.Vault.Load(ctx, venue)
	if err != nil || len(text) == 0 {
		return r, version, err
	}
	if json.Unmarshal(text, &r) != nil { // what it says could quote the record
		return record{}, "", fmt.Errorf("the keys of %s cannot be understood", venue)
	}
	return r, version, nil
}

func (s *Store) save(ctx context.Context, venue, version string, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.cfg.Vault.Save(ctx, venue, version, append(text, '\n'))
}

// Key returns the key in use, for the bot.
func (s *Store) Key(ctx context.Context, venue string) (Key, error) {
	r, _, err := s.load(ctx, venue)
	if err != nil {
		return Key{}, err
	}
	if r.Current == nil {
		return Key{}, fmt.Errorf("%s: %w", venue, ErrNoKey)
	}
	return r.Current.key(), nil
}

// Generate makes a key, which waits for Rotate. It returns the PEM of the public half
// of a pair, for a person to register at the venue.
func (s *Store) Generate(ctx context.Context, venue, name string, kind Kind) (public string, err error) {
	secret, public, err := generate(kind)
	if err != nil {
		return "", err
	}
	return public, s.stage(ctx, venue, name, secret, time.Time{})
}

// Import takes a key from a file, such as the one that a vendor lets download; it
// waits for Rotate. Expires may be zero. The file is ErrExposed in the working
// directory, in a git work tree, or where others may read it; it is left for the
// caller to remove.
func (s *Store) Import(ctx context.Context, venue, name, path string, expires time.Time) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() == 0 || info.Size() > 1<<16 {
		return fmt.Errorf("%s: %w: it has to be a regular file of mode 0600 and 1 to 65536 bytes", path, ErrExposed)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	if err := outside(filepath.Dir(path)); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return s.stage(ctx, venue, name, strings.TrimRight(string(text), "\r\n"), expires)
}

func (s *Store) stage(ctx context.Context, venue, name, secret string, expires time.Time) error {
	if strings.TrimSpace(name) == "" || strings.TrimSpace(secret) == "" {
		return errors.New("a key needs a name and a secret")
	}
	r, version, err := s.load(ctx, venue)
	if err != nil {
		return err
	}
	r.Staged = &stored{Key: Key{Name: name, Made: time.Now().UTC(), Expires: expires}, Text: secret}
	return s.save(ctx, venue, version, r)
}

// try tests a key, and takes its secret out of what the test says.
func (s *Store) try(ctx context.Context, venue string, k Key) error {
	if !k.Expires.IsZero() && !time.Now().Before(k.Expires) {
		return fmt.Errorf("%s, %s: %w: it is expired", venue, k, ErrNotWorking)
	}
	if err := s.cfg.Test(ctx, venue, k); err != nil {
		return fmt.Errorf("%s, %s: %w: %s", venue, k, ErrNotWorking, scrub(err.Error(), k.Secret()))
	}
	return nil
}

// scrub takes a secret, and each long line of it, out of a text.
func scrub(text, secret string) string {
	text = strings.ReplaceAll(text, secret, "(hidden)")
	for line := range strings.SplitSeq(secret, "\n") {
		if line = strings.TrimSpace(line); len(line) >= 8 && !strings.HasPrefix(line, "-----") {
			text = strings.ReplaceAll(text, line, "(hidden)")
		}
	}
	return text
}

// Check tries the key in use and says when it expires. An error is ErrNotWorking, or
// that it could not be found out.
func (s *Store) Check(ctx context.Context, venue string) (string, error) {
	k, err := s.Key(ctx, venue)
	if err != nil {
		return "", err
	}
	if err := s.try(ctx, venue, k); err != nil {
		return "", err
	}
	expires := "when it expires is not known"
	if !k.Expires.IsZero() {
		expires = fmt.Sprintf("%d whole days are left", int(time.Until(k.Expires).Hours()/24))
	}
	return fmt.Sprintf("%s works: %s; %s", venue, k, expires), nil
}

// Preview says which key Rotate would put in the place of which, and changes nothing.
func (s *Store) Preview(ctx context.Context, venue string) (string, error) {
	r, _, err := s.load(ctx, venue)
	if err != nil {
		return "", err
	}
	if err := rotatable(venue, r); err != nil {
		return "", err
	}
	old := "no key"
	if r.Current != nil {
		old = r.Current.key().String()
	}
	return fmt.Sprintf("%s: %s is tested, and replaces %s, which is kept sealed until its revocation is attested\n", venue, r.Staged.key(), old), nil
}

func rotatable(venue string, r record) error {
	switch {
	case r.Staged == nil:
		return fmt.Errorf("%s: %w", venue, ErrNothingStaged)
	case len(r.Sealed) > 0:
		return fmt.Errorf("%s: %w: Revoked attests it", venue, ErrUnrevoked)
	}
	return nil
}

func named(key, by, why string) error {
	var errs []error
	for _, f := range []struct{ name, v string }{{"key", key}, {"by", by}, {"why", why}} {
		if strings.TrimSpace(f.v) == "" {
			errs = append(errs, fmt.Errorf("%s: is empty", f.name))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) record(ctx context.Context, by, what, why string) error {
	if s.cfg.Recorder == nil {
		return fmt.Errorf("%w: there is no Recorder", recovery.ErrNotRecorded)
	}
	if err := s.cfg.Recorder.Record(ctx, time.Now(), by, what, why); err != nil {
		return fmt.Errorf("%w: %w", recovery.ErrNotRecorded, err)
	}
	return nil
}

func (r *record) find(key string) *rotation {
	for i := range r.Rotations {
		if r.Rotations[i].Key == key {
			return &r.Rotations[i]
		}
	}
	return nil
}

func (r rotation) evidence(venue string) string {
	s := fmt.Sprintf("%s %s by %s: %s\n%s: %s replaces %s\n", r.At.Format(time.RFC3339), r.Key, r.By, r.Why, venue, r.New, r.Old)
	if r.RevokedBy != "" {
		s += fmt.Sprintf("the old key's revocation is attested by %s: %s\n", r.RevokedBy, r.Proof)
	}
	if r.Undone {
		s += fmt.Sprintf("taken back by %s: %s\n", r.UndoBy, r.UndoWhy)
	}
	return s
}

// Rotate tests the key that waits, puts it into use and seals the old one, once for a
// key of the caller's.
func (s *Store) Rotate(ctx context.Context, key, by, why, venue string) (evidence string, err error) {
	if err := named(key, by, why); err != nil {
		return "", err
	}
	r, version, err := s.load(ctx, venue)
	if err != nil {
		return "", err
	}
	if is := r.find(key); is != nil {
		if is.Undone {
			return "", fmt.Errorf("%q: %w: it was taken back by %s", key, ErrKeyUsed, is.UndoBy)
		}
		return s.tell(ctx, venue, key)
	}
	switch other, _, _, err := s.where(ctx, key); {
	case err != nil:
		return "", err
	case other != "":
		return "", fmt.Errorf("%q: %w: it stands for %s", key, ErrKeyUsed, other)
	}
	if err := rotatable(venue, r); err != nil {
		return "", err
	}
	if err := s.try(ctx, venue, r.Staged.key()); err != nil {
		return "", err
	}
	now := rotation{Key: key, By: by, Why: why, At: time.Now().UTC(), New: r.Staged.Key, Old: Key{Name: "no key"}}
	if r.Current != nil {
		now.Old = r.Current.Key
		if r.Sealed, err = s.seal(*r.Current); err != nil {
			return "", err
		}
	}
	if err := s.record(ctx, by, "rotation "+key+" of the key to "+venue, why); err != nil {
		return "", err
	}
	r.Current, r.Staged, r.Rotations = r.Staged, nil, append(r.Rotations, now)
	if err := s.save(ctx, venue, version, r); err != nil {
		return "", err
	}
	return s.tell(ctx, venue, key)
}

// tell lets the bot use the key, and keeps that it does.
func (s *Store) tell(ctx context.Context, venue, key string) (string, error) {
	r, version, err := s.load(ctx, venue)
	if err != nil {
		return "", err
	}
	is := r.find(key)
	if is == nil {
		return "", fmt.Errorf("%q: %w", key, ErrUnknownKey)
	}
	if is.Told {
		return is.evidence(venue), nil
	}
	if s.cfg.Use != nil {
		if err := s.cfg.Use(ctx, venue, r.Current.key()); err != nil {
			return is.evidence(venue), fmt.Errorf("%q: %w: %s (the same call tells it again)", key, ErrNotUsed, scrub(err.Error(), r.Current.Text))
		}
	}
	is.Told = true
	return is.evidence(venue), s.save(ctx, venue, version, r)
}

func (s *Store) seal(k stored) ([]byte, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, s.cfg.Recipients...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil { // writes the end
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Store) unseal(ctx context.Context, sealed []byte) (k stored, err error) {
	if s.cfg.Unseal == nil {
		return k, errors.New("the old key is sealed, and there is no Config.Unseal to open it")
	}
	who, err := s.cfg.Unseal(ctx)
	if err != nil {
		return k, err
	}
	in, err := age.Decrypt(bytes.NewReader(sealed), who...)
	if err != nil {
		return k, fmt.Errorf("the old key cannot be opened: %w", err)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return k, fmt.Errorf("the old key cannot be opened: %w", err)
	}
	if json.Unmarshal(text, &k) != nil {
		return k, errors.New("the old key cannot be understood")
	}
	return k, nil
}

// where returns the venue whose rotation a key of the caller's stands for.
func (s *Store) where(ctx context.Context, key string) (venue string, r record, version string, err error) {
	for _, v := range s.cfg.Venues {
		r, version, err := s.load(ctx, v)
		if err != nil {
			return "", record{}, "", err
		}
		if r.find(key) != nil {
			return v, r, version, nil
		}
	}
	return "", record{}, "", nil
}

// Done reports whether a rotation was made and the bot uses its key. One that was
// taken back is not done.
func (s *Store) Done(ctx context.Context, key string) (done bool, evidence string, err error) {
	venue, r, _, err := s.where(ctx, key)
	if err != nil || venue == "" {
		return false, "", err
	}
	is := r.find(key)
	return is.Told && !is.Undone, is.evidence(venue), nil
}

// Revoked attests that a person has revoked the old key at the venue. What is kept of
// it is dropped, so that nothing can put it back.
func (s *Store) Revoked(ctx context.Context, venue, by, proof string) error {
	if err := named(venue, by, proof); err != nil {
		return err
	}
	r, version, err := s.load(ctx, venue)
	if err != nil {
		return err
	}
	if len(r.Sealed) == 0 {
		return fmt.Errorf("%s: %w that waits for its revocation", venue, ErrNoKey)
	}
	if err := s.record(ctx, by, "the old key to "+venue+" is revoked", proof); err != nil {
		return err
	}
	last := &r.Rotations[len(r.Rotations)-1]
	r.Sealed, last.RevokedBy, last.Proof = nil, by, proof
	return s.save(ctx, venue, version, r)
}

// Undo puts the old key back, after a test that it still works; the new one waits
// again for Rotate. It is refused once the revocation of the old one was attested, and
// for any but the last rotation. Again it changes nothing.
func (s *Store) Undo(ctx context.Context, key, by, why string) (evidence string, err error) {
	if err := named(key, by, why); err != nil {
		return "", err
	}
	venue, r, version, err := s.where(ctx, key)
	switch {
	case err != nil:
		return "", err
	case venue == "":
		return "", fmt.Errorf("%q: %w", key, ErrUnknownKey)
	}
	is := r.find(key)
	if !is.Undone {
		if is != &r.Rotations[len(r.Rotations)-1] || len(r.Sealed) == 0 {
			return "", fmt.Errorf("%q: %w to put back: it was revoked, or rotated since", key, ErrNoKey)
		}
		old, err := s.unseal(ctx, r.Sealed)
		if err != nil {
			return "", err
		}
		if err := s.try(ctx, venue, old.key()); err != nil {
			return "", err
		}
		if err := s.record(ctx, by, "undo of rotation "+key+" of the key to "+venue, why); err != nil {
			return "", err
		}
		r.Staged, r.Current, r.Sealed = r.Current, &old, nil
		is.Undone, is.Told, is.UndoBy, is.UndoWhy = true, false, by, why
		if err := s.save(ctx, venue, version, r); err != nil {
			return "", err
		}
	}
	return s.tell(ctx, venue, key)
}
