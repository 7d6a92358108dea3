package playbook

import (
	"maps"
	"slices"
	"strings"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/severity"
)

// Gap is something that an assembly cannot do, since the bot has not given what it takes.
type Gap struct {
	// Dep is the field of Deps, or of the Playbook, that is empty.
	Dep string
	// Row is the row of the playbook, in its words.
	Row string
	// Without says what becomes of the row.
	Without string
}

// String is the gap in one line.
func (g Gap) String() string { return g.Row + ": " + g.Without + " (" + g.Dep + ")" }

// attested is what becomes of a runbook's step that nothing can do.
const attested = "a named person does it by the document's own command, and attests it"

// Missing returns what the assembly cannot do, in the order of the document. A bot logs it
// when it starts, so that nobody finds out in an incident.
func (a *Assembly) Missing() []Gap {
	var gaps []Gap
	add := func(missing bool, dep, row, without string) {
		if missing {
			gaps = append(gaps, Gap{dep, row, without})
		}
	}
	d := a.Steps
	for _, c := range slices.Sorted(maps.Keys(a.Playbook.Indicators)) {
		add(len(a.probes(c)) == 0 && !a.fed(c), "Probes["+string(c)+"]", a.Playbook.Conditions[c].Text,
			"it counts only what the bot feeds to Detector.Sample, and what people and alerts declare")
	}
	add(a.Logs == nil, "Logs", "Anomalous log entries", "no log is followed")
	add(a.Trips == nil, "Trips", "Safety First: Immediately halt trading on any critical incident", "no loss or failed order stops trading by itself")
	add(a.Watchdog == nil, "Watchdog", "Trading engine health check failures", "a component that hangs is not noticed by its silence")
	add(len(a.deps.Venues) == 0, "Venues", "Verify positions are closed or protected", attested)
	add(len(a.deps.Venues) == 0, "Venues", "Close all positions", "it cannot be done from here: close them at the venue")
	add(len(a.deps.Venues) > 0 && a.deps.Protection.Distance.IsZero(), "Protection.Distance", "Ensure all positions have stop losses", "missing stops are named, and a person places them")
	add(len(a.deps.Books) == 0, "Books", "Compare with exchange data", attested)
	for _, o := range a.Playbook.objectives() {
		add(a.deps.Targets[o.Component] == nil, "Targets["+string(o.Component)+"]", string(o.Component)+" RTO and RPO", "it is not backed up by this bot, and nothing measures its objectives")
	}
	add(len(a.deps.Targets) > 0 && a.deps.History == nil, "History", "System Components RTO/RPO", "no restore is drilled, so that no RTO is ever shown to be met")
	add(d.Backups == nil, "Runbooks.Backups", "Create immediate backup", attested)
	add(d.Restore == nil, "Runbooks.Restore", "Restore specific tables", attested)
	add(d.SecureBackup == nil, "Runbooks.SecureBackup", "Restore from secure backup", attested)
	for _, s := range a.Playbook.Priority {
		add(a.deps.Steps[s.Name].Check == nil, "Steps["+s.Name+"]", s.Name+": "+s.Purpose, "it cannot be shown, so that the recovery priority order stops there")
	}
	for _, item := range a.unchecked() {
		add(true, "Proofs, Checks["+item+"]", item, "it stays unproven, and an incident is resolved only where somebody says why all the same")
	}
	add(a.Evidence == nil, "Evidence.Recipients", "Preserve evidence", "nothing is sealed, since nobody could open it")
	for _, seam := range []struct {
		missing  bool
		dep, row string
	}{
		{d.Evidence == nil, "Evidence", "Preserve evidence"},
		{d.Containers == nil, "Containers", "Check system health: docker-compose ps, logs, restart, limits, prune"},
		{d.Settings == nil, "Settings", "Increase timeout settings, Configuration Tuning, Enable additional security"},
		{d.Releases == nil, "Releases", "Review Recent Changes, Rollback if Needed"},
		{d.Credentials == nil, "Credentials", "Rotate API keys"},
		{d.Isolation == nil, "Isolation", "Block outbound connections (except critical)"},
		{d.Database.Integrity == nil, "Database.Integrity", "Check data integrity"},
		{d.Database.Totals == nil, "Database.Totals", "Verify position totals"},
		{d.Database.Export == nil, "Database.Export", "Export suspicious records"},
		{d.Database.Suspicious == nil, "Database.Suspicious", "Identify suspicious trades"},
		{d.Database.Connections == nil, "Database.Connections", "Database connections"},
		{d.Database.SlowQueries == nil, "Database.SlowQueries", "Analyze slow queries"},
		{d.Database.CacheRates == nil, "Database.CacheRates", "Check cache hit rates"},
		{d.Database.Vacuum == nil, "Database.Vacuum", "Optimize database"},
		{d.Host.Disk == nil, "Host.Disk", "System resources: df -h"},
		{d.Host.Memory == nil, "Host.Memory", "System resources: free -m"},
		{d.Host.IO == nil, "Host.IO", "System resources: iostat -x 1 5"},
		{d.Host.ProcessIO == nil, "Host.ProcessIO", "I/O analysis"},
		{d.Host.Network == nil, "Host.Network", "Document network state"},
		{d.Host.Processes == nil, "Host.Processes", "Document network state: ps aux"},
		{d.Host.Logins == nil, "Host.Logins", "Review user activities: last"},
		{d.Host.History == nil, "Host.History", "Review user activities: history"},
		{d.Host.Checksums == nil, "Host.Checksums", "Verify file integrity"},
		{d.Host.Changed == nil, "Host.Changed", "Check for modified files"},
		{d.Host.SystemLog == nil, "Host.SystemLog", "System logs"},
		{d.Host.Ping == nil, "Host.Ping", "Network connectivity: ping"},
		{d.Host.Route == nil, "Host.Route", "Network connectivity: traceroute"},
		{d.Host.DNS == nil, "Host.DNS", "DNS resolution"},
		{d.Bot.Health == nil, "Bot.Health", "Health checks"},
		{d.Bot.TestTrade == nil, "Bot.TestTrade", "Test trade execution (paper mode)"},
		{d.Bot.Accounts == nil, "Bot.Accounts", "Verify exchange connectivity"},
		{d.Bot.WebSocket == nil, "Bot.WebSocket", "Check connection status"},
		{d.Bot.Audit == nil, "Bot.Audit", "Verify system integrity"},
		{d.Bot.APIUsage == nil, "Bot.APIUsage", "Analyze API usage patterns"},
		{d.Bot.Grep == nil, "Bot.Grep", "Analyze Logs"},
		{d.Bot.CPU == nil, "Bot.CPU", "CPU profiling"},
		{d.Bot.Heap == nil, "Bot.Heap", "Memory profiling"},
		{d.Bot.Profile == nil, "Bot.Profile", "Run performance profiler"},
		{d.Bot.Threads == nil, "Bot.Threads", "Thread analysis"},
		{d.Notify.Channel.Do == nil, "Notify.Channel", "Create incident Slack channel"},
		{d.Notify.StatusPage.Do == nil, "Notify.StatusPage", "Update status page"},
		{d.Cache.Do == nil, "Cache", "Clear caches"},
	} {
		add(seam.missing, "Runbooks."+seam.dep, seam.row, attested)
	}
	return gaps
}

// fed reports whether a condition is counted from something else than a probe.
func (a *Assembly) fed(c severity.Condition) bool {
	switch {
	case c == ObjectiveMissed:
		return a.Scheduler != nil
	case c == severity.LoggingIssue:
		return a.Logs != nil
	}
	name := a.Playbook.Indicators[c].Name
	for _, p := range a.Playbook.Patterns {
		if p.Name == name && a.Logs != nil {
			return true
		}
	}
	return false
}

// unchecked are the items of the checklist that neither a check nor a person can prove.
func (a *Assembly) unchecked() []string {
	if a.Checklist == nil {
		return nil
	}
	p := a.deps.Proofs
	checks := map[string]bool{
		recovery.ItemServicesRunning: p.ServicesRunning != nil, recovery.ItemTestTrade: p.TestTrade != nil,
		recovery.ItemNoErrorLogs:        p.NoErrorLogs != nil || a.Logs != nil,
		recovery.ItemPositionsAccounted: p.PositionsAccounted != nil || len(a.Reconcilers) > 0,
	}
	var items []string
	for _, item := range a.Playbook.Checklist {
		if has, known := checks[item]; known && !has && a.deps.Checks[item] == nil {
			items = append(items, strings.TrimSpace(item))
		}
	}
	return items
}
