package notify

import (
	"fmt"
	"net/mail"
	"strings"
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

// The channels that ParseContact names. The Courier's channels have the same names
// where they are to be used.
const (
	Email     = "email"     // To is ada@example.com
	Telephone = "telephone" // To is a number; it goes through Directory.Pager
	Webhook   = "webhook"   // To is a URL
)

// Contact is somebody who can be told.
type Contact struct {
	Name      string
	Roles     []Role    // played at all times; those of a Rotation come on top
	Addresses []Address // the preferred one first; the others are the fallback, in order
	Note      string    // for people: how else to reach the contact, such as "AWS Support Center"
}

// ParseContact reads a line of the playbook's contact list, such as
//
//	lead@company.com | +1-555-010-0199
//
// E-mail addresses, telephone numbers and https URLs become addresses, in the
// line's order; anything else is the Note.
func ParseContact(name, line string, roles ...Role) Contact {
	c := Contact{Name: name, Roles: roles}
	var notes []string
	for part := range strings.SplitSeq(line, "|") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
		case isEmail(part):
			c.Addresses = append(c.Addresses, Address{Email, part})
		case isTelephone(part):
			c.Addresses = append(c.Addresses, Address{Telephone, part})
		case strings.HasPrefix(part, "https://"):
			c.Addresses = append(c.Addresses, Address{Webhook, part})
		default:
			notes = append(notes, part)
		}
	}
	c.Note = strings.Join(notes, " | ")
	return c
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// isTelephone wants seven digits or more, as no extension and no year has, and
// nothing but digits and what people write between them.
func isTelephone(s string) bool {
	digits := 0
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0, strings.ContainsRune(" -.()", r):
		default:
			return false
		}
	}
	return digits >= 7
}

// validate names what is wrong with a contact. OnDuty says that a rotation names it.
func (c Contact) validate(where string, onDuty bool) []error {
	var problems []error
	for i, r := range c.Roles {
		if r == "" {
			problems = append(problems, fmt.Errorf("%s: Roles[%d] is empty", where, i))
		}
	}
	if len(c.Roles) == 0 && !onDuty {
		problems = append(problems, fmt.Errorf("%s: Roles is empty and no rotation names it: it would never be told", where))
	}
	if len(c.Addresses) == 0 && c.Note == "" {
		problems = append(problems, fmt.Errorf("%s: Addresses is empty: nobody could reach this contact", where))
	}
	for i, a := range c.Addresses {
		if a.Channel == "" || a.To == "" {
			problems = append(problems, fmt.Errorf("%s: Addresses[%d] needs both Channel and To", where, i))
		}
	}
	return problems
}
