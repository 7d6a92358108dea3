package playbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// Assembly is a playbook that runs: every engine of this library, wired for one bot. Its
// fields are read and never set; each engine is safe for concurrent use.
type Assembly struct {
	Playbook   Playbook
	Classifier severity.Classifier
	Directory  notify.Directory

	Switch    *safety.Switch
	Trips     *safety.Trips    // nil without Deps.Trips
	Watchdog  *safety.Watchdog // nil without Deps.Watchdog
	Closer    *safety.Closer   // nil without Deps.Venues
	Courier   *notify.Courier
	Incidents *incident.Manager

	Reconcilers map[string]*reconcile.Reconciler // by venue
	Catalog     *recovery.Catalog
	Scheduler   *recovery.Scheduler // nil without Deps.Targets
	Sequence    *recovery.Sequence
	Checklist   *recovery.Checklist

	Detector *detect.Detector
	Logs     *detect.Logs        // nil where Deps.Logs is empty
	Evidence *evidence.Collector // nil without Evidence.Recipients
	Runbooks *runbook.Engine     // the four runbooks and the four quick fixes
	Steps    runbook.Deps        // what they act through, with what was filled in

	deps     Deps
	recorder *lateRecorder
	errors   *lastError
}

// lateRecorder lets the switch be opened before the manager that it is given to. What is
// decided in between waits for it; stopping never waits for a recorder.
type lateRecorder struct {
	ready chan struct{} // closed once to is there
	to    *incident.Manager
}

// Record is the Recorder of safety.
func (r *lateRecorder) Record(ctx context.Context, at time.Time, who, what, why string) error {
	select {
	case <-r.ready:
		return r.to.Record(ctx, at, who, what, why)
	case <-ctx.Done():
		return fmt.Errorf("the timeline is not open yet: %w", ctx.Err())
	}
}

// Assemble builds everything that the playbook needs and starts nothing: Run does. The gate
// is shut until then, and after that as long as the state or a flag says so.
//
// The error joins every problem of the playbook and of deps, and whatever an engine refuses;
// nothing is left open then. A step of the escalation for which nobody can be reached is
// refused, so that Default needs contacts first.
func Assemble(ctx context.Context, p Playbook, deps Deps) (a *Assembly, err error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("playbook: %w", err)
	}
	deps = deps.withDefaults(p)
	if err := deps.validate(p); err != nil {
		return nil, fmt.Errorf("playbook: Deps: %w", err)
	}
	a = &Assembly{Playbook: p, deps: deps, recorder: &lateRecorder{ready: make(chan struct{})}, errors: &lastError{}}
	defer func() {
		if err != nil && a.Switch != nil {
			err = errors.Join(err, a.Switch.Close())
		}
		if err != nil {
			a = nil
		}
	}()
	for _, build := range []func(context.Context) error{
		a.buildCourier, a.buildSwitch, a.buildManager, a.buildReconcilers, a.buildCloser,
		a.buildRecovery, a.buildDetector, a.buildChecklist, a.buildEvidence, a.buildRunbooks,
	} {
		if err := build(ctx); err != nil {
			return a, fmt.Errorf("playbook: %w", err)
		}
	}
	return a, nil
}

func (a *Assembly) buildCourier(context.Context) (err error) {
	a.Courier, err = notify.NewCourier(notify.Config{Channels: a.deps.Channels, Log: a.deps.Log, Tracer: a.deps.Tracer, Meter: a.deps.Meter})
	if err != nil {
		return fmt.Errorf("Channels: %w", err)
	}
	a.Directory = a.Playbook.Directory(a.Courier.Channels()...)
	a.Classifier, err = a.Playbook.Classifier()
	return err
}

func (a *Assembly) buildSwitch(ctx context.Context) (err error) {
	cfg := a.deps.Safety
	if cfg.Name == "" {
		cfg.Name = a.deps.Name
	}
	if cfg.Dir == "" && cfg.Store == nil {
		cfg.Dir = a.deps.Dir
	}
	if cfg.Flags == nil && !cfg.NoFlags {
		cfg.Flags = []safety.Flag{
			{Path: filepath.Clean(a.Playbook.Files.EmergencyStop), State: safety.Halted},
			{Path: filepath.Clean(a.Playbook.Files.ReadOnly), State: safety.Reducing, Write: true},
		}
	}
	if cfg.Recorder == nil {
		cfg.Recorder = a.recorder
	}
	if cfg.Log == nil {
		cfg.Log = a.deps.Log
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = a.deps.Meter
	}
	first := cfg.BeforeResume
	cfg.BeforeResume = func(ctx context.Context) error {
		if first != nil {
			if err := first(ctx); err != nil {
				return err
			}
		}
		_, err := a.agree(ctx)
		return err
	}
	if a.Switch, err = safety.Open(ctx, cfg); err != nil {
		return err
	}
	if a.deps.Trips != nil {
		if a.Trips, err = safety.OpenTrips(a.Switch, *a.deps.Trips); err != nil {
			return err
		}
	}
	if a.deps.Watchdog != nil {
		a.Watchdog, err = safety.NewWatchdog(a.Switch, *a.deps.Watchdog)
	}
	return err
}

func (a *Assembly) buildManager(ctx context.Context) (err error) {
	checklist := a.Playbook.Checklist
	if checklist == nil {
		checklist = []string{} // none: nil would be the document's
	}
	a.Incidents, err = incident.New(ctx, incident.Config{
		Store: a.deps.Store, Halter: a.Switch, Courier: a.Courier, Directory: a.Directory, Channels: a.Courier.Channels(),
		Policy: a.Playbook.Escalation, Templates: a.Playbook.Templates, Classifier: a.Classifier, Checklist: checklist,
		Log: a.deps.Log, Tracer: a.deps.Tracer, Meter: a.deps.Meter,
	})
	if err != nil {
		return err
	}
	a.recorder.to = a.Incidents
	close(a.recorder.ready)
	return nil
}

func (a *Assembly) buildReconcilers(context.Context) error {
	a.Reconcilers = map[string]*reconcile.Reconciler{}
	var errs []error
	for _, venue := range slices.Sorted(maps.Keys(a.deps.Books)) {
		cfg := a.deps.Books[venue]
		if cfg.Venue == "" {
			cfg.Venue = venue
		}
		if v, ok := a.deps.Venues[venue]; ok && cfg.Account == nil {
			cfg.Account = v.Venue
		}
		if cfg.Cord == nil {
			cfg.Cord = a.Switch
		}
		if cfg.Memory == "" {
			cfg.Memory = filepath.Join(a.deps.Dir, "reconcile-"+venue+".json")
		}
		if cfg.CheckWrite == nil {
			cfg.CheckWrite = a.Switch.CheckWrite
		}
		if cfg.Recorder == nil {
			cfg.Recorder = a.Incidents
		}
		if cfg.Log == nil {
			cfg.Log = a.deps.Log
		}
		if cfg.Meters == nil {
			cfg.Meters = a.deps.Meter
		}
		r, err := reconcile.New(cfg)
		if err != nil {
			errs = append(errs, fmt.Errorf("Books[%q]: %w", venue, err))
			continue
		}
		a.Reconcilers[venue] = r
	}
	return errors.Join(errs...)
}

// agree compares every book with its venue.
func (a *Assembly) agree(ctx context.Context) (evidence string, err error) {
	var errs []error
	for _, venue := range slices.Sorted(maps.Keys(a.Reconcilers)) {
		if err := a.Reconcilers[venue].Ready(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", venue, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return fmt.Sprintf("book and venue agree on %q", slices.Sorted(maps.Keys(a.Reconcilers))), nil
}

// held is what the books hold: the positions that are the bot's own.
type held map[string]reconcile.Config

// Positions is safety.Book's.
func (h held) Positions(ctx context.Context) ([]andon.Position, error) {
	var all []andon.Position
	for _, venue := range slices.Sorted(maps.Keys(h)) {
		records, err := h[venue].Book.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("book of %s: %w", venue, err)
		}
		all = append(all, records.Positions...)
	}
	return all, nil
}

func (a *Assembly) buildCloser(context.Context) (err error) {
	if len(a.deps.Venues) == 0 {
		return nil
	}
	cfg := safety.CloserConfig{Switch: a.Switch, Venues: a.deps.Venues}
	if len(a.deps.Books) > 0 {
		cfg.Book = held(a.deps.Books)
	}
	a.Closer, err = safety.NewCloser(cfg)
	return err
}
