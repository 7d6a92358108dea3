package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/andon-go/andon/safety"
)

// Config is what a Fleet or a Member is made from. Name and Backend are required.
type Config struct {
	// Name of this process, for the roster: up to 100 letters, digits and any of -._
	// Two members may have the same; each start of a process has an id of its own.
	Name string

	// Backend keeps the fleet's records.
	Backend Backend

	// Lease is how long a member may add exposure after it last heard from the backend.
	// It is renewed at a third of that. A venue call gets what is left of it, at least
	// two thirds while the backend answers. Halt waits this long and a twentieth more
	// for a member that does not answer. At least 100 ms. Defaults to 6 s.
	Lease time.Duration

	// WriteWithin is how long Halt tries to write to the backend before it gives the
	// caller the error. Defaults to 5 s.
	WriteWithin time.Duration

	// Recorder receives every decision: a halt beside the stop, a resume and a member's
	// forgetting before they happen. Nil means that only Log does.
	Recorder safety.Recorder

	// Log receives what happens. Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = 6 * time.Second
	}
	if c.WriteWithin == 0 {
		c.WriteWithin = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

const (
	minLease = 100 * time.Millisecond
	maxLease = time.Hour
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !nameForm.MatchString(c.Name) {
		add("Name %q: want 1 to 100 letters, digits and any of -._", c.Name)
	}
	if c.Backend == nil {
		add("Backend is missing: there is no fleet without one")
	}
	if c.Lease < minLease || c.Lease > maxLease {
		add("Lease %v: want %v to %v", c.Lease, minLease, maxLease)
	}
	if c.WriteWithin < 0 {
		add("WriteWithin %v is negative", c.WriteWithin)
	}
	return errors.Join(errs...)
}

// margin is what is waited beyond a lease, for clocks that run at different rates.
func margin(lease time.Duration) time.Duration { return lease / 20 }
