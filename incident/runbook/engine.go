package runbook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/andon-go/andon/incident"
)

// Incidents is where runs are recorded. *incident.Manager is one.
type Incidents interface {
	Append(ctx context.Context, number string, e incident.Event) error
	Timeline(ctx context.Context, number string) ([]incident.Event, error)
}

// Config is what an Engine needs.
type Config struct {
	Incidents Incidents    // required
	Runbooks  []Runbook    // required; names differ
	Log       *slog.Logger // defaults to slog.Default()
}

// The errors of an Engine.
var (
	ErrUnknownRun = errors.New("no such run, runbook or step")
	ErrState      = errors.New("not now")
	ErrWaiting    = errors.New("the run waits for a person")
)

// WaitingError says for what a run waits.
type WaitingError struct {
	Run string
	For string
}

// Error names the run and what it waits for.
func (e *WaitingError) Error() string { return fmt.Sprintf("%s: %v: %s", e.Run, ErrWaiting, e.For) }

// Unwrap returns ErrWaiting.
func (e *WaitingError) Unwrap() error { return ErrWaiting }

// Engine runs runbooks. One engine at a time leads a timeline, as one Manager does. Safe
// for concurrent use.
type Engine struct {
	cfg   Config
	books map[string]Runbook

	mu    sync.Mutex
	runs  map[string]*live
	ctx   context.Context // of Run; nil while it does not run
	calls sync.WaitGroup
}

// live is a run with what keeps it going.
type live struct {
	id, incident string
	wake         chan struct{}

	mu      sync.Mutex // held while something is recorded, so that one thing is decided at a time
	run     *Run
	book    Runbook
	stale   bool               // what is on the timeline is not known
	cancel  context.CancelFunc // of the step under way
	changed chan struct{}      // closed when the run moves on
}

// New returns an Engine that knows every run on the timeline, and goes on with those that
// are not over once it runs. The error names every field that cannot be meant.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	e := &Engine{books: map[string]Runbook{}, runs: map[string]*live{}}
	var errs []error
	if cfg.Incidents == nil {
		errs = append(errs, errors.New("Incidents is nil"))
	}
	if len(cfg.Runbooks) == 0 {
		errs = append(errs, errors.New("Runbooks is empty"))
	}
	for i, b := range cfg.Runbooks {
		b = b.withDefaults()
		if err := b.validate(); err != nil {
			errs = append(errs, fmt.Errorf("Runbooks[%d] %q: %w", i, b.Name, err))
		}
		if _, twice := e.books[b.Name]; twice {
			errs = append(errs, fmt.Errorf("Runbooks[%d] %q is there twice", i, b.Name))
		}
		e.books[b.Name] = b
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("runbook: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	e.cfg = cfg
	events, err := cfg.Incidents.Timeline(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("runbook: %w", err)
	}
	for _, ev := range events {
		switch d := ev.Data.Run; {
		case d == nil:
		case ev.Kind == Started:
			e.runs[d.ID] = newLive(ev, e.books[d.Runbook])
		case e.runs[d.ID] != nil:
			e.runs[d.ID].run.apply(ev)
		}
	}
	return e, nil
}

func newLive(started incident.Event, book Runbook) *live {
	return &live{id: started.Data.Run.ID, incident: started.Incident, wake: make(chan struct{}, 1), run: newRun(started, book), book: book, changed: make(chan struct{})}
}

// Run goes on with every run until ctx is done, and returns ctx's error once the steps
// under way have ended or run out of their time. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.ctx != nil {
		e.mu.Unlock()
		return errors.New("runbook: the engine is running already")
	}
	e.ctx = ctx
	for _, l := range e.runs {
		e.calls.Go(func() { e.keep(ctx, l) })
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock() // nothing starts any more: Start sees that ctx is done
	defer e.mu.Unlock()
	e.calls.Wait()
	return ctx.Err()
}

// Start begins a run of a runbook for an incident and returns its id, once that is
// durable.
func (e *Engine) Start(ctx context.Context, runbook, number, by, why string, params map[string]string) (id string, err error) {
	book, ok := e.books[runbook]
	if !ok {
		return "", fmt.Errorf("%w: runbook %q, want one of %q", ErrUnknownRun, runbook, slices.Sorted(maps.Keys(e.books)))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 1
	for _, l := range e.runs {
		if l.incident == number {
			n++
		}
	}
	id = fmt.Sprintf("%s/%d", number, n)
	ev := incident.Event{
		Kind: Started, By: by, What: "runbook " + runbook, Why: why, Incident: number, At: time.Now(),
		Data: incident.Data{Run: &incident.RunStep{ID: id, Runbook: runbook, Digest: book.digest(), Params: maps.Clone(params)}},
	}
	if err := e.cfg.Incidents.Append(ctx, number, ev); err != nil {
		if errors.Is(err, incident.ErrRecordUnknown) {
			return "", fmt.Errorf("start %q: %w: where it was recorded, a new engine goes on with it as %s", runbook, err, id)
		}
		return "", fmt.Errorf("start %q: %w", runbook, err)
	}
	l := newLive(ev, book)
	e.runs[id] = l
	if e.ctx != nil && e.ctx.Err() == nil {
		e.calls.Go(func() { e.keep(e.ctx, l) })
	}
	return id, nil
}

// Get returns how far a run is.
func (e *Engine) Get(id string) (Run, error) {
	l, err := e.find(id)
	if err != nil {
		return Run{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view(), nil
}

// All returns every run, the newest first.
func (e *Engine) All() []Run {
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.runs))
	e.mu.Unlock()
	var out []Run
	for _, l := range all {
		l.mu.Lock()
		out = append(out, l.view())
		l.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Run) int { return b.Began.Compare(a.Began) })
	return out
}

// Wait waits until a run is over or waits for a person, which is ErrWaiting.
func (e *Engine) Wait(ctx context.Context, id string) (Run, error) {
	l, err := e.find(id)
	if err != nil {
		return Run{}, err
	}
	for {
		l.mu.Lock()
		v, changed, stale := l.view(), l.changed, l.stale
		l.mu.Unlock()
		switch {
		case stale:
		case v.Status == Waiting:
			return v, &WaitingError{Run: id, For: v.For}
		case v.Status == Done || v.Status == Over:
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-changed:
		}
	}
}

// Planned is what a step would do.
type Planned struct {
	Step     string
	Purpose  string
	Commands []string // the playbook's own
	Plan     string   // what it would do now; for a person, what to do
	Approval Approval
	Err      error // the plan could not be made
}

// Plan says what each step of a runbook would do now, and performs nothing.
func (e *Engine) Plan(ctx context.Context, runbook, number, by string, params map[string]string) ([]Planned, error) {
	now := time.Now()
	book, ok := e.books[runbook]
	if !ok {
		return nil, fmt.Errorf("%w: runbook %q, want one of %q", ErrUnknownRun, runbook, slices.Sorted(maps.Keys(e.books)))
	}
	var out []Planned
	for _, s := range book.Steps {
		p := Planned{Step: s.Name, Purpose: s.Purpose, Commands: slices.Clone(s.Commands), Plan: s.Attest, Approval: s.Approval}
		if s.Plan != nil {
			within, cancel := context.WithTimeout(ctx, s.Timeout)
			p.Err = guard(func() (err error) {
				p.Plan, err = s.Plan(within, Call{Run: "plan", Incident: number, Key: "plan/" + s.Name, By: by, Why: "plan", Params: maps.Clone(params), Began: now, Since: now})
				return err
			})
			cancel()
		}
		out = append(out, p)
	}
	return out, nil
}

func (e *Engine) find(id string) (*live, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.runs[id]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: run %q", ErrUnknownRun, id)
}

// view returns the run as others see it. Called with mu held.
func (l *live) view() Run {
	v := *l.run
	v.Steps = slices.Clone(v.Steps)
	for i := range v.Steps {
		v.Steps[i].Approvals = slices.Clone(v.Steps[i].Approvals)
		v.Steps[i].Notes = slices.Clone(v.Steps[i].Notes)
	}
	v.Params = maps.Clone(v.Params)
	what, _, _, why := l.run.next(l.book, time.Now())
	v.Status = l.run.status(what)
	if v.Status == Waiting {
		v.For = why
	}
	return v
}

// record puts an event of the run on the timeline and takes it into account. Called with
// mu held.
func (e *Engine) record(ctx context.Context, l *live, ev incident.Event) error {
	if ev.Data.Run == nil {
		ev.Data.Run = &incident.RunStep{}
	}
	ev.Data.Run.ID, ev.At, ev.Incident = l.id, time.Now(), l.incident
	err := e.cfg.Incidents.Append(ctx, l.incident, ev)
	switch {
	case err == nil:
		l.run.apply(ev)
		l.moved()
	case errors.Is(err, incident.ErrRecordUnknown):
		l.stale = true // it is read again before anything else is done
	}
	return err
}

// moved tells those who wait. Called with mu held.
func (l *live) moved() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// reload reads the run from the timeline. Called with mu held.
func (e *Engine) reload(ctx context.Context, l *live) error {
	events, err := e.cfg.Incidents.Timeline(ctx, l.incident)
	if err != nil {
		return err
	}
	var run *Run
	for _, ev := range events {
		switch d := ev.Data.Run; {
		case d == nil || d.ID != l.id:
		case ev.Kind == Started:
			run = newRun(ev, l.book)
		case run != nil:
			run.apply(ev)
		}
	}
	if run == nil {
		return fmt.Errorf("run %s is not on the timeline", l.id)
	}
	l.run, l.stale = run, false
	l.moved()
	return nil
}

// guard turns a panic of a step into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v: %w", r, ErrOutcomeUnknown)
		}
	}()
	return f()
}

func same(a, b string) bool { return strings.EqualFold(plain(a), plain(b)) }

// plain is a name without what nobody sees in it: a second blank, or a rune without width.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Cc) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
	return strings.Join(strings.Fields(name), " ")
}
