package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon"
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

	// Commit is --dry-run=false, and has to be said. Without it Apply checks
	// everything, as it would for the change, and changes nothing.
	Commit bool
}

// Result says what Apply did.
type Result struct {
	Plan    string // the plan's id
	Repairs int    // repairs made by this call; of a dry run, those that would be made
	Already bool   // the plan was applied before, and this call changed nothing
	DryRun  bool   // nothing was changed, since Approval.Commit was not said
}

// Apply makes all repairs of a plan in the book, or none. It reads the venue again
// and refuses a plan of which a fact has moved; the book checks its own rows inside
// the transaction. The approval is on the timeline before the book is touched. A plan
// that was applied before changes nothing, and Result.Already says so.
//
// It is a dry run unless Approval.Commit says otherwise: the plan, both sides' facts and
// the write gate are checked, and neither a name nor a Recorder is asked for.
//
// andon.ErrOutcomeUnknown says that the book gave no answer to the change: it was made or
// it was not. The same plan, applied again, settles it: it is refused as applied, or made.
//
// When the error is ErrNotRecorded and Result.Repairs is not zero, the repairs are made
// and only the outcome is missing from the timeline.
func (r *Reconciler) Apply(ctx context.Context, p *Plan, approval Approval, now time.Time) (Result, error) {
	result := Result{Plan: p.ID, DryRun: !approval.Commit}
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
	if err := r.mayWrite(p); err != nil {
		return result, err
	}
	if !approval.Commit {
		if err := r.tryBook(ctx, p); err != nil {
			return result, err
		}
		result.Repairs = len(p.Repairs)
		return result, nil
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
	if errors.Is(err, andon.ErrOutcomeUnknown) {
		err = fmt.Errorf("plan %s may have been applied, or not: %w: apply the same plan again, which settles it", p.ID, err)
		return result, errors.Join(err, r.record(ctx, now, approval, p, "may have been applied, or not, until the same plan is applied again: "+err.Error()))
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
	case approval.Commit && strings.TrimSpace(approval.By) == "":
		return fmt.Errorf("plan %s: %w", p.ID, ErrNotApproved)
	case approval.Commit && r.config.Recorder == nil:
		return fmt.Errorf("plan %s: approval %w: Config.Recorder is missing", p.ID, ErrNotRecorded)
	case p.Venue != r.config.Venue:
		return fmt.Errorf("plan %s is for venue %q, not for %q", p.ID, p.Venue, r.config.Venue)
	}
	return p.Verify()
}

// mayWrite asks the write gate.
func (r *Reconciler) mayWrite(p *Plan) error {
	if r.config.CheckWrite == nil {
		return nil
	}
	if err := r.config.CheckWrite(); err != nil {
		return fmt.Errorf("plan %s not applied: the book may not be written: %w", p.ID, err)
	}
	return nil
}

// tryBook makes the repairs on a copy of the book.
func (r *Reconciler) tryBook(ctx context.Context, p *Plan) error {
	records, err := r.config.Book.Read(ctx)
	if err != nil {
		return &QueryError{BookSide, "records", err}
	}
	if _, err := records.Edit(p.edits()); err != nil {
		return fmt.Errorf("plan %s would not be applied: %w", p.ID, err)
	}
	return nil
}

func (r *Reconciler) record(ctx context.Context, now time.Time, a Approval, p *Plan, outcome string) error {
	what := fmt.Sprintf("reconciliation of %s, %d repairs, %s: %s", p.Venue, len(p.Repairs), p.ID, outcome)
	if err := r.config.Recorder.Record(ctx, now, a.By, what, a.Note); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrNotRecorded, err)
	}
	return nil
}

func (p *Plan) transaction(now time.Time, a Approval) Transaction {
	return Transaction{ID: p.ID, At: now.UTC().Round(0), By: a.By, Note: a.Note, Edits: p.edits()}
}

func (p *Plan) edits() []Edit {
	var edits []Edit
	for _, repair := range p.Repairs {
		edits = append(edits, repair.Edit)
	}
	return edits
}

// checkFacts reads the venue again and compares what it says with the plan's facts.
func (r *Reconciler) checkFacts(ctx context.Context, p *Plan) error {
	a := r.readVenue(ctx)
	var gone []andon.Order // those of which only a look-up can tell
	for _, repair := range p.Repairs {
		if o := repair.Edit.Orders; o != nil && len(o.Before) > 0 {
			gone = append(gone, o.Before[0])
		}
	}
	r.lookUp(ctx, &a, gone, func(andon.Order) bool { return false })
	var errs []error
	for _, e := range a.failed() {
		errs = append(errs, e)
	}
	if len(errs) > 0 {
		return fmt.Errorf("plan %s not applied: %w", p.ID, errors.Join(errs...))
	}
	return r.check(p, a)
}

// check compares the plan's facts with these answers. What was not asked, because the
// Config does not say how, is not known and never "none".
func (r *Reconciler) check(p *Plan, a answers) error {
	now := a.byKey()
	for i, f := range p.Facts {
		says := now[f.Key].says()
		edit := p.Repairs[i].Edit
		switch f.Key.Subject {
		case Executions:
			if says == "none" {
				says = a.absent(edit, r.config.History != nil)
			}
		case LiveOrders:
			_, asked := a.found[f.Key]
			if r.config.Account == nil || says == "none" && !asked {
				says = "not known"
			}
		case Balances:
			if !r.config.Balances {
				says = "not known"
			}
		default:
			if r.config.Account == nil {
				says = "not known"
			}
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
	for key, o := range a.found {
		if o != nil {
			all[key] = Evidence{Orders: []andon.Order{*o}}
		}
	}
	for _, b := range a.balances {
		e := all[BalanceKey(b)]
		e.Balances = append(e.Balances, b)
		all[BalanceKey(b)] = e
	}
	orders := map[Key]*execution{}
	addReports(orders, a.reports)
	for key, o := range orders {
		all[key] = Evidence{Reports: o.reports}
	}
	return all
}
