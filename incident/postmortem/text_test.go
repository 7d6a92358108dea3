package postmortem_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/postmortem"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func report(t require.TestingT) postmortem.Report {
	r, err := postmortem.New(number, story(), noon.Add(time.Hour))
	require.NoError(t, err)
	return r
}

// A report goes to more people than the timeline, and holds no secret that a field holds.
func TestNoSecretIsInAReport(t *testing.T) {
	events := story()
	for i, e := range events {
		e.What += " api_key=CANARY-1"
		e.Why += " Authorization: Bearer CANARY-2-CANARY"
		e.By += " postgres://bot:CANARY-3@db/trades"
		if e.Data.Component != "" {
			e.Data.Component += " password=CANARY-4"
		}
		if e.Data.RootCause != "" {
			e.Data.RootCause += " token=CANARY-5"
		}
		events[i] = e
	}
	r, err := postmortem.New(number, events, noon.Add(time.Hour))
	require.NoError(t, err)
	page, err := r.HTML()
	require.NoError(t, err)
	for _, out := range []string{r.Markdown(), page, r.SVG()} {
		require.NotContains(t, out, "CANARY")
	}
	require.Contains(t, page, "[secret]")
}

// What stands below the last line is refused by what it is.
func TestRead_BelowTheLastLine(t *testing.T) {
	_, err := postmortem.Read(report(t).Markdown() + "my own words\n")
	require.ErrorIs(t, err, postmortem.ErrEdited)
	require.ErrorContains(t, err, "below the last line")
}

// What a person writes into any place, whatever it is, comes out of the next report as
// it was written, while everything else follows the timeline.
func TestHumanTextSurvivesRegeneration(t *testing.T) {
	places := regexp.MustCompile(`(?s)<!--write ([a-z-]+) [0-9a-f]{12}-->.*?<!--/write-->`)
	rapid.Check(t, func(t *rapid.T) {
		first, err := postmortem.New(number, story()[:rapid.IntRange(1, 12).Draw(t, "events")], noon.Add(time.Hour))
		require.NoError(t, err)
		md := first.Markdown()
		want := map[postmortem.Place]string{}
		md = places.ReplaceAllStringFunc(md, func(s string) string {
			if !rapid.Bool().Draw(t, "written") {
				return s
			}
			text := rapid.OneOf(
				rapid.SampledFrom([]string{"", "\n\n## A heading\n\n- a list\n", "$500", "<!-- a comment -->", "\n\n| a | b |\n", "--> <!--", "$1 \\1"}),
				rapid.StringOf(rapid.RuneFrom([]rune("ab \n#|*<>!-&$\\1"))),
			).Filter(func(s string) bool {
				return !strings.Contains(s, "<!--write ") && !strings.Contains(s, "<!--/write-->")
			}).Draw(t, "text")
			name := places.FindStringSubmatch(s)[1]
			want[postmortem.Place(name)] = text
			open, _, _ := strings.Cut(s, "-->")
			return open + "-->" + text + "<!--/write-->"
		})
		if rapid.Bool().Draw(t, "on Windows") && !strings.Contains(md, "\r") {
			md = "\ufeff" + strings.ReplaceAll(md, "\n", "\r\n")
		}
		text, err := postmortem.Read(md)
		require.NoError(t, err, md)
		require.Equal(t, want, text)

		second := report(t)
		second.Text = text
		again, err := postmortem.Read(second.Markdown())
		require.NoError(t, err)
		require.Equal(t, want, again, "and again")
		require.Contains(t, second.Markdown(), "**Duration**: 0 hours 41 minutes")
		for p := range want {
			require.NotContains(t, second.Waiting(), p)
		}
		page, err := second.HTML()
		require.NoError(t, err)
		require.NotContains(t, page, "<!--write")
		harmless(t, page)
	})
}

// A change that the next report would lose is refused, and names its section.
func TestAChangeOutsideThePlacesIsNotLost(t *testing.T) {
	md := report(t).Markdown()
	for name, c := range map[string]struct{ old, new, want string }{
		"a fact":           {"**Lead**: Ada", "**Lead**: Grace", `section "Incident Summary"`},
		"a line":           {"### Root Cause\n", "### Root Cause\n\nIt was the disk.\n", `section "Root Cause Analysis"`},
		"a section":        {"## Complete Timeline", "## Appendix\n\nmore\n\n## Complete Timeline", `section "Appendix"`},
		"the end":          {"The last event's hash", "The hash", `section "Complete Timeline"`},
		"the title":        {"# Post-Mortem INC-20260314-001", "# Our bad day", `section "the beginning"`},
		"an opening":       {"<!--write lucky ", "<!--wrote lucky ", `section "Lessons Learned"`},
		"a closing":        {"<!--/write-->\n\n## Lessons", "\n\n## Lessons", "the end of place"},
		"another place":    {"<!--write lucky ", "<!--write luck ", `place "luck" is not one`},
		"a place twice":    {"<!--write lucky ", "<!--write users ", `is there twice`},
		"no end":           {"<!--andon ", "<!--", "is missing"},
		"not a report":     {md, "# Notes\n", "no report of this library"},
		"a section is cut": {md[strings.Index(md, "## Action Items"):strings.Index(md, "<!--andon ")], "", "sections, want"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := strings.Replace(md, c.old, c.new, 1)
			require.NotEqual(t, md, edited)
			if name == "a place twice" {
				edited = strings.Replace(edited, "users affected", "nobody", 1)
				edited = strings.Replace(edited, "near misses", "none", 1)
			}
			_, err := postmortem.Read(edited)
			require.ErrorContains(t, err, c.want)

			path := filepath.Join(t.TempDir(), "p.md")
			require.NoError(t, os.WriteFile(path, []byte(edited), 0o600))
			_, err = report(t).Write(path)
			require.Error(t, err)
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, edited, string(kept))
			require.NoFileExists(t, strings.TrimSuffix(path, ".md")+".html")
		})
	}
	trimmed := regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(md, "")
	_, err := postmortem.Read(trimmed + "\n\n")
	require.NoError(t, err, "an editor that takes blanks away changes nothing")
}

func TestWriteKeepsWhatPeopleWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.md")
	early, err := postmortem.New(number, story()[:6], noon.Add(10*time.Minute))
	require.NoError(t, err)
	_, err = early.Write(path)
	require.NoError(t, err)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), "**TO WRITE:** users affected", "two desks", 1)), 0o600))
	r := report(t)
	r.Text = map[postmortem.Place]string{postmortem.Metrics: "none missed for a month"}
	r, err = r.Write(path)
	require.NoError(t, err)
	require.Equal(t, map[postmortem.Place]string{postmortem.Users: "two desks", postmortem.Metrics: "none missed for a month"}, r.Text)
	for _, name := range []string{path, strings.TrimSuffix(path, ".md") + ".html"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(b), "two desks")
		require.Contains(t, string(b), "none missed for a month")
		require.Contains(t, string(b), "0 hours 41 minutes")
	}
	other := story()
	for i := range other {
		other[i].Incident = "INC-20260314-002"
	}
	o, err := postmortem.New("INC-20260314-002", other, noon)
	require.NoError(t, err)
	_, err = o.Write(path)
	require.ErrorContains(t, err, "is of another incident")
	_, err = o.Write(filepath.Join(t.TempDir(), "p.txt"))
	require.ErrorContains(t, err, "does not end in .md")
	_, err = o.Write(filepath.Join(t.TempDir(), "gone", "p.md"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestActionItemsHaveAnOwnerAndADay(t *testing.T) {
	r := report(t)
	_, err := r.Actions()
	require.ErrorContains(t, err, "no action item has been written")
	r.Text = map[postmortem.Place]string{postmortem.ActionItems: `

| Action | Owner | Due Date | Priority |
|--------|-------|----------|----------|
| Fsync the \| directory | Ada | 2026-03-20 | P0 |
| Page the lead too | **TO WRITE:** name | 2026-03-20 | P1 |
| Write a test | Grace | soon | P1 |
| Buy a disk | Grace | 2026-04-01 | urgent |
| Sleep | Grace |
`}
	actions, err := r.Actions()
	require.Equal(t, []postmortem.Action{{Action: "Fsync the | directory", Owner: "Ada", Due: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC), Priority: "P0"}}, actions)
	for _, want := range []string{
		`item 2, "Page the lead too": the owner is missing`, `item 3, "Write a test": the due date is "soon"`,
		`item 4, "Buy a disk": the priority is "urgent"`, `item 5, "Sleep": 2 columns`,
	} {
		require.ErrorContains(t, err, want)
	}
	r.Text[postmortem.ActionItems] = "nothing"
	_, err = r.Actions()
	require.ErrorContains(t, err, "has no row")
}

// The drawing shows the steps of a runbook, the one that never ended too.
func TestTheDrawingShowsWhatTheRunbookDid(t *testing.T) {
	events := story()[:6]
	step := func(after time.Duration, kind incident.Kind, name, why string) {
		events = append(events, incident.Event{
			Seq: uint64(len(events) + 1), At: noon.Add(after), Incident: number, Kind: kind, By: "andon/runbook", What: name, Why: "w",
			Data: incident.Data{Error: why, Run: &incident.RunStep{ID: number + "/1", Step: name}},
		})
	}
	step(7*time.Minute, "step-due", "restart", "")
	step(8*time.Minute, "step-failed", "restart", "no engine")
	step(9*time.Minute, "step-due", "restart", "")
	step(10*time.Minute, "step-done", "restart", "")
	step(11*time.Minute, "step-due", "watch", "")
	r, err := postmortem.New(number, events, noon.Add(12*time.Minute))
	require.NoError(t, err)
	svg := r.SVG()
	for _, want := range []string{
		"restart: step-failed, 1m0s", "restart: step-done, 1m0s", "watch: no outcome on record, 1m0s", "open: still", ">halted<", "respond by (missed)",
	} {
		require.Contains(t, svg, want)
	}
	require.NotContains(t, svg, "resolve by", "which is still to come")
	require.Contains(t, svg, `class="broken"`)
}
