package runbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	defaultReadOnlyFlag   = "/tmp/READONLY_MODE"
	defaultSuspiciousFile = "/tmp/corrupted_data.json"
	defaultWatchFor       = 15 * time.Minute
	defaultWatchEvery     = 30 * time.Second

	glance    = 30 * time.Second // that a look of the immediate actions may take
	dig       = 2 * time.Minute  // that a look of the investigation may take
	change    = 5 * time.Minute  // that a change may take
	longHaul  = time.Hour        // that data may take, read or written whole
	errorLine = "ERROR|CRITICAL|FATAL"
	looks     = "looks, and changes nothing" // the plan of a step that does no more
)

func (d Deps) withDefaults() Deps {
	d.ReadOnlyFlag = cmp.Or(d.ReadOnlyFlag, defaultReadOnlyFlag)
	d.SuspiciousFile = cmp.Or(d.SuspiciousFile, defaultSuspiciousFile)
	d.WatchFor = cmp.Or(d.WatchFor, defaultWatchFor)
	d.WatchEvery = cmp.Or(d.WatchEvery, defaultWatchEvery)
	if d.Resources == (Resources{}) {
		d.Resources = Resources{Memory: "4g", CPUs: "2"}
	}
	if d.Revoke == nil {
		d.Revoke = map[string]string{
			"Coinbase": "Dashboard > API > Revoke All Keys",
			"Bluefin":  "Account Settings > API Management > Disable All",
		}
	}
	return d
}

func (d Deps) validate() error {
	var errs []error
	if d.WatchFor < 0 || d.WatchEvery < 0 || d.WatchEvery > d.WatchFor {
		errs = append(errs, fmt.Errorf("WatchFor, WatchEvery are %v and %v, want a time and a part of it", d.WatchFor, d.WatchEvery))
	}
	if !d.Protection.Distance.IsZero() && (d.Cord == nil || d.Recorder == nil || len(d.Venues) == 0) {
		errs = append(errs, errors.New("Protection has a Distance: placing stops needs Cord, Recorder and Venues"))
	}
	for name, v := range d.Venues {
		if v == nil {
			errs = append(errs, fmt.Errorf("Venues[%q] is nil", name))
		}
	}
	for name, b := range d.Books {
		if b == nil {
			errs = append(errs, fmt.Errorf("Books[%q] is nil", name))
		}
	}
	return errors.Join(errs...)
}

// Playbook returns the playbook's four runbooks and its four quick fixes, in the order of
// the document, over what deps has. The error names every field that cannot be meant.
func Playbook(deps Deps) ([]Runbook, error) {
	if err := deps.withDefaults().validate(); err != nil {
		return nil, fmt.Errorf("runbook: Deps: %w", err)
	}
	return []Runbook{
		AuthenticationFailure(deps), MemoryDatabase(deps), WebSocketDisconnection(deps), HighUsage(deps),
		ServiceOutage(deps), DataCorruption(deps), SecurityBreach(deps), PerformanceDegradation(deps),
	}, nil
}

// person returns a step that a person does, who is shown the document's own commands.
func person(name, purpose string, commands ...string) Step {
	return Step{Name: name, Purpose: purpose, Commands: commands, Attest: byHand(purpose, commands)}
}

func byHand(purpose string, commands []string) string {
	if len(commands) == 0 {
		return "by hand, since the bot has nothing for it: " + purpose
	}
	return "by hand, since the bot has nothing for it:\n  " + strings.Join(commands, "\n  ")
}

// see returns a step that looks. What it sees does not keep the run from going on, and
// neither does a look that fails: that is a finding.
func see(name, purpose string, within time.Duration, look Look, commands ...string) Step {
	s := prove(name, purpose, within, look, commands...)
	s.GoOn = look != nil
	return s
}

// prove returns a step that looks and has to find all well.
func prove(name, purpose string, within time.Duration, look Look, commands ...string) Step {
	if look == nil {
		return person(name, purpose, commands...)
	}
	return Step{
		Name: name, Purpose: purpose, Commands: commands, Again: true, Timeout: within,
		Do:   func(ctx context.Context, _ Call) (string, error) { return look(ctx) },
		Plan: func(context.Context, Call) (string, error) { return looks, nil },
	}
}

// act returns a step that changes something.
func act(name, purpose string, who Approval, within time.Duration, a Action, commands ...string) Step {
	if a.Do == nil {
		s := person(name, purpose, commands...)
		s.Approval = who
		return s
	}
	s := Step{
		Name: name, Purpose: purpose, Commands: commands, Approval: who, Timeout: within,
		Do: a.Do, Done: a.Done, Undo: a.Undo, Again: a.Again,
	}
	if a.Plan != nil {
		s.Plan = func(ctx context.Context, _ Call) (string, error) { return a.Plan(ctx) }
	}
	return s
}

// inTime returns a step that says whether the immediate actions were done within their
// time. What comes too late is done all the same, and on record as late.
func inTime(most time.Duration) Step {
	return Step{
		Name: "in-time", Purpose: fmt.Sprintf("Immediate Actions (< %d minutes)", int(most.Minutes())), Again: true, GoOn: true,
		Do: func(_ context.Context, c Call) (string, error) {
			took := c.Since.Sub(c.Began).Round(time.Millisecond)
			if took >= most {
				return "", fmt.Errorf("the immediate actions took %v, want less than %v", took, most)
			}
			return fmt.Sprintf("the immediate actions took %v", took), nil
		},
		Plan: func(context.Context, Call) (string, error) { return looks, nil },
	}
}

// why is the reason that is given to whoever does a step.
func why(c Call) string { return fmt.Sprintf("%s (%s)", c.Why, c.Key) }

// approver is who is named for what was approved.
func approver(c Call) string {
	if len(c.Approved) == 0 {
		return c.By
	}
	return strings.Join(c.Approved, " and ")
}

// each calls f with every key in order, and joins what it says.
func each[V any](ctx context.Context, m map[string]V, f func(ctx context.Context, name string, v V) (string, error)) (string, error) {
	var said []string
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(m)) {
		s, err := f(ctx, name, m[name])
		if s != "" {
			said = append(said, name+": "+s)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return strings.Join(said, "\n"), errors.Join(errs...)
}
