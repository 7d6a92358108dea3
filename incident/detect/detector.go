package detect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
)

// Incidents is where detectors declare. *incident.Manager is one.
type Incidents interface {
	Declare(ctx context.Context, by, summary string, signals ...severity.Signal) (incident.Incident, error)
	Clear(ctx context.Context, by, ref string, at time.Time, why string) (incident.Incident, error)
}

// Config is what a Detector needs.
type Config struct {
	// Incidents is required.
	Incidents Incidents

	// Indicators are what is watched. Two with the same rule watch different
	// components. Required.
	Indicators []Indicator

	// Source names the detector in what it declares. Two detectors of one manager have
	// different ones. Defaults to "detector".
	Source string

	// Remind is how often an indicator that goes on firing is declared again. Defaults
	// to 5 min.
	Remind time.Duration

	// MaxComponents is of how many components samples are kept, for each rule. Defaults
	// to 1,000.
	MaxComponents int

	Log           *slog.Logger         // defaults to slog.Default()
	MeterProvider metric.MeterProvider // defaults to OpenTelemetry's global one
}

func (c Config) withDefaults() Config {
	if c.Source == "" {
		c.Source = "detector"
	}
	if c.Remind == 0 {
		c.Remind = 5 * time.Minute
	}
	if c.MaxComponents == 0 {
		c.MaxComponents = 1000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	c.Indicators = slices.Clone(c.Indicators)
	for i := range c.Indicators {
		c.Indicators[i] = c.Indicators[i].withDefaults()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Incidents == nil {
		errs = append(errs, errors.New("Incidents is nil: nobody would hear of anything"))
	}
	if len(c.Indicators) == 0 {
		errs = append(errs, errors.New("Indicators is empty: nothing would be watched"))
	}
	if c.Remind < 0 || c.MaxComponents < 0 {
		errs = append(errs, fmt.Errorf("Remind and MaxComponents are %v and %d, want none negative", c.Remind, c.MaxComponents))
	}
	seen := map[key]bool{}
	rules := map[string]Indicator{}
	for i, ind := range c.Indicators {
		if err := ind.validate(); err != nil {
			errs = append(errs, fmt.Errorf("Indicators[%d]: %w", i, err))
		}
		k := key{ind.Rule.Name, ind.Component}
		if seen[k] {
			errs = append(errs, fmt.Errorf("Indicators[%d]: indicator %q of component %q is there twice", i, k.indicator, k.component))
		}
		seen[k] = true
		if r, ok := rules[ind.Rule.Name]; ok && r.Rule != ind.Rule {
			errs = append(errs, fmt.Errorf("Indicators[%d]: indicator %q is there with another rule", i, ind.Rule.Name))
		}
		rules[ind.Rule.Name] = ind
	}
	return errors.Join(errs...)
}

// The errors of Sample.
var (
	ErrUnknownIndicator  = errors.New("no such indicator")
	ErrTooManyComponents = errors.New("too many components")
)

const (
	tick     = time.Second          // how often is judged what only time changes
	apart    = 5 * time.Millisecond // between two judgements, so that a flood of samples costs little
	retry    = 5 * time.Second      // until what could not be declared is declared again
	lastWait = 2 * time.Second      // for declarations under way when Run ends
)

type key struct{ indicator, component string }

// Detector judges indicators and declares those that fire. Safe for concurrent use.
type Detector struct {
	cfg   Config
	meter *instruments
	wake  chan struct{}
	calls sync.WaitGroup

	mu     sync.Mutex
	byRule map[string]*Indicator // the first of each name; its samples may be fed
	series map[key]*series
	fed    map[string]int // components by rule
	done   bool
}

// New returns a Detector that does nothing until Run, or an error that names every field
// that cannot be meant.
func New(cfg Config) (*Detector, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	d := &Detector{
		cfg: cfg, wake: make(chan struct{}, 1),
		byRule: map[string]*Indicator{}, series: map[key]*series{}, fed: map[string]int{},
	}
	for i := range cfg.Indicators {
		ind := &cfg.Indicators[i]
		if d.byRule[ind.Rule.Name] == nil {
			fed := *ind // a component that is fed owes nothing
			fed.Component, fed.Probe, fed.Rule.Silence = "", nil, 0
			d.byRule[ind.Rule.Name] = &fed
		}
		if ind.Component != "" {
			d.series[key{ind.Rule.Name, ind.Component}] = &series{ind: ind, component: ind.Component}
		}
	}
	d.meter = newInstruments(cfg.Indicators)
	return d, nil
}

// Sample is a measurement that somebody made.
type Sample struct {
	Indicator string         // the name of its rule
	Component string         // what was measured, such as "venue/coinbase"
	Value     severity.Value // zero: it could not be read
	At        time.Time      // defaults to now; one from the future counts as taken now
	Detail    string         // for people; secrets in it are redacted
}

// Sample takes a measurement and returns at once. ErrUnknownIndicator says that no
// indicator has the name; ErrTooManyComponents that too many have samples under it.
func (d *Detector) Sample(s Sample) error {
	if now := time.Now(); s.At.IsZero() || s.At.After(now) {
		s.At = now
	}
	return d.feed(key{s.Indicator, s.Component}, s)
}

func (d *Detector) feed(k key, s Sample) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ser := d.series[k]
	if ser == nil {
		ind := d.byRule[k.indicator]
		switch {
		case ind == nil:
			return fmt.Errorf("sample of %s: %w: %q", k.component, ErrUnknownIndicator, k.indicator)
		case d.fed[k.indicator] >= d.cfg.MaxComponents:
			return fmt.Errorf("sample of %s: %w: %q has %d", k.component, ErrTooManyComponents, k.indicator, d.cfg.MaxComponents)
		}
		ser = &series{ind: ind, component: k.component}
		d.series[k] = ser
		d.fed[k.indicator]++
	}
	ser.add(s.Value, s.At, clip(s.Detail))
	ser.fresh = true
	d.meter.count(k.indicator, s.Value.Known())
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// Status is what is known of one indicator of one component.
type Status struct {
	Indicator string
	Component string
	Condition severity.Condition
	Firing    bool
	Since     time.Time      // when it began to fire
	Value     severity.Value // zero: unknown, or nothing was measured
	Why       string
}

// Status returns what is known now, those that fire first, then by name. It is for a
// checklist and for people; what was never measured is not in it.
func (d *Detector) Status() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Status
	for _, s := range d.series {
		if s.why != "" {
			out = append(out, Status{s.ind.Rule.Name, s.component, s.ind.Rule.Condition, !s.since.IsZero(), s.since, s.value, s.why})
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		switch {
		case a.Firing && !b.Firing:
			return -1
		case b.Firing && !a.Firing:
			return 1
		case a.Indicator != b.Indicator:
			return strings.Compare(a.Indicator, b.Indicator)
		}
		return strings.Compare(a.Component, b.Component)
	})
	return out
}

// Run probes, judges and declares until ctx is done, and returns ctx's error. It is
// called once.
func (d *Detector) Run(ctx context.Context) error {
	unregister, err := d.meter.register(d.cfg.MeterProvider, d)
	if err != nil {
		return fmt.Errorf("detect: %w", err)
	}
	var probes sync.WaitGroup
	for i := range d.cfg.Indicators {
		if ind := &d.cfg.Indicators[i]; ind.Probe != nil {
			probes.Go(func() { d.probe(ctx, ind) })
		}
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
			d.pass(ctx, true)
		case <-d.wake:
			d.pass(ctx, false)
			select { // the next pass takes what comes meanwhile
			case <-ctx.Done():
			case <-time.After(apart):
			}
		}
	}
	probes.Wait()
	d.finish()
	return errors.Join(ctx.Err(), unregister())
}

// finish waits a while for what is being declared. No call begins any more.
func (d *Detector) finish() {
	d.mu.Lock()
	d.done = true
	d.mu.Unlock()
	all := make(chan struct{})
	go func() { d.calls.Wait(); close(all) }()
	t := time.NewTimer(lastWait)
	defer t.Stop()
	select {
	case <-all:
	case <-t.C:
		d.cfg.Log.Warn("detect: a declaration has not returned and is left behind", "source", d.cfg.Source)
	}
}

// pass judges everything, or what has new samples, and has said what is due.
func (d *Detector) pass(ctx context.Context, all bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.series {
		if !s.fresh && !all {
			continue
		}
		s.fresh = false
		s.judge(now)
		switch {
		case d.done || s.busy:
		case s.owed != nil && !now.Before(s.owed.retry):
			d.clear(ctx, s)
		case !s.since.IsZero() && !now.Before(s.due):
			d.declare(ctx, s)
		case s.idle(now):
			delete(d.series, k)
			d.fed[k.indicator]--
		}
	}
}

// declare says that an indicator fires. Called with mu held.
func (d *Detector) declare(ctx context.Context, s *series) {
	sig, summary := s.signal(d.cfg.Source), s.component+": "+s.why
	d.call(s, "declare", func() error {
		_, err := d.cfg.Incidents.Declare(ctx, d.cfg.Source, summary, sig)
		if errors.Is(err, incident.ErrNothing) {
			return nil
		}
		return err
	}, func(now time.Time, again bool) {
		if !s.since.Equal(sig.At) {
			return // it has ended meanwhile, and perhaps begun anew
		}
		s.due = now.Add(d.cfg.Remind)
		if again {
			s.due = now.Add(retry)
		}
	})
}

// clear says that what an indicator saw has ended. Called with mu held.
func (d *Detector) clear(ctx context.Context, s *series) {
	e := s.owed
	d.call(s, "clear", func() error {
		_, err := d.cfg.Incidents.Clear(ctx, d.cfg.Source, s.ref(d.cfg.Source), e.at, e.why)
		if errors.Is(err, incident.ErrUnknown) {
			return nil // somebody has resolved it, or it was never declared
		}
		return err
	}, func(now time.Time, again bool) {
		if e.retry = now.Add(retry); !again && s.owed == e {
			s.owed = nil
		}
	})
}

// call calls the incidents beside everything else, so that one declaration that waits for
// a gate keeps nobody waiting. Called with mu held; then is, too.
func (d *Detector) call(s *series, what string, f func() error, then func(now time.Time, again bool)) {
	s.busy = true
	d.calls.Go(func() {
		err := guard(f)
		if err != nil {
			d.cfg.Log.Error("detect: said again in "+retry.String(), "what", what, "indicator", s.ind.Rule.Name, "component", s.component, "error", err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		s.busy = false
		then(time.Now(), err != nil)
	})
}

// guard turns a panic of other people's code into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}
