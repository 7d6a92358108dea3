package playbook

import (
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// Playbook is the incident response playbook as one value. Default is the document;
// Load reads what a bot has otherwise. It is plain data, and safe for concurrent use as
// long as nobody changes it.
type Playbook struct {
	// Principles are what is kept to when no row of the playbook fits.
	Principles []Principle
	// Flow is what is done when something is noticed, in order.
	Flow []string `fixed:"it is what Declare does"`

	// Severities are the four levels.
	Severities map[severity.Level]Severity
	// Conditions are what can be wrong, and how bad it is: the severity definitions, and
	// the detection indicators of the runbooks.
	Conditions map[severity.Condition]Condition
	// Indicators are the conditions that are measured, and from where on they count.
	Indicators map[severity.Condition]Indicator
	// Patterns are what is looked for in the log files, at most 64. A pattern has the name of
	// the indicator that counts the lines.
	Patterns []detect.Pattern

	// Escalation is who is paged when.
	Escalation notify.Policy
	// Templates are the texts of the messages.
	Templates notify.Templates
	// Contacts are those who can be told, by group and name, each in one line such as
	// "lead@company.com | +1-555-010-0199". The one named pagerduty is no person: it is the
	// service that telephones are rung through.
	Contacts map[string]map[string]string
	// Roles says which contacts play which role of the escalation matrix.
	Roles map[notify.Role][]string
	// Rotations are the roles that change hands.
	Rotations []notify.Rotation

	// Objectives are the recovery time and recovery point objectives of the components.
	Objectives map[recovery.Component]Objective
	// Priority is the order in which the system is brought back.
	Priority []Priority
	// Checklist is what has to be proven before an incident is resolved.
	Checklist []string
	// Recovery is how a recovery is judged.
	Recovery Recovery

	// Runbooks are the four runbooks and the four quick fixes, by name.
	Runbooks map[string]Runbook
	// Looks are how much the steps of the runbooks look at.
	Looks Looks `fixed:"the steps of the runbooks have it"`
	// Settings are what the runbooks change.
	Settings Settings
	// Evidence is what is preserved, for whom.
	Evidence Evidence
	// PostMortem is the sections of the report, and what each asks for.
	PostMortem []Section `fixed:"package postmortem writes it"`

	// Files are where things lie.
	Files Files
	// URLs are where people look, by name.
	URLs map[string]string
}

// Principle is one of the playbook's key principles.
type Principle struct {
	// Name is the principle in two or three words.
	Name string
	// Text says what follows from it.
	Text string
}

// Severity is one level.
type Severity struct {
	// Title is the level in one word.
	Title string
	// State is what the system is like then.
	State string
	// Definition says what belongs to the level.
	Definition string
	// Respond is within which time of the declaration somebody answers.
	Respond time.Duration `fixed:"package severity keeps the targets"`
	// Resolve is within which time of the declaration it is over.
	Resolve time.Duration `fixed:"package severity keeps the targets"`
	// StatusEvery is how often stakeholders get a status update; 0s: never.
	StatusEvery time.Duration `fixed:"package severity keeps the targets"`
}

// Condition is something that can be wrong.
type Condition struct {
	// Level is how bad it is. Where an indicator measures the condition, its levels count.
	Level severity.Level
	// Text is the condition in the playbook's words.
	Text string
	// Runbook is the runbook that lists it as a detection indicator.
	Runbook severity.Runbook
	// Reason says why it has its level, where the document gives none.
	Reason string
}

// Indicator is a condition that is measured.
type Indicator struct {
	// Name is the indicator's, by which samples are fed.
	Name string
	// AtLeast is the value from which on it counts: 20%, 500ms or a number of things.
	AtLeast severity.Value
	// Level is how bad it is from there on.
	Level severity.Level
	// Below is how bad it is before that, where somebody reports it all the same.
	Below severity.Level
	// Window is over which time samples are taken together; 0s: the newest counts.
	Window time.Duration
	// For is how long it has to last; 0s: no time.
	For time.Duration
	// Min is the least number of things that counts.
	Min int64
	// ClearBelow is the value below which it has ended; unknown: AtLeast.
	ClearBelow severity.Value
	// ClearFor is how long it must have been below; 0s: 1 min.
	ClearFor time.Duration
}

// Objective is what a component of the system promises to survive.
type Objective struct {
	// RTO is the longest time that a restore may take.
	RTO time.Duration
	// RPO is the longest stretch of data that may be lost.
	RPO time.Duration
	// Frequency says how it is backed up, for people.
	Frequency string
	// Every is the time between two backups; 0s: it is backed up all the time.
	Every time.Duration
}

// Priority is one step of the recovery priority order.
type Priority struct {
	// Name is the component that is brought back.
	Name string
	// Purpose says what is shown then.
	Purpose string
	// Needs are the earlier steps without which this one proves nothing.
	Needs []string
}

// Recovery is how a recovery is judged.
type Recovery struct {
	// ErrorWindow is for how long no errors may have been logged.
	ErrorWindow time.Duration
	// WatchFor is how long the system is watched after trading was resumed.
	WatchFor time.Duration
	// WatchEvery is the time between two looks meanwhile.
	WatchEvery time.Duration
}

// Runbook is what is configured of a runbook or quick fix; its steps are those of
// package runbook.
type Runbook struct {
	// Within is in which time its immediate actions are done; 0s: the document says nothing.
	Within time.Duration `fixed:"the runbook's step in-time judges by it"`
	// Start are the conditions of which an incident starts the runbook by itself. Empty: a
	// person starts it.
	Start []severity.Condition
}

// Looks are how much the steps of the runbooks look at.
type Looks struct {
	// LogLines is how many lines of the bot's log are shown.
	LogLines int
	// StatusLines is how many are shown beside the status of the containers.
	StatusLines int
	// WatchLines is how many are shown at each look of the watch.
	WatchLines int
	// Commits is how many commits are listed.
	Commits int
	// Pings is how many packets show whether the exchange's host can be reached.
	Pings int
	// LatencyPings is how many show how long they take.
	LatencyPings int
	// IOSamples is how many samples of the disks' work are taken.
	IOSamples int
	// IOEvery is the time between two of them.
	IOEvery time.Duration
	// ProcessIOSamples is how many samples of the processes' reads and writes are taken.
	ProcessIOSamples int
	// SystemLog is how far back the system's log is read.
	SystemLog time.Duration
	// HistoryLines is how many lines of the shell's history are kept.
	HistoryLines int
	// Changed is how far back files count as modified.
	Changed time.Duration
	// APIUsageDays is of how many days the use of the API is analysed.
	APIUsageDays int
	// SlowQuery is from where on a query is slow.
	SlowQuery time.Duration
	// Suspicious is how far back trades are looked at.
	Suspicious time.Duration
	// SuspiciousSize is how many times the average size a suspicious trade has.
	SuspiciousSize andon.Decimal
	// KeyBytes is how many random bytes a generated key has.
	KeyBytes int
}

// Settings are what the runbooks change.
type Settings struct {
	// WebSocketTimeout is EXCHANGE__WEBSOCKET_TIMEOUT after a disconnection.
	WebSocketTimeout time.Duration `fixed:"the quick fix has it"`
	// WebSocketPing is EXCHANGE__WEBSOCKET_PING_INTERVAL after a disconnection.
	WebSocketPing time.Duration `fixed:"the quick fix has it"`
	// ReduceLoad is the throttle for a bot that is too slow:
	// TRADING__MIN_TIME_BETWEEN_TRADES, RISK__MAX_POSITION_SIZE, and the features that are off.
	ReduceLoad safety.Throttle `fixed:"safety.ReduceLoad has it"`
	// Enable2FA is SECURITY__ENABLE_2FA after a breach.
	Enable2FA bool `fixed:"the runbook has it"`
	// Whitelist is SECURITY__IP_WHITELIST after a breach. Empty: a person decides.
	Whitelist []string
	// Resources are DOCKER_MEMORY and DOCKER_CPUS of a restart with more resources.
	Resources runbook.Resources
	// Performance are the keys of that name of the bot's configuration.
	Performance Performance `fixed:"the runbook has it"`
}

// Performance is the playbook's configuration tuning.
type Performance struct {
	// WebsocketBufferSize is in messages.
	WebsocketBufferSize int
	// IndicatorCacheTTL is how long an indicator's value is kept.
	IndicatorCacheTTL time.Duration
	// BatchSize is in rows.
	BatchSize int
	// ParallelWorkers is how many work side by side.
	ParallelWorkers int
	// DBConnectionPool is in connections.
	DBConnectionPool int
}

// Evidence is what is preserved after a breach.
type Evidence struct {
	// Paths are the files and folders that go into the archive.
	Paths []string
	// Recipients are the age public keys of those who may open it. Without one, nothing is
	// preserved.
	Recipients []string
	// Place is where the machine stands. Empty: the machine's name.
	Place string
}

// Section is one section of the post-mortem template.
type Section struct {
	// Heading is the section's.
	Heading string
	// Asks are its fields, lines or columns.
	Asks []string
}

// Files are where things lie.
type Files struct {
	// Log is the main application log.
	Log string
	// Logs are the folder of logs that the runbooks search.
	Logs string
	// Positions is the position database.
	Positions string
	// EmergencyStop is the flag that halts trading.
	EmergencyStop string
	// ReadOnly is the flag that holds writes.
	ReadOnly string
	// Config is the production configuration.
	Config string
	// Backups is the folder of automated backups.
	Backups string
	// DatabaseBackups is the folder of those of the database.
	DatabaseBackups string
	// Env is the environment configuration.
	Env string
	// Incidents is the folder of incident logs: evidence and reports.
	Incidents string
	// NetworkState is where the network's state is documented.
	NetworkState string
	// ProcessState is where the processes are documented.
	ProcessState string
	// Suspicious is where suspicious rows are exported to.
	Suspicious string
	// Checksums lists the SHA-256 of files that nobody changes.
	Checksums string
}
