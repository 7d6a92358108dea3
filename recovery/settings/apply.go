package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// phase is how far a change came.
type phase string

const (
	begun   phase = "begun"   // files may be old or new
	written phase = "written" // the files are new, the bot may not have heard of it
	done    phase = "done"
	undoing phase = "undoing" // files may be new or as they were
	undone  phase = "undone"
)

// entry is what the journal keeps of a change.
type entry struct {
	Key      string
	Values   map[string]string
	Edits    []edit
	Files    []rewrite
	Phase    phase
	By, Why  string
	At       time.Time
	UndoneBy string
	UndoWhy  string
	Loosen   bool     // the undo puts back looser values too
	Left     []string // variables that an undo left to whoever changed them
	Kept     []string // variables that an undo left strict
	KeptWhy  []string
}

func (e entry) changes() []Change {
	all := make([]Change, len(e.Edits))
	for i, x := range e.Edits {
		all[i] = x.Change
	}
	return all
}

// Set plans these values and applies the plan, once for a key. It never adds exposure:
// for that there are Plan and Apply. The evidence is what was changed, without
// secrets.
func (s *Store) Set(ctx context.Context, key, by, why string, values map[string]string) (evidence string, err error) {
	return s.once(ctx, key, by, why, values, func() (Plan, error) { return s.Plan(ctx, Request{Values: values}) })
}

// Apply makes a planned change, once for a key. It is ErrMoved, and nothing is
// written, when a file is not as it was when the plan was made.
func (s *Store) Apply(ctx context.Context, key, by, why string, p Plan) (evidence string, err error) {
	if p.unseen == nil {
		return "", errors.New("plan: is not one of Plan's")
	}
	return s.once(ctx, key, by, why, p.values, func() (Plan, error) { return p, unmoved(p) })
}

// unmoved makes sure that every file is as it was when the plan was made.
func unmoved(p Plan) error {
	for _, f := range p.files {
		now, err := os.ReadFile(f.Path)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, f.Before) {
			return fmt.Errorf("%s: %w: plan again", f.Path, ErrMoved)
		}
	}
	return nil
}

// once does a change that is not in the journal, and finishes one that is.
func (s *Store) once(ctx context.Context, key, by, why string, values map[string]string, plan func() (Plan, error)) (string, error) {
	return s.journal.With(ctx, key, by, why, func(e entry, found bool) (string, error) {
		switch {
		case !found:
			p, err := plan()
			if err != nil {
				return "", err
			}
			e = entry{Key: key, Values: values, Edits: p.edits, Files: p.files, Phase: begun, By: by, Why: why, At: time.Now().UTC()}
			if err := s.record(ctx, by, "change of settings "+key+": "+e.list(), why); err != nil {
				return "", err
			}
			if err := s.journal.Save(key, e); err != nil {
				return "", err
			}
		case e.Phase == undoing || e.Phase == undone:
			return "", fmt.Errorf("%q: %w: it was taken back by %s; use another key", key, ErrKeyUsed, e.UndoneBy)
		case !maps.Equal(e.Values, values):
			return "", fmt.Errorf("%q: %w: it stands for another change, of %s", key, ErrKeyUsed, e.list())
		case e.Phase == done:
			return e.evidence(), nil
		}
		return s.forward(ctx, e)
	})
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

// forward finishes a change. It can begin anywhere.
func (s *Store) forward(ctx context.Context, e entry) (string, error) {
	if e.Phase == begun {
		for _, f := range e.Files {
			if err := replace(f.Path, f.Before, f.After, f); err != nil {
				return "", fmt.Errorf("%q is half done: %w", e.Key, err)
			}
		}
		e.Phase = written
		if err := s.journal.Save(e.Key, e); err != nil {
			return "", err
		}
	}
	if err := s.tell(ctx, e); err != nil {
		return e.evidence(), err
	}
	e.Phase = done
	if err := s.journal.Save(e.Key, e); err != nil {
		return "", err
	}
	return e.evidence(), nil
}

// replace brings a file from one content to another, and leaves it where it is so
// already.
func replace(path string, from, to []byte, f rewrite) error {
	now, err := os.ReadFile(path)
	switch {
	case err != nil:
		return err
	case bytes.Equal(now, to):
		return atomicfile.SyncDir(dir(path)) // a crash may have come between the rename and this
	case !bytes.Equal(now, from):
		return fmt.Errorf("%s: %w: Undo puts back what nobody else has changed", path, ErrMoved)
	}
	return atomicfile.Replace(path, to, f.NewMode)
}

func (s *Store) tell(ctx context.Context, e entry) error {
	if s.cfg.Changed == nil || len(e.Edits) == 0 {
		return nil
	}
	if err := s.cfg.Changed(ctx, e.changes()); err != nil {
		return fmt.Errorf("%q: %w: %w (the same call tells it again; Undo takes the change back)", e.Key, ErrNotHeard, err)
	}
	return nil
}

// list names the variables.
func (e entry) list() string {
	if len(e.Edits) == 0 {
		return "nothing"
	}
	names := make([]string, len(e.Edits))
	for i, x := range e.Edits {
		names[i] = x.Name
	}
	return strings.Join(names, ", ")
}

// evidence says what was done, without secrets.
func (e entry) evidence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s by %s: %s\n%s", e.At.Format(time.RFC3339), e.Key, e.By, e.Why, Plan{Changes: e.changes(), unseen: &unseen{files: e.Files}})
	if e.Phase == undoing || e.Phase == undone {
		fmt.Fprintf(&b, "taken back by %s: %s\n", e.UndoneBy, e.UndoWhy)
		for _, n := range e.Left {
			fmt.Fprintf(&b, "  %s was changed by somebody else since, and is left\n", n)
		}
		for _, n := range e.Kept {
			fmt.Fprintf(&b, "  %s is left as strict as it is\n", n)
		}
	}
	return b.String()
}

// Done reports whether the change of a key was made and the bot was told. One that
// was taken back is not done; its evidence says so.
func (s *Store) Done(ctx context.Context, key string) (isDone bool, evidence string, err error) {
	if err := ctx.Err(); err != nil {
		return false, "", err
	}
	e, found, err := s.journal.Load(key)
	if err != nil || !found {
		return false, "", err
	}
	return e.Phase == done, e.evidence(), nil
}

// Unfinished lists the keys whose change or undo a crash has cut off, or whose bot has
// not heard of it. The same call as before finishes one; a bot looks here when it
// starts.
func (s *Store) Unfinished() ([]string, error) {
	all, err := s.journal.All()
	var keys []string
	for _, e := range all {
		if e.Phase != done && e.Phase != undone {
			keys = append(keys, e.Key)
		}
	}
	return keys, err
}
