package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// CatalogConfig says what is backed up and what is promised about it.
type CatalogConfig struct {
	// Objectives is what is promised. Defaults to Objectives().
	Objectives []Objective

	// Targets holds the target of each component that has one. A component with
	// an objective and without a target is a breach, never left out.
	Targets map[Component]Target

	// History is where the verdicts of drills are kept. Without it there are none.
	History Storage

	// Recorder puts deletions on the timeline before they begin, and the verdicts of
	// drills. Without one nothing can be deleted.
	Recorder Recorder

	// Tracer and Meter make spans and instruments, with the attribute component.
	// Default to the global providers.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

func (c CatalogConfig) validate() error {
	var errs []error
	known := map[Component]bool{}
	for i, o := range c.Objectives {
		if err := o.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("Objectives: number %d: %w", i+1, err))
		}
		if known[o.Component] {
			errs = append(errs, fmt.Errorf("Objectives: %s is there twice", o.Component))
		}
		known[o.Component] = true
	}
	for component, target := range c.Targets {
		if !known[component] {
			errs = append(errs, fmt.Errorf("Targets: %q has no objective", component))
		}
		if target == nil {
			errs = append(errs, fmt.Errorf("Targets: the target of %q is nil", component))
		}
	}
	return errors.Join(errs...)
}

// Catalog knows the backups of every component. It keeps nothing in memory: each
// answer is read from the targets. It is safe for concurrent use.
type Catalog struct {
	cfg    CatalogConfig
	tracer trace.Tracer
	meters *meters

	mu   sync.Mutex
	work map[Component]*sync.Mutex // held by a drill and by a deletion: neither may see the other half done
}

// NewCatalog returns a catalog, or every problem of the configuration, joined.
func NewCatalog(cfg CatalogConfig) (*Catalog, error) {
	if cfg.Objectives == nil {
		cfg.Objectives = Objectives()
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Tracer == nil {
		cfg.Tracer = otel.GetTracerProvider()
	}
	if cfg.Meter == nil {
		cfg.Meter = otel.GetMeterProvider()
	}
	meters, err := newMeters(cfg.Meter)
	if err != nil {
		return nil, fmt.Errorf("Meter: %w", err)
	}
	return &Catalog{cfg: cfg, tracer: cfg.Tracer.Tracer(scope), meters: meters, work: map[Component]*sync.Mutex{}}, nil
}

func (c *Catalog) worker(component Component) *sync.Mutex {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work[component] == nil {
		c.work[component] = new(sync.Mutex)
	}
	return c.work[component]
}

// lock waits until no drill and no deletion of a component is at work.
func (c *Catalog) lock(component Component) (unlock func()) {
	m := c.worker(component)
	m.Lock()
	return m.Unlock
}

// tryLock is lock where it need not wait, and else reports false.
func (c *Catalog) tryLock(component Component) (unlock func(), ok bool) {
	m := c.worker(component)
	return m.Unlock, m.TryLock()
}

// Backup takes a backup of a component and verifies it. What it returns without
// an error counts: it was read back, and is listed as Verified.
func (c *Catalog) Backup(ctx context.Context, component Component, now time.Time) (b Backup, err error) {
	defer c.span(&ctx, "recovery.backup", component)(&err)
	began := time.Now()
	defer func() { c.meters.backedUp(ctx, component, time.Since(began), err) }()
	target, err := c.target(component)
	if err != nil {
		return Backup{}, err
	}
	written, err := target.Backup(ctx, now)
	if err != nil {
		return written, fmt.Errorf("backing up %s: %w", component, err)
	}
	b, err = target.Verify(ctx, written.Name, now)
	if err != nil {
		return b, fmt.Errorf("verifying the backup of %s: %w", component, err)
	}
	if !b.Good() || b.Name != written.Name {
		return b, fmt.Errorf("verifying the backup of %s: asked for %s and was given %s as %v: %w",
			component, written.Name, b.Name, b.State, ErrUnproven)
	}
	return b, nil
}

// Backups lists the backups of a component in every state, newest first.
func (c *Catalog) Backups(ctx context.Context, component Component) ([]Backup, error) {
	target, err := c.target(component)
	if err != nil {
		return nil, err
	}
	backups, err := target.Backups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the backups of %s: %w", component, err)
	}
	backups = slices.Clone(backups)
	SortBackups(backups)
	return backups, nil
}

// Newest returns the newest backup of a component that counts, or ErrNoBackup.
func (c *Catalog) Newest(ctx context.Context, component Component) (Backup, error) {
	backups, err := c.Backups(ctx, component)
	if err != nil {
		return Backup{}, err
	}
	b, ok := newestVerified(backups)
	if !ok {
		return Backup{}, fmt.Errorf("%s: %w among %d", component, ErrNoBackup, len(backups))
	}
	return b, nil
}

// Compliance compares every component with its objective, in the order of the
// objectives. A component whose backups cannot be listed, or that has no target,
// is a breach that says so.
func (c *Catalog) Compliance(ctx context.Context, now time.Time) []Compliance {
	all := make([]Compliance, len(c.cfg.Objectives))
	for i, o := range c.cfg.Objectives {
		all[i] = c.judge(ctx, o, now)
		c.meters.judged(ctx, all[i])
	}
	return all
}

func (c *Catalog) judge(ctx context.Context, o Objective, now time.Time) Compliance {
	backups, err := c.Backups(ctx, o.Component)
	var drills []Drill
	if err == nil && c.cfg.History != nil {
		drills, err = c.Drills(ctx, o.Component)
	}
	if err != nil {
		return Compliance{Objective: o, At: now, Problems: []string{err.Error()}}
	}
	return o.Judge(now, backups, drills...)
}

func (c *Catalog) target(component Component) (Target, error) {
	target, ok := c.cfg.Targets[component]
	if !ok {
		return nil, fmt.Errorf("%s: %w: %w", component, ErrNoTarget, ErrNoBackup)
	}
	return target, nil
}
