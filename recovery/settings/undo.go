package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/andon-go/andon/internal/atomicfile"
)

func dir(path string) string { return filepath.Dir(path) }

// Undo takes back the change of a key: the files become what they were, byte for byte,
// where nobody has written them since; else each variable that still is as it was
// set. Those that somebody else has changed stay, and the error is ErrConflict; those
// whose old value is looser stay strict, and the error is ErrLoosens: the rest is put
// back in both cases. Again it changes nothing and says the same.
func (s *Store) Undo(ctx context.Context, key, by, why string) (evidence string, err error) {
	return s.undo(ctx, key, by, why, false)
}

// Restore is Undo that puts back looser values too. It is for a person who has
// decided that the limit as it was before is right again.
func (s *Store) Restore(ctx context.Context, key, by, why string) (evidence string, err error) {
	return s.undo(ctx, key, by, why, true)
}

func (s *Store) undo(ctx context.Context, key, by, why string, loosen bool) (string, error) {
	return s.journal.With(ctx, key, by, why, func(e entry, found bool) (string, error) {
		switch {
		case !found:
			return "", fmt.Errorf("%q: %w", key, ErrUnknownKey)
		case e.Phase == undone && !(loosen && len(e.Kept) > 0):
			return e.evidence(), e.undoError()
		case e.Phase != undoing || loosen && !e.Loosen:
			if err := s.record(ctx, by, "undo of settings "+key+": "+e.list(), why); err != nil {
				return "", err
			}
			e.Phase, e.UndoneBy, e.UndoWhy, e.Loosen = undoing, by, why, loosen
			if err := s.journal.Save(key, e); err != nil {
				return "", err
			}
		}
		return s.backward(ctx, e)
	})
}

// backward finishes an undo. It can begin anywhere.
func (s *Store) backward(ctx context.Context, e entry) (string, error) {
	e.Left, e.Kept, e.KeptWhy = nil, nil, nil
	for _, f := range e.Files {
		if err := s.putBack(&e, f); err != nil {
			return "", err
		}
	}
	if err := s.tell(ctx, e); err != nil {
		return e.evidence(), err
	}
	e.Phase = undone
	if err := s.journal.Save(e.Key, e); err != nil {
		return "", err
	}
	return e.evidence(), e.undoError()
}

func (e entry) undoError() error {
	var errs []error
	if len(e.Left) > 0 {
		errs = append(errs, &ConflictError{Names: slices.Clone(e.Left)})
	}
	if len(e.Kept) > 0 {
		errs = append(errs, &LoosensError{Names: slices.Clone(e.Kept), Why: slices.Clone(e.KeptWhy), Kept: true})
	}
	return errors.Join(errs...)
}

// putBack takes the changes of one file back.
func (s *Store) putBack(e *entry, f rewrite) error {
	now, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	if bytes.Equal(now, f.Before) {
		return atomicfile.SyncDir(dir(f.Path))
	}
	text, whole := now, bytes.Equal(now, f.After)
	for _, x := range slices.Backward(e.Edits) {
		if x.File != f.Path {
			continue
		}
		next, verdict, err := s.putBackOne(e, x, text)
		if err != nil {
			return err
		}
		text, whole = next, whole && verdict
	}
	mode, err := os.Stat(f.Path)
	if err != nil {
		return err
	}
	perm := mode.Mode().Perm()
	if whole {
		text = f.Before
	}
	if bytes.Equal(text, now) {
		return nil
	}
	return atomicfile.Replace(f.Path, text, perm)
}

// putBackOne takes one change back, unless somebody else has changed it or it would
// loosen; isBack is false then.
func (s *Store) putBackOne(e *entry, x edit, text []byte) (out []byte, isBack bool, err error) {
	d, err := s.parse(x.File, text)
	if err != nil {
		return nil, false, err
	}
	is, err := d.get(x.Name)
	if err != nil {
		return nil, false, err
	}
	v, err := s.variable(x.Name)
	if err != nil {
		return nil, false, err
	}
	if is == x.Was {
		return text, true, nil
	}
	if !is.Present || is.Bare || is.Expands || is.Value != x.Will.Value {
		e.Left = append(e.Left, x.Name)
		return text, false, nil
	}
	if why := v.loosens(&x.Will.Value, s.known(x.Name, x.Was)); why != "" && !e.Loosen {
		e.Kept, e.KeptWhy = append(e.Kept, x.Name), append(e.KeptWhy, why)
		return text, false, nil
	}
	out, err = d.put(x.Name, x.Was)
	return out, true, err
}
