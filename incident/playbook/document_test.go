package playbook_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// document returns the playbook that Default puts into types.
func document(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/playbook.md")
	if err != nil {
		needs.Missing(t, "the playbook to compare with: %v", err)
	}
	return string(text)
}

// under returns what stands below a heading, up to the next one of the same depth or less.
func under(t testing.TB, text, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut("\n"+text, "\n"+heading+"\n")
	require.True(t, found, "the document has no heading %q", heading)
	depth := strings.Index(heading, " ")
	end := regexp.MustCompile(fmt.Sprintf(`\n#{1,%d} `, depth)).FindStringIndex(outsideFences(rest))
	if end == nil {
		return rest
	}
	return rest[:end[0]]
}

// outsideFences blanks what stands in code blocks, whose comments look like headings.
func outsideFences(text string) string {
	return regexp.MustCompile("(?s)```.*?```").ReplaceAllStringFunc(text, func(block string) string {
		return strings.Repeat(".", len(block))
	})
}

// match returns the groups of a pattern that must be there.
func match(t testing.TB, text, pattern string) []string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, "the document has nothing like %s", pattern)
	return m[1:]
}

// all returns the groups of every match of a pattern.
func all(text, pattern string) [][]string {
	var found [][]string
	for _, m := range regexp.MustCompile("(?m)"+pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1:])
	}
	return found
}

// span reads "5 min", "1 hour", "15 minutes", "500ms", "1 second".
func span(t testing.TB, text string) time.Duration {
	t.Helper()
	m := match(t, text, `^(\d+) ?(ms|s|m|h|d)`)
	n, err := strconv.Atoi(m[0])
	require.NoError(t, err)
	unit := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return time.Duration(n) * unit[m[1]]
}

func number(t testing.TB, text, pattern string) int {
	t.Helper()
	n, err := strconv.Atoi(match(t, text, pattern)[0])
	require.NoError(t, err)
	return n
}

// rows returns the cells of a Markdown table, without its head.
func rows(text string) [][]string {
	var table [][]string
	for line := range strings.Lines(text) {
		if cells, ok := strings.CutPrefix(strings.TrimSpace(line), "|"); ok {
			row := strings.Split(strings.TrimSuffix(cells, "|"), "|")
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			table = append(table, row)
		}
	}
	return table[2:]
}

func TestDefaultIsTheDocument_Overview(t *testing.T) {
	doc := document(t)
	var principles []playbook.Principle
	for _, m := range all(under(t, doc, "### Key Principles"), `^- \*\*(.+)\*\*: (.+)$`) {
		principles = append(principles, playbook.Principle{Name: m[0], Text: m[1]})
	}
	require.NotEmpty(t, principles)
	require.Equal(t, principles, playbook.Default().Principles)
	var flow []string
	for _, m := range all(under(t, doc, "### Initial Response Flow"), `^\d\. (.+)$`) {
		flow = append(flow, m[0])
	}
	require.NotEmpty(t, flow)
	require.Equal(t, flow, playbook.Default().Flow)
}

func TestDefaultIsTheDocument_Severities(t *testing.T) {
	doc, p := document(t), playbook.Default()
	every := span(t, match(t, doc, `#### Status Update \(Every (\d+ min) for SEV-1/2\)`)[0])
	require.Len(t, p.Severities, 4)
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		head := match(t, doc, `(?m)^### (`+l.String()+`: (\w+) \((.+)\))$`)
		body := under(t, doc, "### "+head[0])
		want := playbook.Severity{Title: head[1], State: head[2],
			Definition: match(t, body, `\*\*Definition\*\*: (.+)`)[0],
			Respond:    span(t, match(t, body, `\*\*Response Time\*\*: < (.+)`)[0]),
			Resolve:    span(t, match(t, body, `\*\*Resolution Target\*\*: < (.+)`)[0]),
		}
		if l <= severity.SEV2 {
			want.StatusEvery = every
		}
		require.Equal(t, want, p.Severities[l], l)
	}
}

func TestDefaultIsTheDocument_Conditions(t *testing.T) {
	doc, p := document(t), playbook.Default()
	var want, got []string
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		head := match(t, doc, `(?m)^(### `+l.String()+`: .+)$`)[0]
		for _, m := range all(under(t, doc, head), `^- (.+)$`) {
			want = append(want, l.String()+" "+m[0])
		}
	}
	for _, m := range all(doc, `^### (.+) Runbook$`) {
		for _, line := range all(under(t, under(t, doc, "### "+m[0]+" Runbook"), "#### Detection Indicators"), `^- (.+)$`) {
			want = append(want, m[0]+" "+line[0])
		}
	}
	require.Len(t, want, 19+18)
	for c, known := range p.Conditions {
		switch {
		case c == playbook.ObjectiveMissed:
			require.NotEmpty(t, known.Reason, "the document gives no level for a missed objective")
		case known.Runbook != "":
			got = append(got, string(known.Runbook)+" "+known.Text)
			require.NotEmpty(t, known.Reason, c)
		default:
			got = append(got, known.Level.String()+" "+known.Text)
		}
	}
	require.ElementsMatch(t, want, got)
}

func TestDefaultIsTheDocument_Thresholds(t *testing.T) {
	p := playbook.Default()
	doc := document(t)
	given := 0
	for c, i := range p.Indicators {
		text := p.Conditions[c].Text
		if c == playbook.ObjectiveMissed || c == severity.LoggingIssue {
			continue // ours
		}
		require.Contains(t, doc, text)
		m := regexp.MustCompile(`[<>] ?(\d+)(%|ms)`).FindStringSubmatch(text)
		if m == nil {
			require.Equal(t, severity.Count, i.AtLeast.Unit, "%s: without a number in the document, things are counted", c)
			continue
		}
		given++
		want := severity.Took(500 * time.Millisecond)
		if m[2] == "%" {
			n, err := strconv.ParseInt(m[1], 10, 64)
			require.NoError(t, err)
			want = severity.Percent(n)
		} else {
			require.Equal(t, "500", m[1])
		}
		require.Equal(t, want, i.AtLeast, c)
	}
	require.Equal(t, 5, given, "the document gives five thresholds")
	for c, known := range p.Conditions {
		if known.Runbook != "" {
			require.Contains(t, p.Indicators, c, "every detection indicator is measured")
		}
	}
}

func TestDefaultIsTheDocument_Patterns(t *testing.T) {
	doc := document(t)
	for _, grep := range all(doc, `grep -?[Er]* "(.+?)"`) {
		if strings.HasPrefix(grep[0], "stable") || strings.HasPrefix(grep[0], "auth") {
			continue // looked for once by a step, and not followed
		}
		require.True(t, slices.ContainsFunc(allLines(grep[0]), func(line string) bool { return counted(t, line) }), grep[0])
	}
}

// allLines are lines that a grep of the document finds, one for each alternative.
func allLines(expr string) []string {
	var lines []string
	for alternative := range strings.SplitSeq(expr, "|") {
		lines = append(lines, "at 12:00 "+strings.ReplaceAll(alternative, ".*", " x ")+" here")
	}
	return lines
}

func counted(t *testing.T, line string) bool {
	return slices.ContainsFunc(playbook.Default().Patterns, func(p detect.Pattern) bool { return regexp.MustCompile(p.Expr).MatchString(line) })
}

func TestDefaultIsTheDocument_Escalation(t *testing.T) {
	doc, p := document(t), playbook.Default()
	section := under(t, doc, "### Escalation Matrix")
	var after []time.Duration
	for _, m := range all(section, `\| Primary Contact \| Escalation \((\d+ min)\) \| Executive \((\d+ min)\) \|`) {
		after = append(after, 0, span(t, m[0]), span(t, m[1]))
	}
	require.Len(t, after, 3)
	table := rows(section)
	require.Len(t, table, 4)
	for _, row := range table {
		var l severity.Level
		require.NoError(t, l.UnmarshalText([]byte(row[0])))
		var want []notify.Step
		for i, cell := range row[1:] {
			step := notify.Step{After: after[i]}
			for name := range strings.SplitSeq(cell, "/") {
				if cell != "N/A" {
					step.Roles = append(step.Roles, notify.Role(name))
				}
			}
			want = append(want, step)
		}
		require.Equal(t, want, p.Escalation.For(l), row[0])
	}
}

func TestDefaultIsTheDocument_Templates(t *testing.T) {
	doc, p := document(t), playbook.Default().Templates
	for heading, got := range map[string]string{
		"#### Initial Alert": p.Alert, "#### Status Update (Every 30 min for SEV-1/2)": p.Update, "#### Resolution Notice": p.Resolution,
	} {
		require.Equal(t, match(t, under(t, doc, heading), "(?s)```\n(.+?)\n```")[0], got, heading)
	}
}

func TestDefaultIsTheDocument_Contacts(t *testing.T) {
	doc, p := document(t), playbook.Default()
	want := map[string]map[string]string{}
	for _, m := range all(under(t, doc, "## Emergency Contact Information"), "(?s)```yaml\n(.+?)```") {
		require.NoError(t, yaml.Unmarshal([]byte(m[0]), &want))
	}
	require.Len(t, want, 6)
	require.Equal(t, want, p.Contacts)
	require.NoError(t, p.Directory().Validate())
	for l, steps := range p.Escalation.Steps {
		for _, s := range steps {
			for _, r := range s.Roles {
				require.NotEmpty(t, p.Roles[r], "%v: nobody of the contact list is %s", l, r)
			}
		}
	}
}

func TestDefaultIsTheDocument_Recovery(t *testing.T) {
	doc, p := document(t), playbook.Default()
	table := rows(under(t, doc, "### System Components RTO/RPO"))
	require.Len(t, table, 6)
	require.Len(t, p.Objectives, 6)
	for _, row := range table {
		got := p.Objectives[recovery.Component(row[0])]
		require.Equal(t, span(t, row[1]), got.RTO, row[0])
		require.Equal(t, span(t, row[2]), got.RPO, row[0])
		require.Equal(t, row[3], got.Frequency, row[0])
		want := map[string]time.Duration{"Every 5 minutes": 5 * time.Minute, "Hourly snapshots": time.Hour, "Every 15 minutes": 15 * time.Minute, "Hourly backup": time.Hour}[row[3]]
		require.Equal(t, want, got.Every, row[0])
	}
	var want, got [][]string
	want = append(want, all(under(t, doc, "### Recovery Priority Order"), `^\d\. \*\*(.+)\*\* - (.+)$`)...)
	for _, s := range p.Priority {
		got = append(got, []string{s.Name, s.Purpose})
	}
	require.Len(t, want, 8)
	require.Equal(t, want, got)
	var items []string
	for _, m := range all(doc, `^- \[ \] (.+)$`) {
		items = append(items, m[0])
	}
	require.Len(t, items, 8)
	require.Equal(t, items, p.Checklist)
	require.Equal(t, span(t, match(t, doc, `No error logs in last (\d+ minutes)`)[0]), p.Recovery.ErrorWindow)
	require.Equal(t, span(t, match(t, doc, `# Monitor for (\d+ minutes)`)[0]), p.Recovery.WatchFor)
	require.Equal(t, time.Duration(number(t, doc, `watch -n (\d+) `))*time.Second, p.Recovery.WatchEvery)
}

func TestDefaultIsTheDocument_Runbooks(t *testing.T) {
	doc, p := document(t), playbook.Default()
	want := map[string]playbook.Runbook{}
	for _, m := range all(doc, `^### (.+) Runbook$`) {
		within := match(t, under(t, doc, "### "+m[0]+" Runbook"), `#### Immediate Actions \(< (\d+ minutes)\)`)[0]
		want[m[0]] = playbook.Runbook{Within: span(t, within)}
	}
	for _, m := range all(under(t, doc, "### Quick Fix Procedures"), `^#### \d\. (.+)$`) {
		want[m[0]] = playbook.Runbook{}
	}
	require.Len(t, want, 8)
	require.Equal(t, want, p.Runbooks)
}

func TestDefaultIsTheDocument_Looks(t *testing.T) {
	doc, l := document(t), playbook.Default().Looks
	require.Equal(t, playbook.Looks{
		LogLines:         number(t, doc, `logs --tail=(\d+) ai-trading-bot`),
		StatusLines:      number(t, doc, `docker-compose ps && docker-compose logs --tail=(\d+)`),
		WatchLines:       number(t, doc, `'docker-compose logs --tail=(\d+)'`),
		Commits:          number(t, doc, `git log --oneline -(\d+)`),
		Pings:            number(t, doc, `ping -c (\d+) api.exchange.com\n`),
		LatencyPings:     number(t, doc, `ping -c (\d+) api.exchange.com \| grep avg`),
		IOEvery:          time.Duration(number(t, doc, `iostat -x (\d+) \d+`)) * time.Second,
		IOSamples:        number(t, doc, `iostat -x \d+ (\d+)`),
		ProcessIOSamples: number(t, doc, `iotop -b -n (\d+)`),
		SystemLog:        span(t, match(t, doc, `--since "(\d+ hour) ago"`)[0]),
		HistoryLines:     number(t, doc, `history \| tail -(\d+)`),
		Changed:          time.Duration(number(t, doc, `-mtime -(\d+)`)) * 24 * time.Hour,
		APIUsageDays:     number(t, doc, `api_usage_analysis --days=(\d+)`),
		SlowQuery:        span(t, match(t, doc, `--threshold=(\d+ms)`)[0]),
		Suspicious:       span(t, match(t, doc, `INTERVAL '(\d+ hours)'`)[0]),
		SuspiciousSize:   andon.NewDecimal(int64(number(t, doc, `AVG\(size\) \* (\d+)`)), 0),
		KeyBytes:         number(t, doc, `openssl rand -hex (\d+)`),
	}, l)
}

func TestDefaultIsTheDocument_Settings(t *testing.T) {
	doc, s := document(t), playbook.Default().Settings
	exported := map[string]string{}
	for _, m := range all(doc, `export ([A-Z_0-9]+)="?([^"\s#]+)`) {
		exported[m[0]] = m[1]
	}
	delete(exported, "EXCHANGE__CDP_API_KEY_NAME") // a key is no setting of the playbook
	delete(exported, "EXCHANGE__CDP_PRIVATE_KEY")
	require.Equal(t, "x.x.x.x,y.y.y.y", exported["SECURITY__IP_WHITELIST"], "the document gives no address")
	require.Empty(t, s.Whitelist)
	delete(exported, "SECURITY__IP_WHITELIST")
	got := map[string]string{
		"EXCHANGE__WEBSOCKET_TIMEOUT":       strconv.Itoa(int(s.WebSocketTimeout / time.Second)),
		"EXCHANGE__WEBSOCKET_PING_INTERVAL": strconv.Itoa(int(s.WebSocketPing / time.Second)),
		"TRADING__MIN_TIME_BETWEEN_TRADES":  strconv.Itoa(int(s.ReduceLoad.Limits.MinTimeBetweenTrades / time.Second)),
		"RISK__MAX_POSITION_SIZE":           s.ReduceLoad.Limits.MaxPositionSize.String(),
		"SECURITY__ENABLE_2FA":              strconv.FormatBool(s.Enable2FA),
		"DOCKER_MEMORY":                     s.Resources.Memory,
		"DOCKER_CPUS":                       s.Resources.CPUs,
	}
	for _, feature := range s.ReduceLoad.Off {
		got[feature] = "false"
	}
	require.Equal(t, exported, got)

	performance := map[string]int{}
	for _, m := range all(match(t, doc, `(?s)"performance": \{(.+?)\}`)[0], `"(\w+)": (\d+)`) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		performance[m[0]] = n
	}
	require.Equal(t, map[string]int{
		"websocket_buffer_size": s.Performance.WebsocketBufferSize, "indicator_cache_ttl": int(s.Performance.IndicatorCacheTTL / time.Second),
		"batch_size": s.Performance.BatchSize, "parallel_workers": s.Performance.ParallelWorkers, "db_connection_pool": s.Performance.DBConnectionPool,
	}, performance)
}

func TestDefaultIsTheDocument_Evidence(t *testing.T) {
	doc := document(t)
	require.Equal(t, strings.Fields(match(t, doc, `tar -czf .+\.tar\.gz (.+)`)[0]), playbook.Default().Evidence.Paths)
}

func TestDefaultIsTheDocument_PostMortem(t *testing.T) {
	section := under(t, document(t), "## Post-Mortem Template")
	var want []string
	last := ""
	for _, m := range all(section, `^#{3} (.+)$`) {
		if m[0] != last {
			want = append(want, m[0])
		}
		last = m[0]
	}
	var got, asks []string
	for _, s := range playbook.Default().PostMortem {
		got, asks = append(got, s.Heading), append(asks, s.Asks...)
	}
	require.Equal(t, dropRepeats(want), got, "in the document's order")
	var fields []string
	for line := range strings.Lines(section) {
		switch m := regexp.MustCompile(`^(?:- )?\*\*(.+?)\*\*(?:: | - )(.+)$`).FindStringSubmatch(strings.TrimSpace(line)); {
		case m != nil && m[1] == "HH:MM":
			fields = append(fields, m[2])
		case m != nil:
			fields = append(fields, m[1])
		case strings.HasPrefix(line, "| Action | "):
			fields = append(fields, strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")...)
		}
	}
	require.Equal(t, fields, asks)
}

// dropRepeats keeps the first of each.
func dropRepeats(all []string) []string {
	var kept []string
	for _, s := range all {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func TestDefaultIsTheDocument_Files(t *testing.T) {
	doc, f := document(t), playbook.Default().Files
	listed := map[string]string{}
	for _, m := range all(under(t, doc, "### Critical File Locations"), `^(\S+) +- (.+)$`) {
		listed[m[1]] = m[0]
	}
	require.Equal(t, map[string]string{
		"Main application logs": f.Log, "Position database": f.Positions, "Emergency stop flag": f.EmergencyStop,
		"Production config": f.Config, "Automated backups": f.Backups, "Environment configuration": f.Env, "Incident logs": f.Incidents,
	}, listed)
	for _, path := range []string{f.ReadOnly, f.DatabaseBackups, f.NetworkState, f.ProcessState, f.Suspicious, f.Checksums, f.Logs} {
		require.Regexp(t, `[\s=]`+regexp.QuoteMeta(path)+`\s`, doc)
	}
	urls := map[string]string{}
	for _, m := range all(under(t, doc, "### Monitoring URLs"), `^- \*\*(.+)\*\*: (\S+)$`) {
		urls[m[0]] = m[1]
	}
	for _, m := range all(under(t, doc, "### Monitoring URLs"), `^  - (\w+): (\S+)$`) {
		urls["Exchange Status "+m[0]] = m[1]
	}
	urls["Exchange API"] = match(t, doc, `curl -X GET (\S+)`)[0]
	require.Len(t, urls, 6)
	require.Equal(t, urls, playbook.Default().URLs)
}

func TestDefaultIsTheCallersOwn(t *testing.T) {
	p := playbook.Default()
	p.Principles[0].Text, p.Checklist[0], p.Priority[1].Needs = "x", "x", append(p.Priority[1].Needs, "x")
	p.Contacts["management"]["cto"] = "x"
	p.Roles[notify.CTO][0] = "x"
	p.Settings.ReduceLoad.Off[0] = "x"
	p.Escalation.Steps[severity.SEV1][0].Roles[0] = "x"
	maps.DeleteFunc(p.Objectives, func(recovery.Component, playbook.Objective) bool { return true })
	require.NotEqual(t, p, playbook.Default())
	require.NoError(t, playbook.Default().Validate())
}
