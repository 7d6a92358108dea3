package runbook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon/incident"
)

// decide checks and records what a person says of a run, and lets it go on.
func (e *Engine) decide(ctx context.Context, id, step, by, why string, check func(l *live, s *StepStatus, b *Step) (incident.Event, error)) error {
	l, err := e.find(id)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale {
		if err := e.reload(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	var s *StepStatus
	var b *Step
	if step != "" {
		i := slices.IndexFunc(l.run.Steps, func(s StepStatus) bool { return s.Name == step })
		if i < 0 || i >= len(l.book.Steps) {
			return fmt.Errorf("%w: step %q of run %s", ErrUnknownRun, step, id)
		}
		s, b = &l.run.Steps[i], &l.book.Steps[i]
	}
	if l.run.over || l.run.aborted {
		return fmt.Errorf("%s: %w: it is %s", id, ErrState, l.run.status(nothing))
	}
	ev, err := check(l, s, b)
	if err != nil {
		return fmt.Errorf("%s: step %q: %w", id, step, err)
	}
	ev.By, ev.Why = by, why
	if ev.Data.Run == nil {
		ev.Data.Run = &incident.RunStep{}
	}
	ev.Data.Run.Step = step
	err = e.record(ctx, l, ev)
	if err == nil && ev.Kind == Aborted && l.cancel != nil {
		l.cancel()
	}
	select { // after an error too: it may be on the timeline
	case l.wake <- struct{}{}:
	default:
	}
	if err != nil {
		return fmt.Errorf("%s: step %q: %w", id, step, err)
	}
	return nil
}

// turn reports whether the run waits for a person at this step.
func (l *live) turn(s *StepStatus) bool {
	what, i, _, _ := l.run.next(l.book, time.Now())
	return what == wait && l.cancel == nil && i >= 0 && &l.run.Steps[i] == s
}

// Approve says that by agrees that a step is done, for the reason given. It may be said
// before the step's turn has come.
func (e *Engine) Approve(ctx context.Context, id, step, by, why string) error {
	return e.decide(ctx, id, step, by, why, func(_ *live, s *StepStatus, b *Step) (incident.Event, error) {
		switch {
		case b.Approval == None:
			return incident.Event{}, fmt.Errorf("%w: it needs no approval", ErrState)
		case s.Status != Waiting:
			return incident.Event{}, fmt.Errorf("%w: it is %s", ErrState, s.Status)
		case slices.ContainsFunc(s.Approvals, func(a string) bool { return same(a, by) }):
			return incident.Event{}, fmt.Errorf("%w: %s has approved it, and another person is needed", ErrState, by)
		}
		return incident.Event{Kind: Approved, What: "approved: " + s.Name}, nil
	})
}

// Attest says that by has done a step that a person does, or that a step whose outcome
// nobody could look up was done. evidence is what shows it.
func (e *Engine) Attest(ctx context.Context, id, step, by, evidence string) error {
	return e.decide(ctx, id, step, by, evidence, func(l *live, s *StepStatus, b *Step) (incident.Event, error) {
		approved := int(b.Approval) <= len(s.Approvals)
		if !l.turn(s) || s.Status != Doubt && !(s.Status == Waiting && b.Attest != "" && approved) {
			return incident.Event{}, fmt.Errorf("%w: it does not wait for a person's word", ErrState)
		}
		return incident.Event{Kind: Succeeded, What: "attested: " + s.Name, Data: incident.Data{Attested: true, Run: &incident.RunStep{Output: evidence}}}, nil
	})
}

// Retry has a step tried again that has failed, or of which nobody knows whether it was
// done and by says that it was not.
func (e *Engine) Retry(ctx context.Context, id, step, by, why string) error {
	return e.decide(ctx, id, step, by, why, func(l *live, s *StepStatus, _ *Step) (incident.Event, error) {
		if !l.turn(s) || s.Status != Broken && s.Status != Doubt {
			return incident.Event{}, fmt.Errorf("%w: it has not failed", ErrState)
		}
		return incident.Event{Kind: Again, What: "tried again: " + s.Name}, nil
	})
}

// Skip has the run go on without a step that it waits for.
func (e *Engine) Skip(ctx context.Context, id, step, by, why string) error {
	return e.decide(ctx, id, step, by, why, func(l *live, s *StepStatus, _ *Step) (incident.Event, error) {
		if !l.turn(s) {
			return incident.Event{}, fmt.Errorf("%w: the run does not wait at it", ErrState)
		}
		return incident.Event{Kind: Skipped, What: "skipped: " + s.Name}, nil
	})
}

// Abort ends a run: the step under way is told to stop, and what was done is taken back,
// the last first, where it can be.
func (e *Engine) Abort(ctx context.Context, id, by, why string) error {
	return e.decide(ctx, id, "", by, why, func(*live, *StepStatus, *Step) (incident.Event, error) {
		return incident.Event{Kind: Aborted, What: "run aborted"}, nil
	})
}
