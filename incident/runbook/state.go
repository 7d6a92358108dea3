package runbook

import (
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon/incident"
)

// The kinds of events of a run.
const (
	Started   incident.Kind = "run-started"
	Approved  incident.Kind = "step-approved"
	Begun     incident.Kind = "step-due"  // the intent: what follows is the outcome
	Noted     incident.Kind = "step-note" // how far it is
	Succeeded incident.Kind = "step-done"
	Failed    incident.Kind = "step-failed"
	Unknown   incident.Kind = "step-unknown"
	Again     incident.Kind = "step-again" // a person has it tried again
	Skipped   incident.Kind = "step-skipped"
	Aborted   incident.Kind = "run-aborted"
	UndoBegun incident.Kind = "undo-due"
	Undone    incident.Kind = "undone"
	NotUndone incident.Kind = "undo-failed"
	Ended     incident.Kind = "run-ended"
)

// Status says how far a run or a step is.
type Status string

// The states of a step, and of a run those that are marked so.
const (
	Waiting Status = "waiting" // it has not begun; of a run: for a person
	Running Status = "running" // of a run too
	Retry   Status = "retry"   // it has failed, and tries are left
	Doubt   Status = "unknown" // whether it was done
	Done    Status = "done"    // of a run too
	Broken  Status = "failed"
	Skip    Status = "skipped"
	Back    Status = "undone"
	Stuck   Status = "undo-failed"
	Undoing Status = "undoing" // of a run: it was aborted
	Over    Status = "aborted" // of a run: it was aborted, and what can be is taken back
)

// StepStatus is how far a step is.
type StepStatus struct {
	Name      string
	Status    Status
	Tries     int
	Evidence  string
	Error     string
	Approvals []string // who has
	Since     time.Time
	Notes     []string // how far it is, or was, since it was first begun
	retryAt   time.Time
	looks     int       // in vain, since it was begun
	begun     time.Time // first, or after a person's Retry
}

// Run is how far a run is.
type Run struct {
	ID       string
	Runbook  string
	Incident string
	By, Why  string
	Params   map[string]string
	Status   Status
	For      string // of a run that waits: the step, and for what
	Steps    []StepStatus
	Began    time.Time
	Ended    time.Time

	digest  string
	aborted bool
	over    bool
}

// step returns a step's status by name.
func (r *Run) step(name string) *StepStatus {
	i := slices.IndexFunc(r.Steps, func(s StepStatus) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Steps[i]
}

// apply takes an event of the run into account. Together with newRun it is the whole of
// what is known of a run.
func (r *Run) apply(e incident.Event) {
	d := e.Data.Run
	switch e.Kind {
	case Aborted:
		r.aborted = true
		return
	case Ended:
		r.over, r.Ended = true, e.At
		return
	}
	s := r.step(d.Step)
	if s == nil {
		return // of a version that had it
	}
	s.Since = e.At
	switch e.Kind {
	case Approved:
		if !slices.Contains(s.Approvals, e.By) {
			s.Approvals = append(s.Approvals, e.By)
		}
	case Begun:
		s.Status, s.Tries, s.looks = Running, e.Data.Tries, 0
		if s.begun.IsZero() {
			s.begun = e.At
		}
	case Noted:
		s.Notes = append(s.Notes, d.Output)
	case Succeeded:
		s.Status, s.Evidence, s.Error = Done, d.Output, ""
	case Failed:
		s.Status, s.Evidence, s.Error, s.retryAt = Broken, d.Output, e.Data.Error, e.Data.RetryAt
		if !s.retryAt.IsZero() {
			s.Status = Retry
		}
	case Unknown:
		s.Status, s.Error, s.retryAt = Doubt, e.Data.Error, e.Data.RetryAt
		s.looks++
	case Again:
		s.Status, s.Tries, s.retryAt, s.begun, s.Notes = Waiting, 0, time.Time{}, time.Time{}, nil
	case Skipped:
		s.Status = Skip
	case UndoBegun:
		s.Status = Undoing
	case Undone:
		s.Status, s.Evidence = Back, d.Output
	case NotUndone:
		s.Status, s.Error = Stuck, e.Data.Error
	}
}

func newRun(e incident.Event, book Runbook) *Run {
	r := &Run{
		ID: e.Data.Run.ID, Runbook: e.Data.Run.Runbook, Incident: e.Incident, By: e.By, Why: e.Why, Params: e.Data.Run.Params,
		Began: e.At, digest: e.Data.Run.Digest,
	}
	for _, s := range book.Steps {
		r.Steps = append(r.Steps, StepStatus{Name: s.Name, Status: Waiting, Since: e.At})
	}
	return r
}

// todo is what a run is to do next.
type todo uint8

const (
	nothing todo = iota // it is over
	wait                // for a person: why says for what
	later               // at a time
	do                  // the step
	look                // whether the step was done
	undo                // the step
	end                 // the run
)

// next says what a run is to do at now. It depends on nothing but its arguments.
func (r *Run) next(book Runbook, now time.Time) (what todo, i int, at time.Time, why string) {
	if r.over {
		return nothing, 0, at, ""
	}
	if r.aborted {
		return r.nextBack(book)
	}
	if r.digest != book.digest() {
		return wait, -1, at, fmt.Sprintf("runbook %q is not the one that the run was started with: abort it, or bring the old one back", r.Runbook)
	}
	for i := range r.Steps {
		s, b := &r.Steps[i], &book.Steps[i]
		switch s.Status {
		case Done, Skip:
			continue
		case Broken:
			if b.GoOn {
				continue
			}
			return wait, i, at, fmt.Sprintf("step %q has failed: Retry, Skip or Abort", s.Name)
		case Running:
			return look, i, at, "" // begun by a process that is gone
		case Doubt, Retry:
			if now.Before(s.retryAt) {
				return later, i, s.retryAt, ""
			}
			switch {
			case s.Status == Retry:
				return do, i, at, ""
			case !s.retryAt.IsZero():
				return look, i, at, ""
			}
			return wait, i, at, fmt.Sprintf("step %q: nobody knows whether it was done: Attest that it was, or Retry", s.Name)
		}
		if n := int(b.Approval) - len(s.Approvals); n > 0 {
			return wait, i, at, fmt.Sprintf("step %q: %d more to Approve: %s", s.Name, n, b.Purpose)
		}
		if b.Attest != "" {
			return wait, i, at, fmt.Sprintf("step %q: a person to do it, and Attest: %s", s.Name, b.Attest)
		}
		return do, i, at, ""
	}
	return end, 0, at, ""
}

// nextBack is next for a run that was aborted: what was done, or may have been, is taken
// back, the last first.
func (r *Run) nextBack(book Runbook) (what todo, i int, at time.Time, why string) {
	for i := range slices.Backward(r.Steps) {
		s, b := &r.Steps[i], &book.Steps[i]
		touched := s.Status == Done || s.Status == Running || s.Status == Doubt || s.Status == Broken || s.Status == Retry || s.Status == Undoing
		if touched && b.Undo != nil {
			return undo, i, at, ""
		}
	}
	return end, 0, at, ""
}

// status says how far the run is by what it is to do next.
func (r *Run) status(what todo) Status {
	switch {
	case r.over && r.aborted:
		return Over
	case r.over:
		return Done
	case r.aborted:
		return Undoing
	case what == wait:
		return Waiting
	}
	return Running
}
