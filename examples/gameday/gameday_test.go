package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// Every drill, on a real stack, meets the playbook's targets.
func TestAGameDay(t *testing.T) {
	for _, g := range games {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r := g.play(t.Context(), 4*time.Minute, slog.New(slog.DiscardHandler))
			if r.err != nil && strings.Contains(r.err.Error(), "missing") {
				needs.Missing(t, "%v", r.err)
			}
			require.NoError(t, r.err, r.score)
			require.True(t, r.score.Passed(), r.score)
			require.Equal(t, severity.SEV1, r.score.Level)
			require.Len(t, r.score.Marks, 4)
			t.Log(r.score)
		})
	}
}

func TestTheReportSaysWhatWasMissed(t *testing.T) {
	mark := func(name string, took, target time.Duration) incidenttest.Mark {
		return incidenttest.Mark{Name: name, Took: took, Target: target}
	}
	results := []result{
		{games[0], incidenttest.Score{Drill: "kill", Incident: "INC-20260301-001", Marks: []incidenttest.Mark{
			mark("detect", 2*time.Second, 5*time.Minute), mark("halt", 2*time.Second, 5*time.Minute), mark("page", 3*time.Second, 5*time.Minute), mark("recover", 40*time.Second, time.Hour)}}, nil},
		{games[1], incidenttest.Score{Drill: "freeze", Marks: []incidenttest.Mark{
			mark("detect", 6*time.Minute, 5*time.Minute), mark("halt", -1, 5*time.Minute), mark("page", -1, 5*time.Minute), mark("recover", -1, time.Hour)}}, nil},
		{games[2], incidenttest.Score{}, errors.New("the stack cannot be built: no <server>")},
	}
	text := markdown(results, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "day.svg")
	for _, want := range []string{
		"1 of 3 drills passed", "![Times since the fault, for each drill](day.svg)", "| 2s (5m0s) | 2s (5m0s) | 3s (5m0s) | 40s (1h0m0s) | passed |",
		"| **6m0s** (5m0s) | **never** (5m0s) | **never** (5m0s) | **never** (1h0m0s) | missed |", "| not asked | not asked | not asked | not asked | not a drill |",
		"## corrupt\n\n    the stack cannot be built: no <server>\n",
	} {
		require.Contains(t, text, want)
	}
	ended := []result{
		{games[1], results[1].score, fmt.Errorf("drill: %w", context.Canceled)},
		{games[2], incidenttest.Score{}, errNotPlayed},
	}
	text = markdown(ended, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "")
	require.Contains(t, text, "| **6m0s** (5m0s) | not yet (5m0s) | not yet (5m0s) | not yet (1h0m0s) | interrupted |")
	require.Contains(t, text, "| not asked | not asked | not asked | not asked | not played |")
	require.Contains(t, text, "0 of 2 drills passed")
	require.NotContains(t, text, "never", "what was interrupted is not known")

	dec := xml.NewDecoder(strings.NewReader(svg(results)))
	circles := 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	require.Equal(t, 5+4, circles, "what happened, and the legend")
}

func TestTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, 0, "kill, freeze, corrupt, leak,"},
		{[]string{"explode"}, 2, `there is no drill "explode", want one of kill, freeze, corrupt, leak, cut`},
		{[]string{"--report=day.txt"}, 2, "ends in .md"},
		{[]string{"kill", "--report=" + filepath.Join(t.TempDir(), "nowhere", "day.md")}, 2, "nowhere is no folder"},
		{[]string{"--within=-1s"}, 2, "--within is -1s"},
		{[]string{"--nonsense"}, 2, "unknown flag"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, c.code, run(c.args, &stdout, &stderr), c.args)
		require.Contains(t, stdout.String()+stderr.String(), c.want, c.args)
	}
}

// A target that is missed is said by the exit code, and the report is written all the same.
func TestAMissedTargetIsExitCode1(t *testing.T) {
	report := filepath.Join(t.TempDir(), "day.md")
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run([]string{"cut", "--within=1ms", "--report=" + report}, &stdout, &stderr), stderr.String())
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Contains(t, string(text), "0 of 1 drills passed")
	require.FileExists(t, strings.TrimSuffix(report, ".md")+".svg")
}
