package playbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// source names the assembly in what it declares and starts.
const source = "playbook"

func (a *Assembly) buildRecovery(context.Context) (err error) {
	a.Catalog, err = recovery.NewCatalog(recovery.CatalogConfig{
		Objectives: a.Playbook.objectives(), Targets: a.deps.Targets, History: a.deps.History, Recorder: a.Incidents,
		Tracer: a.deps.Tracer, Meter: a.deps.Meter,
	})
	if err != nil {
		return err
	}
	if len(a.deps.Targets) > 0 {
		a.Scheduler, err = recovery.NewScheduler(recovery.SchedulerConfig{
			Catalog: a.Catalog, Routines: a.deps.Routines, OnCompliance: a.complied, Log: a.deps.Log,
		})
		if err != nil {
			return err
		}
	}
	var steps []recovery.Step
	for _, s := range a.Playbook.Priority {
		step := a.deps.Steps[s.Name]
		step.Name, step.Purpose, step.Needs = s.Name, s.Purpose, s.Needs
		steps = append(steps, step)
	}
	if len(steps) > 0 {
		a.Sequence, err = recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: a.Incidents, Progress: a.deps.Progress})
	}
	return err
}

// complied makes a signal of how a component stands against its objectives. One without a
// target can only be told, by Missing: it would be in breach for ever.
func (a *Assembly) complied(_ context.Context, c recovery.Compliance) {
	component := c.Objective.Component
	if a.deps.Targets[component] == nil {
		return
	}
	value := severity.Number(0)
	if !c.Met() {
		value = severity.Number(1)
	}
	name := a.Playbook.Indicators[ObjectiveMissed].Name
	err := a.Detector.Sample(detect.Sample{Indicator: name, Component: "backup/" + string(component), Value: value, Detail: strings.Join(c.Problems, "; ")})
	if err != nil {
		a.deps.Log.Error("a component's recovery objectives could not be judged", "component", component, "error", err)
	}
}

func (a *Assembly) buildDetector(context.Context) (err error) {
	var indicators []detect.Indicator
	for _, c := range slices.Sorted(maps.Keys(a.Playbook.Indicators)) {
		ind := a.Playbook.Indicators[c].detector(c)
		probes := a.probes(c)
		if len(probes) == 0 {
			indicators = append(indicators, ind)
		}
		for _, component := range slices.Sorted(maps.Keys(probes)) {
			indicators = append(indicators, ind.On(component, probes[component]))
		}
	}
	if len(a.deps.Logs) > 0 {
		a.Logs, err = detect.NewLogs(detect.LogsConfig{
			Files: a.deps.Logs, Patterns: a.Playbook.Patterns, Match: a.line,
			State: filepath.Join(a.deps.Dir, "logs.state"), Log: a.deps.Log,
		})
		if err != nil {
			return err
		}
		for i := range indicators {
			if indicators[i].Rule.Condition == severity.LoggingIssue && indicators[i].Probe == nil {
				indicators[i] = indicators[i].On("logs", a.Logs.Unread())
			}
		}
	}
	a.Detector, err = detect.New(detect.Config{Incidents: a.Incidents, Indicators: indicators, Log: a.deps.Log, MeterProvider: a.deps.Meter})
	return err
}

// probes are the bot's, and for the books how many mismatches with the venue are confirmed.
func (a *Assembly) probes(c severity.Condition) map[string]detect.Probe {
	probes := maps.Clone(a.deps.Probes[c])
	if c != severity.InconsistentPositions {
		return probes
	}
	if probes == nil {
		probes = map[string]detect.Probe{}
	}
	for venue, r := range a.Reconcilers {
		if probes["book/"+venue] != nil {
			continue
		}
		probes["book/"+venue] = detect.Counting(func(context.Context) (int, string, error) {
			var what []string
			for _, m := range r.Mismatches() {
				if m.Confirmed {
					what = append(what, m.String())
				}
			}
			return len(what), strings.Join(what, "; "), nil
		})
	}
	return probes
}

// lastError is when a line of the log last told of an error, for the checklist.
type lastError struct {
	mu    sync.Mutex
	since time.Time // from when on every line was read; zero: they are not followed
	at    time.Time
	line  string
}

// line is told of each line that matches a pattern.
func (a *Assembly) line(m detect.Match) {
	if m.Pattern == a.Playbook.Indicators[severity.RisingErrors].Name {
		a.errors.mu.Lock()
		a.errors.at, a.errors.line = m.At, m.File+": "+m.Line
		a.errors.mu.Unlock()
	}
	a.Detector.Line(m)
}

// quiet shows that no error was logged for a while, of which every line was read.
func (e *lastError) quiet(_ context.Context, window time.Duration) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch now := time.Now(); {
	case e.since.IsZero():
		return "", errors.New("the logs are not followed")
	case now.Sub(e.at) < window:
		return "", fmt.Errorf("an error was logged %v ago: %s", now.Sub(e.at).Round(time.Second), e.line)
	case now.Sub(e.since) < window:
		return "", fmt.Errorf("the logs are followed for %v only, look again in %v",
			now.Sub(e.since).Round(time.Second), (window - now.Sub(e.since)).Round(time.Second))
	}
	return fmt.Sprintf("no line tells of an error in the last %v", window), nil
}

func (a *Assembly) buildChecklist(context.Context) (err error) {
	if len(a.Playbook.Checklist) == 0 {
		return nil
	}
	proofs := a.deps.Proofs
	proofs.ErrorWindow = a.Playbook.Recovery.ErrorWindow
	if proofs.NoErrorLogs == nil && a.Logs != nil {
		proofs.NoErrorLogs = a.errors.quiet
	}
	if proofs.PositionsAccounted == nil && len(a.Reconcilers) > 0 {
		proofs.PositionsAccounted = a.agree
	}
	if proofs.RiskLimitsEnforced == nil {
		proofs.RiskLimitsEnforced = a.limited
	}
	if proofs.AlertsCleared == nil {
		proofs.AlertsCleared = a.cleared
	}
	known := map[string]recovery.Item{}
	for _, item := range recovery.ValidationItems(proofs) {
		known[item.Text] = item
	}
	var items []recovery.Item
	for _, text := range a.Playbook.Checklist {
		item, ok := known[text]
		if !ok {
			item = recovery.Item{Text: text, Check: a.deps.Checks[text], Attestable: a.deps.Checks[text] == nil}
		} else if check := a.deps.Checks[text]; check != nil {
			item.Check = check
		}
		items = append(items, item)
	}
	a.Checklist, err = recovery.NewChecklist(recovery.ChecklistConfig{Items: items, Recorder: a.Incidents})
	return err
}

// limited shows which limits the gate enforces.
func (a *Assembly) limited(context.Context) (string, error) {
	limits, n := a.Switch.Limits("").String(), len(a.deps.Safety.MaxPosition)+len(a.deps.Safety.SymbolLimits)
	if limits == "" && n == 0 {
		return "", errors.New("the gate has no limits: give Safety.Limits or Safety.MaxPosition")
	}
	return fmt.Sprintf("the gate enforces %q, and limits of %d symbols", limits, n), nil
}

// cleared shows that no indicator fires.
func (a *Assembly) cleared(context.Context) (string, error) {
	var firing []string
	all := a.Detector.Status()
	for _, s := range all {
		if s.Firing {
			firing = append(firing, s.Indicator+" of "+s.Component)
		}
	}
	for _, f := range a.Incidents.Firing() {
		firing = append(firing, f.Ref)
	}
	if len(firing) > 0 {
		return "", fmt.Errorf("still firing: %s", strings.Join(firing, ", "))
	}
	return fmt.Sprintf("none of %d indicators and no alert fires", len(all)), nil
}

func (a *Assembly) buildEvidence(context.Context) (err error) {
	if len(a.Playbook.Evidence.Recipients) == 0 {
		return nil
	}
	var items []evidence.Item
	if paths := a.Playbook.Evidence.Paths; len(paths) > 0 {
		items = append(items, evidence.Files("files", paths...))
	}
	a.Evidence, err = evidence.New(evidence.Config{
		Dir: a.Playbook.Files.Incidents, Recipients: a.Playbook.Evidence.Recipients, Place: a.Playbook.Evidence.Place,
		Items: append(items, a.deps.Evidence...), Recorder: a.Incidents, Log: a.deps.Log,
	})
	return err
}

// steps is what the runbooks act through: the bot's, and what the assembly has itself.
func (a *Assembly) steps() runbook.Deps {
	d := a.deps.Runbooks
	if d.Cord == nil {
		d.Cord = a.Switch
	}
	if d.ReadOnlyFlag == "" {
		d.ReadOnlyFlag = a.Playbook.Files.ReadOnly
	}
	if d.Venues == nil && len(a.deps.Venues) > 0 {
		d.Venues = map[string]andon.Venue{}
		for name, v := range a.deps.Venues {
			d.Venues[name] = v.Venue
		}
	}
	if d.Requirements == (safety.Requirements{}) {
		d.Requirements = a.deps.Requirements
	}
	if d.Protection.Distance.IsZero() {
		d.Protection = a.deps.Protection
	}
	if d.Closer == nil && a.Closer != nil {
		d.Closer = a.Closer
	}
	if d.Recorder == nil {
		d.Recorder = a.Incidents
	}
	if d.Books == nil && len(a.Reconcilers) > 0 {
		d.Books = map[string]runbook.Reconciler{}
		for venue, r := range a.Reconcilers {
			d.Books[venue] = r
		}
	}
	if t := a.deps.Targets[recovery.PositionDatabase]; d.Backups == nil && t != nil {
		d.Backups = t
	}
	if d.Sequence == nil && a.Sequence != nil && len(a.deps.Steps) > 0 {
		d.Sequence = a.Sequence
	}
	if d.Checklist == nil && a.Checklist != nil {
		d.Checklist = a.Checklist
	}
	if d.Evidence == nil && a.Evidence != nil {
		d.Evidence = evidence.Vault{Collector: a.Evidence}
	}
	if d.Notify.Alert.Do == nil {
		d.Notify.Alert = runbook.Action{Do: a.alerted, Again: true}
	}
	if d.SuspiciousFile == "" {
		d.SuspiciousFile = a.Playbook.Files.Suspicious
	}
	if d.Whitelist == "" {
		d.Whitelist = strings.Join(a.Playbook.Settings.Whitelist, ",")
	}
	if d.Resources == (runbook.Resources{}) {
		d.Resources = a.Playbook.Settings.Resources
	}
	d.WatchFor, d.WatchEvery = a.Playbook.Recovery.WatchFor, a.Playbook.Recovery.WatchEvery
	return d
}

// alerted shows that somebody was told: the manager sends the initial alert by itself.
func (a *Assembly) alerted(_ context.Context, c runbook.Call) (string, error) {
	in, err := a.Incidents.Get(c.Incident)
	if err != nil {
		return "", err
	}
	if in.FirstPageAt.IsZero() {
		return "", errors.New("no channel has accepted the initial alert yet: the manager goes on trying")
	}
	return fmt.Sprintf("the initial alert was accepted at %s", in.FirstPageAt.Format(time.RFC3339)), nil
}

func (a *Assembly) buildRunbooks(ctx context.Context) (err error) {
	a.Steps = a.steps()
	books, err := runbook.Playbook(a.Steps)
	if err != nil || len(books) == 0 {
		return err
	}
	for name, cfg := range a.Playbook.Runbooks {
		if len(cfg.Start) > 0 && !slices.ContainsFunc(books, func(b runbook.Runbook) bool { return b.Name == name }) {
			return fmt.Errorf("Runbooks[%q]: there is no such runbook to start", name)
		}
	}
	a.Runbooks, err = runbook.New(ctx, runbook.Config{Incidents: a.Incidents, Runbooks: books, Log: a.deps.Log})
	return err
}

// Prove runs the checklist for by, and puts what it proves on the timeline of an incident.
// The error joins an *recovery.UnprovenError for each item that is not proven, and what could
// not be recorded.
func (a *Assembly) Prove(ctx context.Context, number, by string) error {
	if a.Checklist == nil {
		return nil
	}
	in, err := a.Incidents.Get(number)
	if err != nil {
		return err
	}
	if in.Status == incident.Closed {
		return fmt.Errorf("%s: %w", number, incident.ErrResolved)
	}
	errs := []error{a.Checklist.Run(ctx, by)}
	for _, r := range a.Checklist.Results() {
		if r.Proven {
			errs = append(errs, a.Incidents.Prove(ctx, number, r.By, r.Text, r.Evidence, r.Attested))
		}
	}
	return errors.Join(errs...)
}
