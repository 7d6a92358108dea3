package crashtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
)

// Config says how Run starts its children. The zero value is usable.
type Config struct {
	// Setup, if not nil, runs in the test's own process before each child and
	// prepares the fresh directory. What it does is not counted.
	Setup func(dir string) error

	// Timeout bounds each child, from its start to its end. A child that takes
	// longer is killed and fails the test. Defaults to 2 min: machines may be loaded.
	Timeout time.Duration

	// MaxSteps bounds how many steps are killed at. Where the work has more, that
	// many are taken at even distances, the first and the last included, and the
	// test's log says so. At least 2. Defaults to 100.
	MaxSteps int
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	if c.MaxSteps == 0 {
		c.MaxSteps = 100
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout: %v is negative", c.Timeout))
	}
	if c.MaxSteps < 2 {
		errs = append(errs, fmt.Errorf("MaxSteps: %d, want at least 2", c.MaxSteps))
	}
	return errors.Join(errs...)
}

// Run runs child in a process of its own and kills that process at each durable
// step of it: before and after every step, and after a write that made a file
// longer once more with the second half of the new bytes cut off. Each child works
// in a fresh directory; check sees that directory after the kill, as a subtest
// named after the moment and the step. The undisturbed run is checked too, with
// Step.Moment Ended.
//
// Run returns the steps of the undisturbed run, in the order in which they began.
// It must be called at most once in a test or subtest.
func Run(t *testing.T, cfg Config, child func(dir string) error, check func(t *testing.T, dir string, at Step)) []Step {
	t.Helper()
	actAsChild(t, child)
	if cfg = cfg.withDefaults(); cfg.validate() != nil {
		t.Fatalf("crashtest: %v", cfg.validate())
	}
	c := newCampaign(t, cfg.Setup, cfg.Timeout)
	steps, err := c.explore(cfg.MaxSteps, t.Logf, func(name, dir string, at Step) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			check(t, dir, at)
			if t.Failed() {
				t.Logf("killed %v", at)
			}
		})
	})
	if errors.Is(err, errNoTrace) {
		needs.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatalf("crashtest: %v", err)
	}
	return steps
}

// errNoTrace says that this machine does not let a process trace its child.
var errNoTrace = errors.New("ptrace is not possible here")

// target is the step at which a child is to be killed; the zero value lets it end.
type target struct {
	n      int
	moment Moment
}

// String returns "before 7th step".
func (at target) String() string { return fmt.Sprintf("%v %s step", at.moment, ordinal(at.n)) }

// campaign is a series of children that do the same work in fresh directories.
type campaign struct {
	base    string // holds the directories
	key     string // tells a child which function is its own
	pattern string // for -test.run
	setup   func(dir string) error
	timeout time.Duration
	runs    int
}

func newCampaign(t *testing.T, setup func(string) error, timeout time.Duration) *campaign {
	t.Helper()
	if setup == nil {
		setup = func(string) error { return nil }
	}
	return &campaign{base: t.TempDir(), key: t.Name(), pattern: runPattern(t.Name()), setup: setup, timeout: timeout}
}

// next prepares a child in a fresh directory.
func (c *campaign) next() (*child, error) {
	c.runs++
	base := filepath.Join(c.base, fmt.Sprintf("%04d", c.runs))
	dir := filepath.Join(base, "dir")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := c.setup(dir); err != nil {
		return nil, fmt.Errorf("setup: %w", err)
	}
	return &child{dir: dir, base: base, key: c.key, pattern: c.pattern, timeout: c.timeout}, nil
}

// explore counts the steps of an undisturbed run and then kills one child at every
// step and moment. It calls visit with the directory of each.
func (c *campaign) explore(limit int, logf func(string, ...any), visit func(name, dir string, at Step)) ([]Step, error) {
	steps, err := c.one(target{}, 0, visit)
	if err != nil {
		return nil, fmt.Errorf("undisturbed run: %w", err)
	}
	if len(steps) == 0 {
		return nil, errors.New("the child made no durable step under its directory: this test would show nothing")
	}
	numbers := spread(len(steps), limit)
	if len(numbers) < len(steps) {
		logf("crashtest: killing at %d of %d steps (Config.MaxSteps)", len(numbers), len(steps))
	}
	for _, n := range numbers {
		for _, m := range moments(steps[n-1]) {
			if _, err := c.one(target{n, m}, len(steps), visit); err != nil {
				return nil, fmt.Errorf("%v of %d: %w", target{n, m}, len(steps), err)
			}
		}
	}
	return steps, nil
}

// moments are the sides of a step on which a kill can leave something different.
func moments(s Step) []Moment {
	if s.Grew >= 2 {
		return []Moment{Before, After, Torn}
	}
	return []Moment{Before, After}
}

// spread returns the numbers 1 to n, or limit of them at even distances.
func spread(n, limit int) []int {
	limit = min(n, limit)
	out := make([]int, 0, limit)
	for i := range limit {
		if limit == 1 {
			return append(out, 1)
		}
		out = append(out, 1+i*(n-1)/(limit-1))
	}
	return slices.Compact(out)
}

// one starts a child, kills it at the target and visits what it left.
func (c *campaign) one(at target, of int, visit func(name, dir string, at Step)) ([]Step, error) {
	ch, err := c.next()
	if err != nil {
		return nil, err
	}
	steps, out, err := trace(ch, at)
	if err != nil {
		return nil, err
	}
	lines, err := ch.verdict(out)
	if err != nil {
		return nil, err
	}
	step, name := Step{Of: of, Lines: lines}, "ended"
	if out.killed {
		step = steps[at.n-1]
		step.Of, step.Moment, step.Lines = of, at.moment, lines
		name = fmt.Sprintf("%v_%03d", at.moment, at.n)
	} else if at.n > 0 { // several threads may take fewer steps this time
		name = fmt.Sprintf("ended_without_%03d", at.n)
	}
	visit(name, ch.dir, step)
	return steps, os.RemoveAll(ch.base)
}
