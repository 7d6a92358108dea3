package severity

// Condition names what is wrong. It is part of an incident's dedup key, so that a
// name once used stays. A condition that no table names is unclassified.
type Condition string

// The conditions of the playbook's severity definitions.
const (
	TradingHalted    Condition = "trading-halted"     // by something other than our own holds
	CannotClose      Condition = "cannot-close"       // open positions cannot be closed
	PositionDataLoss Condition = "position-data-loss" // lost or corrupt data about positions
	ActiveBreach     Condition = "active-breach"      // somebody is inside and at work
	AuthFailure      Condition = "auth-failure"       // the exchange refuses our keys

	TradingFailures   Condition = "trading-failures"   // judged by the share of orders that fail
	ExecutionDegraded Condition = "execution-degraded" // slowness that trades suffer from
	RiskOffline       Condition = "risk-offline"       // risk management is down
	MemoryUnavailable Condition = "memory-unavailable" // the memory/learning system is down
	PartialCorruption Condition = "partial-corruption" // some data is corrupt, positions are not

	IndicatorFailure   Condition = "indicator-failure"    // one indicator has failed
	LoggingIssue       Condition = "logging-issue"        // logs are late, partial or gone
	MinorDegradation   Condition = "minor-degradation"    // judged by the share of work affected
	DashboardIssue     Condition = "dashboard-issue"      // a screen is wrong, trading is not
	NonCriticalFailure Condition = "non-critical-failure" // a service that trading does not need

	DocumentationError Condition = "documentation-error"
	NonCriticalAlert   Condition = "non-critical-alert"
	DevelopmentIssue   Condition = "development-issue"
	ConfigProblem      Condition = "config-problem"
)

// The detection indicators of the playbook's four runbooks.
const (
	ServiceUnavailable Condition = "service-unavailable"
	HealthCheckFailed  Condition = "health-check-failed"
	UserReports        Condition = "user-reports"
	VenueTimeouts      Condition = "venue-timeouts"

	InconsistentPositions Condition = "inconsistent-positions"
	IntegrityCheckFailed  Condition = "integrity-check-failed"
	UnexpectedNulls       Condition = "unexpected-nulls"
	ChecksumMismatch      Condition = "checksum-mismatch"

	UnauthorizedAccess    Condition = "unauthorized-access"
	UnusualTrading        Condition = "unusual-trading"
	ConfigModified        Condition = "config-modified"
	SuspiciousConnections Condition = "suspicious-connections"
	AnomalousLogs         Condition = "anomalous-logs"

	SlowExecution Condition = "slow-execution" // judged by the mean execution latency
	HighCPU       Condition = "high-cpu"       // judged by the share of the CPU in use
	HighMemory    Condition = "high-memory"    // judged by the share of the memory in use
	QueueBacklog  Condition = "queue-backlog"
	RisingErrors  Condition = "rising-errors"
)

// Runbook names the runbook of the playbook that lists an indicator.
type Runbook string

// The runbooks.
const (
	ServiceOutage          Runbook = "Service Outage"
	DataCorruption         Runbook = "Data Corruption"
	SecurityBreach         Runbook = "Security Breach"
	PerformanceDegradation Runbook = "Performance Degradation"
)

// Definition is a row of the table of conditions.
type Definition struct {
	Condition Condition
	Level     Level
	Text      string  // the playbook's words
	Runbook   Runbook // of an indicator; empty for a condition of the severity definitions
	Reason    string  // why an indicator has its level; empty where the playbook gives the level
}

// Definitions returns the playbook's 19 conditions and then the 18 indicators of
// its runbooks, in the playbook's order. The slice is the caller's own.
func Definitions() []Definition {
	return []Definition{
		{TradingHalted, SEV1, "Trading completely halted", "", ""},
		{CannotClose, SEV1, "Unable to close open positions", "", ""},
		{PositionDataLoss, SEV1, "Data loss or corruption affecting positions", "", ""},
		{ActiveBreach, SEV1, "Security breach with active exploitation", "", ""},
		{AuthFailure, SEV1, "Exchange API authentication failure", "", ""},

		{TradingFailures, SEV2, "Intermittent trading failures (>20% failure rate)", "", ""},
		{ExecutionDegraded, SEV2, "Performance degradation affecting trade execution", "", ""},
		{RiskOffline, SEV2, "Risk management systems offline", "", ""},
		{MemoryUnavailable, SEV2, "Memory/learning system unavailable", "", ""},
		{PartialCorruption, SEV2, "Partial data corruption", "", ""},

		{IndicatorFailure, SEV3, "Individual indicator failures", "", ""},
		{LoggingIssue, SEV3, "Logging system issues", "", ""},
		{MinorDegradation, SEV3, "Minor performance degradation (<20% impact)", "", ""},
		{DashboardIssue, SEV3, "UI/monitoring dashboard issues", "", ""},
		{NonCriticalFailure, SEV3, "Non-critical service failures", "", ""},

		{DocumentationError, SEV4, "Documentation errors", "", ""},
		{NonCriticalAlert, SEV4, "Non-critical alerts", "", ""},
		{DevelopmentIssue, SEV4, "Development environment issues", "", ""},
		{ConfigProblem, SEV4, "Minor configuration problems", "", ""},

		{ServiceUnavailable, SEV1, "Monitoring alerts for service unavailability", ServiceOutage,
			"a service that is down closes no position"},
		{HealthCheckFailed, SEV1, "Trading engine health check failures", ServiceOutage,
			"an engine that fails its own check cannot be trusted with open positions"},
		{UserReports, SEV2, "User reports of access issues", ServiceOutage,
			"a report is not yet a measurement; it is checked within 15 minutes"},
		{VenueTimeouts, SEV1, "Exchange connection timeouts", ServiceOutage,
			"while the venue does not answer, positions can be neither read nor closed"},

		{InconsistentPositions, SEV1, "Inconsistent position calculations", DataCorruption,
			"it is corruption that affects positions"},
		{IntegrityCheckFailed, SEV1, "Database integrity check failures", DataCorruption,
			"until the check has named the rows, they may be those of positions"},
		{UnexpectedNulls, SEV2, "Unexpected null values or data types", DataCorruption,
			"it is partial corruption: the rows are known"},
		{ChecksumMismatch, SEV2, "Checksum mismatches", DataCorruption,
			"it is partial corruption: the file is known and has a good copy"},

		{UnauthorizedAccess, SEV2, "Unauthorized API access attempts", SecurityBreach,
			"an attempt is not yet exploitation, and the next one may be"},
		{UnusualTrading, SEV1, "Unusual trading patterns", SecurityBreach,
			"orders that nobody meant are losses in progress, by an intruder or a defect"},
		{ConfigModified, SEV2, "Configuration file modifications", SecurityBreach,
			"limits may have changed; the running process still has the old ones"},
		{SuspiciousConnections, SEV1, "Suspicious network connections", SecurityBreach,
			"a connection that nobody made may be carrying the keys away"},
		{AnomalousLogs, SEV3, "Anomalous log entries", SecurityBreach,
			"alone it is a hint; with any other indicator the other one decides"},

		{SlowExecution, SEV2, "Trade execution latency > 500ms", PerformanceDegradation,
			"it is degradation that affects trade execution"},
		{HighCPU, SEV3, "CPU usage consistently > 80%", PerformanceDegradation,
			"trading goes on; when trades suffer, latency says so and decides"},
		{HighMemory, SEV2, "Memory usage > 90%", PerformanceDegradation,
			"the next thing is a killed process with positions open"},
		{QueueBacklog, SEV2, "Websocket message queue backlog", PerformanceDegradation,
			"decisions are being made on old prices"},
		{RisingErrors, SEV3, "Increased error rates", PerformanceDegradation,
			"below a failure rate of 20 % trading goes on; from there TradingFailures decides"},
	}
}
