package playbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/runbook"
)

// part is something that runs.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// rounds are the parts in the order in which they are stopped: what sees and acts before
// what halts, and what halts before what records, so that the last word of each is heard.
func (a *Assembly) rounds() [3][]part {
	acting := []part{{"detector", a.Detector.Run}}
	add := func(name string, run func(ctx context.Context) error) { acting = append(acting, part{name, run}) }
	if a.Logs != nil {
		add("logs", a.followLogs)
	}
	for _, venue := range slices.Sorted(maps.Keys(a.Reconcilers)) {
		add("reconciler of "+venue, a.Reconcilers[venue].Run)
	}
	if a.Scheduler != nil {
		add("recovery scheduler", a.Scheduler.Run)
	}
	if a.Runbooks != nil {
		add("runbooks", a.Runbooks.Run)
		add("runbook starter", a.startRunbooks)
	}
	add("reports", a.writeReports)
	if a.deps.Resync != nil {
		add("resync", a.resync)
	}
	for _, name := range slices.Sorted(maps.Keys(a.deps.Parts)) {
		add(name, func(ctx context.Context) error { return a.deps.Parts[name](ctx, a) })
	}
	halting := []part{{"switch", a.Switch.Run}}
	if a.Trips != nil {
		halting = append(halting, part{"trips", a.Trips.Run})
	}
	if a.Watchdog != nil {
		halting = append(halting, part{"watchdog", a.Watchdog.Run})
	}
	return [3][]part{acting, halting, {{"incidents", a.Incidents.Run}}}
}

// Run runs everything until ctx ends, and stops it in order: first what detects, compares,
// backs up and acts, then the switch, whose gate shuts, and last the timeline. It closes the
// switch; the Store is the caller's. It is called once.
//
// A part that ends by itself, or panics, stops the rest in the same order, since a bot
// without it would trade half blind: the gate shuts, and the error names the part. A part
// that does not stop within Deps.StopWithin is named too and left behind.
func (a *Assembly) Run(ctx context.Context) error {
	rounds := a.rounds()
	ended := make(chan error, 1) // the first part that ended by itself
	var stops [len(rounds)]context.CancelFunc
	var waits [len(rounds)]*round
	for i := len(rounds) - 1; i >= 0; i-- { // what is stopped last is there first
		inner, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		stops[i], waits[i] = stop, start(inner, rounds[i], ended)
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-ended:
		a.deps.Log.Error("a part of the playbook has ended: everything stops, and the gate shuts", "error", err)
		errs = append(errs, err, a.Switch.Engage(source, err.Error()))
	}
	for i := range rounds {
		stops[i]()
		errs = append(errs, waits[i].wait(a.deps.StopWithin))
	}
	return errors.Join(append(errs, a.Switch.Close())...)
}

// round is parts that run and are stopped together.
type round struct {
	group sync.WaitGroup
	mu    sync.Mutex
	left  map[string]bool
	errs  []error
}

func start(ctx context.Context, parts []part, ended chan<- error) *round {
	r := &round{left: map[string]bool{}}
	for _, p := range parts {
		r.left[p.name] = true
	}
	for _, p := range parts {
		r.group.Go(func() {
			err := guarded(ctx, p)
			early := ctx.Err() == nil
			r.mu.Lock()
			delete(r.left, p.name)
			if left := beyondEnd(err); !early && left != nil {
				r.errs = append(r.errs, fmt.Errorf("%s: %w", p.name, left))
			}
			r.mu.Unlock()
			if early {
				select {
				case ended <- fmt.Errorf("%s has ended by itself: %w", p.name, orNothing(err)):
				default: // another was first
				}
			}
		})
	}
	return r
}

// beyondEnd is what a part says besides that its context has ended: a part may join both.
func beyondEnd(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var left []error
		for _, e := range many.Unwrap() {
			left = append(left, beyondEnd(e))
		}
		return errors.Join(left...)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

var errNoReason = errors.New("it gave no reason")

func orNothing(err error) error {
	if err == nil {
		return errNoReason
	}
	return err
}

// guarded runs a part; one that panics has ended.
func guarded(ctx context.Context, p part) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return p.run(ctx)
}

// wait waits until every part has ended, or names those that have not.
func (r *round) wait(within time.Duration) error {
	done := make(chan struct{})
	go func() { r.group.Wait(); close(done) }()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := slices.Clone(r.errs)
	for _, name := range slices.Sorted(maps.Keys(r.left)) {
		errs = append(errs, fmt.Errorf("%s did not stop within %v", name, within))
	}
	return errors.Join(errs...)
}

// followLogs notes from when on the logs are read.
func (a *Assembly) followLogs(ctx context.Context) error {
	a.errors.mu.Lock()
	a.errors.since = time.Now()
	a.errors.mu.Unlock()
	return a.Logs.Run(ctx)
}

// resync calls the hook at once and then every ResyncEvery.
func (a *Assembly) resync(ctx context.Context) error {
	tick := time.NewTicker(a.deps.ResyncEvery)
	defer tick.Stop()
	for {
		if err := a.deps.Resync(ctx, a); err != nil && ctx.Err() == nil {
			a.deps.Log.Error("what was lost between the alerts and the timeline could not be made good, and is tried again",
				"in", a.deps.ResyncEvery, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// startEvery is how soon a runbook that starts by itself does.
const startEvery = time.Second

// startRunbooks starts those runbooks that the playbook has start by themselves, once for
// each incident, whoever declared it and whenever this process was started.
func (a *Assembly) startRunbooks(ctx context.Context) error {
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		for _, in := range a.Incidents.Open() {
			a.startFor(ctx, in)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *Assembly) startFor(ctx context.Context, in incident.Incident) {
	for _, name := range slices.Sorted(maps.Keys(a.Playbook.Runbooks)) {
		if !slices.Contains(a.Playbook.Runbooks[name].Start, in.Condition) {
			continue
		}
		if slices.ContainsFunc(a.Runbooks.All(), func(r runbook.Run) bool { return r.Runbook == name && r.Incident == in.Number }) {
			continue
		}
		why := fmt.Sprintf("the playbook starts it for %s", in.Condition)
		if _, err := a.Runbooks.Start(ctx, name, in.Number, source, why, nil); err != nil && ctx.Err() == nil {
			a.deps.Log.Error("a runbook could not be started and is tried again", "runbook", name, "incident", in.Number, "error", err)
		}
	}
}
