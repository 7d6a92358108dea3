package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Directory is everybody who can be told, and who has which role when. The zero
// Directory has nobody in it. Its methods are pure functions of its fields and the
// instants given, and safe for concurrent use.
type Directory struct {
	Contacts  []Contact
	Rotations []Rotation // roles that change hands

	// Pager is how a telephone is made to ring: an address of Channel Telephone is
	// replaced by it. The zero Address leaves telephone numbers as they are, for a
	// channel named "telephone".
	Pager Address
}

// Find returns the contacts that play any of the roles at an instant, each once, in
// the directory's order: those who always do, and those who are on call. Telephone
// numbers have been replaced by the Pager.
func (d Directory) Find(at time.Time, roles ...Role) []Contact {
	onCall := d.onCall(at, roles)
	var found []Contact
	for _, c := range d.Contacts {
		if c.plays(roles) || slices.Contains(onCall, c.Name) {
			c.Addresses = d.paged(c.Addresses)
			found = append(found, c)
		}
	}
	return found
}

// anybody reports whether Find would return somebody.
func (d Directory) anybody(at time.Time, roles []Role) bool {
	if len(roles) == 0 {
		return false
	}
	onCall := d.onCall(at, roles)
	return slices.ContainsFunc(d.Contacts, func(c Contact) bool { return c.plays(roles) || slices.Contains(onCall, c.Name) })
}

// nextHandover returns the first instant after at at which who plays one of the
// roles may change; zero means never.
func (d Directory) nextHandover(at time.Time, roles []Role) (next time.Time) {
	for _, r := range d.Rotations {
		if slices.Contains(roles, r.Role) {
			next = earliest(next, r.nextChange(at))
		}
	}
	return next
}

func (c Contact) plays(roles []Role) bool {
	return slices.ContainsFunc(c.Roles, func(r Role) bool { return slices.Contains(roles, r) })
}

// onCall returns the names of who is on call in any of the roles.
func (d Directory) onCall(at time.Time, roles []Role) []string {
	var names []string
	for _, r := range d.Rotations {
		if slices.Contains(roles, r.Role) {
			if name := r.OnCall(at); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// paged returns the addresses with the pager in the place of telephone numbers.
func (d Directory) paged(addresses []Address) []Address {
	isNumber := func(a Address) bool { return a.Channel == Telephone }
	if d.Pager == (Address{}) || !slices.ContainsFunc(addresses, isNumber) {
		return addresses
	}
	var out []Address
	for _, a := range addresses {
		if isNumber(a) {
			a = d.Pager
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// Gaps returns the times between two instants in which nobody plays the role, the
// earliest first, adjacent ones as one.
func (d Directory) Gaps(role Role, from, until time.Time) []Shift {
	var gaps []Shift
	for at := from; at.Before(until); {
		end := until
		if next := d.nextHandover(at, []Role{role}); !next.IsZero() && next.Before(until) {
			end = next
		}
		if !d.anybody(at, []Role{role}) {
			if last := len(gaps) - 1; last >= 0 && gaps[last].Until.Equal(at) {
				gaps[last].Until = end
			} else {
				gaps = append(gaps, Shift{From: at, Until: end})
			}
		}
		at = end
	}
	return gaps
}

// Validate joins everything that is wrong with the directory, each beginning with
// the contact or rotation that it is about.
func (d Directory) Validate() error {
	var problems []error
	names := map[string]bool{}
	for i, c := range d.Contacts {
		where := fmt.Sprintf("Contacts[%d] %q", i, c.Name)
		if c.Name == "" {
			problems = append(problems, fmt.Errorf("%s: Name is empty", where))
		} else if names[c.Name] {
			problems = append(problems, fmt.Errorf("%s: Name is used twice", where))
		}
		names[c.Name] = true
		onDuty := slices.ContainsFunc(d.Rotations, func(r Rotation) bool { return slices.Contains(r.everybody(), c.Name) })
		problems = append(problems, c.validate(where, onDuty)...)
	}
	if (d.Pager.Channel == "") != (d.Pager.To == "") || d.Pager.Channel == Telephone {
		problems = append(problems, errors.New("Pager: needs both Channel and To, and a channel that is no telephone"))
	}
	for i, r := range d.Rotations {
		problems = append(problems, r.validate(fmt.Sprintf("Rotations[%d] %q", i, r.Name), names)...)
	}
	return errors.Join(problems...)
}

// everybody returns who may ever be on call.
func (r Rotation) everybody() []string {
	names := slices.Clone(r.Members)
	for _, o := range r.Overrides {
		names = append(names, o.Contact)
	}
	return names
}

func (r Rotation) validate(where string, contacts map[string]bool) []error {
	var problems []error
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
	}
	if r.Role == "" {
		report("Role is empty")
	}
	if len(r.Members) == 0 {
		report("Members is empty")
	}
	for i, name := range r.Members {
		if !contacts[name] {
			report("Members[%d]: %q is no contact", i, name)
		}
	}
	if err := r.First.validate(); err != nil || r.First.Year < 1970 || r.First.Year > 2199 {
		report("First: is %v, want a day between 1970 and 2199", r.First)
	}
	if err := r.Handoff.validate(); err != nil {
		report("Handoff: %w", err)
	}
	if r.Days < 0 || r.Days > 366 {
		report("Days: is %d, want 1 to 366", r.Days)
	}
	for i, w := range r.Windows {
		if err := errors.Join(w.From.validate(), w.Until.validate()); err != nil {
			report("Windows[%d]: %w", i, err)
		}
		if slices.ContainsFunc(w.Days, func(d time.Weekday) bool { return d < time.Sunday || d > time.Saturday }) {
			report("Windows[%d]: Days holds what is no day of the week", i)
		}
	}
	for i, o := range r.Overrides {
		if !contacts[o.Contact] {
			report("Overrides[%d]: %q is no contact", i, o.Contact)
		}
		if !o.From.Before(o.Until) {
			report("Overrides[%d]: From is %v, want earlier than Until, %v", i, o.From, o.Until)
		}
	}
	return problems
}

// unreachable returns who may have to be told in one of the roles and has no
// address on any of the channels, where nobody who always plays one has.
func (d Directory) unreachable(roles []Role, channels []string) []string {
	var unreached []string
	for _, c := range d.Contacts {
		reached := slices.ContainsFunc(d.paged(c.Addresses), func(a Address) bool { return slices.Contains(channels, a.Channel) })
		if c.plays(roles) && reached {
			return nil
		}
		onDuty := slices.ContainsFunc(d.Rotations, func(r Rotation) bool {
			return slices.Contains(roles, r.Role) && slices.Contains(r.everybody(), c.Name)
		})
		if !reached && (c.plays(roles) || onDuty) {
			unreached = append(unreached, c.Name)
		}
	}
	return unreached
}

// played reports whether a role of these has anybody who could play it.
func (d Directory) played(roles []Role) bool {
	return slices.ContainsFunc(d.Contacts, func(c Contact) bool { return c.plays(roles) }) ||
		slices.ContainsFunc(d.Rotations, func(r Rotation) bool { return slices.Contains(roles, r.Role) && len(r.everybody()) > 0 })
}

// always reports whether a role of these has somebody at every hour.
func (d Directory) always(roles []Role) bool {
	return slices.ContainsFunc(d.Contacts, func(c Contact) bool { return c.plays(roles) }) ||
		slices.ContainsFunc(d.Rotations, func(r Rotation) bool {
			return slices.Contains(roles, r.Role) && len(r.Members) > 0 && len(r.Windows) == 0
		})
}

// named writes roles as the playbook does: "CTO/Risk Officer".
func named(roles []Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, "/")
}
