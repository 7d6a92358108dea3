package notify

import (
	"errors"
	"fmt"
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
}

// DefaultPolicy returns the playbook's escalation matrix. The map is the caller's own.
func DefaultPolicy() Policy {
	return Policy{Steps: map[severity.Level][]Step{
		severity.SEV1: matrixRow([]Role{OnCallEngineer}, []Role{LeadEngineer}, []Role{CTO, RiskOfficer}),
		severity.SEV2: matrixRow([]Role{OnCallEngineer}, []Role{LeadEngineer}, []Role{TechManager}),
		severity.SEV3: matrixRow([]Role{PrimaryEngineer}, []Role{SeniorEngineer}, []Role{TeamLead}),
		severity.SEV4: matrixRow([]Role{AnyEngineer}, []Role{TeamLead}, nil),
	}}
}

func matrixRow(primary, escalation, executive []Role) []Step {
	return []Step{{0, primary}, {15 * time.Minute, escalation}, {30 * time.Minute, executive}}
}

// For returns the steps that an incident of the level follows. A value that is no
// level follows those of SEV1.
func (p Policy) For(l severity.Level) []Step {
	if l.AtLeast(severity.SEV1) {
		l = severity.SEV1
	}
	return p.Steps[l]
}

// Validate joins everything that is wrong with the policy: a level without steps
// or without anybody to page at once, steps out of order, a step whose roles
// nobody plays, or who cannot be reached on any of the channels.
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
	return errors.Join(problems...)
}

func (p Policy) validateLevel(l severity.Level, d Directory, channels []string) []error {
	steps := p.Steps[l]
	if !slices.ContainsFunc(steps, func(s Step) bool { return len(s.Roles) > 0 }) {
		return []error{fmt.Errorf("Steps[%v]: no step pages anybody", l)}
	}
	var problems []error
	if steps[0].After != 0 {
		problems = append(problems, fmt.Errorf("Steps[%v][0]: After is %v, want 0: the first page goes out at once", l, steps[0].After))
	}
	for i, s := range steps {
		if i > 0 && s.After <= steps[i-1].After {
			problems = append(problems, fmt.Errorf("Steps[%v][%d]: After is %v, want later than the step before, %v", l, i, s.After, steps[i-1].After))
		}
		if len(s.Roles) > 0 && !reachable(d, s.Roles, channels) {
			problems = append(problems, fmt.Errorf("Steps[%v][%d]: nobody who is %s can be reached on %s", l, i, join(s.Roles), strings.Join(channels, ", ")))
		}
	}
	return problems
}

func reachable(d Directory, roles []Role, channels []string) bool {
	return slices.ContainsFunc(d.Find(time.Time{}, roles...), func(c Contact) bool {
		return slices.ContainsFunc(c.Addresses, func(a Address) bool { return slices.Contains(channels, a.Channel) })
	})
}

func join(roles []Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, "/")
}
