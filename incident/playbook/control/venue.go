package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/safety"
)

// ReadPositions reads every venue, side by side, and says of each what it holds and whether
// it is protected. It is what the server answers, for a command line without a bot.
func ReadPositions(ctx context.Context, venues map[string]andon.Venue, req safety.Requirements) []Positions {
	names := slices.Sorted(maps.Keys(venues))
	out := make([]Positions, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { out[i] = readPositions(ctx, name, venues[name], req) })
	}
	wg.Wait()
	return out
}

func readPositions(ctx context.Context, name string, v andon.Venue, req safety.Requirements) Positions {
	p := Positions{Venue: name, Positions: []andon.Position{}}
	rows, err := v.Positions(ctx)
	if err != nil {
		p.Problem = fmt.Sprintf("positions are not known: %v", err)
		return p
	}
	for _, row := range rows {
		if !row.Quantity.IsZero() {
			p.Positions = append(p.Positions, row)
		}
	}
	orders, err := v.Orders(ctx)
	if err != nil {
		p.Problem = fmt.Sprintf("orders are not known, so neither is protection: %v", err)
		return p
	}
	p.Orders = len(orders)
	p.Flat = len(p.Positions) == 0 && len(orders) == 0
	report := safety.CheckProtection(rows, orders, req, time.Now())
	p.Protected, p.Detail = report.Protected(), report.String()
	return p
}

// Protect plans the stops that are missing on every venue of d, and places them where commit
// says so, in the name of by. It is what the server answers, for a command line without a
// bot.
func Protect(ctx context.Context, d runbook.Deps, by string, commit bool) []Protection {
	var out []Protection
	for _, name := range slices.Sorted(maps.Keys(d.Venues)) {
		p := Protection{Venue: name}
		if err := protect(ctx, d, d.Venues[name], by, commit, &p); err != nil {
			p.Problem = err.Error()
		}
		out = append(out, p)
	}
	return out
}

func protect(ctx context.Context, d runbook.Deps, v andon.Venue, by string, commit bool, p *Protection) error {
	report, err := safety.ReadProtection(ctx, v, d.Requirements, time.Now())
	if err != nil {
		return fmt.Errorf("not known what is protected: %w", err)
	}
	if p.Plan, err = safety.PlanProtection(report, d.Protection); err != nil {
		return err
	}
	var text strings.Builder
	if err := p.Plan.WriteTable(&text); err != nil {
		return err
	}
	p.Text, p.After, p.Good = text.String(), report.String(), report.Protected()
	if !commit || len(p.Plan.Steps) == 0 {
		return nil
	}
	r, err := safety.Protector{Venue: v, Gate: d.Cord, Recorder: d.Recorder, By: by}.Apply(ctx, p.Plan, time.Now())
	for _, step := range r.Steps {
		if step.Outcome == safety.ProtectPlaced {
			p.Placed++
		}
	}
	p.After, p.Good = r.After.String(), r.After.Protected()
	return err
}

// Compare compares one book with its venue.
func Compare(ctx context.Context, venue string, b runbook.Reconciler) Comparison {
	c := Comparison{Venue: venue}
	report, err := b.Compare(ctx, time.Now())
	if err != nil {
		c.Problem = err.Error()
	}
	if report == nil {
		return c
	}
	var text strings.Builder
	if err := report.WriteTable(&text); err != nil {
		c.Problem = errors.Join(errors.New(c.Problem), err).Error()
	}
	c.Text, c.Clean = text.String(), err == nil && report.Clean()
	if plan, err := report.Plan(); err == nil {
		c.Plan = plan
	}
	return c
}

// Apply applies a plan to the book, or tries it.
func Apply(ctx context.Context, b runbook.Reconciler, plan reconcile.Plan, approval reconcile.Approval) (reconcile.Result, error) {
	r, err := b.Apply(ctx, &plan, approval, time.Now())
	switch {
	case err == nil:
	case errors.Is(err, andon.ErrOutcomeUnknown):
		err = as(ErrOutcome, err)
	case errors.Is(err, reconcile.ErrNotApproved), errors.Is(err, reconcile.ErrAltered), errors.Is(err, reconcile.ErrMoved), errors.Is(err, safety.ErrDenied):
		err = as(ErrRefused, err)
	}
	return r, err
}
