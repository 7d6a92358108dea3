package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Routine says what is done for one component, and how often.
type Routine struct {
	// Every is the time between two backups. Defaults to the objective's; where
	// that is 0 too the target backs itself up all the time and none is begun.
	Every time.Duration

	// DrillEvery is the time between two restore drills. Defaults to 24 hours; a
	// negative one makes none.
	DrillEvery time.Duration

	// Keep says which backups are kept. Defaults to those of Keep.
	Keep Keep
}

// SchedulerConfig says what a Scheduler does, and whom it tells.
type SchedulerConfig struct {
	// Catalog holds the targets and the objectives. Required. Drills need its
	// History, and deletions its Recorder.
	Catalog *Catalog

	// Routines holds those components that differ from the defaults. Every component
	// with a target has a routine.
	Routines map[Component]Routine

	// Retry is the time after which a backup or a drill that failed is tried again,
	// and the least time between two. Defaults to 1 minute.
	Retry time.Duration

	// CheckEvery is the time between two looks at the objectives. Defaults to 30
	// seconds.
	CheckEvery time.Duration

	// By is the name under which things are recorded. Defaults to
	// "recovery scheduler".
	By string

	// OnCompliance is told how each component stands, at each look, so that a breach
	// is a signal again until it is none; whoever hears it drops repetitions. One call
	// is made at a time. Nil tells nobody.
	OnCompliance func(ctx context.Context, c Compliance)

	// OnResult is told of each backup, drill and deletion, with its error; on the
	// goroutine that did it. Nil tells nobody.
	OnResult func(ctx context.Context, r RoutineResult)

	// Log receives what is done. Defaults to slog.Default.
	Log *slog.Logger
}

// RoutineResult is what became of one act of a routine.
type RoutineResult struct {
	Component Component
	What      string // "backup", "drill" or "retire"
	Backup    Backup // of a backup
	Drill     Drill  // of a drill
	Deleted   []string
	Err       error
}

func (c SchedulerConfig) withDefaults() SchedulerConfig {
	if c.Retry == 0 {
		c.Retry = time.Minute
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = 30 * time.Second
	}
	if c.By == "" {
		c.By = "recovery scheduler"
	}
	if c.OnCompliance == nil {
		c.OnCompliance = func(context.Context, Compliance) {}
	}
	if c.OnResult == nil {
		c.OnResult = func(context.Context, RoutineResult) {}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c SchedulerConfig) validate() error {
	var errs []error
	if c.Catalog == nil {
		return errors.New("Catalog: is nil")
	}
	for component, r := range c.Routines {
		if _, ok := c.Catalog.cfg.Targets[component]; !ok {
			errs = append(errs, fmt.Errorf("Routines: %q has no target", component))
		}
		if r.Every < 0 {
			errs = append(errs, fmt.Errorf("Routines: %s: Every: %v", component, r.Every))
		}
		if err := r.Keep.withDefaults().validate(); err != nil {
			errs = append(errs, fmt.Errorf("Routines: %s: %w", component, err))
		}
	}
	if c.Retry < 0 {
		errs = append(errs, fmt.Errorf("Retry: %v", c.Retry))
	}
	if c.CheckEvery < 0 {
		errs = append(errs, fmt.Errorf("CheckEvery: %v", c.CheckEvery))
	}
	return errors.Join(errs...)
}

// Scheduler takes the backups of a Catalog as often as the objectives say, verifies
// them, deletes old ones, drills restores, and holds it all against the objectives.
// When something is due is read from what is stored, so that a restart neither
// skips a backup nor takes one too many.
type Scheduler struct {
	cfg      SchedulerConfig
	routines map[Component]Routine
}

// NewScheduler returns a scheduler, or every problem of the configuration, joined.
func NewScheduler(cfg SchedulerConfig) (*Scheduler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Scheduler{cfg: cfg, routines: map[Component]Routine{}}
	for _, o := range cfg.Catalog.cfg.Objectives {
		if _, ok := cfg.Catalog.cfg.Targets[o.Component]; !ok {
			continue
		}
		r := cfg.Routines[o.Component]
		if r.Every == 0 {
			r.Every = o.Every
		}
		if r.DrillEvery == 0 {
			r.DrillEvery = 24 * time.Hour
		}
		s.routines[o.Component] = r
	}
	return s, nil
}

// Run works until ctx ends, and returns its error. One component never waits for
// another, nor a backup for a drill.
func (s *Scheduler) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, component := range slices.Sorted(maps.Keys(s.routines)) {
		r := s.routines[component]
		if r.Every > 0 {
			wg.Go(func() { s.loop(ctx, component, r.Every, s.newestBackup, s.backUp) })
		}
		if r.DrillEvery > 0 {
			wg.Go(func() { s.loop(ctx, component, r.DrillEvery, s.newestDrill, s.drill) })
		}
	}
	wg.Go(func() { s.watch(ctx) })
	wg.Wait()
	return ctx.Err()
}

// loop acts on a component every so often after the last time, and sooner again
// after a failure.
func (s *Scheduler) loop(ctx context.Context, component Component, every time.Duration,
	last func(context.Context, Component) (time.Time, error), act func(context.Context, Component),
) {
	retry := min(s.cfg.Retry, every)
	for ctx.Err() == nil {
		wait := retry
		switch at, err := last(ctx, component); {
		case err != nil:
			s.cfg.Log.ErrorContext(ctx, "when it was done last is not known", "component", component, "error", err)
		case time.Until(at.Add(every)) > every:
			// Dated in the future: a clock is wrong. The act says so; waiting for
			// that day would be worse.
			fallthrough
		case !time.Now().Before(at.Add(every)):
			// What is due next is read again after a while, whatever came of it: a
			// target that always says that it is late is not asked without a pause.
			act(ctx, component)
		default:
			wait = time.Until(at.Add(every))
		}
		if sleepUntil(ctx, time.Now().Add(wait)) != nil {
			return
		}
	}
}

// newestBackup is when the newest verified backup was taken; zero when there is none.
func (s *Scheduler) newestBackup(ctx context.Context, component Component) (time.Time, error) {
	b, err := s.cfg.Catalog.Newest(ctx, component)
	if errors.Is(err, ErrNoBackup) {
		return time.Time{}, nil
	}
	return b.At, err
}

// newestDrill is when the newest drill that passed was; zero when there is none.
func (s *Scheduler) newestDrill(ctx context.Context, component Component) (time.Time, error) {
	drills, err := s.cfg.Catalog.Drills(ctx, component)
	for _, d := range drills {
		if d.Passed {
			return d.At, nil
		}
	}
	return time.Time{}, err
}

func (s *Scheduler) backUp(ctx context.Context, component Component) {
	b, err := s.cfg.Catalog.Backup(ctx, component, time.Now())
	s.tell(ctx, RoutineResult{Component: component, What: "backup", Backup: b, Err: err})
	if err == nil {
		s.retire(ctx, component)
	}
}

// retire deletes what need not be kept. It is only done after a good backup, and
// left for the next one while a drill is at work, which may take long.
func (s *Scheduler) retire(ctx context.Context, component Component) {
	unlock, ok := s.cfg.Catalog.tryLock(component)
	if !ok {
		return
	}
	now := time.Now()
	p, err := s.cfg.Catalog.PlanRetirement(ctx, component, s.routines[component].Keep, now)
	var deleted []string
	if err == nil && len(p.Delete) > 0 {
		deleted, err = s.cfg.Catalog.retire(ctx, p, s.cfg.By, "they need not be kept", now)
	}
	unlock()
	if err != nil || len(deleted) > 0 {
		s.tell(ctx, RoutineResult{Component: component, What: "retire", Deleted: deleted, Err: err})
	}
}

func (s *Scheduler) drill(ctx context.Context, component Component) {
	if _, err := s.cfg.Catalog.Newest(ctx, component); errors.Is(err, ErrNoBackup) {
		return // the objectives say so; a failed drill a minute would only repeat it
	}
	d, err := s.cfg.Catalog.Drill(ctx, component, s.cfg.By, time.Now())
	s.tell(ctx, RoutineResult{Component: component, What: "drill", Drill: d, Err: err})
}

func (s *Scheduler) tell(ctx context.Context, r RoutineResult) {
	log := s.cfg.Log.With("component", r.Component, "what", r.What)
	switch {
	case r.Err != nil:
		log.ErrorContext(ctx, "recovery routine failed", "error", r.Err)
	default:
		log.InfoContext(ctx, "recovery routine done", "backup", r.Backup.Name+r.Drill.Backup, "took", r.Drill.Took, "deleted", r.Deleted)
	}
	s.cfg.OnResult(ctx, r)
}

// watch looks at the objectives until ctx ends. A change is logged, and recorded
// where the catalog has a recorder.
func (s *Scheduler) watch(ctx context.Context) {
	was := map[Component]bool{}
	for {
		for _, c := range s.cfg.Catalog.Compliance(ctx, time.Now()) {
			if ctx.Err() != nil {
				return // what could not be listed for that reason is no breach
			}
			component := c.Objective.Component
			if met, known := was[component]; !known || met != c.Met() {
				was[component] = c.Met()
				s.changed(ctx, c)
			}
			s.cfg.OnCompliance(ctx, c)
		}
		if sleepUntil(ctx, time.Now().Add(s.cfg.CheckEvery)) != nil {
			return
		}
	}
}

// changed tells of a component whose compliance has changed.
func (s *Scheduler) changed(ctx context.Context, c Compliance) {
	level, what := slog.LevelInfo, "recovery objectives met: "
	if !c.Met() {
		level, what = slog.LevelError, "recovery objectives breached: "
	}
	s.cfg.Log.Log(ctx, level, what+string(c.Objective.Component), "compliance", c.String())
	if rec := s.cfg.Catalog.cfg.Recorder; rec != nil {
		if err := record(ctx, rec, c.At, s.cfg.By, what+string(c.Objective.Component), c.String()); err != nil {
			s.cfg.Log.ErrorContext(ctx, "it could not be recorded", "error", err)
		}
	}
}
