package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/postmortem"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/severity"
)

// judged gives an error of the manager or of the runbooks its kind.
func judged(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, incident.ErrRecordUnknown):
		return as(ErrOutcome, err)
	case errors.Is(err, incident.ErrUnknown), errors.Is(err, incident.ErrUnnamed), errors.Is(err, incident.ErrEvent), errors.Is(err, runbook.ErrUnknownRun):
		return as(ErrBad, err)
	case errors.Is(err, incident.ErrResolved), errors.Is(err, incident.ErrOpen), errors.Is(err, incident.ErrUnproven), errors.Is(err, incident.ErrNotRecorded),
		errors.Is(err, runbook.ErrState), errors.Is(err, runbook.ErrWaiting):
		return as(ErrRefused, err)
	}
	return err
}

// declare never refuses what stops or pages: beside the incident stands what could not be
// confirmed.
func (s *Server) declare(ctx context.Context, req declareReq) (Incident, error) {
	if s.cfg.Incidents == nil {
		return Incident{}, missing("the timeline")
	}
	in, err := s.cfg.Incidents.Declare(ctx, req.By, req.Summary, severity.Signal{
		Condition: severity.Condition(req.Condition), Component: req.Component, At: time.Now(), Source: "operator", Detail: req.Summary,
	})
	if err != nil && in.Number == "" {
		return Incident{}, err
	}
	v := view(in)
	if err != nil {
		v.Problem = err.Error()
	}
	return v, nil
}

// of answers with an incident after something was done to it.
func (s *Server) of(number string, do func(m *incident.Manager) error) (Incident, error) {
	m := s.cfg.Incidents
	if m == nil {
		return Incident{}, missing("the timeline")
	}
	if err := judged(do(m)); err != nil {
		return Incident{}, err
	}
	in, err := m.Get(number)
	if err != nil {
		return Incident{}, judged(err)
	}
	v := view(in)
	if v.Unproven, err = m.Unproven(number); err != nil {
		v.Problem = err.Error()
	}
	return v, nil
}

// held is of for what holds although the store does not answer: the incident says so, as a
// declared one does.
func (s *Server) held(number string, do func(m *incident.Manager) error) (Incident, error) {
	var unrecorded error
	v, err := s.of(number, func(m *incident.Manager) error {
		err := do(m)
		if errors.Is(err, incident.ErrNotRecorded) {
			unrecorded, err = err, nil
		}
		return err
	})
	if err == nil && unrecorded != nil {
		v.Problem = unrecorded.Error()
	}
	return v, err
}

func (s *Server) acknowledge(ctx context.Context, req incidentReq) (Incident, error) {
	return s.held(req.Number, func(m *incident.Manager) error { return m.Acknowledge(ctx, req.Number, req.By) })
}

func (s *Server) update(ctx context.Context, req updateReq) (Incident, error) {
	return s.held(req.Number, func(m *incident.Manager) error { return m.Update(ctx, req.Number, req.By, req.Update) })
}

// resolve runs the checklist first, so that what a machine can see is proven by it.
func (s *Server) resolve(ctx context.Context, req resolveReq) (Incident, error) {
	return s.of(req.Number, func(m *incident.Manager) error {
		var unproven error
		if s.cfg.Prove != nil {
			unproven = s.cfg.Prove(ctx, req.Number, req.By)
		}
		err := m.Resolve(ctx, req.Number, incident.Resolution{
			By: req.By, Note: req.Note, RootCause: req.RootCause, Despite: req.Despite, PostMortem: req.PostMortem,
		})
		if errors.Is(err, incident.ErrUnproven) {
			return errors.Join(err, unproven)
		}
		return err
	})
}

// attest proves an item of the checklist by a person's word.
func (s *Server) attest(ctx context.Context, req stepReq) (Incident, error) {
	if err := named(req.By, req.Why); err != nil {
		return Incident{}, err
	}
	return s.held(req.ID, func(m *incident.Manager) error { return m.Prove(ctx, req.ID, req.By, req.Step, req.Why, true) })
}

func (s *Server) incidents(context.Context, none) ([]Incident, error) {
	if s.cfg.Incidents == nil {
		return nil, missing("the timeline")
	}
	out := []Incident{}
	for _, in := range s.cfg.Incidents.All() {
		out = append(out, view(in))
	}
	return out, nil
}

func (s *Server) timeline(ctx context.Context, req incidentReq) ([]Event, error) {
	if s.cfg.Incidents == nil {
		return nil, missing("the timeline")
	}
	events, err := s.cfg.Incidents.Timeline(ctx, req.Number)
	if err != nil {
		return nil, judged(err)
	}
	if req.Number != "" && len(events) == 0 {
		return nil, as(ErrBad, fmt.Errorf("timeline of %q: %w", req.Number, incident.ErrUnknown))
	}
	out := []Event{}
	for _, e := range events {
		out = append(out, Event{Seq: e.Seq, At: e.At, Incident: e.Incident, Kind: string(e.Kind), By: e.By, What: e.What, Why: e.Why})
	}
	return out, nil
}

func (s *Server) postmortem(ctx context.Context, req postmortemReq) (PostMortem, error) {
	if s.cfg.Incidents == nil {
		return PostMortem{}, missing("the timeline")
	}
	events, err := s.cfg.Incidents.Timeline(ctx, req.Number)
	if err != nil {
		return PostMortem{}, judged(err)
	}
	return WritePostMortem(req.Number, events, req.Before, time.Now())
}

// WritePostMortem writes the report on an incident, with what people wrote into the one
// before, which may be empty. It is what the server answers, for a command line without a
// bot.
func WritePostMortem(number string, events []incident.Event, before string, now time.Time) (PostMortem, error) {
	r, err := postmortem.New(number, events, now)
	if err != nil {
		return PostMortem{}, judged(err)
	}
	if before != "" {
		if r.Text, err = postmortem.Read(before); err != nil {
			return PostMortem{}, as(ErrRefused, err)
		}
	}
	page, err := r.HTML()
	if err != nil {
		return PostMortem{}, err
	}
	p := PostMortem{Markdown: r.Markdown(), HTML: page, Waiting: []string{}}
	for _, place := range r.Waiting() {
		p.Waiting = append(p.Waiting, string(place))
	}
	return p, nil
}

func (s *Server) runPlan(ctx context.Context, req runbookReq) ([]Step, error) {
	if s.cfg.Runbooks == nil {
		return nil, missing("the runbooks")
	}
	planned, err := s.cfg.Runbooks.Plan(ctx, req.Runbook, req.Number, req.By, req.Params)
	if err != nil {
		return nil, judged(err)
	}
	out := []Step{}
	for _, p := range planned {
		step := Step{Name: p.Step, Purpose: p.Purpose, Commands: p.Commands, Plan: p.Plan}
		switch p.Approval {
		case runbook.None:
		case runbook.One:
			step.Approval = "one person"
		default:
			step.Approval = "two different people"
		}
		if p.Err != nil {
			step.Problem = p.Err.Error()
		}
		out = append(out, step)
	}
	return out, nil
}

func (s *Server) runStart(ctx context.Context, req runbookReq) (Run, error) {
	if s.cfg.Runbooks == nil {
		return Run{}, missing("the runbooks")
	}
	if err := named(req.By, req.Why); err != nil {
		return Run{}, err
	}
	id, err := s.cfg.Runbooks.Start(ctx, req.Runbook, req.Number, req.By, req.Why, req.Params)
	if err != nil {
		return Run{}, judged(err)
	}
	return s.runGet(ctx, stepReq{ID: id})
}

func (s *Server) runGet(_ context.Context, req stepReq) (Run, error) {
	if s.cfg.Runbooks == nil {
		return Run{}, missing("the runbooks")
	}
	r, err := s.cfg.Runbooks.Get(req.ID)
	if err != nil {
		return Run{}, as(ErrBad, err)
	}
	return viewRun(r), nil
}

func (s *Server) runList(context.Context, none) ([]Run, error) {
	if s.cfg.Runbooks == nil {
		return nil, missing("the runbooks")
	}
	out := []Run{}
	for _, r := range s.cfg.Runbooks.All() {
		out = append(out, viewRun(r))
	}
	return out, nil
}

func (s *Server) runStep(ctx context.Context, req stepReq) (Run, error) {
	e := s.cfg.Runbooks
	if e == nil {
		return Run{}, missing("the runbooks")
	}
	if err := named(req.By, req.Why); err != nil {
		return Run{}, err
	}
	var err error
	switch req.Action {
	case "approve":
		err = e.Approve(ctx, req.ID, req.Step, req.By, req.Why)
	case "attest":
		err = e.Attest(ctx, req.ID, req.Step, req.By, req.Why)
	case "retry":
		err = e.Retry(ctx, req.ID, req.Step, req.By, req.Why)
	case "skip":
		err = e.Skip(ctx, req.ID, req.Step, req.By, req.Why)
	case "abort":
		err = e.Abort(ctx, req.ID, req.By, req.Why)
	default:
		err = as(ErrBad, fmt.Errorf("action %q is none of approve, attest, retry, skip, abort", req.Action))
	}
	if err != nil {
		return Run{}, judged(err)
	}
	return s.runGet(ctx, req)
}

func (s *Server) collect(ctx context.Context, req evidenceReq) (Archive, error) {
	if s.cfg.Evidence == nil {
		return Archive{}, missing("evidence (its recipients)")
	}
	if err := named(req.By, req.Why); err != nil {
		return Archive{}, err
	}
	a, err := s.cfg.Evidence.Collect(ctx, req.By, req.Incident, req.Why)
	if err != nil && a.Path == "" {
		return Archive{}, err
	}
	out := Archive{Path: a.Path, SHA256: a.SHA256, Size: a.Size, Entries: len(a.Manifest.Entries)}
	if len(a.Manifest.Problems) > 0 {
		problems, jerr := json.Marshal(a.Manifest.Problems)
		out.Problems, err = problems, errors.Join(err, jerr)
	}
	if err != nil {
		err = &detailed{err, out}
	}
	return out, err
}

func (s *Server) backup(ctx context.Context, req componentReq) (recovery.Backup, error) {
	switch {
	case s.cfg.Catalog != nil:
		b, err := s.cfg.Catalog.Backup(ctx, req.Component, time.Now())
		return b, targeted(err)
	case s.cfg.Steps.Backups != nil:
		b, err := s.cfg.Steps.Backups.Backup(ctx, time.Now())
		if err != nil {
			return b, err
		}
		return s.cfg.Steps.Backups.Verify(ctx, b.Name, time.Now())
	}
	return recovery.Backup{}, missing("backups")
}

func (s *Server) backups(ctx context.Context, req componentReq) ([]recovery.Backup, error) {
	switch {
	case s.cfg.Catalog != nil:
		all, err := s.cfg.Catalog.Backups(ctx, req.Component)
		return nonNil(all), targeted(err)
	case s.cfg.Steps.Backups != nil:
		all, err := s.cfg.Steps.Backups.Backups(ctx)
		return nonNil(all), err
	}
	return nil, missing("backups")
}

func (s *Server) drill(ctx context.Context, req componentReq) (recovery.Drill, error) {
	if s.cfg.Catalog == nil {
		return recovery.Drill{}, missing("restore drills")
	}
	if err := named(req.By, "drill"); err != nil {
		return recovery.Drill{}, err
	}
	d, err := s.cfg.Catalog.Drill(ctx, req.Component, req.By, time.Now())
	switch {
	case errors.Is(err, recovery.ErrNoTarget):
		err = targeted(err)
	case errors.Is(err, recovery.ErrUnproven):
		err = &detailed{as(ErrUnwell, err), d}
	}
	return d, err
}

// targeted says of a component that nothing backs up that it is not wired.
func targeted(err error) error {
	if errors.Is(err, recovery.ErrNoTarget) {
		return as(ErrNotWired, err)
	}
	return err
}

func (s *Server) record(ctx context.Context, req recordReq) (none, error) {
	if s.cfg.Incidents == nil {
		return none{}, missing("the timeline")
	}
	return none{}, judged(s.cfg.Incidents.Record(ctx, req.At, req.Who, req.What, req.Why))
}

func (s *Server) rotate(ctx context.Context, req changeReq) (looked, error) {
	c := s.cfg.Steps.Credentials
	if c == nil {
		return looked{}, missing("credentials")
	}
	if !req.Commit {
		text, err := c.Preview(ctx, req.What)
		return looked{text}, err
	}
	if err := named(req.By, req.Why); err != nil {
		return looked{}, err
	}
	text, err := c.Rotate(ctx, req.Key, req.By, req.Why, req.What)
	return looked{text}, err
}

func (s *Server) rollback(ctx context.Context, req changeReq) (looked, error) {
	r := s.cfg.Steps.Releases
	if r == nil {
		return looked{}, missing("releases")
	}
	if !req.Commit {
		text, err := r.Preview(ctx, req.What)
		return looked{text}, err
	}
	if err := named(req.By, req.Why); err != nil {
		return looked{}, err
	}
	text, err := r.Deploy(ctx, req.Key, req.By, req.Why, req.What)
	return looked{text}, err
}
