package playbook_test

import (
	"testing"

	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/stretchr/testify/require"
)

func TestCardIsThisPlaybooksOwn(t *testing.T) {
	p := playbook.Default()
	p.Files.EmergencyStop = "/srv/bot/STOP"
	p.Contacts = map[string]map[string]string{"on_call_rotation": {"primary": "ada@example.com"}}
	card := p.Card()
	require.Equal(t, "touch /srv/bot/STOP", card.Commands[0].To)
	require.Equal(t, []console.Named{{Name: "primary", To: "ada@example.com"}}, card.Contacts)
	require.Equal(t, p.Checklist, card.Checklist)
	require.Len(t, card.Links, len(p.URLs))
	require.Contains(t, card.Files, console.Named{Name: "Position database", To: "/data/positions.db"})
	require.Len(t, card.Files, 7, "every line of the document's Critical File Locations")
}
