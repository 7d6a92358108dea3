package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon/severity"
)

// Probe takes one measurement. detail, which may be empty, is for people. An error says
// that it could not be taken, which is worse than any value. A probe is not called
// again before it has returned, however long that takes.
type Probe func(ctx context.Context) (v severity.Value, detail string, err error)

// Indicator is something that is watched: a rule and what feeds it.
type Indicator struct {
	// Rule says from which value on, for how long and over which window it fires. Its
	// name is the indicator's, and Sample's.
	Rule severity.Rule

	// Component is what the probe looks at, such as "venue/coinbase". Samples that are
	// fed name their own; one that owes samples, by Rule.Silence, is named here.
	Component string

	// Probe is called every Every. Nil: samples are fed by Sample.
	Probe Probe

	// Every defaults to 10 s.
	Every time.Duration

	// Within is how long one call of the probe may take. Defaults to the shorter of
	// Every and 5 s.
	Within time.Duration

	// ClearBelow is the value below which the indicator is calm. Defaults to the rule's
	// AtLeast; a lower one keeps a value that swings around the threshold from ending
	// and beginning again.
	ClearBelow severity.Value

	// ClearFor is how long it must have been calm without a break until it has ended.
	// Defaults to 1 min.
	ClearFor time.Duration
}

// On returns the indicator with a component and the probe that looks at it.
func (i Indicator) On(component string, p Probe) Indicator {
	i.Component, i.Probe = component, p
	return i
}

func (i Indicator) withDefaults() Indicator {
	if i.Probe != nil && i.Every == 0 {
		i.Every = 10 * time.Second
	}
	if i.Probe != nil && i.Within == 0 {
		i.Within = min(i.Every, 5*time.Second)
	}
	if i.ClearBelow == (severity.Value{}) {
		i.ClearBelow = i.Rule.AtLeast
	}
	if i.ClearFor == 0 {
		i.ClearFor = time.Minute
	}
	return i
}

// validate joins everything that cannot be meant.
func (i Indicator) validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("indicator %q: "+format, append([]any{i.Rule.Name}, args...)...))
	}
	if err := i.Rule.Validate(); err != nil {
		add("Rule: %w", err)
	}
	switch {
	case i.Probe == nil && (i.Every != 0 || i.Within != 0):
		add("Every and Within are of a probe, and there is none")
	case i.Probe != nil && i.Component == "":
		add("Component is empty: the probe looks at something")
	case i.Rule.Silence != 0 && i.Component == "":
		add("Component is empty: Rule.Silence is of a component that owes samples")
	}
	if i.Every < 0 || i.Within < 0 || i.ClearFor < 0 {
		add("Every, Within, ClearFor are %v, %v, %v, want none negative", i.Every, i.Within, i.ClearFor)
	}
	if i.Probe != nil && i.Rule.Silence > 0 && i.Rule.Silence < i.Every+i.Within {
		add("Rule.Silence is %v, shorter than a probe every %v that may take %v", i.Rule.Silence, i.Every, i.Within)
	}
	if c := i.ClearBelow; c.Known() && i.Rule.AtLeast.Known() && (c.Unit != i.Rule.AtLeast.Unit || !i.Rule.AtLeast.Reaches(c)) {
		add("ClearBelow is %v, want no more than AtLeast, %v", c, i.Rule.AtLeast)
	} else if !c.Known() {
		add("ClearBelow is unknown")
	}
	return errors.Join(errs...)
}

// calm is the rule by which the indicator counts as still up.
func (i *Indicator) calm() severity.Rule {
	r := i.Rule
	r.AtLeast, r.For, r.Min = i.ClearBelow, 0, 0
	if r.AtLeast == i.Rule.AtLeast {
		r.Min = i.Rule.Min
	}
	return r
}

// keep is how far back samples count.
func (i *Indicator) keep() time.Duration { return i.Rule.Window + i.Rule.For }

// Playbook returns the indicator of a condition that the playbook's runbooks list, and of
// the failure rate, without a probe. Where the playbook gives a number the rule is
// severity.PlaybookRules'; the others are events, of which one is too many, but for those
// that everybody makes now and then: five in a minute of UnauthorizedAccess,
// AnomalousLogs and RisingErrors. It panics for a condition that is no indicator, which
// is a mistake in the program.
func Playbook(c severity.Condition) Indicator {
	rules := severity.PlaybookRules()
	if i := slices.IndexFunc(rules, func(r severity.Rule) bool { return r.Condition == c }); i >= 0 {
		r := rules[i]
		r.Silence = 0 // a probe that gives nothing is a sample that could not be read
		ind := Indicator{Rule: r}
		switch c {
		case severity.HighCPU:
			ind.ClearBelow = severity.Percent(70)
		case severity.HighMemory:
			ind.ClearBelow = severity.Percent(85)
		case severity.SlowExecution:
			ind.ClearBelow = severity.Took(400 * time.Millisecond)
		}
		return ind
	}
	for _, d := range severity.Definitions() {
		if d.Condition == c && d.Runbook != "" {
			return counted(d)
		}
	}
	panic(fmt.Sprintf("detect: %q is no detection indicator of the playbook", c))
}

// counted is the indicator of things that happen or that there are.
func counted(d severity.Definition) Indicator {
	r := severity.Rule{Name: string(d.Condition), Condition: d.Condition, AtLeast: severity.Number(1), Level: d.Level, Below: d.Level}
	switch d.Condition {
	case severity.UnauthorizedAccess, severity.AnomalousLogs, severity.RisingErrors:
		r.AtLeast, r.Window = severity.Number(5), time.Minute
	case severity.UserReports:
		r.Window = time.Minute
	case severity.QueueBacklog:
		r.AtLeast, r.For = severity.Number(1000), 5*time.Second
	case severity.HealthCheckFailed, severity.ServiceUnavailable, severity.VenueTimeouts:
		r.For = 10 * time.Second // a restart of what is probed is no outage
	}
	return Indicator{Rule: r}
}
