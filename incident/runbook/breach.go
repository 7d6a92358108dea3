package runbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Whitelist is the name of Call.Params under which a person says which addresses may
// reach the bot after a breach; it goes before Deps.Whitelist.
const Whitelist = "whitelist"

// SecurityBreach is the Security Breach Runbook over what deps has. Keys are revoked and
// containers stopped only once no position can be hurt by that: trading is halted, every
// position is closed or protected, that was verified, and the evidence is sealed. The
// outbound block stays when it is done: a person takes it back.
func SecurityBreach(deps Deps) Runbook {
	d := deps.withDefaults()
	const (
		shutdown  = "EMERGENCY SHUTDOWN: "
		isolate   = "Isolate System: "
		access    = "Access Log Analysis: "
		forensics = "System Forensics: "
		trading   = "Trading Analysis: "
		hardening = "Security Hardening: "
		restore   = "System Restoration: "
	)
	steps := []Step{
		d.haltStep(shutdown + "halt, so that nothing is opened"),
		d.protectStep(shutdown + "place the stops that are missing"),
		act("close-all", shutdown+"close every position, where its stops are not to be relied upon: Skip it where they are", Two, change, d.closeAll(),
			"CONFIRM=yes poetry run python -m bot.utils.close_all_positions"),
		tries(3, prove("safe", shutdown+"every position is closed or protected, before keys are revoked", time.Minute, d.safe(),
			"poetry run python -m bot.utils.position_safety_check")),
		act("evidence", shutdown+"Preserve evidence", None, longHaul, d.seal(),
			"tar -czf incident_evidence_$(date +%Y%m%d_%H%M%S).tar.gz logs/ data/ .env"),
		see("network-state", isolate+"Document network state", glance, d.Host.Network, "netstat -tulpn > /tmp/network_state.txt"),
		see("process-state", isolate+"Document network state", glance, d.Host.Processes, "ps aux > /tmp/process_state.txt"),
		act("isolate", isolate+"Block outbound connections (except critical)", One, time.Minute, d.isolate(),
			"sudo iptables -A OUTPUT -j DROP", "sudo iptables -A OUTPUT -d 127.0.0.1 -j ACCEPT"),
	}
	steps = append(steps, d.revoke(shutdown+"Revoke API access")...)
	steps = append(steps,
		act("stop", shutdown+"Kill all trading processes", None, change, d.down(), "docker-compose down"),
		inTime(5*time.Minute),

		see("unauthorized", access+"Check for unauthorized access", dig, d.grep("401|403|Invalid|Unauthorized"),
			`grep -E "401|403|Invalid|Unauthorized" logs/`),
		see("api-usage", access+"Analyze API usage patterns", dig, given(d.Bot.APIUsage, 7), "poetry run python -m bot.utils.api_usage_analysis --days=7"),
		see("authentication", access+"Review authentication logs", dig, d.logs(false, 0, 0, "(?i)auth"), `docker-compose logs | grep -i "auth"`),
		see("changed-files", forensics+"Check for modified files", dig, given(d.Host.Changed, 24*time.Hour), "find . -type f -mtime -1 -ls"),
		see("checksums", forensics+"Verify file integrity", longHaul, d.Host.Checksums, "sha256sum -c checksums.txt"),
		see("logins", forensics+"Review user activities", dig, d.Host.Logins, "last -f /var/log/wtmp"),
		see("history", forensics+"Review user activities", dig, d.Host.History, "history | tail -100"),
		see("suspicious-trades", trading+"Identify suspicious trades", dig, d.Database.Suspicious,
			"SELECT * FROM trades", "WHERE created_at > NOW() - INTERVAL '24 hours'", "AND (",
			"size > (SELECT AVG(size) * 3 FROM trades) OR", "leverage > max_allowed_leverage OR",
			"ip_address NOT IN (SELECT ip FROM whitelist)", ");"),

		d.rotateStep("rotate", hardening+"Generate new API keys and Update credentials", false,
			"openssl rand -hex 32 > new_api_key.txt", "poetry run python -m bot.utils.rotate_credentials"),
		act("2fa", hardening+"Enable additional security", None, time.Minute, d.setting(map[string]string{"SECURITY__ENABLE_2FA": "true"}),
			"export SECURITY__ENABLE_2FA=true"),
		d.whitelist(hardening+"Enable additional security"),
		d.deployStep("reinstall", restore+"Clean reinstall", false, "main", "git clean -fdx", "git checkout main", "poetry install"),
		d.restoreStep("secure-restore", restore+"Restore from secure backup", d.SecureBackup, secure, "./scripts/restore_from_secure_backup.sh"),
		prove("audit", restore+"Verify system integrity", change, d.Bot.Audit, "poetry run python -m bot.utils.security_audit"),
		act("start", restore+"start what was stopped", One, change, d.up(), "docker-compose up -d"),
		d.watch(restore+"watch what was started"),
		d.order(),
		d.checklist(),
	)
	return Runbook{Name: "Security Breach", Steps: steps}
}

// seal keeps the evidence. An archive that was sealed for the incident since the step
// began is not made again.
func (d Deps) seal() Action {
	if d.Evidence == nil {
		return Action{}
	}
	return Action{
		Plan: d.Evidence.Preview,
		Do: func(ctx context.Context, c Call) (string, error) {
			return d.Evidence.Seal(ctx, c.By, c.Incident, why(c))
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) {
			archive, err := d.Evidence.Sealed(ctx, c.Incident, c.Since)
			return archive != "" && err == nil, archive, err
		},
	}
}

// isolate blocks what goes out. The rules are made once more right before: an allow list
// that would cut the bot from its positions is refused then too.
func (d Deps) isolate() Action {
	if d.Isolation == nil {
		return Action{}
	}
	return Action{
		Plan: d.Isolation.Preview,
		Do: func(ctx context.Context, c Call) (string, error) {
			if _, err := d.Isolation.Preview(ctx); err != nil {
				return "", fmt.Errorf("nothing is blocked: %w", err)
			}
			return d.Isolation.Block(ctx, c.Key, approver(c), why(c))
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) { return d.Isolation.Done(ctx, c.Key) },
		Undo: func(ctx context.Context, c Call) (string, error) {
			return d.Isolation.Undo(ctx, c.Key, c.By, "taken back: "+why(c))
		},
	}
}

// revoke is a step for each venue, which a person does in the vendor's dashboard.
func (d Deps) revoke(purpose string) []Step {
	var steps []Step
	for _, venue := range slices.Sorted(maps.Keys(d.Revoke)) {
		where := venue + ": " + d.Revoke[venue]
		steps = append(steps, Step{Name: "revoke-" + strings.ToLower(venue), Purpose: purpose, Commands: []string{where}, Attest: where})
	}
	return steps
}

// whitelist is the step that says who may reach the bot.
func (d Deps) whitelist(purpose string) Step {
	const name, command, variable = "whitelist", `export SECURITY__IP_WHITELIST="x.x.x.x,y.y.y.y"`, "SECURITY__IP_WHITELIST"
	if d.Settings == nil {
		return person(name, purpose, command)
	}
	values := func(c Call) (map[string]string, error) {
		v := c.Params[Whitelist]
		if v == "" {
			v = d.Whitelist
		}
		if v == "" {
			return nil, errors.New("nobody has said which addresses: start the run with the parameter whitelist, set Deps.Whitelist, or set the variable and Skip this")
		}
		return map[string]string{variable: v}, nil
	}
	s := act(name, purpose, None, time.Minute, d.setting(nil), command)
	s.Plan = func(ctx context.Context, c Call) (string, error) {
		v, err := values(c)
		if err != nil {
			return "", err
		}
		return d.Settings.Preview(ctx, v)
	}
	s.Do = func(ctx context.Context, c Call) (string, error) {
		v, err := values(c)
		if err != nil {
			return "", err
		}
		return d.Settings.Set(ctx, c.Key, c.By, why(c), v)
	}
	return s
}
