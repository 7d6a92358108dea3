package incidenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
)

// Drill breaks something on purpose, has the response run, and judges it.
type Drill struct {
	Name string // required

	// Condition, and Component where it is not empty, are of the incident that has to be
	// declared. Required.
	Condition severity.Condition
	Component string

	// Healthy is nil where what is broken works. It is asked before, when it must, and
	// after the fault until it does. Required.
	Healthy func(ctx context.Context) error

	// Break makes the fault. Required.
	Break func(ctx context.Context) error

	// Respond is the response: a person's acknowledgement, a runbook. It begins once the
	// first page was accepted: nobody answers one that did not go out. Nil: nobody answers.
	Respond func(ctx context.Context, in incident.Incident) error

	// Mend takes away what the response has left of the fault. It is called at the end
	// whatever has happened. Nil: nothing is left.
	Mend func(ctx context.Context) error

	// The targets, counted from the fault. A time that reaches its target has missed it.
	// Detect, Halt and Page default to the response target of the incident's level, and
	// Recover to its resolution target. Halt is asked where the level halts.
	Detect, Halt, Page, Recover time.Duration

	Within time.Duration // how long to wait for all of it; defaults to 1 min
	Every  time.Duration // how often to look; defaults to 10 ms
}

// Mark is one of the times that a drill is judged by.
type Mark struct {
	Name   string        // "detect", "halt", "page" or "recover"
	Took   time.Duration // since the fault; negative: it did not happen
	Target time.Duration
}

// Met reports whether it happened within the target.
func (m Mark) Met() bool { return m.Took >= 0 && m.Took < m.Target }

// String returns the mark for people.
func (m Mark) String() string {
	switch {
	case m.Took < 0:
		return fmt.Sprintf("%s: did not happen, want under %v", m.Name, m.Target)
	case !m.Met():
		return fmt.Sprintf("%s: missed: %v, want under %v", m.Name, m.Took, m.Target)
	}
	return fmt.Sprintf("%s: %v of %v", m.Name, m.Took, m.Target)
}

// Score is how a drill went.
type Score struct {
	Drill    string
	Incident string // its number; empty where none was declared
	Level    severity.Level
	Began    time.Time // when the fault was made
	Marks    []Mark
}

// Passed reports whether every target was met.
func (s Score) Passed() bool {
	for _, m := range s.Marks {
		if !m.Met() {
			return false
		}
	}
	return len(s.Marks) > 0
}

// String returns the score for people, a line.
func (s Score) String() string {
	var marks []string
	for _, m := range s.Marks {
		marks = append(marks, m.String())
	}
	verdict := "missed"
	if s.Passed() {
		verdict = "passed"
	}
	return fmt.Sprintf("%s %s (%s): %s", s.Drill, verdict, s.Incident, strings.Join(marks, "; "))
}

// Run runs the drill on what m manages, and returns when everything has happened or
// Within has passed. The error says what kept the drill from being one: that it was
// unhealthy before, that Break or Mend failed, that Respond did. Missed targets are no
// error: they are in the Score.
func (d Drill) Run(ctx context.Context, m Lister) (s Score, err error) {
	if err := d.validate(); err != nil {
		return Score{}, err
	}
	if d.Within == 0 {
		d.Within = time.Minute
	}
	if d.Every == 0 {
		d.Every = 10 * time.Millisecond
	}
	fail := func(what string, err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("drill %q: %s: %w", d.Name, what, err)
	}
	if err := d.Healthy(ctx); err != nil {
		return Score{}, fail("it does not work before anything is broken", err)
	}
	if in, ok := d.find(m, nil); ok && in.Status != incident.Closed {
		return Score{}, fail("nothing is broken", fmt.Errorf("incident %s is open, and would take the fault for its own", in.Number))
	}
	before := map[string]bool{}
	for _, in := range m.All() {
		before[in.Number] = true
	}
	if d.Mend != nil {
		defer func() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Within)
			defer cancel()
			err = errors.Join(err, fail("taking the fault away", guard(func() error { return d.Mend(clean) })))
		}()
	}
	s = Score{Drill: d.Name, Began: time.Now()}
	if err := guard(func() error { return d.Break(ctx) }); err != nil {
		return s, fail("breaking it", err)
	}
	run, cancel := context.WithTimeout(ctx, d.Within)
	defer cancel()
	recovered, responded, err := d.watch(run, m, before)
	in, declared := d.find(m, before)
	if declared {
		s.Incident, s.Level = in.Number, in.Level
	}
	s.Marks = d.marks(s.Began, in, declared, recovered)
	if !responded {
		err = errors.Join(err, errors.New("it had not ended when the time was over"))
	}
	return s, errors.Join(fail("the response", err), ctx.Err())
}

// watch begins the response once somebody was paged, and waits until what was broken
// works and everything that is asked has happened.
func (d Drill) watch(ctx context.Context, m Lister, before map[string]bool) (recovered time.Time, responded bool, err error) {
	var response chan error
	responded = true
	look := time.NewTicker(d.Every)
	defer look.Stop()
	for {
		in, declared := d.find(m, before)
		if !in.FirstPageAt.IsZero() && response == nil && d.Respond != nil {
			response = make(chan error, 1)
			responded = false
			go func() { response <- guard(func() error { return d.Respond(ctx, in) }) }()
		}
		// A fault that has not been noticed yet may look healthy, so recovery is looked for
		// only once it was.
		if declared && recovered.IsZero() && d.Healthy(ctx) == nil {
			recovered = time.Now()
		}
		whole := declared && !in.FirstPageAt.IsZero() && (!halts(in) || !in.HaltedAt.IsZero())
		if whole && !recovered.IsZero() && responded {
			return recovered, responded, err
		}
		select {
		case err = <-response:
			responded = true
			response = nil
			d.Respond = nil
			if err != nil {
				return recovered, responded, err
			}
		case <-look.C:
		case <-ctx.Done():
			if response != nil {
				// It was told to stop by its context; what it says of that is its own.
				select {
				case err = <-response:
					responded = true
				case <-time.After(d.Every):
				}
			}
			return recovered, responded, err
		}
	}
}

// find returns the newest incident of the drill that was not there before.
func (d Drill) find(m Lister, before map[string]bool) (incident.Incident, bool) {
	all := m.All()
	for i := len(all) - 1; i >= 0; i-- {
		in := all[i]
		if in.Condition == d.Condition && (d.Component == "" || in.Component == d.Component) && !before[in.Number] {
			return in, true
		}
	}
	return incident.Incident{}, false
}

// halts reports whether an incident of this level closes the gate.
func halts(in incident.Incident) bool { return in.Level.AtLeast(severity.SEV1) && !in.NoHalt }

func (d Drill) marks(began time.Time, in incident.Incident, declared bool, recovered time.Time) []Mark {
	level := in.Level
	if !declared {
		level = severity.SEV1
	}
	targets := level.Targets()
	since := func(t time.Time) time.Duration {
		if t.IsZero() {
			return -1
		}
		return max(0, t.Sub(began))
	}
	or := func(own, target time.Duration) time.Duration {
		if own != 0 {
			return own
		}
		return target
	}
	marks := []Mark{{Name: "detect", Took: since(in.DeclaredAt), Target: or(d.Detect, targets.Respond)}}
	if !declared || halts(in) {
		marks = append(marks, Mark{Name: "halt", Took: since(in.HaltedAt), Target: or(d.Halt, targets.Respond)})
	}
	return append(marks,
		Mark{Name: "page", Took: since(in.FirstPageAt), Target: or(d.Page, targets.Respond)},
		Mark{Name: "recover", Took: since(recovered), Target: or(d.Recover, targets.Resolve)})
}

func (d Drill) validate() error {
	var errs []error
	for _, f := range []struct {
		name    string
		missing bool
	}{{"Name", d.Name == ""}, {"Condition", d.Condition == ""}, {"Healthy", d.Healthy == nil}, {"Break", d.Break == nil}} {
		if f.missing {
			errs = append(errs, fmt.Errorf("%s is missing", f.name))
		}
	}
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"Detect", d.Detect}, {"Halt", d.Halt}, {"Page", d.Page}, {"Recover", d.Recover}, {"Within", d.Within}, {"Every", d.Every}} {
		if f.d < 0 {
			errs = append(errs, fmt.Errorf("%s is %v, want more than zero", f.name, f.d))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("drill %q: %w", d.Name, err)
	}
	return nil
}

// guard makes an error of a panic: a drill has to mend what it broke.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// RequireDrill runs a drill, logs its score, and fails the test for each target that was
// missed. It ends the test where the drill was none.
func RequireDrill(t testing.TB, m Lister, d Drill) Score {
	t.Helper()
	s, err := d.Run(t.Context(), m)
	if err != nil {
		t.Fatalf("%v (%v)", err, s)
	}
	t.Log(s)
	for _, mark := range s.Marks {
		if !mark.Met() {
			t.Errorf("drill %q: %v", d.Name, mark)
		}
	}
	return s
}
