package playbook

import (
	"maps"
	"slices"

	"github.com/andon-go/andon/incident/console"
)

// Card returns the quick-reference card of this playbook for the console: the stop flag,
// the files, contacts and addresses that it names, and its checklist. Commands are those
// that a shell has everywhere; a bot adds its own.
func (p Playbook) Card() console.Card {
	card := console.Card{
		Commands:  []console.Named{{Name: "Stop trading immediately", To: "touch " + p.Files.EmergencyStop}, {Name: "Hold writes", To: "touch " + p.Files.ReadOnly}},
		Checklist: slices.Clone(p.Checklist),
	}
	for _, f := range []console.Named{
		{Name: "Main application logs", To: p.Files.Log}, {Name: "Position database", To: p.Files.Positions},
		{Name: "Emergency stop flag", To: p.Files.EmergencyStop}, {Name: "Production config", To: p.Files.Config},
		{Name: "Automated backups", To: p.Files.Backups}, {Name: "Environment configuration", To: p.Files.Env}, {Name: "Incident logs", To: p.Files.Incidents},
	} {
		if f.To != "" {
			card.Files = append(card.Files, f)
		}
	}
	for _, group := range slices.Sorted(maps.Keys(p.Contacts)) {
		for _, name := range slices.Sorted(maps.Keys(p.Contacts[group])) {
			card.Contacts = append(card.Contacts, console.Named{Name: name, To: p.Contacts[group][name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.URLs)) {
		card.Links = append(card.Links, console.Named{Name: name, To: p.URLs[name]})
	}
	return card
}
