package playbook_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestAReportIsWrittenOnceTheIncidentIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		p.Checklist = nil
		p.Files.Incidents = filepath.Join(b.dir, "incidents")
		a := start(t, p, b)
		synctest.Wait()
		in, err := a.Incidents.Declare(t.Context(), "test", "a screen is wrong", severity.Signal{Condition: severity.DashboardIssue, Component: "ui", At: time.Now()})
		require.NoError(t, err)
		report := filepath.Join(p.Files.Incidents, in.Number+".md")
		time.Sleep(time.Minute)
		require.NoFileExists(t, report, "it is still open")
		require.NoError(t, a.Incidents.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "screen repaired"}))
		time.Sleep(time.Minute)
		text, err := os.ReadFile(report)
		require.NoError(t, err)
		require.Contains(t, string(text), "# Post-Mortem "+in.Number)
		require.FileExists(t, filepath.Join(p.Files.Incidents, in.Number+".html"))

		require.NoError(t, os.WriteFile(report, append(text, "added by hand\n"...), 0o600))
		time.Sleep(time.Minute)
		kept, err := os.ReadFile(report)
		require.NoError(t, err)
		require.Contains(t, string(kept), "added by hand", "it is written once by itself")
		_, _, err = a.PostMortem(t.Context(), "../../etc/passwd")
		require.ErrorIs(t, err, incident.ErrUnknown)
	})
}

func TestAReportThatACrashLeftOutIsMadeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		p.Checklist = nil
		place := filepath.Join(b.dir, "incidents")
		p.Files.Incidents = filepath.Join(b.dir, "not a folder", "incidents")
		require.NoError(t, os.WriteFile(filepath.Dir(p.Files.Incidents), nil, 0o600))
		a, err := playbook.Assemble(t.Context(), *p, b.Deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		in, err := a.Incidents.Declare(t.Context(), "test", "a screen is wrong", severity.Signal{Condition: severity.DashboardIssue, Component: "ui", At: time.Now()})
		require.NoError(t, err)
		require.NoError(t, a.Incidents.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "screen repaired"}))
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-ended, "a report that cannot be written stops nothing")

		p.Files.Incidents = place
		start(t, p, b)
		time.Sleep(time.Minute)
		require.FileExists(t, filepath.Join(place, in.Number+".md"))
	})
}
