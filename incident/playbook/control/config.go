package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// Config is what a Server answers from. Path and Switch are required; a command that needs
// another field that is nil is ErrNotWired.
type Config struct {
	// Path is where the socket lies: absolute, in a folder that is its owner's alone. The
	// folder is made if need be. At most 100 bytes, which is what systems allow.
	Path string
	// Name of the bot, for people.
	Name string

	Switch    *safety.Switch
	Incidents *incident.Manager
	Runbooks  *runbook.Engine
	Catalog   *recovery.Catalog
	Evidence  *evidence.Collector
	// Prove runs the checklist and puts what it proves on an incident's timeline.
	Prove func(ctx context.Context, number, by string) error

	// Steps is what the runbooks act through, and the commands too: venues, books, closer,
	// settings, credentials, releases and all that can be looked at.
	Steps runbook.Deps

	// Within bounds one command but close-all and backups, which have bounds of their own.
	// Defaults to 2 min.
	Within time.Duration
	// Log gets every command that changes something, with who asked. Defaults to
	// slog.Default().
	Log *slog.Logger
}

// From returns the Config of an assembly with its socket at path.
func From(a *playbook.Assembly, path, name string) Config {
	return Config{
		Path: path, Name: name, Switch: a.Switch, Incidents: a.Incidents, Runbooks: a.Runbooks, Catalog: a.Catalog,
		Evidence: a.Evidence, Prove: a.Prove, Steps: a.Steps,
	}
}

// Part returns a part of playbook.Deps.Parts that serves the socket at path until the
// assembly ends.
func Part(path string) func(ctx context.Context, a *playbook.Assembly) error {
	return func(ctx context.Context, a *playbook.Assembly) error {
		s, err := New(From(a, path, ""))
		if err != nil {
			return err
		}
		return s.Run(ctx)
	}
}

// maxPath is the longest path of a socket that every system takes.
const maxPath = 100

func (c Config) validate() error {
	var errs []error
	if !filepath.IsAbs(c.Path) || len(c.Path) > maxPath {
		errs = append(errs, fmt.Errorf("Path is %q, want an absolute path of at most %d bytes", c.Path, maxPath))
	}
	if c.Switch == nil {
		errs = append(errs, errors.New("Switch is nil: there would be nothing to stop"))
	}
	if c.Within < 0 {
		errs = append(errs, fmt.Errorf("Within is %v, want at least 0", c.Within))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}
