package notify

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/severity"
)

// Step is one row of an escalation: who is paged, and how long after paging opened.
type Step struct {
	After time.Duration
	Roles []Role // all who play any of them; empty: "N/A", and the step is skipped at once
}

// Policy is who is paged when. Its functions are pure and safe for concurrent use.
type Policy struct {
	// Steps holds the steps of each of the four levels, the earliest first. An
	// unclassified incident follows those of SEV1. Defaults to the playbook's matrix
	// in DefaultPolicy; a Policy without steps pages nobody and fails Validate.
	Steps map[severity.Level][]Step

	// AckTimeout is how long an acknowledgement holds, by level; after it paging
	// opens again, in the next round. None, or zero, means for ever. An
	// unclassified incident follows SEV1.
	AckTimeout map[severity.Level]time.Duration

	// RepeatAfter is how long after the last step of a round the first one is due
	// again, by level, until somebody acknowledges. None, or zero, means that each
	// step is paged once a round. An unclassified incident follows SEV1.
	RepeatAfter map[severity.Level]time.Duration
}

// DefaultPolicy returns the playbook's escalation matrix. The playbook does not say
// what comes after its last column, so that these are ours: at SEV-1 and SEV-2 the
// steps are repeated until somebody acknowledges, 15 and 30 minutes after the last
// one, and an acknowledgement holds until the resolution target would have been met,
// one and four hours. The maps are the caller's own.
func DefaultPolicy() Policy {
	return Policy{
		Steps: map[severity.Level][]Step{
			severity.SEV1: matrixRow([]Role{OnCallEngineer}, []Role{LeadEngineer}, []Role{CTO, RiskOfficer}),
			severity.SEV2: matrixRow([]Role{OnCallEngineer}, []Role{LeadEngineer}, []Role{TechManager}),
			severity.SEV3: matrixRow([]Role{PrimaryEngineer}, []Role{SeniorEngineer}, []Role{TeamLead}),
			severity.SEV4: matrixRow([]Role{AnyEngineer}, []Role{TeamLead}, nil),
		},
		AckTimeout:  map[severity.Level]time.Duration{severity.SEV1: time.Hour, severity.SEV2: 4 * time.Hour},
		RepeatAfter: map[severity.Level]time.Duration{severity.SEV1: 15 * time.Minute, severity.SEV2: 30 * time.Minute},
	}
}

func matrixRow(primary, escalation, executive []Role) []Step {
	return []Step{{0, primary}, {15 * time.Minute, escalation}, {30 * time.Minute, executive}}
}

// For returns the steps that an incident of the level follows. A value that is no
// level follows those of SEV1.
func (p Policy) For(l severity.Level) []Step { return p.Steps[followed(l)] }

// AckExpires returns when the acknowledgement of a round expires; zero means that
// there is none, or that it holds for ever.
func (p Policy) AckExpires(pr Progress) time.Time {
	timeout := p.AckTimeout[followed(pr.Level)]
	if pr.AckedAt.IsZero() || timeout <= 0 {
		return time.Time{}
	}
	return pr.AckedAt.Add(timeout)
}

// followed returns the level whose rules an incident of level l follows.
func followed(l severity.Level) severity.Level {
	if l.AtLeast(severity.SEV1) {
		return severity.SEV1
	}
	return l
}

// Validate joins everything that is wrong with the policy: a level without steps
// or without anybody to page at once, steps out of order, a step whose roles
// nobody plays, or of whom somebody cannot be reached on any of the channels, and a
// SEV-1 or SEV-2 for which nobody at all is there outside office hours.
func (p Policy) Validate(d Directory, channels ...string) error {
	problems := []error{d.Validate()}
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		problems = append(problems, p.validateLevel(l, d, channels)...)
	}
	for l := range p.Steps {
		if l < severity.SEV1 || l > severity.SEV4 {
			problems = append(problems, fmt.Errorf("Steps: %v is none of SEV-1 to SEV-4", l))
		}
	}
	problems = append(problems, times("AckTimeout", p.AckTimeout)...)
	problems = append(problems, times("RepeatAfter", p.RepeatAfter)...)
	return errors.Join(problems...)
}

// times refuses what would page people more than once a minute.
func times(name string, byLevel map[severity.Level]time.Duration) []error {
	var problems []error
	for _, l := range slices.Sorted(maps.Keys(byLevel)) {
		if d := byLevel[l]; d != 0 && d < time.Minute {
			problems = append(problems, fmt.Errorf("%s[%v]: is %v, want at least 1m, or 0 for never", name, l, d))
		}
		if l < severity.SEV1 || l > severity.SEV4 {
			problems = append(problems, fmt.Errorf("%s: %v is none of SEV-1 to SEV-4", name, l))
		}
	}
	return problems
}

func (p Policy) validateLevel(l severity.Level, d Directory, channels []string) []error {
	steps := p.Steps[l]
	if !slices.ContainsFunc(steps, func(s Step) bool { return len(s.Roles) > 0 }) {
		return []error{fmt.Errorf("Steps[%v]: no step pages anybody", l)}
	}
	var problems []error
	if l.AtLeast(severity.SEV2) && !slices.ContainsFunc(steps, func(s Step) bool { return d.always(s.Roles) }) {
		problems = append(problems, fmt.Errorf("Steps[%v]: at some hours nobody at all is paged: want one role that somebody always plays, or a rotation without Windows", l))
	}
	if steps[0].After != 0 {
		problems = append(problems, fmt.Errorf("Steps[%v][0]: After is %v, want 0: the first page goes out at once", l, steps[0].After))
	}
	for i, s := range steps {
		if i > 0 && s.After <= steps[i-1].After {
			problems = append(problems, fmt.Errorf("Steps[%v][%d]: After is %v, want later than the step before, %v", l, i, s.After, steps[i-1].After))
		}
		if len(s.Roles) == 0 {
			continue // "N/A"
		}
		if !d.played(s.Roles) {
			problems = append(problems, fmt.Errorf("Steps[%v][%d]: nobody is %s", l, i, named(s.Roles)))
		} else if who := d.unreachable(s.Roles, channels); len(who) > 0 {
			problems = append(problems, fmt.Errorf("Steps[%v][%d]: %s, who may be the only %s, cannot be reached on %s",
				l, i, strings.Join(who, " or "), named(s.Roles), cmp.Or(strings.Join(channels, ", "), "no channel at all")))
		}
	}
	return problems
}
