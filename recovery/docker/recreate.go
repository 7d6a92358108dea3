package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// Recreated is what a recreation, or taking one back, did.
type Recreated struct {
	Plan      string        // the plan's ID
	Container Container     // the one in charge, well
	Kept      string        // the name of the other one, stopped; empty when there is none
	Took      time.Duration // until the container in charge was well
	Unchanged bool          // it was so already
}

// Recreate applies a plan for by, a named person, for a reason, which both go on the
// timeline before anything is changed.
//
// The new container is made beside the old one first, under another name, so that
// what cannot be made costs no downtime. Then the old one is stopped and put aside,
// the new one takes its name, starts, and has to be well. If it is not, it is put
// aside, and the old one has its name and its restart policy again and runs:
// *RecreateError. At no moment may the engine start both.
//
// ErrMoved, ErrBusy, ErrUnfinished and recovery.ErrNotRecorded mean that nothing was
// changed. After a crash, or while the engine was away, Recreate with the same plan
// finishes and Undo takes it back; the end of ctx does not stop it half way. Applied
// once more it changes nothing. The old container is kept, stopped, until Discard:
// it is the way back, and evidence.
func (s *Stack) Recreate(ctx context.Context, p RecreatePlan, by, why string, now time.Time) (r Recreated, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("recreating %s: %w", p.Name, err)
		}
	}()
	if id, err := p.id(); err != nil || id != p.ID {
		return r, errors.Join(fmt.Errorf("the plan is not as it was made: %w", ErrMoved), err)
	}
	unlock, err := s.lock()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := s.load(p.ID)
	if err != nil {
		return r, err
	}
	x := &exchange{s: s, j: j, began: time.Now()}
	switch j.Phase {
	case phaseNone:
		return x.begin(ctx, p, by, why, now)
	case phaseForward:
		if err := s.record(ctx, now, by, "recreation goes on: "+x.title(), why); err != nil {
			return r, err
		}
		return x.forward(context.WithoutCancel(ctx))
	case phaseBack:
		if err := s.record(ctx, now, by, "recreation is taken back further: "+x.title(), why); err != nil {
			return r, err
		}
		return x.takeBack(context.WithoutCancel(ctx), errors.New("an earlier try had begun to take it back"))
	case phaseDone:
		return x.already(ctx)
	}
	return r, fmt.Errorf("it was applied and taken back: %w: make a new plan", ErrMoved)
}

// Undo takes a recreation back, finished or not, by its plan's ID: the old container
// is in charge again, and well. It is recorded first. Done already, it changes
// nothing. ErrNotFound says that there is no such recreation, or that the old
// container is not there any more; then nothing is changed.
func (s *Stack) Undo(ctx context.Context, plan, by, why string, now time.Time) (r Recreated, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("taking back plan %s: %w", short(plan), err)
		}
	}()
	unlock, err := s.lock()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := s.load(plan)
	if err != nil {
		return r, err
	}
	x := &exchange{s: s, j: j, began: time.Now()}
	switch j.Phase {
	case phaseNone:
		return r, fmt.Errorf("no journal of it: %w", ErrNotFound)
	case phaseUndone:
		return x.already(ctx)
	}
	if err := errors.Join(s.free(j.Plan), x.ours(ctx)); err != nil {
		return r, err
	}
	if err := s.record(ctx, now, by, "recreation is taken back: "+x.title(), why); err != nil {
		return r, err
	}
	return x.back(context.WithoutCancel(ctx))
}

// Discard removes what a finished recreation keeps: the container that is not in
// charge, and the references to the images. There is no way back after it. It is
// recorded first, and refused while an incident may be open. Volumes stay.
func (s *Stack) Discard(ctx context.Context, plan, by, why string, now time.Time) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("discarding plan %s: %w", short(plan), err)
		}
	}()
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := s.load(plan)
	if err != nil {
		return err
	}
	switch j.Phase {
	case phaseNone:
		return nil
	case phaseForward, phaseBack:
		return ErrUnfinished
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	x := &exchange{s: s, j: j}
	if err := s.record(ctx, now, by, "recreation is final: "+x.title(), why); err != nil {
		return err
	}
	keptName := map[phase]string{phaseDone: j.Plan.aside("old"), phaseUndone: j.Plan.aside("failed")}[j.Phase]
	for _, o := range []struct {
		kind Kind
		name string
	}{{KindContainer, keptName}, {KindImage, j.Plan.keep("old")}, {KindImage, j.Plan.keep("new")}} {
		if err := s.remove(ctx, o.kind, o.name); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return s.drop(j.Plan.ID)
}

// quiet says that no incident is open. What does not say so may be one (law 1).
func (s *Stack) quiet(ctx context.Context) error {
	if s.cfg.Quiet == nil {
		return fmt.Errorf("%w: nothing says that there is none (Config.Quiet is nil)", ErrIncident)
	}
	if err := s.cfg.Quiet(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrIncident, err)
	}
	return nil
}

// free refuses when another recreation of the same container is unfinished.
func (s *Stack) free(p RecreatePlan) error {
	all, err := s.journals()
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.Plan.Name == p.Name && j.Plan.ID != p.ID && !j.Phase.ended() {
			return fmt.Errorf("plan %s: %w: apply it again or take it back", j.Plan.ID, ErrUnfinished)
		}
	}
	return nil
}

// exchange is one application of a plan. Each of its steps looks first whether it is
// done already, so that any of them may be the one after a crash.
type exchange struct {
	s     *Stack
	j     journal
	began time.Time
}

func (x *exchange) title() string {
	p := x.j.Plan
	return fmt.Sprintf("%s from %s (%s) to %s (%s), plan %s", p.Name, p.FromRef, short(p.From), p.ToRef, short(p.To), p.ID)
}

func (x *exchange) turn(p phase) error {
	x.j.Phase = p
	return x.s.save(x.j)
}

// replacement returns the new container; ok is false when there is none. It is known
// by its label, whatever its name is by now.
func (x *exchange) replacement(ctx context.Context) (c Container, ok bool, err error) {
	list, err := x.s.objects(ctx, KindContainer, labelPlan+"="+x.j.Plan.ID)
	if err != nil || len(list) == 0 {
		return c, false, err
	}
	if len(list) > 1 {
		return c, false, fmt.Errorf("%d containers bear the label of plan %s", len(list), x.j.Plan.ID)
	}
	c, err = x.s.inspect(ctx, list[0].ID)
	return c, err == nil, err
}

// old returns the container that is replaced; ok is false when it is gone.
func (x *exchange) old(ctx context.Context) (c Container, ok bool, err error) {
	c, err = x.s.inspect(ctx, x.j.Plan.Container)
	if errors.Is(err, ErrNotFound) {
		return c, false, nil
	}
	return c, err == nil, err
}

func (x *exchange) begin(ctx context.Context, p RecreatePlan, by, why string, now time.Time) (Recreated, error) {
	if err := x.s.free(p); err != nil {
		return Recreated{}, err
	}
	if err := x.s.facts(ctx, p); err != nil {
		return Recreated{}, err
	}
	x.j = journal{Plan: p, By: by, Why: why, At: now.UTC()}
	if err := x.s.record(ctx, now, by, "recreation begins: "+x.title(), why); err != nil {
		return Recreated{}, err
	}
	if err := x.turn(phaseForward); err != nil {
		return Recreated{}, err
	}
	return x.forward(context.WithoutCancel(ctx))
}

// forward brings the new container into charge, or the old one back.
func (x *exchange) forward(ctx context.Context) (Recreated, error) {
	fresh, err := x.prepare(ctx)
	if err != nil {
		return x.giveUp(ctx, err)
	}
	if err := x.putAside(ctx); err != nil {
		return x.fails(ctx, err)
	}
	if err := x.takeCharge(ctx, fresh, "the new container"); err != nil {
		return x.fails(ctx, err)
	}
	c, err := x.s.await(ctx, fresh.ID, x.s.cfg.WellWithin)
	if err == nil {
		err = x.s.update(ctx, fresh.ID, Change{Policy: &x.j.Plan.Policy})
	}
	if err != nil {
		return x.fails(ctx, err)
	}
	if err := x.turn(phaseDone); err != nil {
		return Recreated{}, err
	}
	c.Policy = x.j.Plan.Policy
	return x.result(ctx, c, x.j.Plan.aside("old"))
}

// prepare holds on to both images and makes the new container, which does not run.
func (x *exchange) prepare(ctx context.Context) (Container, error) {
	p := x.j.Plan
	if err := errors.Join(x.s.tag(ctx, p.From, p.keep("old")), x.s.tag(ctx, p.To, p.keep("new"))); err != nil {
		return Container{}, err
	}
	fresh, ok, err := x.replacement(ctx)
	if err != nil || ok {
		return fresh, err
	}
	old, err := x.s.inspect(ctx, p.Container)
	if err != nil {
		return Container{}, err
	}
	body, err := x.s.body(ctx, old, p.ToRef, p.ID)
	if err != nil {
		return Container{}, err
	}
	var id string
	err = x.s.call(ctx, "create", p.aside("new"), 0, func(ctx context.Context) error {
		id, err = x.s.e.Create(ctx, Spec{Name: p.aside("new"), Body: body})
		return err
	})
	if err != nil {
		return Container{}, err
	}
	fresh, err = x.s.inspect(ctx, id)
	if err == nil && fresh.Image != p.To {
		err = fmt.Errorf("%s has become image %s: %w", p.ToRef, short(fresh.Image), ErrMoved)
	}
	return fresh, err
}

// giveUp ends what has not touched the old container yet.
func (x *exchange) giveUp(ctx context.Context, why error) (Recreated, error) {
	if errors.Is(why, ErrEngineGone) {
		return x.cutOff(why)
	}
	fresh, ok, err := x.replacement(ctx)
	if err != nil {
		return x.cutOff(errors.Join(why, err))
	}
	if ok && fresh.State != Created { // an earlier try got further
		return x.fails(ctx, why)
	}
	old, there, err := x.old(ctx)
	if err != nil {
		return x.cutOff(errors.Join(why, err))
	}
	if !there || old.Name != x.j.Plan.Name || old.State != Running {
		return x.fails(ctx, why)
	}
	if ok {
		if err := x.s.remove(ctx, KindContainer, fresh.ID); err != nil {
			return x.cutOff(errors.Join(why, err))
		}
	}
	for _, which := range []string{"old", "new"} {
		if err := x.s.remove(ctx, KindImage, x.j.Plan.keep(which)); err != nil && !errors.Is(err, ErrNotFound) {
			return x.cutOff(errors.Join(why, err))
		}
	}
	return Recreated{}, errors.Join(why, x.s.drop(x.j.Plan.ID))
}

// cutOff says how to go on after the engine went away.
func (x *exchange) cutOff(err error) (Recreated, error) {
	return Recreated{}, fmt.Errorf("plan %s is cut off: apply it again or take it back: %w: %w", short(x.j.Plan.ID), ErrUnfinished, err)
}

// fails takes everything back, unless the engine is not there to do so.
func (x *exchange) fails(ctx context.Context, why error) (Recreated, error) {
	if errors.Is(why, ErrEngineGone) {
		return x.cutOff(why)
	}
	return x.takeBack(ctx, why)
}

// takeBack is back with the reason and the replacement's last words.
func (x *exchange) takeBack(ctx context.Context, why error) (Recreated, error) {
	var said keep
	fresh, ok, err := x.replacement(ctx)
	if err == nil && ok {
		err = x.s.call(ctx, "logs", fresh.ID, 0, func(ctx context.Context) error {
			return x.s.e.Logs(ctx, fresh.ID, LogQuery{Tail: 20}, &said, &said)
		})
	}
	r, berr := x.back(ctx)
	if berr != nil {
		return Recreated{}, fmt.Errorf("%w; and it could not be taken back: %w", why, berr)
	}
	said.b.Truncate(min(said.b.Len(), 4096))
	return r, &RecreateError{Plan: x.j.Plan.ID, Container: x.j.Plan.Name, Failed: r.Kept, Output: string(bytes.TrimSpace(said.b.Bytes())), Err: errors.Join(why, err)}
}

// putAside stops the old container, makes sure that the engine does not start it
// again by itself, and takes its name away.
func (x *exchange) putAside(ctx context.Context) error {
	old, ok, err := x.old(ctx)
	if err != nil || !ok {
		return err
	}
	return x.retire(ctx, old, x.j.Plan.aside("old"))
}

// retire stops a container for good and gives it a name aside.
func (x *exchange) retire(ctx context.Context, c Container, name string) error {
	if c.State == Running || c.State == Restarting || c.State == Paused {
		if err := x.s.stop(ctx, c.ID); err != nil {
			if kerr := x.s.kill(ctx, c.ID); kerr != nil {
				return errors.Join(err, kerr)
			}
		}
	}
	if c.Policy.Name != "no" && c.Policy.Name != "" {
		if err := x.s.update(ctx, c.ID, Change{Policy: &RestartPolicy{Name: "no"}}); err != nil {
			return err
		}
	}
	if c.Name == name {
		return nil
	}
	return x.rename(ctx, c.ID, name)
}

func (x *exchange) rename(ctx context.Context, id, name string) error {
	return x.s.call(ctx, "rename", id, 0, func(ctx context.Context) error { return x.s.e.Rename(ctx, id, name) })
}

// takeCharge gives a container the canonical name and starts it.
func (x *exchange) takeCharge(ctx context.Context, c Container, what string) error {
	if c.Name != x.j.Plan.Name {
		if err := x.rename(ctx, c.ID, x.j.Plan.Name); err != nil {
			return err
		}
	}
	if c.State == Running {
		return nil
	}
	if err := x.s.start(ctx, c.ID); err != nil {
		return fmt.Errorf("%s does not start: %w", what, err)
	}
	return nil
}

// back brings the old container into charge again.
func (x *exchange) back(ctx context.Context) (Recreated, error) {
	old, there, err := x.old(ctx)
	if err != nil {
		return x.cutOff(err)
	}
	if !there {
		return Recreated{}, fmt.Errorf("the old container %s is not there any more: %w: what runs is left as it is", short(x.j.Plan.Container), ErrNotFound)
	}
	if err := x.turn(phaseBack); err != nil {
		return Recreated{}, err
	}
	fresh, ok, err := x.replacement(ctx)
	if err != nil {
		return x.cutOff(err)
	}
	keptName := ""
	if ok {
		keptName = x.j.Plan.aside("failed")
		if err := x.retire(ctx, fresh, keptName); err != nil {
			return x.cutOff(err)
		}
	}
	if err := x.takeCharge(ctx, old, "the old container"); err != nil {
		return x.cutOff(err)
	}
	c, err := x.s.await(ctx, old.ID, x.s.cfg.WellWithin)
	if err == nil {
		err = x.s.update(ctx, old.ID, Change{Policy: &x.j.Plan.Policy})
	}
	if err != nil {
		return x.cutOff(fmt.Errorf("the old container: %w", err))
	}
	if err := x.turn(phaseUndone); err != nil {
		return Recreated{}, err
	}
	c.Policy = x.j.Plan.Policy
	return x.result(ctx, c, keptName)
}

func (x *exchange) result(ctx context.Context, c Container, kept string) (Recreated, error) {
	r := Recreated{Plan: x.j.Plan.ID, Container: c, Took: time.Since(x.began)}
	if kept != "" {
		_, err := x.s.inspect(ctx, kept)
		switch {
		case err == nil:
			r.Kept = kept
		case !errors.Is(err, ErrNotFound):
			return r, err
		}
	}
	return r, nil
}

// ours checks that the canonical name is borne by one of the plan's two containers,
// or by none: another one has come after them, and is not to be disturbed.
func (x *exchange) ours(ctx context.Context) error {
	c, err := x.s.inspect(ctx, x.j.Plan.Name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && c.ID != x.j.Plan.Container && c.Labels[labelPlan] != x.j.Plan.ID {
		err = fmt.Errorf("%s is another container by now, %s: %w", c.Name, short(c.ID), ErrMoved)
	}
	return err
}

// already says that what was asked for was done before, if it is still so.
func (x *exchange) already(ctx context.Context) (Recreated, error) {
	inCharge, ok, err := x.old(ctx)
	keptName := x.j.Plan.aside("failed")
	if x.j.Phase == phaseDone {
		inCharge, ok, err = x.replacement(ctx)
		keptName = x.j.Plan.aside("old")
	}
	if err != nil {
		return Recreated{}, err
	}
	if !ok || inCharge.Name != x.j.Plan.Name {
		return Recreated{}, fmt.Errorf("what plan %s left in charge is not any more: %w: make a new plan", short(x.j.Plan.ID), ErrMoved)
	}
	r, err := x.result(ctx, inCharge, keptName)
	r.Unchanged, r.Took = true, 0
	return r, err
}
