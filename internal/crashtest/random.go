package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
)

// RandomConfig says how RunRandom kills. The zero value is usable.
type RandomConfig struct {
	// Setup, if not nil, runs in the test's own process before each child and
	// prepares the fresh directory.
	Setup func(dir string) error

	// Kills is how many children are started and killed. Defaults to the number in
	// the environment's ANDON_KILLS, which ./bench.sh sets to 1000, else to 20.
	Kills int

	// Within bounds the delay from the beginning of the child's function to the
	// kill. Defaults to 20 ms.
	Within time.Duration

	// Seed decides every delay; a failure prints the delay it used. Defaults to 1.
	Seed uint64

	// Timeout bounds a child's way to its function. Defaults to 2 min.
	Timeout time.Duration
}

func (c RandomConfig) withDefaults() (RandomConfig, error) {
	if c.Kills == 0 {
		c.Kills = 20
		if v := os.Getenv("ANDON_KILLS"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return c, fmt.Errorf("ANDON_KILLS: %q is not a number", v)
			}
			c.Kills = n
		}
	}
	if c.Within == 0 {
		c.Within = 20 * time.Millisecond
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	return c, c.validate()
}

func (c RandomConfig) validate() error {
	var errs []error
	if c.Kills < 1 {
		errs = append(errs, fmt.Errorf("Kills: %d, want at least 1", c.Kills))
	}
	if c.Within < 0 {
		errs = append(errs, fmt.Errorf("Within: %v is negative", c.Within))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout: %v is negative", c.Timeout))
	}
	return errors.Join(errs...)
}

// RunRandom runs child in a process of its own many times and kills that process
// at a random instant after it began. A child may go on for ever, so that every
// kill meets work; one that ends by itself first is checked too, with
// Step.Moment Ended. Each child works in a fresh directory; check sees it
// afterwards. It needs no ptrace. Call it at most once in a test or subtest.
func RunRandom(t *testing.T, cfg RandomConfig, child func(dir string) error, check func(t *testing.T, dir string, at Step)) {
	t.Helper()
	actAsChild(t, child)
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatalf("crashtest: %v", err)
	}
	c := newCampaign(t, cfg.Setup, cfg.Timeout)
	rnd := rand.New(rand.NewPCG(cfg.Seed, 0))
	for n := 1; n <= cfg.Kills && !t.Failed(); n++ {
		delay := time.Duration(rnd.Int64N(int64(cfg.Within) + 1))
		err := c.killAfter(delay, func(dir string, at Step) {
			at.N, at.Of = n, cfg.Kills
			check(t, dir, at)
			if t.Failed() {
				t.Logf("crashtest: %v, seed %d, after %v", at, cfg.Seed, delay)
			}
		})
		if errors.Is(err, errors.ErrUnsupported) {
			needs.Missing(t, "killing a process group: %v", err)
		}
		if err != nil {
			t.Fatalf("crashtest: random kill %d of %d, seed %d, after %v: %v", n, cfg.Kills, cfg.Seed, delay, err)
		}
	}
}

// killAfter starts a child, kills it the given time after its function began, and
// visits what it left.
func (c *campaign) killAfter(delay time.Duration, visit func(dir string, at Step)) error {
	ch, err := c.next()
	if err != nil {
		return err
	}
	out, err := killAfter(ch, delay)
	if err != nil {
		return err
	}
	lines, err := ch.verdict(out)
	if err != nil {
		return err
	}
	at := Step{Moment: Ended, Lines: lines}
	if out.killed {
		at.Moment = Random
	}
	visit(ch.dir, at)
	return os.RemoveAll(ch.base)
}
