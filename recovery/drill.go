package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Rehearser is a Target whose backups can be restored for practice.
type Rehearser interface {
	Target

	// Rehearse restores a backup that counts into a place of its own, which nothing
	// else uses, looks there whether all came back, and removes the place, also on
	// an error. ErrNotVerified is for a backup that does not count.
	Rehearse(ctx context.Context, name string, now time.Time) (Rehearsal, error)
}

// Rehearsal is what a practice restore showed.
type Rehearsal struct {
	// Took is how long it took until what was restored could have been used,
	// without the tidying up.
	Took time.Duration

	// Evidence says what was looked at and found, in words for the timeline. A
	// rehearsal without any proves nothing.
	Evidence string
}

// Drill is the verdict of one restore drill.
type Drill struct {
	Component Component     `json:"component"`
	Backup    string        `json:"backup,omitempty"` // empty when there was none to restore
	By        string        `json:"by"`
	At        time.Time     `json:"at"`
	Took      time.Duration `json:"took,omitempty"` // nanoseconds; of the restore, 0 when it did not come so far
	RTO       time.Duration `json:"rto"`            // nanoseconds; as it was promised then
	Passed    bool          `json:"passed"`         // all came back, within the RTO
	Evidence  string        `json:"evidence,omitempty"`
	Problem   string        `json:"problem,omitempty"` // why it did not pass
}

// String returns one line for people.
func (d Drill) String() string {
	if d.Passed {
		return fmt.Sprintf("drill of %s with %s passed in %v, RTO %v: %s", d.Component, d.Backup, shown(d.Took), d.RTO, d.Evidence)
	}
	with := ""
	if d.Backup != "" {
		with = " with " + d.Backup
	}
	return fmt.Sprintf("drill of %s%s FAILED: %s", d.Component, with, d.Problem)
}

var errNoHistory = errors.New("CatalogConfig.History is nil: a verdict that is not kept is none")

// Drill restores the newest verified backup of a component for practice, holds the
// time against its RTO, and keeps the verdict, passed or not. The error is nil when
// the drill passed and the verdict was kept; *UnprovenError for one that did not
// pass. It must be done within four times the RTO. When ctx ends before that there is
// no verdict.
func (c *Catalog) Drill(ctx context.Context, component Component, by string, now time.Time) (d Drill, err error) {
	defer c.lock(component)()
	defer c.span(&ctx, "recovery.drill", component)(&err)
	i := slices.IndexFunc(c.cfg.Objectives, func(o Objective) bool { return o.Component == component })
	switch {
	case by == "":
		return d, errors.New("restore drill: who does it is empty")
	case i < 0:
		return d, fmt.Errorf("restore drill: %q has no objective", component)
	case c.cfg.History == nil:
		return d, fmt.Errorf("restore drill: %w", errNoHistory)
	}
	d = Drill{Component: component, By: by, At: now.UTC(), RTO: c.cfg.Objectives[i].RTO}
	if err = c.rehearse(ctx, &d, now); err == nil && d.Took > d.RTO {
		err = fmt.Errorf("restore took %v, RTO is %v", d.Took, d.RTO)
	}
	if err != nil && ctx.Err() != nil {
		return d, fmt.Errorf("restore drill of %s: cut short, which proves nothing: %w", component, err)
	}
	d.Passed = err == nil
	if err != nil {
		d.Problem = err.Error()
		err = &UnprovenError{fmt.Sprintf("restore drill of %s", component), err}
	}
	c.meters.drilled(ctx, d)
	// The verdict is kept even when ctx has ended: it has happened.
	return d, errors.Join(err, c.keepDrill(context.WithoutCancel(ctx), d))
}

// rehearse fills in what a drill showed.
func (c *Catalog) rehearse(ctx context.Context, d *Drill, now time.Time) error {
	target, err := c.target(d.Component)
	if err != nil {
		return err
	}
	rehearser, ok := target.(Rehearser)
	if !ok {
		return errors.New("its target cannot restore for practice: it is no Rehearser")
	}
	b, err := c.Newest(ctx, d.Component)
	if err != nil {
		return err
	}
	d.Backup = b.Name
	began := time.Now()
	took := make(chan time.Duration, 1)
	evidence, err := prove(ctx, 4*d.RTO, func(ctx context.Context) (string, error) {
		r, err := rehearser.Rehearse(ctx, b.Name, now)
		took <- r.Took
		return r.Evidence, err
	})
	if err != nil {
		return err
	}
	d.Took, d.Evidence = <-took, evidence
	if whole := time.Since(began); d.Took <= 0 || d.Took > whole {
		return fmt.Errorf("it says that the restore took %v of %v: that was not measured", d.Took, whole)
	}
	return nil
}

func (c *Catalog) keepDrill(ctx context.Context, d Drill) error {
	what := "restore drill passed: " + string(d.Component)
	why := d.Evidence
	if !d.Passed {
		what, why = "restore drill failed: "+string(d.Component), d.Problem
	}
	var recorded error
	if c.cfg.Recorder != nil {
		recorded = record(ctx, c.cfg.Recorder, d.At, d.By, what, fmt.Sprintf("%s: %s", d.Backup, why))
	}
	if err := appendLog(ctx, c.cfg.History, drillLog(d.Component), "drill", d); err != nil {
		return errors.Join(recorded, fmt.Errorf("keeping the verdict of the drill: %w", err))
	}
	return recorded
}

// drillLog is the log of a component's drills, "drills/Position-Database.".
func drillLog(component Component) string {
	name := strings.Map(func(r rune) rune {
		if notInKeys(r) {
			return '-'
		}
		return r
	}, string(component))
	return "drills/" + name + "."
}

// Drills returns the verdicts of the drills of a component, newest first, as they
// were kept. One that makes no sense is an error: a history with holes proves less
// than it seems to.
func (c *Catalog) Drills(ctx context.Context, component Component) ([]Drill, error) {
	if c.cfg.History == nil {
		return nil, fmt.Errorf("drills of %s: %w", component, errNoHistory)
	}
	log := drillLog(component)
	objects, err := c.cfg.History.List(ctx, "drills/")
	if err != nil {
		return nil, fmt.Errorf("drills of %s: %w", component, err)
	}
	all := numbers(objects, log)
	slices.Sort(all)
	var drills []Drill
	for _, n := range slices.Backward(all) {
		var d Drill
		_, err := readRecord(ctx, c.cfg.History, numbered(log, n), "drill", &d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("drills of %s: %s: %w", component, numbered(log, n), err)
		}
		if d.Component == component { // two names may share a log
			drills = append(drills, d)
		}
	}
	return drills, nil
}
