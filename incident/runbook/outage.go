package runbook

import "time"

// The names of what a person may say when a run is started: Call.Params.
const (
	Revision = "revision" // that a rollback goes to; defaults to stable-latest
	Exchange = "exchange" // the one venue that is meant; defaults to all
)

const stableLatest = "stable-latest"

// ServiceOutage is the Service Outage Runbook over what deps has.
func ServiceOutage(deps Deps) Runbook {
	d := deps.withDefaults()
	const (
		halt     = "HALT ALL TRADING: "
		assess   = "Assess Scope: "
		tell     = "Notify Stakeholders: "
		infra    = "Check Infrastructure: "
		changes  = "Review Recent Changes: "
		logs     = "Analyze Logs: "
		restart  = "Service Restart: "
		rollback = "Rollback if Needed: "
		verify   = "Verify Recovery: "
	)
	forced := act("force-restart", restart+"Force restart if needed", One, change, d.forceRestart(),
		"docker-compose kill ai-trading-bot", "docker-compose up -d ai-trading-bot")
	graceful := act("restart", restart+"Graceful restart", One, change, d.restart(),
		"docker-compose stop ai-trading-bot", "docker-compose start ai-trading-bot")
	graceful.GoOn = d.Containers != nil // the forced one comes next
	return Runbook{Name: "Service Outage", Steps: []Step{
		d.haltStep(halt + "Emergency stop"),
		d.protectStep(halt + "place the stops that are missing"),
		see("positions", halt+"Verify positions are closed or protected", glance, d.safe(),
			"poetry run python -m bot.utils.position_safety_check"),
		see("status", assess+"Check system health", glance, d.status(), "docker-compose ps"),
		see("bot-log", assess+"Check system health", glance, d.logs(true, 100, 0, ""), "docker-compose logs --tail=100 ai-trading-bot"),
		see("exchange", assess+"Verify exchange connectivity", glance, d.Bot.Accounts, "curl -X GET https://api.exchange.com/api/v3/accounts"),
		goOn(act("alert", tell+"Send initial alert via established channels", None, glance, d.Notify.Alert)),
		goOn(act("channel", tell+"Create incident Slack channel", None, glance, d.Notify.Channel)),
		goOn(act("status-page", tell+"Update status page", None, glance, d.Notify.StatusPage)),
		inTime(5 * time.Minute),

		see("disk", infra+"System resources", dig, d.Host.Disk, "df -h"),
		see("memory", infra+"System resources", dig, d.Host.Memory, "free -m"),
		see("io", infra+"System resources", dig, d.Host.IO, "iostat -x 1 5"),
		see("ping", infra+"Network connectivity", dig, given(d.Host.Ping, 5), "ping -c 5 api.exchange.com"),
		see("route", infra+"Network connectivity", dig, d.Host.Route, "traceroute api.exchange.com"),
		see("dns", infra+"DNS resolution", dig, d.Host.DNS, "nslookup api.exchange.com"),
		see("git-log", changes+"Git history", dig, d.gitLog(10), "git log --oneline -10"),
		see("deployments", changes+"Deployment history", dig, d.logs(false, 0, 0, "(?i)deploy"), "docker-compose logs | grep -i deploy"),
		see("config-diff", changes+"Configuration changes", dig, d.gitDiff(".env", "config/"), "git diff HEAD~1 .env config/"),
		see("errors", logs+"Error patterns", dig, d.logs(false, 0, 0, errorLine), `docker-compose logs | grep -E "ERROR|CRITICAL|FATAL"`),
		see("failed-trades", logs+"Trading failures", dig, d.grep("trade.*failed"), `grep -r "trade.*failed" logs/`),
		see("system-log", logs+"System logs", dig, given(d.Host.SystemLog, time.Hour), `journalctl -u docker --since "1 hour ago"`),

		graceful,
		forced,
		see("stable", rollback+"Identify last known good version", dig, d.gitStable(), `git log --oneline | grep -i "stable"`),
		d.deployStep("rollback", rollback+"Rollback", true, stableLatest, "git checkout [COMMIT_HASH]"),
		act("start", rollback+"Rollback", None, change, d.up(), "docker-compose build", "docker-compose up -d"),
		tries(3, prove("health", verify+"Health checks", glance, d.Bot.Health, "poetry run python -m bot.utils.health_check")),
		prove("test-trade", verify+"Test trade execution (paper mode)", change, d.Bot.TestTrade,
			"SYSTEM__DRY_RUN=true poetry run python -m bot.utils.test_trade"),
		d.watch(verify + "Monitor for 15 minutes"),
		d.order(),
		d.checklist(),
	}}
}

// haltStep is how a runbook halts trading. A stop that is not on disk yet is a stop: the
// run goes on, and whatever has to rest on it looks at it.
func (d Deps) haltStep(purpose string) Step {
	return goOn(act("halt", purpose, None, glance, d.halt(), "docker-compose exec ai-trading-bot touch /tmp/EMERGENCY_STOP"))
}

func (d Deps) protectStep(purpose string) Step {
	return goOn(act("protect", purpose, None, time.Minute, d.protect()))
}

// goOn lets a run go on where a step that a program does has failed.
func goOn(s Step) Step {
	s.GoOn = s.Do != nil
	return s
}

// tries gives a step that a program does so many tries.
func tries(n int, s Step) Step {
	if s.Do != nil {
		s.Tries = n
	}
	return s
}
