package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNotApproved says that no named person stands behind a plan.
	ErrNotApproved = errors.New("not approved by a named person")

	// ErrNotRecorded says that an approval could not be put on the timeline, so
	// that nothing was done.
	ErrNotRecorded = errors.New("cannot be recorded")
)

// Approval is a person's word that a plan is to be applied.
type Approval struct {
	By   string // the person's name; required
	Note string // why, in the person's own words
}

// Result says what Apply did.
type Result struct {
	Plan    string // the plan's id
	Repairs int    // repairs made by this call
	Already bool   // the plan was applied before, and this call changed nothing
}

// Apply makes all repairs of a plan in the book, or none. It reads the venue again
// and refuses a plan of which a fact has moved; the book checks its own rows inside
// the transaction. The approval is on the timeline before the book is touched. A plan
// that was applied before changes nothing, and Result.Already says so.
//
// When the error is ErrNotRecorded and Result.Repairs is not zero, the repairs are made
// and only the outcome is missing from the timeline.
func (r *Reconciler) Apply(ctx context.Context, p *Plan, approval Approval, now time.Time) (Result, error) {
	result := Result{Plan: p.ID}
	if err := r.admit(p, approval); err != nil {
		return result, err
	}
	switch done, err := r.config.Book.Applied(ctx, p.ID); {
	case err != nil:
		return result, &QueryError{BookSide, "applied plans", err}
	case done:
		result.Already = true
		return result, nil
	case p.Empty():
		return result, nil
	}
	if err := r.checkFacts(ctx, p); err != nil {
		return result, err
	}
	if err := r.record(ctx, now, approval, p, "approved, about to be applied"); err != nil {
		return result, err
	}
	err := r.config.Book.Apply(ctx, p.transaction(now, approval))
	ctx = context.WithoutCancel(ctx) // what was done, or not done, goes on the timeline
	if errors.Is(err, ErrApplied) {  // by somebody else, just now
		result.Already = true
		return result, r.record(ctx, now, approval, p, "was applied already, nothing changed")
	}
	if err != nil {
		err = fmt.Errorf("plan %s not applied: %w", p.ID, err)
		return result, errors.Join(err, r.record(ctx, now, approval, p, "not applied: "+err.Error()))
	}
	result.Repairs = len(p.Repairs)
	return result, r.record(ctx, now, approval, p, "applied")
}

func (r *Reconciler) admit(p *Plan, approval Approval) error {
	switch {
	case strings.TrimSpace(approval.By) == "":
		return fmt.Errorf("plan %s: %w", p.ID, ErrNotApproved)
	case r.config.Recorder == nil:
		return fmt.Errorf("plan %s: approval %w: Config.Recorder is missing", p.ID, ErrNotRecorded)
	case p.Venue != r.config.Venue:
		return fmt.Errorf("plan %s is for venue %q, not for %q", p.ID, p.Venue, r.config.Venue)
	}
	return p.Verify()
}

func (r *Reconciler) record(ctx context.Context, now time.Time, a Approval, p *Plan, outcome string) error {
	what := fmt.Sprintf("reconciliation of %s, %d repairs, %s: %s", p.Venue, len(p.Repairs), p.ID, outcome)
	if err := r.config.Recorder.Record(ctx, now, a.By, what, a.Note); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrNotRecorded, err)
	}
	return nil
}

func (p *Plan) transaction(now time.Time, a Approval) Transaction {
	tx := Transaction{ID: p.ID, At: now.UTC().Round(0), By: a.By, Note: a.Note}
	for _, repair := range p.Repairs {
		tx.Edits = append(tx.Edits, repair.Edit)
	}
	return tx
}

// checkFacts reads the venue again and compares what it says with the plan's facts.
func (r *Reconciler) checkFacts(ctx context.Context, p *Plan) error {
	a := r.readVenue(ctx)
	if a.positionsErr == nil && a.ordersErr == nil && a.reportsErr == nil {
		return a.check(p, r.config.Account != nil, r.config.History != nil)
	}
	var errs []error
	for _, e := range a.failed() {
		errs = append(errs, e)
	}
	return fmt.Errorf("plan %s not applied: %w", p.ID, errors.Join(errs...))
}

// check compares the plan's facts with these answers. What was not asked, because the
// Reconciler has no account or no history, is not known and never "none".
func (a answers) check(p *Plan, account, history bool) error {
	now := a.byKey()
	for i, f := range p.Facts {
		says := now[f.Key].says()
		switch {
		case f.Key.Subject == Executions && says == "none":
			says = a.absent(p.Repairs[i].Edit, history)
		case f.Key.Subject != Executions && !account:
			says = "not known"
		}
		if says != f.Says {
			return fmt.Errorf("plan %s not applied: %w", p.ID, &MovedError{VenueSide, f.Key, f.Says, says})
		}
	}
	return nil
}

// absent says what it means that the venue's list of done orders has not this one.
func (a answers) absent(e Edit, history bool) string {
	if !history || e.Fills == nil || !a.window.coversAll(e.Fills.Before) {
		return "not known"
	}
	return "none"
}

// byKey gathers all that the venue said as evidence, in the same order and without
// the same repeats as a comparison does.
func (a answers) byKey() map[Key]Evidence {
	all := map[Key]Evidence{}
	for _, p := range a.positions {
		e := all[PositionKey(p.Key())]
		e.Positions = append(e.Positions, p)
		all[PositionKey(p.Key())] = e
	}
	for _, o := range a.orders {
		e := all[OrderKey(o)]
		e.Orders = append(e.Orders, o)
		all[OrderKey(o)] = e
	}
	orders := map[Key]*execution{}
	addReports(orders, a.reports)
	for key, o := range orders {
		all[key] = Evidence{Reports: o.reports}
	}
	return all
}
