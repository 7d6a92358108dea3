package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// Gate lets an order through to a venue, or denies it. *Switch is one.
type Gate interface {
	Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error)
}

// Protector applies plans. All of its fields are required. It is a value without
// state and safe for concurrent use.
type Protector struct {
	Venue    andon.Venue
	Gate     Gate
	Recorder Recorder
	By       string // the person or component on whose word stops are placed
}

func (p Protector) validate() error {
	var errs []error
	for _, f := range []struct {
		missing bool
		name    string
	}{
		{p.Venue == nil, "Venue"}, {p.Gate == nil, "Gate"}, {p.Recorder == nil, "Recorder"}, {strings.TrimSpace(p.By) == "", "By"},
	} {
		if f.missing {
			errs = append(errs, fmt.Errorf("%s is missing", f.name))
		}
	}
	return errors.Join(errs...)
}

// ProtectOutcome is what became of one step.
type ProtectOutcome string

// The outcomes of a step.
const (
	ProtectPlaced  ProtectOutcome = "placed"        // the venue took it
	ProtectAlready ProtectOutcome = "already-there" // it was live before; nothing was sent
	ProtectDenied  ProtectOutcome = "denied"        // by the gate; nothing was sent
	ProtectRefused ProtectOutcome = "refused"       // by the venue
	ProtectUnknown ProtectOutcome = "unknown"       // sent, and what became of it is not known: apply the plan again
	ProtectUnsent  ProtectOutcome = "unsent"        // it could not be told whether it is there, so nothing was sent
)

// ProtectResult is what became of a plan.
type ProtectResult struct {
	Plan  string // the plan's id
	Steps []ProtectStepResult

	// After is what the venue says at the end; empty, and so not protected, when it
	// could not be read.
	After ProtectionReport
}

// ProtectStepResult is what became of one step.
type ProtectStepResult struct {
	Order   andon.Order // as the venue has it, or as it would have been sent
	Outcome ProtectOutcome
	Err     error // why it is neither placed nor there, or why what it replaces is still there

	Replaced []string // orders that were cancelled for it, by name
}

// PlanMovedError says which fact of a plan has moved. It is ErrPlanMoved to
// errors.Is.
type PlanMovedError struct {
	Plan string
	Leg  andon.LegKey
	Then string // what the plan rests on
	Now  string // what the venue says
}

// Error names the leg and what moved.
func (e *PlanMovedError) Error() string {
	return fmt.Sprintf("plan %s: %v has moved: it was %s and is %s: read the venue and plan again", e.Plan, e.Leg, e.Then, e.Now)
}

// Is reports whether target is ErrPlanMoved.
func (e *PlanMovedError) Is(target error) bool { return target == ErrPlanMoved }

// maxTries bounds the client ids that a step goes through. Each is used up only by an
// order that was there and is done, while the need stayed the same.
const maxTries = 32

// askAnywayWithin is how long a look-up or a record may take after the caller's
// context has ended: whether an order is there has to be known then, too.
const askAnywayWithin = 5 * time.Second

// Apply places the stops of a plan. It reads the venue first and refuses the whole plan,
// with nothing sent, when a leg's position or the orders on it are not what the plan
// rests on, or when the mark has moved beyond a trigger. Each stop is looked up by its
// client id before it is sent, so that applying a plan twice, also after a crash in
// between, sends nothing the second time. One step that fails does not keep the others
// from being placed. At the end the venue is read again.
//
// A nil error means that every step is live on the venue, or has traded, and that what
// was done is recorded; whether everything is protected, Result.After says. Placing a
// stop never waits for the record.
func (p Protector) Apply(ctx context.Context, plan ProtectionPlan, now time.Time) (ProtectResult, error) {
	result := ProtectResult{Plan: plan.ID}
	if err := errors.Join(p.validate(), plan.Verify()); err != nil {
		return result, fmt.Errorf("protect: %w", err)
	}
	before, err := ReadProtection(ctx, p.Venue, plan.Requirements, now)
	if err != nil {
		return result, fmt.Errorf("protect: nothing was sent: %w", err)
	}
	if err := plan.check(before); err != nil {
		return result, fmt.Errorf("protect: nothing was sent: %w", err)
	}
	for _, s := range plan.Steps {
		result.Steps = append(result.Steps, p.carryOut(ctx, s))
	}
	result.After, err = ReadProtection(ctx, p.Venue, plan.Requirements, now)
	errs := []error{err}
	for i := range result.Steps {
		s := &result.Steps[i]
		if err == nil && s.Err == nil {
			p.confirm(ctx, s, result.After)
		}
		if s.Err != nil {
			errs = append(errs, fmt.Errorf("order %s on %v %s: %w", s.Order.ClientID, s.Order.Key(), s.Outcome, s.Err))
		}
	}
	errs = append(errs, p.record(ctx, now, result))
	if err := errors.Join(errs...); err != nil {
		return result, fmt.Errorf("protect: %w", err)
	}
	return result, nil
}

// check compares the plan's facts with what the venue says now.
func (p ProtectionPlan) check(r ProtectionReport) error {
	var errs []error
	for _, s := range p.Steps {
		if moved := s.moved(r); moved != nil {
			moved.Plan = p.ID
			errs = append(errs, moved)
		}
	}
	return errors.Join(errs...)
}

// moved says which fact of the step has moved, or nothing. Orders that the step itself
// placed before are no fact of it.
func (s ProtectStep) moved(r ProtectionReport) *PlanMovedError {
	key := s.Order.Key()
	i := slices.IndexFunc(r.Legs, func(l LegProtection) bool { return l.Position.Key() == key })
	if i < 0 {
		return &PlanMovedError{Leg: key, Then: "a position of " + s.Quantity.String(), Now: "without a position"}
	}
	l, own := r.Legs[i], false
	if !l.Position.Quantity.Equal(s.Quantity) {
		return &PlanMovedError{Leg: key, Then: "a position of " + s.Quantity.String(), Now: "one of " + l.Position.Quantity.String()}
	}
	stops := []string{}
	for _, stop := range l.Stops {
		if s.isOwn(stop.Order) {
			own = true
			continue
		}
		stops = append(stops, stop.fact())
	}
	if !slices.Equal(stops, s.stopsWith(stops)) {
		return &PlanMovedError{Leg: key, Then: "with the stops [" + strings.Join(s.Stops, "; ") + "]", Now: "with [" + strings.Join(stops, "; ") + "]"}
	}
	if own {
		return nil // it is there: nothing is sent for it
	}
	return s.unfit(l, r)
}

// stopsWith are the stops that the step rests on, without those that it replaces and that
// are not there any more: an apply that was cut off has cancelled them.
func (s ProtectStep) stopsWith(now []string) []string {
	then := slices.Clone(s.Stops)
	for _, o := range s.Replaces {
		if f := (StopCheck{Order: o}).fact(); !slices.Contains(now, f) {
			then = slices.DeleteFunc(then, func(s string) bool { return s == f })
		}
	}
	return then
}

// unfit says why the step's stop would not count any more, or nothing.
func (s ProtectStep) unfit(l LegProtection, r ProtectionReport) *PlanMovedError {
	o := s.Order
	o.Status = andon.Live // as it would be
	clean := LegProtection{Position: l.Position}
	for _, f := range l.Problems {
		if f.Problem != ProblemNaked && f.Problem != ProblemPartlyCovered {
			clean.Problems = append(clean.Problems, f)
		}
	}
	if judged := (candidate{order: o}).judge(&clean, r.Requirements, r.At); !judged.Covers {
		return &PlanMovedError{Leg: o.Key(), Then: "at a mark of " + s.Mark.String(), Now: "where the stop is " + findings(judged.Findings)}
	}
	return nil
}

// isOwn reports whether an order was placed for this step.
func (s ProtectStep) isOwn(o andon.Order) bool {
	for try := range maxTries {
		if o.ClientID == s.clientID(try) {
			return true
		}
	}
	return false
}

// place sends the step's stop unless it is there already.
func (p Protector) place(ctx context.Context, s ProtectStep) ProtectStepResult {
	o := s.Order
	for try := range maxTries {
		o.ClientID = s.clientID(try)
		found, err := p.Venue.Lookup(ctx, o.Symbol, o.ClientID)
		switch {
		case errors.Is(err, andon.ErrOrderNotFound):
			return p.send(ctx, o)
		case err != nil:
			return ProtectStepResult{Order: o, Outcome: ProtectUnsent, Err: fmt.Errorf("look it up first: %w", err)}
		case found.Status == andon.Live:
			return ProtectStepResult{Order: found, Outcome: ProtectAlready, Err: nil}
		case !found.Status.Done():
			return ProtectStepResult{Order: found, Outcome: ProtectUnknown, Err: fmt.Errorf("the venue says it is %v: %w", found.Status, andon.ErrOutcomeUnknown)}
		}
	}
	return ProtectStepResult{Order: o, Outcome: ProtectUnsent, Err: fmt.Errorf("%d orders for it came and went: look at what removes them, then place the stop by hand", maxTries)}
}

// send takes one order through the gate. Any answer but a plain one is resolved by
// the order's client id, and nothing else is sent for it.
func (p Protector) send(ctx context.Context, o andon.Order) ProtectStepResult {
	got, err := p.Gate.Submit(ctx, p.Venue, o)
	switch {
	case errors.Is(err, ErrDenied):
		return ProtectStepResult{Order: o, Outcome: ProtectDenied, Err: err}
	case err == nil && (got.Status == andon.Live || got.Status == andon.Filled):
		return ProtectStepResult{Order: got, Outcome: ProtectPlaced, Err: nil}
	case err == nil:
		err = fmt.Errorf("the venue answered that it is %v", got.Status)
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), askAnywayWithin)
	defer cancel()
	found, lookErr := p.Venue.Lookup(ask, o.Symbol, o.ClientID)
	switch {
	case lookErr == nil && (found.Status == andon.Live || found.Status == andon.Filled):
		return ProtectStepResult{Order: found, Outcome: ProtectPlaced, Err: nil}
	case lookErr == nil && found.Status.Done():
		return ProtectStepResult{Order: found, Outcome: ProtectRefused, Err: fmt.Errorf("it is %v: %w", found.Status, err)}
	case errors.Is(err, andon.ErrRejected):
		return ProtectStepResult{Order: o, Outcome: ProtectRefused, Err: err}
	case lookErr == nil:
		lookErr = fmt.Errorf("the venue says it is %v", found.Status)
	}
	// That the venue does not know it is no proof either: it may be on its way.
	return ProtectStepResult{Order: o, Outcome: ProtectUnknown, Err: fmt.Errorf("%w: %w; then: %w", andon.ErrOutcomeUnknown, err, lookErr)}
}

// confirm looks for a stop in what the venue says at the end. One that was taken and is
// on no list has traded, or is lost.
func (p Protector) confirm(ctx context.Context, s *ProtectStepResult, after ProtectionReport) {
	for _, l := range after.Legs {
		if slices.ContainsFunc(l.Stops, func(c StopCheck) bool { return c.Order.ClientID == s.Order.ClientID }) {
			return
		}
	}
	found, err := p.Venue.Lookup(ctx, s.Order.Symbol, s.Order.ClientID)
	switch {
	case err == nil && found.Status == andon.Filled:
		s.Order = found
		return
	case err == nil && found.Status.Done():
		s.Order, s.Outcome, s.Err = found, ProtectRefused, fmt.Errorf("it was taken and is %v now", found.Status)
		return
	case err == nil:
		err = fmt.Errorf("the venue says it is %v", found.Status)
	}
	s.Outcome, s.Err = ProtectUnknown, fmt.Errorf("%w: it was taken, and none of the venue's lists shows it: %w", andon.ErrOutcomeUnknown, err)
}

// record puts what was done on the timeline.
func (p Protector) record(ctx context.Context, now time.Time, r ProtectResult) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askAnywayWithin)
	defer cancel()
	lines := make([]string, 0, len(r.Steps)+1)
	for _, s := range r.Steps {
		line := fmt.Sprintf("%s %s: %v %v %v at %v on %v", s.Outcome, s.Order.ClientID, s.Order.Side, s.Order.Quantity, s.Order.Kind, s.Order.Trigger, s.Order.Key())
		if s.Err != nil {
			line += ": " + oneLine(s.Err)
		}
		if len(s.Replaced) > 0 {
			line += ", in place of " + strings.Join(s.Replaced, ", ")
		}
		lines = append(lines, line)
	}
	what := "protection plan " + r.Plan + " applied: " + strings.Join(append(lines, r.After.String()), "; ")
	if err := p.Recorder.Record(ctx, now, p.By, what, "positions without protection"); err != nil {
		return fmt.Errorf("the stops are as reported, but this is not recorded: %w", err)
	}
	return nil
}
