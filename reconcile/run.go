package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

var (
	// ErrNotClean says that book and venue do not agree, and that nobody has accepted
	// how they differ.
	ErrNotClean = errors.New("book and venue do not agree")

	// ErrRunning says that Run is running already.
	ErrRunning = errors.New("reconciler is running already")
)

// NotCleanError is what stands against opening the gate. It is ErrNotClean to
// errors.Is.
type NotCleanError struct {
	// Differences are those that nobody has accepted; some may be pending still.
	Differences []Discrepancy
}

// Error names the differences and says what to do.
func (e *NotCleanError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return fmt.Sprintf("%v: %s: put the book right by a plan, or have a named person accept them", ErrNotClean, strings.Join(lines, "; "))
}

// Is reports whether target is ErrNotClean.
func (e *NotCleanError) Is(target error) bool { return target == ErrNotClean }

// by is the name under which holds are placed.
func (r *Reconciler) by() string { return "reconcile " + r.config.Venue }

// Check compares as Compare does, and does to trading what follows: a mismatch that is
// not confirmed narrows it to Reducing, a confirmed one halts it. Once the sides agree
// again the Reducing hold is lifted, if it is this Reconciler's own and no mismatch was
// confirmed since a person last resumed.
//
// The error is that of Compare, joined with what could not be done; it is tried again
// by the next Check. A comparison that ctx ended says nothing and does nothing.
func (r *Reconciler) Check(ctx context.Context, now time.Time) (*Report, error) {
	if err := r.turn(ctx); err != nil {
		return &Report{Venue: r.config.Venue, At: now}, err
	}
	defer r.pass()
	report, err := r.bounded(ctx, now)
	if ctx.Err() != nil {
		return report, errors.Join(err, ctx.Err())
	}
	return report, errors.Join(err, r.judge(ctx, report, now), r.save())
}

// turn waits until no other comparison is being made and judged, so that they are
// judged in their order. pass ends it.
func (r *Reconciler) turn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.checking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("another comparison has not ended: %w", ctx.Err())
	}
}

func (r *Reconciler) pass() { <-r.checking }

// judge takes a comparison in and does what follows from it.
func (r *Reconciler) judge(ctx context.Context, report *Report, now time.Time) error {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	v := r.decide(report, now)
	r.log(ctx, report, v.standing)
	if v.forgot != "" {
		if err := r.engage(v.forgot); err != nil {
			return err
		}
	}
	switch v.do {
	case pullHalt:
		return r.engage(v.why)
	case pullReduce:
		return r.reduce(v.why)
	case pullRelax:
		return r.relax(ctx, v.holds)
	}
	return nil
}

// verdict is what a comparison calls for.
type verdict struct {
	standing []Mismatch
	forgot   string // why trading is halted whatever the comparison says, or empty
	do       pull
	why      string
	holds    map[cause]string // those that are ours
}

// decide takes a comparison in.
func (r *Reconciler) decide(report *Report, now time.Time) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.remember()
	w.observe(report, now, &r.config)
	v := verdict{standing: w.sorted(), forgot: r.forgot}
	v.do, v.why = w.next(len(report.Failed) == 0)
	v.holds = maps.Clone(w.holds)
	stands := []string{v.forgot, v.why}
	for _, reason := range v.holds {
		stands = append(stands, reason)
	}
	maps.DeleteFunc(r.pulled, func(reason string, _ bool) bool { return !slices.Contains(stands, reason) })
	return v
}

// bounded compares within Timeout.
func (r *Reconciler) bounded(ctx context.Context, now time.Time) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	return r.Compare(ctx, now)
}

// relax lifts the holds that are ours. Called with pulling held, as engage and reduce
// are.
func (r *Reconciler) relax(ctx context.Context, holds map[cause]string) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	for _, c := range slices.Sorted(maps.Keys(holds)) {
		if r.config.Cord != nil {
			if err := r.config.Cord.Relax(ctx, r.by(), holds[c], "book and venue agree"); err != nil {
				return fmt.Errorf("own hold not lifted: %w", err)
			}
		}
		r.relaxed(c, holds[c])
	}
	return nil
}

func (r *Reconciler) relaxed(c cause, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.watch.holds, c)
	delete(r.pulled, reason)
}

func (r *Reconciler) engage(why string) error {
	if r.config.Cord == nil || r.pulledFor(why) {
		return nil
	}
	if err := r.config.Cord.Engage(r.by(), why); err != nil {
		return fmt.Errorf("trading not halted: %w", err)
	}
	r.hasPulled(why)
	return nil
}

func (r *Reconciler) reduce(why string) error {
	if r.config.Cord == nil || r.pulledFor(why) {
		return nil
	}
	if err := r.config.Cord.Reduce(r.by(), why); err != nil {
		return fmt.Errorf("trading not narrowed: %w", err)
	}
	r.hasPulled(why)
	return nil
}

// pulledFor reports whether the cord was pulled with these words. Pulling again would
// be a new hold to whoever is about to resume, and one more line on the timeline with
// every comparison.
func (r *Reconciler) pulledFor(why string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulled[why]
}

func (r *Reconciler) hasPulled(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulled[why] = true
}

func (r *Reconciler) log(ctx context.Context, report *Report, standing []Mismatch) {
	for _, q := range report.Failed {
		r.config.Log.WarnContext(ctx, "reconcile: no answer", "venue", report.Venue, "side", q.Side.String(), "query", q.Query, "err", q.Err)
	}
	for _, m := range standing {
		level := slog.LevelWarn
		if m.Confirmed {
			level = slog.LevelError
		}
		r.config.Log.Log(ctx, level, "reconcile: mismatch", "venue", report.Venue, "what", m.What,
			"seen", m.Seen, "since", m.Since, "confirmed", m.Confirmed)
	}
}

// Mismatches returns what stands between book and venue, confirmed ones first. What a
// person has accepted is not among them.
func (r *Reconciler) Mismatches() []Mismatch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remember().sorted()
}

// Accepted returns what named persons have accepted and what still stands as it was.
func (r *Reconciler) Accepted() []Acceptance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.remember().accepted)
}

// Accept lets a named person say that the discrepancies of a report may stand as they
// are: Ready passes and no hold is placed while none of their values moves. It is
// recorded on the timeline first. What gave no answer cannot be accepted.
func (r *Reconciler) Accept(ctx context.Context, report *Report, a Approval, now time.Time) error {
	switch {
	case strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Note) == "":
		return fmt.Errorf("accepting takes a name and a note, given were %q and %q: %w", a.By, a.Note, ErrNotApproved)
	case report.Venue != r.config.Venue:
		return fmt.Errorf("the report is of venue %q, not of %q", report.Venue, r.config.Venue)
	case report.Err() != nil:
		return fmt.Errorf("what is not known cannot be accepted: %w", report.Err())
	case r.config.Recorder == nil:
		return fmt.Errorf("acceptance %w: Config.Recorder is missing", ErrNotRecorded)
	}
	if err := r.turn(ctx); err != nil {
		return err
	}
	defer r.pass()
	for _, d := range report.matters() {
		if err := r.config.Recorder.Record(ctx, now, a.By, "accepted as it is: "+d.String(), a.Note); err != nil {
			return fmt.Errorf("acceptance of %v: %w: %w", d, ErrNotRecorded, err)
		}
	}
	r.take(report, a, now)
	return r.save()
}

func (r *Reconciler) take(report *Report, a Approval, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.remember()
	for _, d := range report.matters() {
		if !w.accepts(d) {
			w.accepted = append(w.accepted, Acceptance{d.Kind, d.Key, d.InBook, d.OnVenue, a.By, a.Note, now.UTC().Round(0)})
		}
	}
}

// Ready compares, and is nil only when the gate may be opened: both sides answered
// everything, nothing is pending, and every discrepancy was accepted by a named person.
// It is made for safety.Config.BeforeResume. What was confirmed before is settled by
// it: the person who resumes has the last word on that.
func (r *Reconciler) Ready(ctx context.Context) error {
	if err := r.turn(ctx); err != nil {
		return err
	}
	defer r.pass()
	now := time.Now()
	report, err := r.bounded(ctx, now)
	if err != nil {
		return err
	}
	if open := r.settle(report, now); len(open) > 0 {
		return errors.Join(&NotCleanError{open}, r.save())
	}
	if err := r.save(); err != nil {
		r.unsettle()
		return err
	}
	return nil
}

// settle takes a comparison in, and returns what stands against opening the gate.
func (r *Reconciler) settle(report *Report, now time.Time) []Discrepancy {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.remember()
	w.observe(report, now, &r.config)
	if open := slices.DeleteFunc(slices.Concat(report.matters(), report.Pending()), w.accepts); len(open) > 0 {
		return open
	}
	if w.confirmed {
		clear(w.holds) // those of that time are the person's to lift
	}
	w.confirmed, w.halt, r.forgot = false, "", ""
	clear(r.pulled)
	return nil
}

// unsettle is for a settlement that is not on disk: a restart would not know of it.
func (r *Reconciler) unsettle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.confirmed = true
}

// starting is the reason of the hold that Run begins with.
const starting = "nothing was compared since the start"

// Run compares at once and then every Config.Every, as Check does, until ctx ends; it
// returns nil then, and ErrRunning at once where it is running already.
//
// It begins by narrowing trading to Reducing, until the first comparison shows that
// the sides agree. While comparisons give no complete answer for longer than
// Config.MaxSilence, trading is narrowed too, even when a query hangs for ever; that is
// a mismatch that is never confirmed.
func (r *Reconciler) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer r.running.Store(false)
	began := time.Now()
	r.begin(ctx, began)
	age, err := r.meters.observeAge(func() time.Duration { return r.cleanAge(began) })
	if err != nil {
		r.config.Log.WarnContext(ctx, "reconcile: the age of the last clean comparison is not measured", "err", err)
	} else {
		defer func() {
			if err := age.Unregister(); err != nil {
				r.config.Log.WarnContext(ctx, "reconcile: instrument not unregistered", "err", err)
			}
		}()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.compareUntil(ctx)
	}()
	r.listenUntil(ctx)
	<-done
	return nil
}

func (r *Reconciler) begin(ctx context.Context, now time.Time) {
	r.logError(ctx, errors.Join(r.narrowAtStart(now), r.save()))
}

func (r *Reconciler) narrowAtStart(now time.Time) error {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	return r.reduce(r.start(now))
}

func (r *Reconciler) start(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.remember()
	w.complete = now
	return w.narrow(start, starting)
}

func (r *Reconciler) logError(ctx context.Context, err error) {
	if err != nil {
		r.config.Log.ErrorContext(ctx, "reconcile: "+err.Error(), "venue", r.config.Venue)
	}
}

// cleanAge is the time since the sides last agreed.
func (r *Reconciler) cleanAge(began time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.watch.clean
	if last.IsZero() {
		last = began
	}
	return time.Since(last)
}

func (r *Reconciler) compareUntil(ctx context.Context) {
	ticker := time.NewTicker(r.config.Every)
	defer ticker.Stop()
	for {
		_, err := r.Check(ctx, time.Now())
		if ctx.Err() != nil {
			return
		}
		r.logError(ctx, err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// listenUntil narrows trading when no comparison has answered for too long.
func (r *Reconciler) listenUntil(ctx context.Context) {
	for {
		wait := r.silence(ctx, time.Now())
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// silence narrows trading if it has lasted too long, and returns when to look again.
func (r *Reconciler) silence(ctx context.Context, now time.Time) time.Duration {
	left, err := r.narrowInSilence(now)
	if left <= 0 {
		r.logError(ctx, errors.Join(err, r.save()))
		return r.config.Every
	}
	return left
}

func (r *Reconciler) narrowInSilence(now time.Time) (left time.Duration, err error) {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	left, why := r.listen(now)
	if left > 0 {
		return left, nil
	}
	return 0, r.reduce(why)
}

// listen returns how long silence may last still, or why trading is narrowed by it.
func (r *Reconciler) listen(now time.Time) (left time.Duration, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watch
	if left = r.config.MaxSilence - now.Sub(w.complete); left > 0 {
		return left, ""
	}
	return 0, w.narrow(silence, "no complete comparison since "+w.complete.UTC().Format(time.RFC3339))
}
