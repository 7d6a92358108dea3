package severity_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// playbook returns the document that this package puts into types.
func playbook(t *testing.T) string {
	text, err := os.ReadFile("../../shared/playbook.md")
	if err != nil {
		needs.Missing(t, "the playbook to compare with: %v", err)
	}
	return string(text)
}

// section returns what stands below a heading, up to the next one of any depth.
func section(t *testing.T, text, heading string) string {
	_, rest, found := strings.Cut(text, "\n"+heading)
	require.True(t, found, "the playbook has no heading %q", heading)
	body, _, _ := strings.Cut(rest, "\n#")
	return body
}

// bullets returns the "- " lines of a text.
func bullets(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if item, ok := strings.CutPrefix(line, "- "); ok {
			found = append(found, strings.TrimSpace(item))
		}
	}
	return found
}

func TestConditionsAreThePlaybooks(t *testing.T) {
	text := playbook(t)
	var want []string
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		for _, line := range bullets(section(t, text, "### "+l.String()+":")) {
			want = append(want, l.String()+": "+line)
		}
	}
	require.Len(t, want, 19)
	var got []string
	for _, d := range severity.Definitions() {
		if d.Runbook == "" {
			got = append(got, d.Level.String()+": "+d.Text)
			require.Empty(t, d.Reason, "%s: the playbook gives its level", d.Condition)
		}
	}
	require.Equal(t, want, got)
}

func TestIndicatorsAreThePlaybooks(t *testing.T) {
	text := playbook(t)
	var want []string
	for _, r := range []severity.Runbook{severity.ServiceOutage, severity.DataCorruption, severity.SecurityBreach, severity.PerformanceDegradation} {
		_, runbook, found := strings.Cut(text, "### "+string(r)+" Runbook")
		require.True(t, found, r)
		for _, line := range bullets(section(t, runbook, "#### Detection Indicators")) {
			want = append(want, string(r)+": "+line)
		}
	}
	require.Len(t, want, 18)
	var got []string
	for _, d := range severity.Definitions() {
		if d.Runbook != "" {
			got = append(got, string(d.Runbook)+": "+d.Text)
			require.NotEmpty(t, d.Reason, "%s: the playbook gives no level, so there must be a reason", d.Condition)
			require.NotEqual(t, severity.Unclassified, d.Level, d.Condition)
		}
	}
	require.Equal(t, want, got)
}

func TestTargetsAreThePlaybooks(t *testing.T) {
	text := playbook(t)
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		body := section(t, text, "### "+l.String()+":")
		require.Equal(t, duration(t, body, "Response Time"), l.Targets().Respond, l)
		require.Equal(t, duration(t, body, "Resolution Target"), l.Targets().Resolve, l)
	}
	require.Contains(t, text, "#### Status Update (Every 30 min for SEV-1/2)")
	require.Equal(t, 30*time.Minute, severity.SEV1.Targets().StatusEvery)
	require.Equal(t, 30*time.Minute, severity.SEV2.Targets().StatusEvery)
	require.Zero(t, severity.SEV3.Targets().StatusEvery)
	require.Zero(t, severity.SEV4.Targets().StatusEvery)
}

// duration reads "**label**: < 5 minutes".
func duration(t *testing.T, text, label string) time.Duration {
	m := regexp.MustCompile(`\*\*` + label + `\*\*: < (\d+) (minute|hour)s?`).FindStringSubmatch(text)
	require.NotNil(t, m, label)
	d, err := time.ParseDuration(m[1] + m[2][:1])
	require.NoError(t, err)
	return d
}

// TestThresholdsAreThePlaybooks reads the numbers out of the playbook's own words,
// so that it needs the table and the document to agree.
func TestThresholdsAreThePlaybooks(t *testing.T) {
	text := playbook(t)
	words := map[severity.Condition]string{}
	for _, d := range severity.Definitions() {
		words[d.Condition] = d.Text
	}
	number := regexp.MustCompile(`[<>] ?(\d+)(%|ms)`)
	judged := map[severity.Condition]bool{}
	for _, r := range severity.PlaybookRules() {
		judged[r.Condition] = true
		require.Contains(t, text, words[r.Condition])
		m := number.FindStringSubmatch(words[r.Condition])
		require.NotNil(t, m, "the playbook gives no number for %s", r.Condition)
		want := m[1] + " %"
		if m[2] == "ms" {
			want = m[1] + "ms"
		}
		require.Equal(t, want, fmt.Sprint(r.AtLeast), r.Condition)
	}
	for c, text := range words {
		require.Equal(t, number.MatchString(text), judged[c], "%s: a number in %q needs a rule, and only a number does", c, text)
	}
}

func TestDefinitionsAreDistinct(t *testing.T) {
	seen := map[severity.Condition]bool{}
	for _, d := range severity.Definitions() {
		require.NotEmpty(t, d.Condition)
		require.False(t, seen[d.Condition], d.Condition)
		seen[d.Condition] = true
	}
	require.Len(t, seen, 19+18)
	severity.Definitions()[0].Level = severity.SEV4
	require.Equal(t, severity.SEV1, severity.Definitions()[0].Level, "the slice is the caller's own")
}
