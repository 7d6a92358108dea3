package playbook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/severity"
)

// Row is one row of the document, beside what does it.
type Row struct {
	// Section is the heading under which the row stands.
	Section string
	// Lines are what the document says, line by line: a command, a number, an item.
	Lines []string
	// Does is the package and the type, function or step that does it.
	Does string
	// Command is what a person types for it, of examples/botops.
	Command string
	// Test shows it: the package's folder and the test's name.
	Test string
}

// Coverage returns every row of the document, in its order. It is what README's table is made
// of; a test walks the document and the tree, and fails for a row, a symbol or a test that is
// not there.
func Coverage() ([]Row, error) {
	steps, err := stepRows()
	if err != nil {
		return nil, err
	}
	return slices.Concat(overviewRows(), peopleRows(), recoveryRows(), steps, reportRows(), referenceRows()), nil
}

// CoverageTable returns Coverage as a Markdown table.
func CoverageTable() (string, error) {
	rows, err := Coverage()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	s.WriteString("| Playbook | What it says | Done by | On the command line | Test |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		var lines []string
		for _, l := range r.Lines {
			lines = append(lines, cell(l))
		}
		command := "embedded"
		if r.Command != "" {
			command = "`" + cell(r.Command) + "`"
		}
		fmt.Fprintf(&s, "| %s | %s | `%s` | %s | `%s` |\n", cell(r.Section), strings.Join(lines, "<br>"), r.Does, command, r.Test)
	}
	return s.String(), nil
}

// cell is a text as a cell of a Markdown table may have it.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "\n", " ").Replace(text)
}

func overviewRows() []Row {
	p := Default()
	var rows []Row
	for i, does := range []string{"safety.Switch.Halt", "evidence.Collector.Collect", "notify.Courier.Deliver", "runbook.Engine.Start"} {
		test := []string{"safety TestLaw2_", "incident/evidence TestCollect_AndBack", "incident TestLaw7_NoPageIsLostByAKill", "incident/runbook TestEveryCommandOfThePlaybookIsAStep"}[i]
		rows = append(rows, Row{"Key Principles", []string{p.Principles[i].Name}, does, []string{"stop", "evidence", "update", "runbook"}[i], test})
	}
	for _, l := range slices.Sorted(maps.Keys(p.Severities)) {
		s := p.Severities[l]
		rows = append(rows, Row{"Severity Level Definitions", []string{fmt.Sprintf("%v: %s (%s)", l, s.Title, s.State), s.Definition, "Response Time: < " + span(s.Respond), "Resolution Target: < " + span(s.Resolve)},
			"severity.Level.Targets", "declare", "severity TestTargetsAreThePlaybooks"})
		for _, d := range severity.Definitions() {
			if d.Runbook == "" && d.Level == l {
				rows = append(rows, Row{"Severity Level Definitions", []string{d.Text}, "severity.Table.Assess", "declare", "severity TestConditionsAreThePlaybooks"})
			}
		}
	}
	for i, does := range []string{"detect.Detector", "severity.Table.Assess", "incident.Manager.Declare", "notify.Policy.Due", "notify.Alert", "runbook.Engine.Start"} {
		command := []string{"declare", "declare", "declare", "page", "declare", "runbook"}[i]
		rows = append(rows, Row{"Initial Response Flow", []string{p.Flow[i]}, does, command, "incident/playbook TestAnIncidentHaltsAndPages"})
	}
	return rows
}

func peopleRows() []Row {
	p := Default()
	var rows []Row
	for _, l := range slices.Sorted(maps.Keys(p.Escalation.Steps)) {
		rows = append(rows, Row{"Escalation Matrix", []string{l.String()}, "notify.DefaultPolicy", "page", "notify TestTheMatrixIsThePlaybooks"})
	}
	for _, t := range [][4]string{
		{"Initial Alert", p.Templates.Alert, "notify.Alert.Message", "declare"},
		{"Status Update (Every 30 min for SEV-1/2)", p.Templates.Update, "notify.Update.Message", "update"},
		{"Resolution Notice", p.Templates.Resolution, "notify.Resolution.Message", "resolve"},
	} {
		rows = append(rows, Row{t[0], strings.Split(t[1], "\n"), t[2], t[3], "notify TestTheTemplatesAreThePlaybooksWordForWord"})
	}
	for _, group := range slices.Sorted(maps.Keys(p.Contacts)) {
		rows = append(rows, Row{"Emergency Contact Information", append([]string{group}, slices.Sorted(maps.Keys(p.Contacts[group]))...),
			"playbook.Playbook.Directory", "page", "incident/playbook TestDefaultIsTheDocument_Contacts"})
	}
	return rows
}

func recoveryRows() []Row {
	var rows []Row
	for _, o := range Default().objectives() {
		rows = append(rows, Row{"System Components RTO/RPO", []string{string(o.Component)}, "recovery.Catalog.Compliance", "backups", "recovery TestObjectivesAreThePlaybooks"})
	}
	for _, s := range Default().Priority {
		rows = append(rows, Row{"Recovery Priority Order", []string{s.Name + " - " + s.Purpose}, "recovery.Sequence.Run", "runbook", "recovery TestPriorityOrderIsThePlaybooks"})
	}
	return rows
}

// does are the engines behind the steps, by the step's name; where it stands in one runbook
// only with another, by runbook and name. A step without one is the runbook's own.
var does = map[string]string{
	"halt": "safety.Switch.Halt", "protect": "safety.Protector.Apply", "positions": "safety.ReadProtection", "safe": "safety.ReadProtection",
	"close-all": "safety.Closer.Apply", "read-only": "safety.Switch.CheckWrite", "throttle": "safety.Switch.Throttle",
	"compare": "reconcile.Reconciler.Compare", "apply-reconciliation": "reconcile.Reconciler.Apply",
	"backup": "recovery.Catalog.Backup", "backups": "recovery.Catalog.Backups", "priority-order": "recovery.Sequence.Run",
	"checklist": "recovery.Checklist.Run", "watch": "recovery.WatchConfig", "alert": "notify.Alert.Message",
	"evidence": "evidence.Vault.Seal", "isolate": "runbook.Isolation", "rotate": "runbook.Credentials", "key": "runbook.Credentials",
	"rollback": "runbook.Releases", "reinstall": "runbook.Releases", "git-log": "runbook.Releases", "stable": "runbook.Releases", "config-diff": "runbook.Releases",
}

// typed are the commands of examples/botops behind the steps; for a step without one it is
// the runbook's own command.
var typed = map[string]string{
	"halt": "stop", "protect": "protect", "positions": "positions", "safe": "positions", "close-all": "close-all", "status": "status",
	"health": "health", "test-trade": "test-trade", "rollback": "rollback", "reinstall": "rollback", "stable": "rollback", "backup": "backup", "backups": "backups",
	"restore": "restore", "secure-restore": "restore", "verify-restoration": "verify", "compare": "reconcile", "apply-reconciliation": "apply",
	"impact": "integrity", "integrity": "integrity", "export": "export", "rotate": "rotate", "key": "check-auth", "audit": "audit", "api-usage": "api-usage",
	"connection": "ws-health", "connected": "ws-health", "slow-queries": "slow-queries", "cache-rates": "cache", "threads": "threads",
	"alert": "declare", "evidence": "evidence",
}

// shown are the tests of the steps that have one of their own.
var shown = map[string]string{
	"watch": "TestWatchLooksEvery30Seconds", "in-time": "TestImmediateActionsInTime", "isolate": "TestIsolationIsRefusedWithTheAllowList",
	"revoke-coinbase": "TestBreachVerifiesBeforeItRevokes", "revoke-bluefin": "TestBreachVerifiesBeforeItRevokes", "close-all": "TestBreachClosesAll",
	"force-restart": "TestForceRestartOnlyIfNeeded", "rollback": "TestRollbackGoesWhereItIsTold",
}

// stepRows are the detection indicators and the steps of the eight runbooks.
func stepRows() ([]Row, error) {
	books, err := runbook.Playbook(runbook.Deps{})
	if err != nil {
		return nil, err
	}
	of := map[string][2]string{ // the function that has the steps, and its test
		AuthFailure:                             {"AuthenticationFailure", "TestAuthenticationFailureWithRealFiles"},
		MemoryIssues:                            {"MemoryDatabase", "TestMemoryDatabaseOnARealContainer"},
		Disconnection:                           {"WebSocketDisconnection", "TestWebSocketDisconnectionOnARealContainer"},
		HighUsage:                               {"HighUsage", "TestHighUsageOnARealContainer"},
		string(severity.ServiceOutage):          {"ServiceOutage", "TestServiceOutageOnARealContainer"},
		string(severity.DataCorruption):         {"DataCorruption", "TestDataCorruptionOnARealPostgreSQL"},
		string(severity.SecurityBreach):         {"SecurityBreach", "TestSecurityBreachOnTheRealThings"},
		string(severity.PerformanceDegradation): {"PerformanceDegradation", "TestPerformanceDegradationOnTheRealThings"},
	}
	var rows []Row
	for _, b := range books {
		for _, d := range severity.Definitions() {
			if string(d.Runbook) == b.Name {
				rows = append(rows, Row{b.Name, []string{d.Text}, "detect.Playbook", "declare", "incident/detect TestPlaybook_HasEachIndicator"})
			}
		}
		for _, s := range b.Steps {
			row := Row{Section: b.Name, Does: cmp.Or(does[s.Name], "runbook."+of[b.Name][0]),
				Command: cmp.Or(typed[s.Name], "runbook"), Test: "incident/runbook " + cmp.Or(shown[s.Name], of[b.Name][1])}
			purpose := strings.ReplaceAll(s.Purpose, "keys and Update", "keys: Update") // two rows, and one step
			row.Lines = append(strings.Split(purpose, ": "), s.Commands...)
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func reportRows() []Row {
	var rows []Row
	for _, s := range Default().PostMortem {
		rows = append(rows, Row{"Post-Mortem Template", append([]string{s.Heading}, s.Asks...), "postmortem.Report.Markdown", "postmortem",
			"incident/postmortem TestEverySectionOfThePlaybooksTemplateIsThere"})
	}
	return rows
}

// referenceRows are the quick reference guide's.
func referenceRows() []Row {
	p := Default()
	var rows []Row
	for _, c := range [][5]string{
		{"STOP TRADING IMMEDIATELY", "docker-compose exec ai-trading-bot touch /tmp/EMERGENCY_STOP", "safety.Switch.Halt", "stop", "safety TestLaw2_"},
		{"Check system status", "docker-compose ps && docker-compose logs --tail=50", "runbook.Containers", "status", "incident/runbook TestServiceOutageOnARealContainer"},
		{"Backup current state", "./scripts/emergency_backup.sh", "recovery.Catalog.Backup", "emergency_backup", "incident/runbook TestDataCorruptionOnARealPostgreSQL"},
		{"View open positions", "poetry run python -m bot.utils.show_positions", "safety.ReadFlat", "show_positions", "safety TestLaw5_"},
		{"Close all positions (USE WITH CAUTION)", "CONFIRM=yes poetry run python -m bot.utils.close_all_positions", "safety.Closer.Apply", "CONFIRM=yes close-all", "incident/runbook TestBreachClosesAll"},
		{"Rollback to last stable", "git checkout stable-latest && docker-compose up -d", "runbook.Releases", "rollback", "incident/runbook TestRollbackGoesWhereItIsTold"},
		{"Contact on-call", `./scripts/page_oncall.sh "SEV-1: Trading system down"`, "notify.Courier.PageOnCall", `page_oncall "SEV-1: Trading system down"`, "notify TestPageOnCallIsOneCall"},
	} {
		rows = append(rows, Row{"Emergency Commands Cheatsheet", c[:2], c[2], c[3], c[4]})
	}
	for _, f := range [][3]string{
		{p.Files.Log, "detect.Logs", "incident/detect TestLogs_FollowWhatIsWritten"}, {p.Files.Positions, "recovery.Catalog.Backup", "incident/playbook TestDefaultIsTheDocument_Files"},
		{p.Files.EmergencyStop, "safety.Flag", "safety TestLaw3_"}, {p.Files.Config, "detect.Drift", "incident/detect TestDrift"},
		{p.Files.Backups, "recovery.DirStorage", "incident/playbook TestDefaultIsTheDocument_Files"}, {p.Files.Env, "detect.Drift", "incident/detect TestDrift"},
		{p.Files.Incidents, "evidence.Collector.Collect", "incident/evidence TestCollect_AndBack"},
	} {
		rows = append(rows, Row{"Critical File Locations", []string{f[0]}, f[1], "", f[2]})
	}
	for _, name := range slices.Sorted(maps.Keys(p.URLs)) {
		lines := []string{name, p.URLs[name]}
		if exchange, ok := strings.CutPrefix(name, "Exchange Status "); ok {
			lines = []string{"Exchange Status:", exchange + ": " + p.URLs[name]}
		}
		rows = append(rows, Row{"Monitoring URLs", lines, "playbook.Playbook", "", "incident/playbook TestDefaultIsTheDocument_Files"})
	}
	for _, item := range p.Checklist {
		rows = append(rows, Row{"Recovery Validation Checklist", []string{item}, "recovery.Checklist.Run", "runbook", "recovery TestChecklistProvesTheEightItems"})
	}
	return append(rows, Row{"Remember", []string{"protecting capital is the highest priority. When in doubt, halt trading and escalate."},
		"severity.Assessment.Halts", "stop", "notify TestLaw1_AnUnclassifiedIncidentPagesAsSEV1"})
}
