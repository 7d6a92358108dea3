package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/safety"
)

func missing(what string) error {
	return as(ErrNotWired, fmt.Errorf("%s: %w", what, ErrNotWired))
}

// named refuses what has no person or no reason.
func named(by, why string) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(why) == "" {
		return as(ErrBad, errors.New("it needs a named person and a reason"))
	}
	return nil
}

// stop closes the gate at once. Nothing is refused for its form: what cannot be read of a
// request is no reason not to stop.
func (s *Server) stop(ctx context.Context, body []byte) (any, error) {
	var req stopReq
	if err := json.Unmarshal(body, &req); err != nil {
		s.cfg.Log.Warn("control: a stop could not be read whole, and is done all the same", "err", err)
	}
	r, err := s.cfg.Switch.Halt(ctx, req.By, req.Why)
	out := Stopped{
		State: s.cfg.Switch.State(), Hold: r.Hold, Closed: r.Closed, Durable: err == nil && r.Durable > 0, InFlight: nonNil(r.InFlight),
	}
	if err != nil {
		out.Problem = err.Error()
	}
	return out, nil
}

func (s *Server) resume(ctx context.Context, req resumeReq) (Status, error) {
	if err := named(req.By, req.Note); err != nil {
		return Status{}, err
	}
	var seen []safety.Hold
	for _, h := range s.cfg.Switch.Status().Holds {
		if slices.Contains(req.Seen, h.ID) {
			seen = append(seen, h)
		}
	}
	if err := s.cfg.Switch.Resume(ctx, req.By, req.Note, seen); err != nil {
		return Status{}, as(ErrRefused, err)
	}
	return s.status(ctx, none{})
}

func (s *Server) status(context.Context, none) (Status, error) {
	st := s.cfg.Switch.Status()
	out := Status{
		Name: s.cfg.Name, State: st.State, Holds: nonNil(st.Holds), InFlight: st.InFlight, Unresolved: nonNil(st.Unresolved),
		Resumed: st.Resumed, Durable: st.Durable, PID: os.Getpid(), Flags: []Flag{}, Incidents: []Incident{}, Runs: []Run{},
		Commands: slices.Sorted(maps.Keys(s.commands)),
	}
	for _, h := range st.Holds {
		if h.Passing {
			out.Passing = append(out.Passing, h.ID)
		}
	}
	if err := s.cfg.Switch.CheckWrite(); err != nil {
		out.Writes = err.Error()
	}
	for _, f := range st.Flags {
		v := Flag{Path: f.Path, Watched: f.Resolved, Present: f.Present}
		if f.Err != nil {
			v.Problem = f.Err.Error()
		}
		out.Flags = append(out.Flags, v)
	}
	if s.cfg.Incidents != nil {
		for _, in := range s.cfg.Incidents.Open() {
			out.Incidents = append(out.Incidents, view(in))
		}
	}
	if s.cfg.Runbooks != nil {
		for _, r := range s.cfg.Runbooks.All() {
			if r.Ended.IsZero() {
				v := viewRun(r)
				v.Steps = []Step{}
				out.Runs = append(out.Runs, v)
			}
		}
	}
	return out, nil
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// positions reads every venue; one that does not answer costs the others nothing.
func (s *Server) positions(ctx context.Context, _ none) ([]Positions, error) {
	if len(s.cfg.Steps.Venues) == 0 {
		return nil, missing("the venues")
	}
	return ReadPositions(ctx, s.cfg.Steps.Venues, s.cfg.Steps.Requirements), nil
}

func (s *Server) closePlan(ctx context.Context, req closePlanReq) (safety.ClosePlan, error) {
	if s.cfg.Steps.Closer == nil {
		return safety.ClosePlan{}, missing("closing positions")
	}
	return s.cfg.Steps.Closer.Plan(ctx, time.Now(), req.Foreign...)
}

// closeAll answers with the report whatever came of it.
func (s *Server) closeAll(ctx context.Context, req closeReq) (safety.CloseReport, error) {
	if s.cfg.Steps.Closer == nil {
		return safety.CloseReport{}, missing("closing positions")
	}
	r, err := s.cfg.Steps.Closer.Apply(ctx, req.Plan, safety.Confirmation{By: req.By, Note: req.Note, Token: req.Token}, time.Now())
	switch {
	case errors.Is(err, safety.ErrNotConfirmed), errors.Is(err, safety.ErrPlanAltered):
		err = as(ErrRefused, err)
	case err != nil:
		err = &detailed{as(ErrUnwell, err), r}
	}
	return r, err
}

func (s *Server) protect(ctx context.Context, req protectReq) ([]Protection, error) {
	d := s.cfg.Steps
	switch {
	case len(d.Venues) == 0:
		return nil, missing("the venues")
	case d.Protection.Distance.IsZero():
		return nil, missing("the distance of stops (Protection.Distance)")
	case req.Commit:
		if err := named(req.By, "asked for"); err != nil {
			return nil, err
		}
		if d.Recorder == nil || d.Cord == nil {
			return nil, missing("the timeline")
		}
	}
	return Protect(ctx, d, req.By, req.Commit), nil
}

// books are those of one exchange, or all of them.
func (s *Server) books(exchange string) (map[string]runbook.Reconciler, error) {
	if len(s.cfg.Steps.Books) == 0 {
		return nil, missing("the book")
	}
	if exchange == "" {
		return s.cfg.Steps.Books, nil
	}
	b, ok := s.cfg.Steps.Books[exchange]
	if !ok {
		return nil, as(ErrBad, fmt.Errorf("there is no book of exchange %q: it is one of %q", exchange, slices.Sorted(maps.Keys(s.cfg.Steps.Books))))
	}
	return map[string]runbook.Reconciler{exchange: b}, nil
}

func (s *Server) reconcile(ctx context.Context, req exchangeReq) ([]Comparison, error) {
	books, err := s.books(req.Exchange)
	if err != nil {
		return nil, err
	}
	out := []Comparison{}
	for _, venue := range slices.Sorted(maps.Keys(books)) {
		out = append(out, Compare(ctx, venue, books[venue]))
	}
	return out, nil
}

func (s *Server) apply(ctx context.Context, req applyReq) (reconcile.Result, error) {
	books, err := s.books(req.Exchange)
	if err != nil {
		return reconcile.Result{}, err
	}
	b, ok := books[req.Plan.Venue]
	if !ok {
		return reconcile.Result{}, as(ErrBad, fmt.Errorf("the plan is for exchange %q", req.Plan.Venue))
	}
	return Apply(ctx, b, req.Plan, reconcile.Approval{By: req.By, Note: req.Note, Commit: req.Commit})
}
