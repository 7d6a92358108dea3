package notify

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Role is a part that a contact plays in a response, in the playbook's words.
type Role string

// The roles of the escalation matrix.
const (
	OnCallEngineer  Role = "On-Call Eng"
	PrimaryEngineer Role = "Primary Eng"
	AnyEngineer     Role = "Any Engineer"
	SeniorEngineer  Role = "Senior Engineer"
	LeadEngineer    Role = "Lead Engineer"
	TeamLead        Role = "Team Lead"
	TechManager     Role = "Tech Manager"
	CTO             Role = "CTO"
	RiskOfficer     Role = "Risk Officer"
)

// The other roles of the playbook's contact list.
const (
	SecondaryOnCall    Role = "Secondary On-Call"
	InfrastructureLead Role = "Infrastructure Lead"
	SecurityLead       Role = "Security Lead"
	EngineeringManager Role = "Engineering Manager"
	ExchangeSupport    Role = "Exchange Support"
	VendorSupport      Role = "Vendor Support"
	LegalCounsel       Role = "Legal Counsel"
	ComplianceOfficer  Role = "Compliance Officer"
)

// Address is where a contact is reached on one channel.
type Address struct {
	Channel string // name of a channel of the Courier, such as "webhook"
	To      string // in that channel's own form
}

// Contact is somebody who can be told.
type Contact struct {
	Name      string
	Roles     []Role
	Addresses []Address // the preferred one first; the others are the fallback, in order
}

// Directory is everybody who can be told. The zero Directory has nobody in it.
type Directory struct {
	Contacts []Contact
}

// Find returns the contacts that play any of the roles at the given time, each
// once, in the directory's order.
func (d Directory) Find(_ time.Time, roles ...Role) []Contact {
	var found []Contact
	for _, c := range d.Contacts {
		if slices.ContainsFunc(c.Roles, func(r Role) bool { return slices.Contains(roles, r) }) {
			found = append(found, c)
		}
	}
	return found
}

// Validate joins everything that is wrong with the directory, each beginning with
// the contact that it is about.
func (d Directory) Validate() error {
	var problems []error
	seen := map[string]bool{}
	for i, c := range d.Contacts {
		where := fmt.Sprintf("Contacts[%d] %q", i, c.Name)
		if c.Name == "" {
			problems = append(problems, fmt.Errorf("%s: Name is empty", where))
		} else if seen[c.Name] {
			problems = append(problems, fmt.Errorf("%s: Name is used twice", where))
		}
		seen[c.Name] = true
		problems = append(problems, c.validate(where)...)
	}
	return errors.Join(problems...)
}

func (c Contact) validate(where string) []error {
	var problems []error
	if len(c.Roles) == 0 || slices.Contains(c.Roles, "") {
		problems = append(problems, fmt.Errorf("%s: Roles is empty or holds an empty role", where))
	}
	if len(c.Addresses) == 0 {
		problems = append(problems, fmt.Errorf("%s: Addresses is empty: nobody could reach this contact", where))
	}
	for i, a := range c.Addresses {
		if a.Channel == "" || a.To == "" {
			problems = append(problems, fmt.Errorf("%s: Addresses[%d] needs both Channel and To", where, i))
		}
	}
	return problems
}
