package playbook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Deps is what a playbook needs of the bot that it is assembled for. Name, Dir, Store and
// Channels are required. Everything else may be left out: what cannot be done then, and
// which row of the playbook that is, Assembly.Missing says.
type Deps struct {
	// Name of the bot: of its state, and of its part of a shared store.
	Name string
	// Dir is the state directory: absolute, on a disk that outlives the process, and not
	// in /tmp.
	Dir string
	// Store is the timeline, such as package journal or pgstore. The caller closes it, once
	// Run has returned.
	Store incident.Store
	// Channels are the ways out, by the name that contacts use: email, telephone, webhook,
	// pagerduty.
	Channels map[string]notify.Notifier

	// Safety is what the bot wants of its switch. Name, Dir, Flags, Recorder, Log and
	// MeterProvider are filled in where they are empty; BeforeResume is called first, and
	// the books must agree with the venues after it.
	Safety safety.Config
	// Trips and Watchdog are opened on the switch. Nil: there are none.
	Trips    *safety.TripConfig
	Watchdog *safety.WatchdogConfig

	// Venues are the accounts, by the name that their rows carry. Empty: no position can be
	// closed or protected by a program.
	Venues map[string]safety.CloseVenue
	// Requirements say which stops count; Protection how missing ones are placed.
	Requirements safety.Requirements
	Protection   safety.ProtectionPolicy

	// Books are what is compared with the venues, by venue. Venue, Account, Cord, Memory,
	// CheckWrite, Recorder, Log and Meters are filled in where they are empty. What they
	// hold is what Closer takes for the bot's own.
	Books map[string]reconcile.Config

	// Targets are what is backed up, by component; History keeps the verdicts of restore
	// drills; Routines are those that differ from the defaults.
	Targets  map[recovery.Component]recovery.Target
	History  recovery.Storage
	Routines map[recovery.Component]recovery.Routine

	// Steps has the checks and actions of the recovery priority order, by the step's name.
	// Name, Purpose and Needs are the playbook's.
	Steps map[string]recovery.Step
	// Progress keeps how far a sequence is, across a crash.
	Progress recovery.Storage

	// Proofs prove the document's checklist items. NoErrorLogs, PositionsAccounted,
	// RiskLimitsEnforced and AlertsCleared are filled in where they are nil.
	Proofs recovery.Proofs
	// Checks prove the items that the document does not have, by their text; one without a
	// check is attested by a person.
	Checks map[string]recovery.Check

	// Probes measure indicators, by condition and by the component that they look at.
	Probes map[severity.Condition]map[string]detect.Probe
	// Logs are the log files that are followed. Defaults to the playbook's; empty and not
	// nil: none is.
	Logs []string

	// Evidence are the items that are preserved beside the playbook's paths, such as those of
	// evidence/host.
	Evidence []evidence.Item

	// Runbooks is what the runbooks act through. What the assembly has itself, the switch, the
	// venues, the books, the checklist and so on, is filled in where it is nil.
	Runbooks runbook.Deps

	// Resync makes good what was lost between an alert's source and the timeline, such as
	// alertmanager.Handler.Resync. It is called when Run begins and every ResyncEvery, which
	// defaults to 5 min; an error is logged, and tried again. Nil: nothing is.
	Resync      func(ctx context.Context, a *Assembly) error
	ResyncEvery time.Duration

	// Parts run beside the rest, by name, until Run ends: a control socket, a console. One
	// that ends before that stops everything, as any part does.
	Parts map[string]func(ctx context.Context, a *Assembly) error

	// StopWithin is how long each of the three rounds in which Run stops may take.
	// Defaults to 30 s.
	StopWithin time.Duration

	// Log receives what every part does. Defaults to slog.Default().
	Log *slog.Logger
	// Tracer and Meter are passed to every part. Default to OpenTelemetry's global ones.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

func (d Deps) withDefaults(p Playbook) Deps {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Logs == nil {
		d.Logs = []string{p.Files.Log}
	}
	if d.ResyncEvery == 0 {
		d.ResyncEvery = 5 * time.Minute
	}
	if d.StopWithin == 0 {
		d.StopWithin = 30 * time.Second
	}
	return d
}

func (d Deps) validate(p Playbook) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.Name == "" {
		add("Name is empty")
	}
	if !filepath.IsAbs(d.Dir) {
		add("Dir is %q, want an absolute path", d.Dir)
	}
	if d.Store == nil {
		add("Store is nil: there would be no timeline")
	}
	if len(d.Channels) == 0 {
		add("Channels is empty: nobody could be paged")
	}
	if d.ResyncEvery < 0 || d.StopWithin < 0 {
		add("ResyncEvery, StopWithin are %v and %v, want neither negative", d.ResyncEvery, d.StopWithin)
	}
	for _, venue := range slices.Sorted(maps.Keys(d.Venues)) {
		if d.Venues[venue].Venue == nil {
			add("Venues[%q].Venue is nil", venue)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(d.Probes)) {
		if _, ok := p.Indicators[c]; !ok {
			add("Probes[%q]: the playbook has no such indicator", c)
		}
		for _, component := range slices.Sorted(maps.Keys(d.Probes[c])) {
			if component == "" || d.Probes[c][component] == nil {
				add("Probes[%q][%q]: wants a component and a probe", c, component)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Steps)) {
		if !slices.ContainsFunc(p.Priority, func(s Priority) bool { return s.Name == name }) {
			add("Steps[%q]: the playbook has no such step", name)
		}
	}
	for _, item := range slices.Sorted(maps.Keys(d.Checks)) {
		if !slices.Contains(p.Checklist, item) {
			add("Checks[%q]: the checklist has no such item", item)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(d.Targets)) {
		if _, ok := p.Objectives[c]; !ok {
			add("Targets[%q]: the playbook has no objectives for it", c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Parts)) {
		if d.Parts[name] == nil {
			add("Parts[%q] is nil", name)
		}
	}
	return errors.Join(errs...)
}
