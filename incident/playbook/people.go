package playbook

import (
	"fmt"
	"maps"
	"slices"

	"github.com/andon-go/andon/notify"
)

// pagerContact is the contact that is no person but the service that telephones are rung
// through, and the name of its channel.
const pagerContact = "pagerduty"

// Directory returns the contacts with the roles that they play, for a courier that has the
// named channels. Telephones are rung through the pagerduty channel where there is one; a
// contact that a role or rotation names and that is in no group is left out, which Validate
// tells.
func (p Playbook) Directory(channels ...string) notify.Directory {
	d := notify.Directory{Rotations: slices.Clone(p.Rotations)}
	played := map[string][]notify.Role{}
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		for _, name := range p.Roles[role] {
			played[name] = append(played[name], role)
		}
	}
	for _, group := range slices.Sorted(maps.Keys(p.Contacts)) {
		for _, name := range slices.Sorted(maps.Keys(p.Contacts[group])) {
			line := p.Contacts[group][name]
			if name == pagerContact {
				if slices.Contains(channels, pagerContact) {
					d.Pager = notify.Address{Channel: pagerContact, To: line}
				}
				continue
			}
			d.Contacts = append(d.Contacts, notify.ParseContact(name, line, played[name]...))
		}
	}
	return d
}

// people joins everything that is wrong with contacts, roles and rotations.
func (p Playbook) people() []*Problem {
	var problems []*Problem
	group := map[string]string{}
	for _, g := range slices.Sorted(maps.Keys(p.Contacts)) {
		for _, name := range slices.Sorted(maps.Keys(p.Contacts[g])) {
			if other, ok := group[name]; ok {
				problems = append(problems, problem(join("contacts", g, name), "is in the group %q too, and roles name contacts without their group", other))
			}
			group[name] = g
			if g == "" || name == "" {
				problems = append(problems, problem(join("contacts", g, name), "has no name"))
			}
			if p.Contacts[g][name] == "" {
				problems = append(problems, problem(join("contacts", g, name), "is empty: nobody could be reached"))
			}
		}
	}
	unknown := func(path, name string) {
		switch {
		case name == pagerContact:
			problems = append(problems, problem(path, "%s is a service and plays no role", name))
		case group[name] == "":
			problems = append(problems, problem(path, "there is no contact %q in any group of contacts", name))
		}
	}
	onDuty := map[string]bool{}
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		if role == "" {
			problems = append(problems, problem(join("roles", ""), "has no name"))
		}
		for i, name := range p.Roles[role] {
			unknown(fmt.Sprintf("%s[%d]", join("roles", string(role)), i), name)
			onDuty[name] = true
		}
	}
	for i, r := range p.Rotations {
		for j, name := range r.Members {
			unknown(fmt.Sprintf("rotations[%d].members[%d]", i, j), name)
			onDuty[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(group)) {
		if name != pagerContact && !onDuty[name] {
			problems = append(problems, problem(join("contacts", group[name], name), "plays no role and is in no rotation: it would never be told"))
		}
	}
	if len(problems) == 0 {
		if err := p.Directory().Validate(); err != nil {
			problems = append(problems, problem("contacts", "%v", err))
		}
	}
	return problems
}
