package journal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/stretchr/testify/require"
)

var ctx = context.Background()

// work opens the journal and appends as many events as are said, in batches of one
// to three, printing the number of each that was acknowledged.
func work(path string, batches int) error { return workIn(journal.Config{Path: path}, batches) }

func workIn(cfg journal.Config, batches int) error {
	j, err := journal.New(ctx, cfg)
	if err != nil {
		return err
	}
	for i := range batches {
		events := make([]incident.Event, 1+i%3)
		for k := range events {
			events[k] = incidenttest.Event(i*10 + k)
		}
		got, err := j.Append(ctx, incident.Any, events...)
		if err != nil {
			return err
		}
		for _, e := range got {
			fmt.Printf("acknowledged %d %v\n", e.Seq, e.Hash)
		}
	}
	return j.Close()
}

// survives opens what a kill left and looks for everything that was acknowledged.
func survives(t *testing.T, path string, lines []string) {
	j := open(t, path)
	var have []string
	for _, e := range read(t, j, 0) {
		have = append(have, fmt.Sprintf("acknowledged %d %v", e.Seq, e.Hash))
	}
	for _, line := range lines {
		require.Contains(t, have, line)
	}
	_, err := j.Append(ctx, j.Tip().Seq, incidenttest.Event(99))
	require.NoError(t, err, "and it goes on")
	_, err = journal.Verify(path)
	require.NoError(t, err)
}

func TestEveryAcknowledgedEventSurvivesAKill(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{}, func(dir string) error {
		return work(filepath.Join(dir, "journal"), 4)
	}, func(t *testing.T, dir string, at crashtest.Step) {
		survives(t, filepath.Join(dir, "journal"), at.Lines)
	})
	require.Empty(t, crashtest.Unsynced(steps), "and a power cut")
}

// Files are begun in between.
func TestEveryAcknowledgedEventSurvivesAKillBetweenFiles(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{}, func(dir string) error {
		return workIn(journal.Config{Path: filepath.Join(dir, "journal"), SegmentBytes: 700}, 4)
	}, func(t *testing.T, dir string, at crashtest.Step) {
		survives(t, filepath.Join(dir, "journal"), at.Lines)
	})
	require.Empty(t, crashtest.Unsynced(steps), "and a power cut")
	require.True(t, slices.ContainsFunc(steps, func(s crashtest.Step) bool { return strings.Contains(fmt.Sprint(s), "journal.0000") }), "%v", steps)
}

// The recovery of a torn tail is killed too.
func TestRecoveryOfATornTailSurvivesAKill(t *testing.T) {
	whole, tips := []byte(nil), []journal.Tip(nil)
	setup := func(dir string) error {
		whole, tips = written(t, t.TempDir(), 2)
		place(t, dir, append(slices.Clone(whole), `{"seq":3,"at":"2026`...))
		return nil
	}
	crashtest.Run(t, crashtest.Config{Setup: setup}, func(dir string) error {
		return work(filepath.Join(dir, "journal"), 1)
	}, func(t *testing.T, dir string, at crashtest.Step) {
		path := filepath.Join(dir, "journal")
		survives(t, path, at.Lines)
		_, err := journal.Verify(path, tips...)
		require.NoError(t, err, "the records from before are untouched")
	})
}
