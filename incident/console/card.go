package console

import "github.com/andon-go/andon/incident"

// Card is the quick-reference card: what to type, where things lie, whom to call. It is
// shown as it is, to those whom the Authorizer lets in, and printed on one sheet.
type Card struct {
	Commands  []Named // what it does, and what to type
	Files     []Named // what it is, and where
	Contacts  []Named // who, and how
	Links     []Named // what, and its address
	Checklist []string
}

// Named is a line of the card.
type Named struct{ Name, To string }

func (c Card) empty() bool {
	return len(c.Commands)+len(c.Files)+len(c.Contacts)+len(c.Links)+len(c.Checklist) == 0
}

// DefaultCard returns what of the playbook's card is the same for every bot: the flag, the
// exchanges' pages and the checklist. Commands, paths and contacts are the bot's own.
func DefaultCard() Card {
	c := Card{
		Commands:  []Named{{"Stop trading immediately", "touch /tmp/EMERGENCY_STOP"}},
		Files:     []Named{{"Emergency stop flag", "/tmp/EMERGENCY_STOP"}, {"Read-only flag", "/tmp/READONLY_MODE"}},
		Checklist: incident.DefaultChecklist(),
	}
	for _, e := range DefaultExchanges() {
		c.Links = append(c.Links, Named{e.Name + " status", e.Page})
	}
	return c
}
