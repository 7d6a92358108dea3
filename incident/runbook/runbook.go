package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Approval says who must agree before a step begins.
type Approval uint8

// The approvals.
const (
	None Approval = iota
	One           // a named person
	Two           // two different named people
)

// Call is what a step's functions are told.
type Call struct {
	Run      string // the run's id
	Incident string
	Key      string            // the same each time this step of this run is done: an idempotence key for whoever takes one
	By, Why  string            // who started the run, and why
	Params   map[string]string // of Start; not to be changed

	Began    time.Time // the run
	Since    time.Time // when this step was first begun, crashes or not; a Retry begins it anew
	Approved []string  // who approved it
	Past     []string  // what Note has kept since then, by processes that are gone too

	// Note keeps on the timeline how far a long step is, so that it need not begin at the
	// beginning after a crash. It is nil where nothing is done: in Plan, Done and Undo.
	Note func(ctx context.Context, text string) error
}

// Step is one step of a runbook.
type Step struct {
	Name    string // unique in its runbook
	Purpose string // what it is for, for people

	// Commands are what the playbook has people type for it, line by line; for people.
	Commands []string

	// Do does it and returns the evidence, which is kept on the timeline. An error means
	// that it was not done, but for ErrOutcomeUnknown, which a step that ran out of time
	// or panicked has by itself.
	Do func(ctx context.Context, c Call) (evidence string, err error)

	// Done looks whether it is done, changing nothing; it is asked when the outcome is
	// not known. Nil: nobody can tell by looking.
	Done func(ctx context.Context, c Call) (done bool, evidence string, err error)

	// Again says that doing it a second time does no harm, because it only looks, or
	// because what it does is the same each time.
	Again bool

	// Plan says what Do would do now, changing nothing. Nil: Purpose says it.
	Plan func(ctx context.Context, c Call) (string, error)

	// Undo takes it back when the run is aborted. It must do no harm where the step was
	// not done after all. Nil: it stays.
	Undo func(ctx context.Context, c Call) (evidence string, err error)

	// Attest is what a person does, and says to have done, where no program can. A step
	// with it has no Do.
	Attest string

	Approval Approval
	Timeout  time.Duration // of one Do, Done, Plan or Undo; defaults to 1 min
	Tries    int           // how often Do is tried; defaults to 1
	Pause    time.Duration // between two tries; defaults to 5 s

	// GoOn lets the run go on without this step when it has failed.
	GoOn bool
}

// ErrOutcomeUnknown is what Do returns when it cannot say whether it did it.
var ErrOutcomeUnknown = errors.New("it is not known whether it was done")

// Runbook is steps in their order.
type Runbook struct {
	Name  string
	Steps []Step
}

const (
	defaultTimeout = time.Minute
	defaultPause   = 5 * time.Second
)

func (r Runbook) withDefaults() Runbook {
	steps := make([]Step, len(r.Steps))
	for i, s := range r.Steps {
		if s.Timeout == 0 {
			s.Timeout = defaultTimeout
		}
		if s.Tries == 0 {
			s.Tries = 1
		}
		if s.Pause == 0 {
			s.Pause = defaultPause
		}
		steps[i] = s
	}
	r.Steps = steps
	return r
}

func (r Runbook) validate() error {
	var errs []error
	if r.Name == "" {
		errs = append(errs, errors.New("Name is empty"))
	}
	if len(r.Steps) == 0 {
		errs = append(errs, errors.New("Steps is empty"))
	}
	seen := map[string]bool{}
	for i, s := range r.Steps {
		add := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("Steps[%d] %q: "+format, append([]any{i, s.Name}, args...)...))
		}
		if s.Name == "" || seen[s.Name] {
			add("Name is empty or there twice")
		}
		seen[s.Name] = true
		if s.Purpose == "" {
			add("Purpose is empty: a person is asked to approve it")
		}
		switch {
		case (s.Do == nil) == (s.Attest == ""):
			add("it needs either Do or Attest")
		case s.Attest != "" && (s.Done != nil || s.Again || s.Plan != nil || s.Undo != nil || s.Tries > 1):
			add("a person does it: Done, Again, Plan, Undo and Tries are of Do")
		}
		if s.Approval > Two || s.Timeout < 0 || s.Tries < 0 || s.Pause < 0 {
			add("Approval, Timeout, Tries, Pause are %d, %v, %d, %v", s.Approval, s.Timeout, s.Tries, s.Pause)
		}
	}
	return errors.Join(errs...)
}

// digest tells one version of a runbook from another by its steps' names, so that a run
// is not taken up by other steps than it was started with.
func (r Runbook) digest() string {
	h := sha256.New()
	for _, s := range r.Steps {
		fmt.Fprintf(h, "%q %d %q\n", s.Name, s.Approval, s.Attest)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
