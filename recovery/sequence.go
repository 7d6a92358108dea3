package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// SequenceConfig says what is brought back, and in which order.
type SequenceConfig struct {
	// Steps in the order in which they run. Defaults to PriorityOrder(), which
	// without checks proves nothing.
	Steps []Step

	// Budget is the time of a step that names none. Defaults to 5 minutes.
	Budget time.Duration

	// Parallel is how many steps may run at once: one begins when those that it
	// needs are proven, the earlier one first. Defaults to 1: strictly in order.
	Parallel int

	// Recorder keeps each action before it begins and each result. Required.
	Recorder Recorder

	// Progress keeps the results of a run, so that Run in another process goes on
	// where a crash cut it off. Nil keeps nothing. Defaults to nil.
	Progress Storage

	// GoOnWithin is how old the last result of a run may be that is gone on with;
	// what was proven longer ago is looked at anew. Defaults to 1 hour.
	GoOnWithin time.Duration

	// OnResult is told of each result as it comes, on the goroutine of Run. Nil
	// tells nobody.
	OnResult func(StepResult)

	// Tracer and Meter make a span of each step and measure it, Logger gets its result:
	// see the package's doc. They default to the global ones and slog.Default().
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	Logger *slog.Logger
}

func (c SequenceConfig) withDefaults() SequenceConfig {
	if c.Steps == nil {
		c.Steps = PriorityOrder()
	}
	if c.Budget == 0 {
		c.Budget = 5 * time.Minute
	}
	if c.Parallel == 0 {
		c.Parallel = 1
	}
	if c.GoOnWithin == 0 {
		c.GoOnWithin = time.Hour
	}
	if c.OnResult == nil {
		c.OnResult = func(StepResult) {}
	}
	if c.Tracer == nil {
		c.Tracer = otel.GetTracerProvider()
	}
	if c.Meter == nil {
		c.Meter = otel.GetMeterProvider()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c SequenceConfig) validate() error {
	var errs []error
	if err := validateSteps(c.Steps); err != nil {
		errs = append(errs, err)
	}
	if c.Budget < 0 {
		errs = append(errs, fmt.Errorf("Budget: %v", c.Budget))
	}
	if c.Parallel < 0 {
		errs = append(errs, fmt.Errorf("Parallel: %d", c.Parallel))
	}
	if c.GoOnWithin < 0 {
		errs = append(errs, fmt.Errorf("GoOnWithin: %v", c.GoOnWithin))
	}
	if c.Recorder == nil {
		errs = append(errs, errors.New("Recorder: is nil, and a recovery that is not on the timeline may not begin"))
	}
	return errors.Join(errs...)
}

// Sequence brings a system back step by step and stops at the first that cannot be
// proven. It is safe for concurrent use, but two runs at once act twice.
type Sequence struct {
	cfg    SequenceConfig
	tracer trace.Tracer
	took   metric.Float64Histogram
}

// NewSequence returns a sequence, or every problem of the configuration, joined.
func NewSequence(cfg SequenceConfig) (*Sequence, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Steps = slices.Clone(cfg.Steps)
	took, err := cfg.Meter.Meter(scope).Float64Histogram("andon.recovery.step.duration", metric.WithUnit("s"),
		metric.WithDescription("How long a step of a recovery took, its checks included."))
	if err != nil {
		return nil, fmt.Errorf("Meter: %w", err)
	}
	return &Sequence{cfg, cfg.Tracer.Tracer(scope), took}, nil
}

// Run performs the steps for by, a named person or component. Each is checked
// first and acted on only when the check does not hold, then checked again.
//
// proven holds results of an earlier run: a step that is proven there, and whose
// needs are too, is not done again. With SequenceConfig.Progress the results of a
// run that a crash cut off, or that stopped at a step, are taken from there; a step
// that was at work then begins again with its check. After the first that cannot be
// proven no other begins, and those at work are waited for.
//
// The results are those of all steps that ran, the earlier ones included, in their
// order. The error is nil when every step is proven, else an *UnprovenError for each
// that is not, joined.
func (s *Sequence) Run(ctx context.Context, by string, proven []StepResult) ([]StepResult, error) {
	if by == "" {
		return nil, errors.New("recovery sequence: who runs it is empty")
	}
	kept, err := s.resume(ctx, by)
	if err != nil {
		return nil, fmt.Errorf("recovery sequence: its progress: %w", err)
	}
	results, err := s.earlier(append(slices.Clone(proven), kept...))
	if err != nil {
		return nil, err
	}
	err = s.all(ctx, by, results)
	if err == nil {
		err = s.keep(ctx, sequenceEvent{What: eventEnded, By: by, At: time.Now()})
	}
	var ordered []StepResult
	for _, step := range s.cfg.Steps {
		if r, ok := results[step.Name]; ok {
			ordered = append(ordered, r)
		}
	}
	return ordered, err
}

// all runs what is not in results and adds it there.
func (s *Sequence) all(ctx context.Context, by string, results map[string]StepResult) error {
	type done struct {
		StepResult
		err error
	}
	var (
		begun   = map[string]bool{}
		running int
		ended   = make(chan done)
		errs    []error
	)
	for {
		for _, step := range s.cfg.Steps {
			if len(errs) > 0 || running == s.cfg.Parallel {
				break
			}
			if _, ok := results[step.Name]; ok || begun[step.Name] || !ready(step, results) {
				continue
			}
			begun[step.Name] = true
			running++
			go func() {
				r, err := s.perform(ctx, by, step)
				ended <- done{r, err}
			}()
		}
		if running == 0 {
			return errors.Join(errs...)
		}
		d := <-ended
		running--
		results[d.Name] = d.StepResult
		if d.err != nil {
			errs = append(errs, &UnprovenError{d.Name, d.err})
		}
		s.cfg.OnResult(d.StepResult)
	}
}

// ready reports whether all that a step needs is proven.
func ready(step Step, results map[string]StepResult) bool {
	return !slices.ContainsFunc(step.Needs, func(need string) bool { return !results[need].Proven })
}

// earlier keeps of the results those that still count.
func (s *Sequence) earlier(proven []StepResult) (map[string]StepResult, error) {
	given := map[string]StepResult{}
	for _, r := range proven {
		if !slices.ContainsFunc(s.cfg.Steps, func(step Step) bool { return step.Name == r.Name }) {
			return nil, fmt.Errorf("recovery sequence: the earlier result of %q belongs to no step", r.Name)
		}
		given[r.Name] = r // of two results the later one counts
	}
	counts := map[string]StepResult{}
	for _, step := range s.cfg.Steps {
		r := given[step.Name]
		if !r.Proven || r.Evidence == "" {
			continue
		}
		if ready(step, counts) {
			counts[step.Name] = r
		}
	}
	return counts, nil
}

// perform does one step and puts the outcome on the timeline. A step whose proof
// cannot be recorded is not proven.
func (s *Sequence) perform(ctx context.Context, by string, step Step) (r StepResult, err error) {
	ctx, span := s.tracer.Start(ctx, "recovery.step", trace.WithAttributes(attribute.String("step", step.Name)))
	defer func() { s.seen(ctx, span, r, err) }()
	r = StepResult{Name: step.Name, Began: time.Now()}
	budget := step.Budget
	if budget == 0 {
		budget = s.cfg.Budget
	}
	evidence, err := s.bringUp(ctx, by, step, budget, &r)
	r.Ended = time.Now()
	what, why := "recovery step proven: "+step.Name, evidence
	if err != nil {
		what, why = "recovery step unproven: "+step.Name, err.Error()
	}
	// The outcome is told even when ctx has ended: it has happened.
	if rerr := s.record(context.WithoutCancel(ctx), r.Ended, by, what, why); rerr != nil {
		err = errors.Join(err, rerr)
	}
	if err == nil {
		r.Proven, r.Evidence = true, evidence
	} else {
		r.Problem = err.Error()
	}
	if kerr := s.keep(context.WithoutCancel(ctx), sequenceEvent{What: eventResult, By: by, At: r.Ended, Result: &r}); kerr != nil {
		err = errors.Join(err, kerr)
		r.Proven, r.Evidence, r.Problem = false, "", err.Error()
	}
	return r, err
}

// seen tells the telemetry what became of a step.
func (s *Sequence) seen(ctx context.Context, span trace.Span, r StepResult, err error) {
	ctx = context.WithoutCancel(ctx)
	s.took.Record(ctx, r.Took().Seconds(), metric.WithAttributes(attribute.String("step", r.Name), outcome(err == nil)))
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelError
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.SetAttributes(attribute.Bool("acted", r.Acted))
	span.End()
	s.cfg.Logger.Log(ctx, level, "recovery step: "+r.String(), "step", r.Name, "proven", r.Proven, "acted", r.Acted, "took", r.Took())
}

// bringUp checks, acts when it must, and checks again, all within the budget.
func (s *Sequence) bringUp(ctx context.Context, by string, step Step, budget time.Duration, r *StepResult) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	evidence, err := prove(ctx, budget, step.Check)
	if err == nil || step.Action == nil || step.Check == nil || ctx.Err() != nil {
		return evidence, err
	}
	what := "recovery step begins: " + step.Name
	if err := s.record(ctx, time.Now(), by, what, step.Purpose+"; before: "+err.Error()); err != nil {
		return "", err
	}
	r.Acted = true
	if err := act(ctx, budget, step.Action); err != nil {
		return "", err
	}
	return prove(ctx, budget, step.Check)
}

// act runs an action as prove runs a check. When its time is over it may still be
// at work, and the error says so.
func act(ctx context.Context, budget time.Duration, action func(context.Context) error) error {
	_, err := prove(ctx, budget, func(ctx context.Context) (string, error) {
		if err := action(ctx); err != nil {
			return "", err
		}
		return "done", nil
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("the action's outcome is not known, it may still be at work: %w", err)
	case err != nil:
		return fmt.Errorf("the action: %w", err)
	}
	return nil
}

func (s *Sequence) record(ctx context.Context, at time.Time, who, what, why string) error {
	return record(ctx, s.cfg.Recorder, at, who, what, why)
}

// record wraps a Recorder's refusal in the error that callers branch on.
func record(ctx context.Context, rec Recorder, at time.Time, who, what, why string) error {
	if err := rec.Record(ctx, at, who, what, why); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrNotRecorded, err)
	}
	return nil
}
