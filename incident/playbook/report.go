package playbook

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/postmortem"
)

// PostMortem writes the report on an incident into the playbook's folder of incidents, as
// Markdown and as a page beside it, and returns it with the path of the Markdown. What people
// have written into an earlier one is kept; see postmortem.Report.Write. The error is
// incident.ErrUnknown where there is no such incident.
func (a *Assembly) PostMortem(ctx context.Context, number string) (r postmortem.Report, path string, err error) {
	events, err := a.Incidents.Timeline(ctx, number)
	if err != nil {
		return postmortem.Report{}, "", err
	}
	if r, err = postmortem.New(number, events, time.Now()); err != nil {
		return postmortem.Report{}, "", err
	}
	dir := a.Playbook.Files.Incidents
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, "", err
	}
	path = filepath.Join(dir, number+".md")
	r, err = r.Write(path)
	return r, path, err
}

const (
	reportEvery = 10 * time.Second
	reportFor   = 24 * time.Hour // after the resolution, so that a restart makes good what a crash left out
)

// writeReports writes the report on each incident that was resolved of late and has none.
func (a *Assembly) writeReports(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	told := map[string]bool{} // of which the log says already that it cannot be written
	for {
		for _, in := range a.Incidents.All() {
			if in.Status == incident.Closed && time.Since(in.ResolvedAt) < reportFor && ctx.Err() == nil {
				a.writeReport(ctx, in.Number, told)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *Assembly) writeReport(ctx context.Context, number string, told map[string]bool) {
	_, err := os.Lstat(filepath.Join(a.Playbook.Files.Incidents, number+".md"))
	if errors.Is(err, fs.ErrNotExist) {
		_, _, err = a.PostMortem(ctx, number)
	}
	if err != nil && ctx.Err() == nil && !told[number] {
		told[number] = true
		a.deps.Log.Error("the post-mortem could not be written and is tried again", "incident", number, "error", err)
	}
}
