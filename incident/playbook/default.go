package playbook

import (
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// ObjectiveMissed is the condition of a component that misses its recovery objectives. It
// is ours: the document gives the objectives, and no level for a miss.
const ObjectiveMissed severity.Condition = "recovery-objective-missed"

// The names of the quick fixes, in the document's words.
const (
	AuthFailure   = "Exchange API Authentication Failure"
	MemoryIssues  = "Memory/Database Issues"
	Disconnection = "WebSocket Disconnection"
	HighUsage     = "High CPU/Memory Usage"
)

// Default returns the document. Its contacts have no telephone numbers, so that Assemble
// refuses it until a bot gives its own. Everything in it is the caller's own.
func Default() Playbook {
	p := Playbook{
		Principles: []Principle{
			{"Safety First", "Immediately halt trading on any critical incident"},
			{"Preserve Evidence", "Document everything for post-mortem analysis"},
			{"Communicate Early", "Notify stakeholders at the first sign of issues"},
			{"Follow the Process", "Use established procedures, don't improvise during incidents"},
		},
		Flow: []string{
			"Detect Issue (Manual/Automated)", "Assess Severity Level", "Execute Immediate Actions",
			"Notify On-Call Engineer", "Create Incident Channel", "Begin Resolution Process",
		},
		Severities: severities(),
		Conditions: conditions(),
		Indicators: indicators(),
		Patterns:   detect.PlaybookPatterns(),
		Escalation: notify.DefaultPolicy(),
		Templates: notify.Templates{
			Alert: notify.DefaultAlert, Update: notify.DefaultUpdate, Resolution: notify.DefaultResolution,
			Reminder: notify.DefaultReminder, Breach: notify.DefaultBreach, Ack: notify.DefaultAck,
		},
		Contacts:   contacts(),
		Roles:      roles(),
		Objectives: objectives(),
		Checklist:  incident.DefaultChecklist(),
		Recovery:   Recovery{ErrorWindow: 5 * time.Minute, WatchFor: 15 * time.Minute, WatchEvery: 30 * time.Second},
		Runbooks: map[string]Runbook{
			string(severity.ServiceOutage):          {Within: 5 * time.Minute},
			string(severity.DataCorruption):         {Within: 10 * time.Minute},
			string(severity.SecurityBreach):         {Within: 5 * time.Minute},
			string(severity.PerformanceDegradation): {Within: 15 * time.Minute},
			AuthFailure:                             {}, MemoryIssues: {}, Disconnection: {}, HighUsage: {},
		},
		Looks: Looks{
			LogLines: 100, StatusLines: 50, WatchLines: 20, Commits: 10, Pings: 5, LatencyPings: 10,
			IOSamples: 5, IOEvery: time.Second, ProcessIOSamples: 5, SystemLog: time.Hour, HistoryLines: 100,
			Changed: 24 * time.Hour, APIUsageDays: 7, SlowQuery: 100 * time.Millisecond,
			Suspicious: 24 * time.Hour, SuspiciousSize: andon.NewDecimal(3, 0), KeyBytes: 32,
		},
		Settings: Settings{
			WebSocketTimeout: 60 * time.Second, WebSocketPing: 20 * time.Second,
			ReduceLoad: safety.ReduceLoad(), Enable2FA: true,
			Resources: runbook.Resources{Memory: "4g", CPUs: "2"},
			Performance: Performance{WebsocketBufferSize: 10000, IndicatorCacheTTL: 300 * time.Second,
				BatchSize: 100, ParallelWorkers: 4, DBConnectionPool: 20},
		},
		Evidence:   Evidence{Paths: []string{"logs/", "data/", ".env"}},
		PostMortem: template(),
		Files: Files{
			Log: detect.DefaultLog, Logs: "logs/", Positions: "/data/positions.db", EmergencyStop: "/tmp/EMERGENCY_STOP",
			ReadOnly: "/tmp/READONLY_MODE", Config: "/config/production.json", Backups: "/backups/",
			DatabaseBackups: "/backups/postgres/", Env: ".env", Incidents: evidence.DefaultDir + "/",
			NetworkState: "/tmp/network_state.txt", ProcessState: "/tmp/process_state.txt",
			Suspicious: "/tmp/corrupted_data.json", Checksums: "checksums.txt",
		},
		URLs: map[string]string{
			"Grafana Dashboard":        "http://monitoring.internal/d/trading-bot",
			"Alerts":                   "http://monitoring.internal/alerts",
			"Status Page":              "https://status.trading-bot.com",
			"Exchange Status Coinbase": "https://status.coinbase.com",
			"Exchange Status Bluefin":  "https://status.bluefin.io",
			"Exchange API":             "https://api.exchange.com/api/v3/accounts",
		},
	}
	for _, s := range recovery.PriorityOrder() {
		p.Priority = append(p.Priority, Priority{Name: s.Name, Purpose: s.Purpose, Needs: slices.Clone(s.Needs)})
	}
	return p
}

func severities() map[severity.Level]Severity {
	m := map[severity.Level]Severity{
		severity.SEV1: {Title: "Critical", State: "System Down",
			Definition: "Complete trading system failure or potential for significant financial loss"},
		severity.SEV2: {Title: "Major", State: "Degraded Trading",
			Definition: "Significant functionality impaired but system partially operational"},
		severity.SEV3: {Title: "Moderate", State: "Limited Impact",
			Definition: "Non-critical functionality affected, trading continues"},
		severity.SEV4: {Title: "Minor", State: "Minimal Impact",
			Definition: "Cosmetic or non-functional issues"},
	}
	for l, s := range m {
		t := l.Targets()
		s.Respond, s.Resolve, s.StatusEvery = t.Respond, t.Resolve, t.StatusEvery
		m[l] = s
	}
	return m
}

func conditions() map[severity.Condition]Condition {
	m := map[severity.Condition]Condition{
		ObjectiveMissed: {Level: severity.SEV3, Text: "A component misses its RTO or RPO",
			Reason: "trading goes on; the next loss would cost more than was promised"},
	}
	for _, d := range severity.Definitions() {
		m[d.Condition] = Condition{Level: d.Level, Text: d.Text, Runbook: d.Runbook, Reason: d.Reason}
	}
	return m
}

// indicators are those of the runbooks, the failure rate and the impact, which the
// severity definitions give a number for, and two of ours: the miss of an objective, and
// log files that cannot be read, since a log that is not there tells nothing.
func indicators() map[severity.Condition]Indicator {
	m := map[severity.Condition]Indicator{}
	for _, c := range slices.Sorted(maps.Keys(conditions())) {
		if measured(c) {
			m[c] = indicator(detect.Playbook(c))
		}
	}
	m[ObjectiveMissed] = Indicator{Name: string(ObjectiveMissed), AtLeast: severity.Number(1), Level: severity.SEV3, Below: severity.SEV3, For: 5 * time.Minute}
	m[severity.LoggingIssue] = Indicator{Name: "unread logs", AtLeast: severity.Number(1), Level: severity.SEV3, Below: severity.SEV3, For: time.Minute}
	return m
}

// measured reports whether the document lists a condition as a detection indicator, or
// gives a number for it.
func measured(c severity.Condition) bool {
	return slices.ContainsFunc(severity.Definitions(), func(d severity.Definition) bool { return d.Condition == c && d.Runbook != "" }) ||
		slices.ContainsFunc(severity.PlaybookRules(), func(r severity.Rule) bool { return r.Condition == c })
}

func indicator(i detect.Indicator) Indicator {
	r := i.Rule
	return Indicator{Name: r.Name, AtLeast: r.AtLeast, Level: r.Level, Below: r.Below, Window: r.Window, For: r.For, Min: r.Min,
		ClearBelow: i.ClearBelow, ClearFor: i.ClearFor}
}

// contacts are the document's, which has X where a digit should be.
func contacts() map[string]map[string]string {
	return map[string]map[string]string{
		"on_call_rotation": {
			"primary":   "+1-XXX-XXX-XXXX",
			"secondary": "+1-XXX-XXX-XXXX",
			"pagerduty": "trading-bot-oncall",
		},
		"engineering_leads": {
			"technical_lead": "lead@company.com | +1-XXX-XXX-XXXX",
			"infrastructure": "infra@company.com | +1-XXX-XXX-XXXX",
			"security":       "security@company.com | +1-XXX-XXX-XXXX",
		},
		"management": {
			"engineering_manager": "em@company.com | +1-XXX-XXX-XXXX",
			"cto":                 "cto@company.com | +1-XXX-XXX-XXXX",
			"risk_officer":        "risk@company.com | +1-XXX-XXX-XXXX",
		},
		"exchanges": {
			"coinbase_support": "support@coinbase.com | 1-888-908-7930",
			"bluefin_support":  "support@bluefin.io",
		},
		"vendors": {
			"aws_support":       "AWS Support Center | Business Support",
			"openai_support":    "support@openai.com",
			"monitoring_vendor": "support@datadog.com",
		},
		"legal_compliance": {
			"legal_counsel":      "legal@lawfirm.com | +1-XXX-XXX-XXXX",
			"compliance_officer": "compliance@company.com",
		},
	}
}

// roles gives each contact of the document its part. Primary Eng, Any Engineer, Senior
// Engineer and Team Lead stand in the matrix and not in the contact list: those on call
// and the technical lead play them here.
func roles() map[notify.Role][]string {
	return map[notify.Role][]string{
		notify.OnCallEngineer:     {"primary"},
		notify.SecondaryOnCall:    {"secondary"},
		notify.PrimaryEngineer:    {"primary"},
		notify.AnyEngineer:        {"primary", "secondary"},
		notify.SeniorEngineer:     {"technical_lead"},
		notify.LeadEngineer:       {"technical_lead"},
		notify.TeamLead:           {"technical_lead"},
		notify.InfrastructureLead: {"infrastructure"},
		notify.SecurityLead:       {"security"},
		notify.EngineeringManager: {"engineering_manager"},
		notify.TechManager:        {"engineering_manager"},
		notify.CTO:                {"cto"},
		notify.RiskOfficer:        {"risk_officer"},
		notify.ExchangeSupport:    {"coinbase_support", "bluefin_support"},
		notify.VendorSupport:      {"aws_support", "openai_support", "monitoring_vendor"},
		notify.LegalCounsel:       {"legal_counsel"},
		notify.ComplianceOfficer:  {"compliance_officer"},
	}
}

func objectives() map[recovery.Component]Objective {
	m := map[recovery.Component]Objective{}
	for _, o := range recovery.Objectives() {
		m[o.Component] = Objective{RTO: o.RTO, RPO: o.RPO, Frequency: o.Frequency, Every: o.Every}
	}
	return m
}

func template() []Section {
	return []Section{
		{"Incident Summary", []string{"Incident ID", "Date", "Duration", "Severity", "Lead"}},
		{"Timeline", []string{"Initial detection", "Incident declared", "Root cause identified", "Fix implemented", "Service restored", "Incident closed"}},
		{"Impact", []string{"Financial Impact", "Trades Affected", "Users Affected", "SLA Breach"}},
		{"Root Cause Analysis", nil},
		{"What Happened", nil},
		{"Root Cause", nil},
		{"Contributing Factors", nil},
		{"Why It Wasn't Caught Earlier", nil},
		{"Lessons Learned", nil},
		{"What Went Well", nil},
		{"What Went Poorly", nil},
		{"Where We Got Lucky", nil},
		{"Action Items", []string{"Action", "Owner", "Due Date", "Priority"}},
		{"Follow-up", []string{"Review Date", "Success Metrics"}},
	}
}
