package fallback

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/andon-go/andon/incident"
)

// Config says which stores are brought together. Shared, Local and Name have no default.
type Config struct {
	Shared incident.Store // the list of all processes
	Local  incident.Store // this process's own; nobody else appends to it

	// Name tells the processes apart, to people and in provisional numbers. Lower-case
	// letters and digits.
	Name string

	// AskEvery is how often Run looks for what is new in the shared store, and whether
	// it answers again. Defaults to 1 s.
	AskEvery time.Duration

	// Log gets each change between the two. Defaults to slog.Default().
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.AskEvery, c.Log = cmp.Or(c.AskEvery, time.Second), cmp.Or(c.Log, slog.Default())
	return c
}

var nameForm = regexp.MustCompile(`^[a-z0-9]{1,40}$`)

func (c Config) validate() error {
	var errs []error
	if c.Shared == nil {
		errs = append(errs, errors.New("Shared is missing"))
	}
	if c.Local == nil {
		errs = append(errs, errors.New("Local is missing"))
	}
	if !nameForm.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("Name %q: want 1 to 40 lower-case letters and digits", c.Name))
	}
	if c.AskEvery < 0 {
		errs = append(errs, fmt.Errorf("AskEvery is %v, want more than zero", c.AskEvery))
	}
	return errors.Join(errs...)
}
