package postmortem_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/postmortem"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the report anew")

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

const number = "INC-20260314-001"

// story is a whole incident, minute by minute.
func story() []incident.Event {
	trades := 3
	targets := severity.SEV1.Targets()
	var events []incident.Event
	add := func(after time.Duration, kind incident.Kind, by, what, why string, d incident.Data) {
		events = append(events, incident.Event{
			Seq: uint64(len(events) + 1), At: noon.Add(after), Incident: number, Kind: kind, By: by, What: what, Why: why, Data: d,
		})
	}
	add(0, incident.Declared, "reconciler", "book and venue differ", "SEV-1: inconsistent positions", incident.Data{
		Condition: "inconsistent-positions", Component: "book", Episode: 1, Level: severity.SEV1, SignalAt: noon.Add(-40 * time.Millisecond),
		RespondBy: noon.Add(targets.Respond), ResolveBy: noon.Add(targets.Resolve),
	})
	add(time.Millisecond, incident.Halted, "andon/incident", "the gate is closed", "the incident stops trading", incident.Data{})
	add(2*time.Millisecond, incident.PageFailed, "andon/incident", "Grace was not reached", "answer 503", incident.Data{Key: "k"})
	add(9*time.Millisecond, incident.Paged, "andon/incident", "Ada was told by phone", "accepted", incident.Data{Step: 1, Round: 1, SentAt: noon.Add(8 * time.Millisecond)})
	add(3*time.Second, incident.Drained, "andon/incident", "no order is in flight", "the gate is closed", incident.Data{})
	add(6*time.Minute, incident.Acknowledged, "Ada", "acknowledged", "paged", incident.Data{})
	add(7*time.Minute, incident.RoleGiven, "Ada", "Ada is Incident Commander", "needed", incident.Data{Role: incident.Commander, Contact: "Ada"})
	add(20*time.Minute, incident.Noted, "Ada", "root cause: a torn write", "found by Ada", incident.Data{RootCause: "a torn write"})
	add(21*time.Minute, incident.Noted, "Ada", "impact", "counted", incident.Data{Impact: &incident.Impact{Lost: incident.Money{"USDT": andon.MustDecimal("12.50")}, Trades: &trades}})
	add(30*time.Minute, incident.Mitigated, "Ada", "mitigated", "rows repaired", incident.Data{})
	add(40*time.Minute, incident.ItemProven, "checker", "All positions accounted for", "3 of 3", incident.Data{Item: "All positions accounted for"})
	add(41*time.Minute, incident.Resolved, "Ada", "resolved", "book and venue agree", incident.Data{PostMortem: noon.Add(48 * time.Hour)})
	return events
}

func TestTheReportOfAWholeIncident(t *testing.T) {
	r, err := postmortem.New(number, story(), noon.Add(time.Hour))
	require.NoError(t, err)
	got := r.Markdown()
	page, err := r.HTML()
	require.NoError(t, err)
	for name, got := range map[string]string{"report.md": got, "report.html": page, "timeline.svg": r.SVG()} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run with -update to write it")
		require.Equal(t, string(want), got, name)
	}
	for _, fact := range []string{
		"**Duration**: 0 hours 41 minutes", "**Lead**: Ada", "**SLA Breach**: Yes: response target missed",
		"| Signal to halt | 41ms |", "| Halt to the last order in flight settled | 2.999s |", "| Halt to the first page accepted | 7ms |",
		"| Declaration to acknowledgement | 6m0s | under 5 min | missed |", "| Declaration to resolution | 41m0s | under 1 h | met |",
		"12.5 USDT lost", "3 trades failed or delayed", "**12:40** - Service restored", "**Review Date**: 2026-03-16",
	} {
		require.Contains(t, got, fact)
	}
}

// The playbook's own words, read from the document where it is there.
func TestEverySectionOfThePlaybooksTemplateIsThere(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "playbook.md"))
	if os.Getenv("CI") == "true" {
		require.NoError(t, err)
	} else if err != nil {
		t.Skipf("the playbook is not beside the project: %v", err)
	}
	_, template, ok := strings.Cut(string(b), "## Post-Mortem Template")
	require.True(t, ok)
	template, _, ok = strings.Cut(template, "\n## ")
	require.True(t, ok)
	r, err := postmortem.New(number, story(), noon)
	require.NoError(t, err)
	report, at := r.Markdown(), 0
	titles := regexp.MustCompile(`(?m)^###? (.+)$`).FindAllStringSubmatch(template, -1)
	labels := regexp.MustCompile(`(?m)^(?:- )?\*\*([A-Z][A-Za-z -]+)\*\*:`).FindAllStringSubmatch(template, -1)
	require.Greater(t, len(titles), 10)
	require.Greater(t, len(labels), 8)
	for _, m := range titles {
		i := strings.Index(report[at:], "# "+m[1]+"\n")
		require.GreaterOrEqual(t, i, 0, "%q, in the template's order", m[1])
		at += i
	}
	for _, m := range labels {
		require.Contains(t, report, "**"+m[1]+"**:")
	}
	for _, moment := range regexp.MustCompile(`(?m)^- \*\*HH:MM\*\* - (.+)$`).FindAllStringSubmatch(template, -1) {
		require.Contains(t, report, "- "+moment[1])
	}
	require.Contains(t, report, "| Action | Owner | Due Date | Priority |")
}

func TestAnOpenIncidentSaysSo(t *testing.T) {
	r, err := postmortem.New(number, story()[:2], noon.Add(time.Minute))
	require.NoError(t, err)
	got := r.Markdown()
	require.Contains(t, got, "still open")
	require.Contains(t, got, "**SLA Breach**: No, so far")
	require.Contains(t, got, "**--:--** - Incident closed: not on record")
	r.At = noon.Add(5 * time.Minute)
	require.Contains(t, r.Markdown(), "Yes: response target missed", "on the target it is missed")
	_, err = postmortem.New("INC-1", story(), noon)
	require.ErrorIs(t, err, incident.ErrUnknown)
}

func TestUnprovenItemsBecomeActions(t *testing.T) {
	events := story()
	events[len(events)-1].Data.Unproven = []string{"Risk limits enforced"}
	r, err := postmortem.New(number, events, noon)
	require.NoError(t, err)
	require.Contains(t, r.Markdown(), "| Prove: Risk limits enforced |")
	require.Contains(t, r.Markdown(), "- Resolved without proof of: Risk limits enforced.")
	require.Contains(t, r.Markdown(), "**--:--** - Service restored: not on record")
}

// harmless fails for a page that would run or fetch something, or is not well formed.
func harmless(t require.TestingT, page string) {
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	if strings.HasPrefix(page, "<svg") {
		dec.Strict = true
	}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, page)
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		require.NotContains(t, []string{"script", "iframe", "img", "a", "object", "form", "link", "base"}, start.Name.Local, page)
		for _, a := range start.Attr {
			require.False(t, strings.HasPrefix(strings.ToLower(a.Name.Local), "on"), "attribute %s", a.Name.Local)
		}
	}
}

// No text of an alert can add a line, a heading, a cell, a link or HTML.
func TestHostileFieldsStayText(t *testing.T) {
	run := func(step string) []incident.Event {
		begun := incident.Event{Seq: 13, At: noon.Add(time.Minute), Incident: number, Kind: "step-due", By: "b", What: "w", Why: "w", Data: incident.Data{Run: &incident.RunStep{ID: "1", Step: step}}}
		done := begun
		done.Seq, done.At, done.Kind = 14, noon.Add(30*time.Minute), "step-done"
		return append(story(), begun, done)
	}
	plain, err := postmortem.New(number, run("x"), noon)
	require.NoError(t, err)
	shape := func(report string) []string {
		var all []string
		for line := range strings.Lines(report) {
			cells := strings.Count(line, "|") - strings.Count(line, `\|`)
			all = append(all, fmt.Sprint(strings.HasPrefix(line, "#"), strings.HasPrefix(line, "- "), strings.HasPrefix(line, "> "), cells))
		}
		return all
	}
	want := shape(plain.Markdown())
	rapid.Check(t, func(t *rapid.T) {
		evil := rapid.OneOf(
			rapid.SampledFrom([]string{"\n# Owned", "a | b | c", "<script>alert(1)</script>", "[x](http://evil)", "![x](http://evil)", "```\nx", "1. one", "- list", "===", "\u202Eright to left", "http://evil", "www.evil", "&lt;b&gt;", `\`, "**bold**"}),
			rapid.StringOf(rapid.RuneFrom([]rune("\n\r|#<>[]()`*_~\\!-+=1.:/&@ aw\u2028\x1b"))),
			rapid.String(),
		).Draw(t, "evil")
		events := run(evil + "x")
		for i := range events {
			events[i].What, events[i].Why, events[i].By = evil+"x", evil+"x", evil+"x"
		}
		events[0].Data.Component = evil + "x"
		events[7].Data.RootCause = evil + "x"
		r, err := postmortem.New(number, events, noon)
		require.NoError(t, err)
		got := r.Markdown()
		require.Equal(t, want, shape(got), "%s", got)
		_, err = postmortem.Read(got)
		require.NoError(t, err)
		page, err := r.HTML()
		require.NoError(t, err)
		harmless(t, page)
		harmless(t, r.SVG())
		got = regexp.MustCompile(`<!--[a-z0-9/ -]+-->`).ReplaceAllString(got, "")
		for _, bad := range []string{"<", "](", "://", "www.", "\x1b", "\u202e", "\u2028"} {
			for i := 0; ; {
				at := strings.Index(got[i:], bad)
				if at < 0 {
					break
				}
				i += at
				require.True(t, i > 0 && got[i-1] == '\\', "%q stands there unescaped:\n%s", bad, got[max(0, i-20):i+10])
				i++
			}
		}
	})
}
