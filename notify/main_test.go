package notify_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the transcripts anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// playbook returns the document that this package puts into types.
func playbook(t *testing.T) string {
	text, err := os.ReadFile("../../shared/playbook.md")
	if err != nil {
		needs.Missing(t, "the playbook to compare with: %v", err)
	}
	return string(text)
}

// team is a directory in which each role of the matrix is played by one person.
func team() notify.Directory {
	person := func(name string, roles ...notify.Role) notify.Contact {
		return notify.Contact{Name: name, Roles: roles, Addresses: []notify.Address{{Channel: "pager", To: strings.ToLower(name)}}}
	}
	return notify.Directory{Contacts: []notify.Contact{
		person("Ada", notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer),
		person("Ben", notify.LeadEngineer, notify.SeniorEngineer),
		person("Cyd", notify.CTO),
		person("Dev", notify.RiskOfficer),
		person("Eve", notify.TechManager, notify.TeamLead),
	}}
}

func TestTheTeamIsValid(t *testing.T) {
	require.NoError(t, notify.DefaultPolicy().Validate(team(), "pager"))
}
