package runbook_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/needs"
)

// elsewhere are the sections of the playbook that other packages perform, and by which.
var elsewhere = map[string]string{
	"Initial Response Flow":                    "incident",
	"Communication Templates":                  "notify",
	"Internal Contacts":                        "notify",
	"External Contacts":                        "notify",
	"Post-Mortem Template":                     "incident/postmortem",
	"Emergency Commands Cheatsheet":            "examples/botops",
	"Critical File Locations":                  "incident/playbook",
	"Emergency Contact Information":            "notify",
	"Escalation Procedures":                    "notify",
	"Root Cause Analysis":                      "incident/postmortem",
	"Lessons Learned":                          "incident/postmortem",
	"Action Items":                             "incident/postmortem",
	"Incident Summary":                         "incident/postmortem",
	"Initial Alert":                            "notify",
	"Status Update (Every 30 min for SEV-1/2)": "notify",
	"Resolution Notice":                        "notify",
}

// block is a code block of the playbook with where it stands.
type block struct {
	line    int
	runbook string // or quick fix
	section string // the nearest heading
	item    string // the numbered item, without its number
	lang    string
	lines   []string
}

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../../shared/playbook.md")
	if err != nil {
		needs.Missing(t, "the playbook beside the project: %v", err)
	}
	return string(b)
}

var (
	numbered = regexp.MustCompile(`^\d+\. \*\*(.+)\*\*$`)
	quick    = regexp.MustCompile(`^#### \d+\. (.+)$`)
	budget   = regexp.MustCompile(`^#### Immediate Actions \(< (\d+) minutes\)$`)
)

// blocks returns the code blocks, and the numbered items and bullets of each runbook.
func blocks(text string) (all []block, items map[string][]string) {
	items = map[string][]string{}
	var at block
	var in bool
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```") && !in:
			in, at.lang, at.line, at.lines = true, strings.TrimPrefix(trimmed, "```"), n+1, nil
		case strings.HasPrefix(trimmed, "```"):
			in = false
			all = append(all, at)
		case in:
			at.lines = append(at.lines, trimmed)
		case strings.HasPrefix(line, "#"):
			at.section, at.item = strings.TrimSpace(strings.TrimLeft(line, "#")), ""
			switch q := quick.FindStringSubmatch(line); {
			case q != nil:
				at.runbook = q[1]
				items[at.runbook] = nil
			case strings.HasPrefix(line, "### ") && strings.HasSuffix(line, " Runbook"):
				at.runbook = strings.TrimSuffix(at.section, " Runbook")
			case !strings.HasPrefix(line, "####"):
				at.runbook = ""
			}
			if b := budget.FindStringSubmatch(line); b != nil {
				items[at.runbook] = append(items[at.runbook], strings.TrimPrefix(line, "#### "))
			}
		case at.runbook != "":
			if m := numbered.FindStringSubmatch(line); m != nil {
				at.item = m[1]
				items[at.runbook] = append(items[at.runbook], m[1])
			}
			if b, ok := strings.CutPrefix(trimmed, "- "); ok && at.item != "" {
				items[at.runbook] = append(items[at.runbook], at.item+": "+b)
			}
		}
	}
	return all, items
}

// Every numbered item, every command and every comment of the playbook's runbooks and
// quick fixes is a step of the runbook of its name, in the document's own words; every
// other block belongs to a package that is named.
func TestEveryCommandOfThePlaybookIsAStep(t *testing.T) {
	text := document(t)
	books, err := runbook.Playbook(runbook.Deps{})
	require.NoError(t, err)
	byName := map[string]runbook.Runbook{}
	for _, b := range books {
		byName[b.Name] = b
	}
	all, items := blocks(text)
	require.Len(t, items, 8, "four runbooks and four quick fixes")
	for name, want := range items {
		require.Contains(t, byName, name)
		for _, item := range want {
			require.True(t, slices.ContainsFunc(byName[name].Steps, func(s runbook.Step) bool {
				return s.Purpose == item || strings.HasPrefix(s.Purpose, item+":") || strings.HasPrefix(s.Purpose, item+" and ")
			}), "%s: no step for %q", name, item)
		}
	}
	found := 0
	for _, b := range all {
		if b.runbook == "" {
			require.Contains(t, elsewhere, b.section, "line %d: a block in a section that nobody performs", b.line)
			continue
		}
		found++
		comment := ""
		for _, line := range b.lines {
			if said, ok := strings.CutPrefix(line, "# "); ok || strings.HasPrefix(line, "-- ") {
				comment = strings.TrimPrefix(said, "-- ")
				if !instruction(byName[b.runbook], comment) {
					require.True(t, slices.ContainsFunc(byName[b.runbook].Steps, func(s runbook.Step) bool {
						return strings.Contains(s.Purpose, comment) && strings.HasPrefix(s.Purpose, b.item)
					}), "%s, line %d: no step says %q", b.runbook, b.line, comment)
				}
				continue
			}
			command, _, _ := strings.Cut(line, "  # ")
			if command = strings.TrimSpace(command); command == "" {
				continue
			}
			require.True(t, slices.ContainsFunc(byName[b.runbook].Steps, func(s runbook.Step) bool {
				return slices.Contains(s.Commands, command) && strings.HasPrefix(s.Purpose, b.item)
			}), "%s, line %d: no step for %q of %q", b.runbook, b.line, command, b.item)
		}
	}
	require.Equal(t, 30, found, "code blocks of the runbooks and quick fixes")
}

// instruction reports whether a comment is what a person does, which is a command.
func instruction(b runbook.Runbook, comment string) bool {
	return slices.ContainsFunc(b.Steps, func(s runbook.Step) bool { return slices.Contains(s.Commands, comment) })
}

// With nothing to act through, every step but the clock's is a person's, who is shown the
// document's commands.
func TestWhatTheBotHasNotAPersonDoes(t *testing.T) {
	books, err := runbook.Playbook(runbook.Deps{})
	require.NoError(t, err)
	for _, b := range books {
		for _, s := range b.Steps {
			if s.Name == "in-time" {
				continue
			}
			require.NotEmpty(t, s.Attest, "%s: %s", b.Name, s.Name)
			for _, c := range s.Commands {
				require.Contains(t, s.Attest, c, "%s: %s", b.Name, s.Name)
			}
		}
	}
	_, err = runbook.New(t.Context(), runbook.Config{Incidents: &timeline{}, Runbooks: books})
	require.NoError(t, err, "each is a runbook that can be meant")
}

// Who has to agree.
func TestWhoHasToAgree(t *testing.T) {
	for name, deps := range map[string]runbook.Deps{"with nothing": {}, "with all": newWorld(t).deps()} {
		books, err := runbook.Playbook(deps)
		require.NoError(t, err)
		got := map[string]runbook.Approval{}
		for _, b := range books {
			for _, s := range b.Steps {
				if s.Approval != runbook.None {
					got[b.Name+"/"+s.Name] = s.Approval
				}
			}
		}
		require.Equal(t, map[string]runbook.Approval{
			"Service Outage/restart":                     runbook.One,
			"Service Outage/force-restart":               runbook.One,
			"Service Outage/rollback":                    runbook.One,
			"Data Corruption/restore":                    runbook.Two,
			"Data Corruption/apply-reconciliation":       runbook.One,
			"Security Breach/close-all":                  runbook.Two,
			"Security Breach/isolate":                    runbook.One,
			"Security Breach/rotate":                     runbook.One,
			"Security Breach/reinstall":                  runbook.One,
			"Security Breach/secure-restore":             runbook.Two,
			"Security Breach/start":                      runbook.One,
			"Performance Degradation/flush":              runbook.One,
			"Performance Degradation/resource-settings":  runbook.One,
			"Performance Degradation/resources":          runbook.One,
			"Performance Degradation/tuning":             runbook.One,
			"Exchange API Authentication Failure/rotate": runbook.One,
			"Memory/Database Issues/restart":             runbook.One,
			"High CPU/Memory Usage/limits":               runbook.One,
			"High CPU/Memory Usage/prune":                runbook.Two,
		}, got, name)
	}
}

// The breach runbook does nothing that could hurt a position before every position is
// known to be closed or protected and the evidence is sealed.
func TestBreachVerifiesBeforeItRevokes(t *testing.T) {
	for _, deps := range []runbook.Deps{{}, newWorld(t).deps()} {
		b := runbook.SecurityBreach(deps)
		at := func(name string) int {
			i := slices.IndexFunc(b.Steps, func(s runbook.Step) bool { return s.Name == name })
			require.GreaterOrEqual(t, i, 0, name)
			return i
		}
		order := []string{"halt", "protect", "close-all", "safe", "evidence", "network-state", "isolate", "revoke-bluefin", "revoke-coinbase", "stop", "rotate", "start"}
		for i, name := range order[1:] {
			require.Less(t, at(order[i]), at(name), "%s before %s", order[i], name)
		}
		for _, name := range []string{"safe", "evidence"} {
			require.False(t, b.Steps[at(name)].GoOn, "the run waits where it cannot be shown: %s", name)
		}
		require.Equal(t, "Coinbase: Dashboard > API > Revoke All Keys", b.Steps[at("revoke-coinbase")].Attest)
		require.Equal(t, "Bluefin: Account Settings > API Management > Disable All", b.Steps[at("revoke-bluefin")].Attest)
	}
}
