package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
)

// section returns what the playbook says under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "playbook.md")
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		needs.Missing(t, "the playbook beside the project: ../shared/playbook.md")
	}
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), heading+"\n")
	require.True(t, found, "the playbook has no heading %q", heading)
	body, _, _ := strings.Cut(rest, "\n#")
	return body
}

func TestObjectivesAreThePlaybooks(t *testing.T) {
	want := regexp.MustCompile(`(?m)^\| ([A-Z][^|]*) \| (\d[^|]*) \| (\d[^|]*) \| ([^|]*) \|$`).
		FindAllStringSubmatch(section(t, "### System Components RTO/RPO"), -1)
	require.Len(t, want, 6)
	got := recovery.Objectives()
	require.Len(t, got, len(want))
	for i, row := range want {
		o := got[i]
		require.NoError(t, o.Validate())
		require.Equal(t, row[1], string(o.Component))
		require.Equal(t, playbookTime(t, row[2]), o.RTO, row[0])
		require.Equal(t, playbookTime(t, row[3]), o.RPO, row[0])
		require.Equal(t, row[4], o.Frequency)
		require.Equal(t, every(t, row[4]), o.Every, row[0])
	}
}

func playbookTime(t *testing.T, s string) time.Duration {
	t.Helper()
	var n int
	var unit string
	_, err := fmt.Sscanf(s, "%d %s", &n, &unit)
	require.NoError(t, err, s)
	units := map[string]time.Duration{"min": time.Minute, "hour": time.Hour, "hours": time.Hour, "minutes": time.Minute}
	require.Contains(t, units, unit)
	return time.Duration(n) * units[unit]
}

func every(t *testing.T, frequency string) time.Duration {
	t.Helper()
	switch {
	case strings.HasPrefix(frequency, "Every "):
		return playbookTime(t, strings.TrimPrefix(frequency, "Every "))
	case strings.HasPrefix(frequency, "Hourly "):
		return time.Hour
	}
	return 0
}

func TestPriorityOrderIsThePlaybooks(t *testing.T) {
	want := regexp.MustCompile(`(?m)^\d\. \*\*(.+)\*\* - (.+)$`).
		FindAllStringSubmatch(section(t, "### Recovery Priority Order"), -1)
	require.Len(t, want, 8)
	got := recovery.PriorityOrder()
	require.Len(t, got, len(want))
	for i, row := range want {
		require.Equal(t, row[1], got[i].Name)
		require.Equal(t, row[2], got[i].Purpose)
	}
}

func TestValidationItemsAreThePlaybooks(t *testing.T) {
	want := regexp.MustCompile(`(?m)^- \[ \] (.+)$`).
		FindAllStringSubmatch(section(t, "### Recovery Validation Checklist"), -1)
	require.Len(t, want, 8)
	got := recovery.ValidationItems(recovery.Proofs{})
	require.Len(t, got, len(want))
	for i, row := range want {
		require.Equal(t, row[1], got[i].Text)
	}
}
