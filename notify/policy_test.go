package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestTheMatrixIsThePlaybooks(t *testing.T) {
	_, text, found := strings.Cut(playbook(t), "### Escalation Matrix\n")
	require.True(t, found)
	var rows [][]string
	for line := range strings.Lines(strings.TrimSpace(strings.SplitN(text, "\n###", 2)[0])) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	require.Equal(t, []string{"Severity", "Primary Contact", "Escalation (15 min)", "Executive (30 min)"}, rows[0])
	require.Len(t, rows, 2+4)
	for i, row := range rows[2:] {
		level := severity.Level(i + 1)
		require.Equal(t, level.String(), row[0])
		for j, s := range notify.DefaultPolicy().For(level) {
			var roles []string
			for _, r := range s.Roles {
				roles = append(roles, string(r))
			}
			if len(roles) == 0 {
				roles = []string{"N/A"}
			}
			require.Equal(t, row[1+j], strings.Join(roles, "/"))
			require.Equal(t, []time.Duration{0, 15 * time.Minute, 30 * time.Minute}[j], s.After)
		}
	}
}

func TestLaw1_AnUnclassifiedIncidentPagesAsSEV1(t *testing.T) {
	p := notify.DefaultPolicy()
	for _, l := range []severity.Level{severity.Unclassified, 5, 255} {
		require.Equal(t, p.For(severity.SEV1), p.For(l))
		due, _ := p.Due(notify.Progress{Level: l, DeclaredAt: start, OpenedAt: start, Round: 1}, team(), start)
		require.Len(t, due, 1)
		require.Equal(t, []notify.Role{notify.OnCallEngineer}, due[0].Roles)
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	p := notify.DefaultPolicy()
	p.Steps[severity.SEV1] = []notify.Step{{time.Minute, []notify.Role{notify.OnCallEngineer}}, {time.Minute, []notify.Role{"Astronaut"}}}
	p.Steps[severity.SEV2] = nil
	p.Steps[severity.SEV3] = []notify.Step{{0, nil}, {time.Hour, nil}}
	p.Steps[9] = nil
	p.AckTimeout[severity.SEV3], p.RepeatAfter[9] = time.Second, -time.Hour
	d := team()
	d.Contacts = append(d.Contacts,
		notify.Contact{},
		notify.Contact{Name: "Ada", Roles: []notify.Role{""}, Addresses: []notify.Address{{Channel: "pager"}}})
	err := p.Validate(d, "pager", "webhook")
	for _, want := range []string{
		"Steps[SEV-1][0]: After is 1m0s, want 0",
		"Steps[SEV-1][1]: After is 1m0s, want later than the step before, 1m0s",
		"Steps[SEV-1][1]: nobody is Astronaut",
		"Steps[SEV-2]: no step pages anybody",
		"Steps[SEV-3]: no step pages anybody",
		"Steps: Level(9) is none of SEV-1 to SEV-4",
		"AckTimeout[SEV-3]: is 1s, want at least 1m",
		"RepeatAfter[Level(9)]: is -1h0m0s, want at least 1m",
		"RepeatAfter: Level(9) is none of SEV-1 to SEV-4",
		`Contacts[5] "": Name is empty`,
		`Contacts[5] "": Roles is empty and no rotation names it`,
		`Contacts[5] "": Addresses is empty`,
		`Contacts[6] "Ada": Name is used twice`,
		`Contacts[6] "Ada": Roles[0] is empty`,
		`Contacts[6] "Ada": Addresses[0] needs both`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, notify.DefaultPolicy().Validate(team(), "telegraph"), "Ada, who may be the only On-Call Eng, cannot be reached on telegraph")
	require.ErrorContains(t, notify.Policy{}.Validate(team(), "pager"), "Steps[SEV-4]: no step pages anybody")
}

// A rotation of office hours may be the only one of a step, and not of a whole level
// that stops trading: at night its page would wait for the morning.
func TestLaw7_AtEveryHourSomebodyIsPaged(t *testing.T) {
	office := []notify.Window{{Days: []time.Weekday{time.Monday}, From: notify.Clock{Hour: 9}, Until: notify.Clock{Hour: 17}}}
	d := team()
	d.Rotations = []notify.Rotation{{
		Name: "office", Role: notify.OnCallEngineer, Members: []string{"Ada"}, First: notify.Date{Year: 2026, Month: 1, Day: 5}, Windows: office,
	}}
	d.Contacts[0].Roles = []notify.Role{notify.PrimaryEngineer, notify.AnyEngineer}
	p := notify.DefaultPolicy()
	require.NoError(t, p.Validate(d, "pager"), "the lead engineer is there at night")
	for _, l := range []severity.Level{severity.SEV1, severity.SEV2, severity.SEV4} {
		p.Steps[l] = []notify.Step{{Roles: []notify.Role{notify.OnCallEngineer}}}
	}
	err := p.Validate(d, "pager")
	require.ErrorContains(t, err, "Steps[SEV-1]: at some hours nobody at all is paged")
	require.ErrorContains(t, err, "Steps[SEV-2]: at some hours nobody at all is paged")
	require.NotContains(t, err.Error(), "Steps[SEV-4]", "which may wait for the morning")
	d.Rotations[0].Windows = nil
	require.NoError(t, p.Validate(d, "pager"))
}

func TestFindReturnsEachContactOnce(t *testing.T) {
	d := team()
	found := d.Find(start, notify.AnyEngineer, notify.OnCallEngineer, notify.CTO)
	require.Len(t, found, 2)
	require.Equal(t, "Ada", found[0].Name)
	require.Empty(t, d.Find(start))
	require.False(t, slices.ContainsFunc(d.Find(start, notify.CTO), func(c notify.Contact) bool { return c.Name != "Cyd" }))
}
