package runbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon/incident"
)

const (
	self       = "andon/runbook"
	storeRetry = time.Second // until what could not be recorded is recorded again
	maxLooks   = 10          // for the outcome of a step, until a person is asked
	maxCrashes = 10          // that a step is begun again after
	maxOutput  = 16 << 10    // bytes of evidence that are kept of a step
)

// keep goes on with a run until it is over or ctx is done.
func (e *Engine) keep(ctx context.Context, l *live) {
	for ctx.Err() == nil {
		wait, over, err := e.advance(ctx, l)
		if over {
			return
		}
		if err != nil {
			e.cfg.Log.Error("runbook: a run cannot go on", "run", l.id, "incident", l.incident, "error", err)
			wait = storeRetry
		}
		if wait == 0 {
			continue
		}
		var timer <-chan time.Time
		if wait != forever {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer:
		}
	}
}

// forever is how long a run waits that only a person moves on.
const forever time.Duration = -1

// advance does what a run is to do next, and says how long to wait for what comes after
// it.
func (e *Engine) advance(ctx context.Context, l *live) (pause time.Duration, over bool, err error) {
	l.mu.Lock()
	if l.stale {
		if err := e.reload(ctx, l); err != nil {
			l.mu.Unlock()
			return 0, false, err
		}
	}
	now := time.Now()
	what, i, at, _ := l.run.next(l.book, now)
	switch what {
	case nothing:
		l.mu.Unlock()
		return 0, true, nil
	case wait:
		l.mu.Unlock()
		return forever, false, nil
	case later:
		l.mu.Unlock()
		return at.Sub(now), false, nil
	case end:
		defer l.mu.Unlock()
		return 0, false, e.record(ctx, l, incident.Event{Kind: Ended, By: self, What: "run ended", Why: string(l.run.status(nothing))})
	case look:
		return 0, false, e.lookUp(ctx, l, i)
	case undo:
		return 0, false, e.takeBack(ctx, l, i)
	}
	return 0, false, e.perform(ctx, l, i)
}

func (l *live) call(i int) Call {
	s := &l.run.Steps[i]
	return Call{
		Run: l.run.ID, Incident: l.run.Incident, Key: l.run.ID + "/" + s.Name, By: l.run.By, Why: l.run.Why, Params: maps.Clone(l.run.Params),
		Began: l.run.Began, Since: s.begun, Approved: slices.Clone(s.Approvals), Past: slices.Clone(s.Notes),
	}
}

// note returns the Note of a step's call, of this try alone.
func (e *Engine) note(within context.Context, l *live, i int) func(context.Context, string) error {
	return func(ctx context.Context, text string) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		b := &l.book.Steps[i]
		if l.stale || within.Err() != nil {
			return fmt.Errorf("note of step %q: %w: it is not under way", b.Name, ErrState)
		}
		return e.record(ctx, l, event(Noted, b, b.Purpose, incident.Data{Run: &incident.RunStep{Output: clip(text)}}))
	}
}

func event(k incident.Kind, s *Step, why string, d incident.Data) incident.Event {
	if d.Run == nil {
		d.Run = &incident.RunStep{}
	}
	d.Run.Step = s.Name
	return incident.Event{Kind: k, By: self, What: s.Name, Why: why, Data: d}
}

// perform does a step: its intent first. Called with mu held, which it gives up.
func (e *Engine) perform(ctx context.Context, l *live, i int) error {
	s, b := &l.run.Steps[i], &l.book.Steps[i]
	tries := s.Tries + 1
	if err := e.record(ctx, l, event(Begun, b, b.Purpose, incident.Data{Tries: tries})); err != nil {
		l.mu.Unlock()
		return err
	}
	call, within, done := l.begin(ctx, i)
	call.Note = e.note(within, l, i)
	l.mu.Unlock()
	evidence, err := attempt(within, func() (string, error) { return b.Do(within, call) })
	done()

	out := event(Succeeded, b, b.Purpose, incident.Data{Run: &incident.RunStep{Output: clip(evidence)}})
	again := time.Now().Add(b.Pause)
	if tries >= b.Tries {
		again = time.Time{}
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrOutcomeUnknown) && b.Done != nil:
		out = event(Unknown, b, err.Error(), incident.Data{Error: err.Error(), RetryAt: time.Now().Add(b.Pause)})
	case errors.Is(err, ErrOutcomeUnknown) && !b.Again:
		out = event(Unknown, b, err.Error(), incident.Data{Error: err.Error()})
	default:
		out = event(Failed, b, err.Error(), incident.Data{Error: err.Error(), RetryAt: again, Run: &incident.RunStep{Output: clip(evidence)}})
	}
	return e.outcome(ctx, l, out)
}

// begin makes the context of a step, which Abort cancels. Called with mu held; done is
// called without.
func (l *live) begin(ctx context.Context, i int) (c Call, within context.Context, done func()) {
	within, cancel := context.WithTimeout(ctx, l.book.Steps[i].Timeout)
	l.cancel = cancel
	return l.call(i), within, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cancel = nil
	}
}

// attempt calls a step within its context. One that does not heed it is left behind, and
// so is its outcome.
func attempt(ctx context.Context, f func() (string, error)) (evidence string, err error) {
	type answer struct {
		evidence string
		err      error
	}
	got := make(chan answer, 1)
	go func() {
		var a answer
		a.err = guard(func() (err error) { a.evidence, err = f(); return err })
		got <- a
	}()
	select {
	case a := <-got:
		if a.err != nil && ctx.Err() != nil {
			a.err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, a.err)
		}
		return a.evidence, a.err
	case <-ctx.Done():
		return "", fmt.Errorf("%w: it did not end in time: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

// outcome records what came of a step, however long that takes: what was done is not
// undone because it could not be written down. Called without mu.
func (e *Engine) outcome(ctx context.Context, l *live, out incident.Event) error {
	for {
		l.mu.Lock()
		err := e.record(ctx, l, out)
		stale := l.stale
		l.mu.Unlock()
		if err == nil || stale {
			return err // where it may be recorded, the timeline is read before anything else is done
		}
		e.cfg.Log.Error("runbook: the outcome of a step is not recorded yet", "run", l.id, "step", out.Data.Run.Step, "outcome", out.Kind, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(storeRetry):
		}
	}
}

// lookUp finds out whether a step was done. Called with mu held, which it gives up.
func (e *Engine) lookUp(ctx context.Context, l *live, i int) error {
	s, b := l.run.Steps[i], &l.book.Steps[i]
	if b.Done == nil {
		l.mu.Unlock()
		const why = "the process ended while it was under way"
		if b.Again && s.Tries < b.Tries+maxCrashes {
			return e.outcome(ctx, l, event(Failed, b, why, incident.Data{Error: why, RetryAt: time.Now()}))
		}
		return e.outcome(ctx, l, event(Unknown, b, why, incident.Data{Error: why}))
	}
	call, within, done := l.begin(ctx, i)
	l.mu.Unlock()
	var was bool
	evidence, err := attempt(within, func() (evidence string, err error) {
		was, evidence, err = b.Done(within, call)
		return evidence, err
	})
	done()
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // the next process looks
	case err != nil:
		d := incident.Data{Error: err.Error()}
		if s.looks < maxLooks {
			d.RetryAt = time.Now().Add(b.Pause)
		}
		return e.outcome(ctx, l, event(Unknown, b, "it cannot be looked up", d))
	case was:
		return e.outcome(ctx, l, event(Succeeded, b, "it was found done", incident.Data{Run: &incident.RunStep{Output: clip(evidence)}}))
	}
	const why = "it was found not done"
	d := incident.Data{Error: why}
	if s.Status == Running && s.Tries < b.Tries+maxCrashes || s.Tries < b.Tries {
		d.RetryAt = time.Now()
	}
	return e.outcome(ctx, l, event(Failed, b, why, d))
}

// takeBack undoes a step. Called with mu held, which it gives up.
func (e *Engine) takeBack(ctx context.Context, l *live, i int) error {
	b := &l.book.Steps[i]
	if err := e.record(ctx, l, event(UndoBegun, b, "the run was aborted", incident.Data{})); err != nil {
		l.mu.Unlock()
		return err
	}
	call, within, done := l.begin(ctx, i)
	l.mu.Unlock()
	evidence, err := attempt(within, func() (string, error) { return b.Undo(within, call) })
	done()
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // the next process undoes it again
	case err != nil:
		return e.outcome(ctx, l, event(NotUndone, b, err.Error(), incident.Data{Error: err.Error()}))
	}
	return e.outcome(ctx, l, event(Undone, b, "the run was aborted", incident.Data{Run: &incident.RunStep{Output: clip(evidence)}}))
}

// clip bounds what is kept of a step's evidence.
func clip(s string) string {
	if len(s) <= maxOutput {
		return s
	}
	return s[:maxOutput] + fmt.Sprintf(" … (%d bytes in all)", len(s))
}
