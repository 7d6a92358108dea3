package gitrelease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/ledger"
	"github.com/andon-go/andon/recovery"
)

// phase is how far a deployment came.
type phase string

const (
	begun    phase = "begun"    // the checkout may be half made
	ready    phase = "ready"    // it is verified and built, current may lead to it
	deployed phase = "deployed" // current was switched to it
	undoing  phase = "undoing"
	undone   phase = "undone"
)

// entry is what the journal keeps of a deployment.
type entry struct {
	Key, Revision string
	Commit        string
	Dir           string // the checkout's name in Root
	Previous      string // what current led to; empty when there was none
	Phase         phase
	By, Why       string
	At            time.Time
	UndoneBy      string
	UndoWhy       string
	Removed       bool // the checkout is no longer there
}

func (e entry) evidence() string {
	previous := e.Previous
	if previous == "" {
		previous = "nothing"
	}
	s := fmt.Sprintf("%s %s by %s: %s\n%s is commit %s\ncurrent: %s -> %s\n", e.At.Format(time.RFC3339), e.Key, e.By, e.Why, e.Revision, e.Commit, previous, e.Dir)
	if e.Phase == undoing || e.Phase == undone {
		s += fmt.Sprintf("taken back by %s: %s\ncurrent: %s -> %s\n", e.UndoneBy, e.UndoWhy, e.Dir, previous)
	}
	return s
}

// Current returns the name of the checkout that runs; empty when there is none yet.
// A "current" that is not a link to a checkout in Root is an error.
func (r *Repo) Current() (string, error) {
	link := filepath.Join(r.cfg.Root, "current")
	info, err := os.Lstat(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink == 0:
		return "", fmt.Errorf("%s is not a symbolic link, and nothing replaces it: move it away by hand", link)
	}
	to, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	if filepath.Base(to) != to || strings.HasPrefix(to, ".") {
		return "", fmt.Errorf("%s leads to %q, which is not a checkout beside it", link, to)
	}
	if info, err := os.Stat(link); err != nil || !info.IsDir() {
		return "", errors.Join(fmt.Errorf("%s leads to %q, which is not a directory", link, to), err)
	}
	return to, nil
}

// Preview says what Deploy would do with a revision, and changes nothing.
func (r *Repo) Preview(ctx context.Context, revision string) (string, error) {
	commit, err := r.Resolve(ctx, revision)
	if err != nil {
		return "", err
	}
	current, err := r.Current()
	if err != nil {
		return "", err
	}
	if err := r.sharedIsThere(); err != nil {
		return "", err
	}
	about, err := r.run(ctx, r.cfg.Source, "log", "--oneline", "--no-decorate", "--max-count=1", commit, "--")
	if err != nil {
		return "", err
	}
	if current == "" {
		current = "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is commit %s\n  %s", revision, commit, about)
	fmt.Fprintf(&b, "a fresh checkout of it in %s, verified", r.cfg.Root)
	for _, s := range r.cfg.Shared {
		verb := "linked to"
		if s.Copy {
			verb = "copied from"
		}
		fmt.Fprintf(&b, "\n  %s %s %s", s.Path, verb, s.From)
	}
	if r.cfg.Build != nil {
		b.WriteString("\nthen it is built")
	}
	fmt.Fprintf(&b, "\nthen current leads to it, and no longer to %s\n", current)
	return b.String(), nil
}

func (r *Repo) sharedIsThere() error {
	var errs []error
	for i, s := range r.cfg.Shared {
		info, err := os.Stat(s.From)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("Shared[%d]: %w", i, err))
		case s.Copy && !info.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("Shared[%d]: %s is not a regular file, and only those are copied", i, s.From))
		}
	}
	return errors.Join(errs...)
}

func (r *Repo) record(ctx context.Context, by, what, why string) error {
	if r.cfg.Recorder == nil {
		return fmt.Errorf("%w: there is no Recorder", recovery.ErrNotRecorded)
	}
	if err := r.cfg.Recorder.Record(ctx, time.Now(), by, what, why); err != nil {
		return fmt.Errorf("%w: %w", recovery.ErrNotRecorded, err)
	}
	return nil
}

// Deploy makes a fresh checkout of a revision, verifies and builds it, and switches
// current to it, once for a key. A revision that moves, such as main, is the commit that
// it was at the first call. Restarting the bot is not done here.
func (r *Repo) Deploy(ctx context.Context, key, by, why, revision string) (evidence string, err error) {
	return r.journal.With(ctx, key, by, why, func(e entry, found bool) (string, error) {
		switch {
		case !found:
			var err error
			if e, err = r.begin(ctx, key, by, why, revision); err != nil {
				return "", err
			}
		case e.Revision != revision:
			return "", fmt.Errorf("%q: %w: it stands for the deployment of %s", key, ErrKeyUsed, e.Revision)
		case e.Phase == undoing || e.Phase == undone:
			return "", fmt.Errorf("%q: %w: it was taken back by %s; use another key", key, ErrKeyUsed, e.UndoneBy)
		case e.Phase == deployed:
			return e.evidence(), nil
		}
		return r.forward(ctx, e)
	})
}

func (r *Repo) begin(ctx context.Context, key, by, why, revision string) (entry, error) {
	commit, err := r.Resolve(ctx, revision)
	if err != nil {
		return entry{}, err
	}
	current, err := r.Current()
	if err != nil {
		return entry{}, err
	}
	if err := r.sharedIsThere(); err != nil {
		return entry{}, err
	}
	e := entry{
		Key: key, Revision: revision, Commit: commit, Dir: commit[:12] + "-" + ledger.Name(key)[:12],
		Previous: current, Phase: begun, By: by, Why: why, At: time.Now().UTC(),
	}
	if _, err := os.Lstat(r.dir(e)); !errors.Is(err, fs.ErrNotExist) {
		return e, errors.Join(fmt.Errorf("%s is there, and the journal does not know it: move it away by hand", r.dir(e)), err)
	}
	if err := r.record(ctx, by, fmt.Sprintf("deployment %s of %s, commit %s", key, revision, commit), why); err != nil {
		return e, err
	}
	return e, r.journal.Save(key, e)
}

func (r *Repo) dir(e entry) string { return filepath.Join(r.cfg.Root, e.Dir) }

// forward finishes a deployment. It can begin anywhere.
func (r *Repo) forward(ctx context.Context, e entry) (string, error) {
	current, err := r.Current()
	if err != nil {
		return "", err
	}
	if current != e.Previous && current != e.Dir {
		return "", fmt.Errorf("deployment %s: %w: it leads to %q; Undo ends this deployment", e.Key, ErrMoved, current)
	}
	if e.Phase == begun {
		if err := r.make(ctx, e); err != nil {
			return "", err
		}
	}
	if err := r.verify(ctx, e); err != nil { // a build may have altered it
		return "", err
	}
	if e.Phase == begun {
		e.Phase = ready
		if err := r.journal.Save(e.Key, e); err != nil {
			return "", err
		}
	}
	if err := r.link(e.Dir); err != nil {
		return "", err
	}
	e.Phase = deployed
	if err := r.journal.Save(e.Key, e); err != nil {
		return "", err
	}
	if err := r.retire(e); err != nil {
		return e.evidence(), fmt.Errorf("deployed, and old checkouts could not be removed: %w", err)
	}
	return e.evidence(), nil
}

// make makes the checkout and builds it. What a crash has left of it is thrown away.
func (r *Repo) make(ctx context.Context, e entry) error {
	dir := r.dir(e)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := r.run(ctx, r.cfg.Root, "clone", "--quiet", "--no-checkout", "--no-hardlinks", "--no-tags", "--template=", "--", r.cfg.Source, dir); err != nil {
		return err
	}
	if _, err := r.run(ctx, dir, "cat-file", "-e", e.Commit+"^{commit}"); err != nil { // on no branch of the source
		if _, err := r.run(ctx, dir, "fetch", "--quiet", "--no-tags", "--", r.cfg.Source, "+refs/*:refs/andon/*"); err != nil {
			return err
		}
	}
	if _, err := r.run(ctx, dir, "fsck", "--no-dangling", "--no-progress"); err != nil {
		return fmt.Errorf("%w: its objects: %w", ErrDamaged, err)
	}
	if _, err := r.run(ctx, dir, "checkout", "--quiet", "--detach", e.Commit, "--"); err != nil {
		return err
	}
	if err := r.verify(ctx, e); err != nil {
		return err
	}
	for _, s := range r.cfg.Shared {
		if err := share(dir, s); err != nil {
			return err
		}
	}
	if r.cfg.Build != nil {
		if err := r.cfg.Build(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w: %w", e.Dir, ErrBuild, err)
		}
	}
	return syncTree(dir)
}

// verify makes sure that a checkout is its commit, and that no file of it is altered.
// What Build and Shared have added does not count.
func (r *Repo) verify(ctx context.Context, e entry) error {
	head, err := r.run(ctx, r.dir(e), "rev-parse", "--verify", "HEAD")
	if err != nil {
		return err
	}
	if strings.TrimSpace(head) != e.Commit {
		return fmt.Errorf("%s: %w: it is %s", e.Dir, ErrDamaged, strings.TrimSpace(head))
	}
	status, err := r.run(ctx, r.dir(e), "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")
	if err != nil {
		return err
	}
	if status != "" {
		return fmt.Errorf("%s: %w: %s", e.Dir, ErrDamaged, strings.TrimSpace(status))
	}
	return nil
}

// share links or copies one thing into a checkout. One that the commit has is an
// error: the version would run on another than the shared one.
func share(dir string, s Shared) error {
	at := filepath.Join(dir, s.Path)
	if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is in the commit, and in Config.Shared too", s.Path), err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if !s.Copy {
		return os.Symlink(s.From, at)
	}
	info, err := os.Stat(s.From)
	if err != nil {
		return err
	}
	in, err := os.Open(s.From)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	return atomicfile.Write(at, text, info.Mode().Perm())
}

// link switches current.
func (r *Repo) link(to string) error {
	current := filepath.Join(r.cfg.Root, "current")
	next := filepath.Join(r.cfg.Root, ".current.next")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, next); err != nil {
		return err
	}
	if err := os.Rename(next, current); err != nil {
		return err
	}
	return atomicfile.SyncDir(r.cfg.Root)
}

// Done reports whether the deployment of a key has switched current and was not taken
// back.
func (r *Repo) Done(ctx context.Context, key string) (done bool, evidence string, err error) {
	if err := ctx.Err(); err != nil {
		return false, "", err
	}
	e, found, err := r.journal.Load(key)
	if err != nil || !found {
		return false, "", err
	}
	return e.Phase == deployed, e.evidence(), nil
}

// Undo switches current back to the checkout that it led to before, once for a key. It
// is ErrMoved when somebody has switched since. Again it changes nothing.
func (r *Repo) Undo(ctx context.Context, key, by, why string) (evidence string, err error) {
	return r.journal.With(ctx, key, by, why, func(e entry, found bool) (string, error) {
		switch {
		case !found:
			return "", fmt.Errorf("%q: %w", key, ErrUnknownKey)
		case e.Phase == undone:
			return e.evidence(), nil
		}
		return r.undo(ctx, e, by, why)
	})
}

func (r *Repo) undo(ctx context.Context, e entry, by, why string) (string, error) {
	current, err := r.Current()
	if err != nil {
		return "", err
	}
	if e.Phase == deployed && current != e.Dir {
		return "", fmt.Errorf("%q: %w: it leads to %q", e.Key, ErrMoved, current)
	}
	if current == e.Dir && e.Previous == "" {
		return "", fmt.Errorf("%q: it was the first version, and there is none to go back to", e.Key)
	}
	if e.Phase != undoing {
		if err := r.record(ctx, by, "undo of deployment "+e.Key+", back to "+e.Previous, why); err != nil {
			return "", err
		}
		e.Phase, e.UndoneBy, e.UndoWhy = undoing, by, why
		if err := r.journal.Save(e.Key, e); err != nil {
			return "", err
		}
	}
	return r.backward(e, current)
}

// backward finishes an undo. It can begin anywhere.
func (r *Repo) backward(e entry, current string) (string, error) {
	if current == e.Dir && e.Previous != "" {
		info, err := os.Lstat(filepath.Join(r.cfg.Root, e.Previous))
		if err != nil {
			return "", fmt.Errorf("the version before: %w", err)
		}
		if !info.IsDir() {
			return "", fmt.Errorf("the version before, %s, is not a directory", e.Previous)
		}
		if err := r.link(e.Previous); err != nil {
			return "", err
		}
	}
	e.Phase = undone
	if err := r.journal.Save(e.Key, e); err != nil {
		return "", err
	}
	return e.evidence(), nil
}

// retire removes the checkouts beyond Config.Keep that this package has made and
// that are neither the current nor the previous one, the oldest first.
func (r *Repo) retire(now entry) error {
	all, err := r.journal.All()
	if err != nil {
		return err // one that cannot be read may name a checkout that is needed
	}
	all = slices.DeleteFunc(all, func(e entry) bool {
		return e.Removed || e.Dir == now.Dir || e.Dir == now.Previous || e.Phase != deployed && e.Phase != undone
	})
	slices.SortFunc(all, func(a, b entry) int { return b.At.Compare(a.At) })
	if len(all) <= r.cfg.Keep {
		return nil
	}
	for _, e := range all[r.cfg.Keep:] {
		if err := os.RemoveAll(r.dir(e)); err != nil {
			return err
		}
		e.Removed = true
		if err := r.journal.Save(e.Key, e); err != nil {
			return err
		}
	}
	return nil
}
