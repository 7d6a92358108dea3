package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
	"github.com/gofrs/flock"
)

// Restored is what a restore did.
type Restored struct {
	Plan      string        // the plan's ID
	Into      string        // the target
	Kept      string        // where the old tree lies; empty when there was none
	Files     int           // in the restored tree
	Bytes     int64         // in the restored tree
	Took      time.Duration // until the new tree was in place, durably
	Unchanged bool          // the target was already as planned
}

// Restore applies a plan for by, a named person, for a reason, which both go on the
// timeline before anything is changed.
//
// It builds the new tree beside the target, reads it back, and exchanges the two.
// An error of ErrMoved, ErrLive, ErrBusy, ErrNotVerified or recovery.ErrNotRecorded
// means that nothing was changed; others say how far it came. Applied again, it
// finishes what a crash left; applied once more, it changes nothing.
//
// An error together with a result whose Took is not zero means that the restore is
// done and that only its record or its measurement could not be kept. Applied again, the
// record that is missing is made, as it is after a kill between the exchange and its record.
func (s *Store) Restore(ctx context.Context, p Plan, by, why string, now time.Time) (r Restored, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restoring %v by plan %s: %w", p.Into, p.short(), err)
		}
	}()
	if err := checkPlan(p, by, why); err != nil {
		return r, err
	}
	unlock, err := s.lock()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j := job{s: s, p: p, began: time.Now(), stage: stageName(p)}
	return j.run(ctx, by, why, now)
}

func checkPlan(p Plan, by, why string) error {
	id, err := p.id()
	switch {
	case err != nil:
		return err
	case id != p.ID:
		return fmt.Errorf("the plan is not as it was made: %w", ErrMoved)
	case by == "":
		return errors.New("who restores is empty")
	case why == "":
		return errors.New("why it is restored is empty")
	}
	return nil
}

func (s *Store) lock() (unlock func() error, err error) {
	l := flock.New(filepath.Join(s.cfg.Dir, lockFile), flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", l.Path(), err), l.Close())
	}
	if !got {
		return nil, errors.Join(fmt.Errorf("%s is held: %w", l.Path(), ErrBusy), l.Close())
	}
	return l.Close, nil
}

// stageName is where the new tree is built and where, after the exchange, the old
// one lies for a moment. It belongs to one plan, so that a second try finds it.
func stageName(p Plan) string {
	dir, base := filepath.Split(string(p.Into))
	return filepath.Join(dir, "."+base+".restore-"+p.short())
}

// job is one application of a plan.
type job struct {
	s     *Store
	p     Plan
	began time.Time
	stage string
}

func (j job) run(ctx context.Context, by, why string, now time.Time) (Restored, error) {
	after, err := j.verified(ctx)
	if err != nil {
		return Restored{}, err
	}
	done, err := j.compare(ctx)
	if err != nil {
		return Restored{}, err
	}
	if done {
		return j.finish(ctx, by, why, now)
	}
	if err := j.idle(ctx); err != nil {
		return Restored{}, err
	}
	if err := j.record(ctx, now, by, "restore begins", why); err != nil {
		return Restored{}, err
	}
	if err := j.build(ctx, after); err != nil {
		return Restored{}, errors.Join(err, removeTree(j.stage))
	}
	if err := j.swap(ctx, by, now); err != nil {
		return Restored{}, err
	}
	return j.report(ctx, by, why, now)
}

// verified checks that the backup still counts and is the one of the plan, and
// returns the tree that is to be.
func (j job) verified(ctx context.Context) ([]Entry, error) {
	if _, err := j.s.pick(ctx, j.p.Backup); err != nil {
		return nil, err
	}
	m, sum, err := j.s.manifest(ctx, j.p.Backup)
	if err != nil {
		return nil, err
	}
	after := j.s.restored(m, string(j.p.Source))
	want, err := fingerprint(after)
	if err != nil {
		return nil, err
	}
	if sum != j.p.Manifest || want != j.p.After {
		return nil, fmt.Errorf("backup %s is another one: %w", j.p.Backup, ErrMoved)
	}
	return after, nil
}

// compare holds the target against the plan: done when it is already as planned.
func (j job) compare(ctx context.Context) (done bool, err error) {
	current, err := j.s.current(ctx, string(j.p.Into))
	if err != nil {
		return false, err
	}
	is, err := fingerprint(current)
	switch {
	case err != nil:
		return false, err
	case is == j.p.After:
		return true, nil
	case is == j.p.Before:
		return false, j.keepIsFree()
	}
	err = fmt.Errorf("the target is not as it was at %v: %w: make a new plan", j.p.At, ErrMoved)
	if _, serr := os.Lstat(j.stage); serr == nil {
		err = fmt.Errorf("%w; an interrupted restore left a tree at %q, which may be the old one", err, j.stage)
	}
	return false, err
}

func (j job) keepIsFree() error {
	if j.p.Keep == "" {
		return nil
	}
	_, err := os.Lstat(string(j.p.Keep))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(fmt.Errorf("%v, where the old tree would be kept, is taken: %w: make a new plan", j.p.Keep, ErrMoved), err)
}

func (j job) idle(ctx context.Context) error {
	if j.p.Before == "" {
		return nil
	}
	if j.s.cfg.Idle == nil {
		return fmt.Errorf("%w: nothing shows that nobody writes to it (Config.Idle is nil)", ErrLive)
	}
	if err := j.s.cfg.Idle(ctx, string(j.p.Into)); err != nil {
		return fmt.Errorf("%w: %w", ErrLive, err)
	}
	return nil
}

func (j job) record(ctx context.Context, at time.Time, by, what, why string) error {
	what = fmt.Sprintf("%s: %v from %s into %v", what, j.p.Source, j.p.Backup, j.p.Into)
	why = fmt.Sprintf("%s (plan %s, %d changes)", why, j.p.ID, len(j.p.Changes))
	if j.s.cfg.Recorder == nil {
		return fmt.Errorf("%s: %w: Config.Recorder is nil", what, recovery.ErrNotRecorded)
	}
	if err := j.s.cfg.Recorder.Record(ctx, at, by, what, why); err != nil {
		return fmt.Errorf("%s: %w: %w", what, recovery.ErrNotRecorded, err)
	}
	return nil
}

// swap puts the new tree in the old one's place, if the facts are still those of
// the plan, and moves the old one to where it is kept.
func (j job) swap(ctx context.Context, by string, now time.Time) error {
	done, err := j.compare(ctx)
	if err == nil && !done {
		err = j.idle(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, removeTree(j.stage))
	}
	if done { // somebody else brought it about meanwhile
		return removeTree(j.stage)
	}
	if err := j.begin(by, now); err != nil {
		return errors.Join(err, removeTree(j.stage))
	}
	into := string(j.p.Into)
	if j.p.Before == "" {
		err = moveNew(j.stage, into)
	} else {
		err = exchange(j.stage, into)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w: nothing was replaced, and the restored tree lies verified at %q", err, j.stage), j.noted())
	}
	return j.keepOld()
}

// keepOld makes the exchange durable and moves the old tree, which the exchange
// left at the stage, to where the plan says.
func (j job) keepOld() error {
	dir := filepath.Dir(j.stage)
	if err := atomicfile.SyncDir(dir); err != nil {
		return fmt.Errorf("the new tree is in place but not yet durable: %w", err)
	}
	if j.p.Keep == "" {
		return nil
	}
	if err := moveNew(j.stage, string(j.p.Keep)); err != nil {
		return fmt.Errorf("the new tree is in place and the old one lies at %q: %w", j.stage, err)
	}
	return atomicfile.SyncDir(dir)
}

// finish completes what a crash left after the exchange: the old tree is where the plan
// keeps it, and the end of the restore is on the timeline. How long that restore took is not
// known, and no measurement is made up. Most often there is nothing to finish.
func (j job) finish(ctx context.Context, by, why string, now time.Time) (Restored, error) {
	unnoted, err := j.isUnnoted()
	if err != nil {
		return Restored{}, err
	}
	_, err = os.Lstat(j.stage)
	left := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Restored{}, err
	case !left && !unnoted:
		r := j.result()
		r.Took, r.Unchanged = 0, true
		return r, nil
	case left && j.p.Keep == "":
		return Restored{}, fmt.Errorf("%q is there and the plan has nothing to keep: remove it by hand", j.stage)
	}
	if err := j.record(ctx, now, by, "restore is finished after an interruption", why); err != nil {
		return Restored{}, err
	}
	if left {
		if err := j.keepOld(); err != nil {
			return Restored{}, err
		}
	}
	return j.result(), j.noted()
}

func (j job) result() Restored {
	r := Restored{Plan: j.p.ID, Into: string(j.p.Into), Files: j.p.Files, Bytes: j.p.Bytes, Took: time.Since(j.began)}
	if _, err := os.Lstat(string(j.p.Keep)); j.p.Keep != "" && err == nil {
		r.Kept = string(j.p.Keep)
	}
	return r
}

// measure keeps how long the restore took, for the objectives.
func (j job) measure(ctx context.Context, at time.Time, took time.Duration) error {
	if j.s.far != nil {
		return j.s.far.Restored(ctx, j.p.Backup, at, took)
	}
	note := measured{Manifest: j.p.Manifest, At: at.UTC(), Took: took, Into: j.p.Into}
	return writeFrame(j.s.dir(j.p.Backup), restoredFile, "restored", note)
}

// report keeps the outcome: it has happened, so it is told even when ctx has ended.
func (j job) report(ctx context.Context, by, why string, now time.Time) (Restored, error) {
	r := j.result()
	at := now.Add(r.Took)
	err := j.record(context.WithoutCancel(ctx), at, by, "restore done", why)
	if err == nil {
		err = j.noted()
	}
	if werr := j.measure(context.WithoutCancel(ctx), at, r.Took); werr != nil {
		err = errors.Join(err, fmt.Errorf("keeping the measured time: %w", werr))
	}
	if err != nil {
		return r, fmt.Errorf("the restore is done, but: %w", err)
	}
	return r, nil
}
