package recovery_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

// heard collects what a scheduler tells.
type heard struct {
	mu         sync.Mutex
	results    []recovery.RoutineResult
	compliance []recovery.Compliance // of the configuration
}

func (h *heard) count(what string, ok bool) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.results {
		if r.What == what && (r.Err == nil) == ok {
			n++
		}
	}
	return n
}

// runs lets a scheduler run for a time in a bubble.
func runs(t *testing.T, d time.Duration, c *recovery.Catalog, routine recovery.Routine) *heard {
	t.Helper()
	h := new(heard)
	s, err := recovery.NewScheduler(recovery.SchedulerConfig{
		Catalog: c, Log: slog.New(slog.DiscardHandler),
		Routines: map[recovery.Component]recovery.Routine{recovery.Configuration: routine},
		OnResult: func(_ context.Context, r recovery.RoutineResult) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.results = append(h.results, r)
		},
		OnCompliance: func(_ context.Context, c recovery.Compliance) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if c.Objective.Component == recovery.Configuration {
				h.compliance = append(h.compliance, c)
			}
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.ErrorIs(t, s.Run(ctx), context.DeadlineExceeded)
	return h
}

func TestSchedulerKeepsTheObjectivesForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(recoverytest.Recorder)
		target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
		target.Rehearsals(3*time.Minute, nil)
		c, err := recovery.NewCatalog(recovery.CatalogConfig{
			Targets: map[recovery.Component]recovery.Target{recovery.Configuration: target}, Recorder: rec, History: new(recoverytest.Storage),
		})
		require.NoError(t, err)
		h := runs(t, 23*time.Hour+58*time.Minute+time.Second, c, recovery.Routine{DrillEvery: 6 * time.Hour, Keep: recovery.Keep{Verified: 2, Within: time.Hour}})

		require.Equal(t, 24*12, h.count("backup", true), "every five minutes")
		require.Zero(t, h.count("backup", false))
		drills, err := c.Drills(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, drills, 4, "the first as soon as there is a backup, then every six hours")
		for _, d := range drills {
			require.True(t, d.Passed, d)
			require.Equal(t, 3*time.Minute, d.Took)
			require.Equal(t, "recovery scheduler", d.By)
		}
		backups, err := c.Backups(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, backups, 13, "those of the last hour")
		require.Equal(t, 24*120-3, len(h.compliance), "every 30 seconds")
		require.False(t, h.compliance[0].Met(), "nothing is shown before the first backup and drill")
		for _, c := range h.compliance[10:] {
			require.True(t, c.Met(), c)
		}
		var changes []string
		for _, what := range rec.Whats() {
			if what == "recovery objectives met: Configuration" || what == "recovery objectives breached: Configuration" {
				changes = append(changes, what)
			}
		}
		require.Equal(t, []string{"recovery objectives breached: Configuration", "recovery objectives met: Configuration"}, changes, "only changes are recorded")
	})
}

func TestABreachIsASignalUntilItIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
		c := drilled(t, target, new(recoverytest.Storage))
		go func() {
			time.Sleep(10*time.Minute + time.Second)
			target.Fail(errors.New("disk is gone"))
			time.Sleep(10 * time.Minute)
			target.Fail(nil)
		}()
		h := runs(t, 30*time.Minute, c, recovery.Routine{})
		var began, ended time.Duration
		first, shown := h.compliance[0].At, false // the first drill may come a minute after the first backup
		for _, c := range h.compliance {
			switch at := c.At.Sub(first); {
			case !shown:
				shown = c.Met()
			case !c.Met() && began == 0:
				began = at
			case c.Met() && began > 0 && ended == 0:
				ended = at
			}
		}
		require.Equal(t, 10*time.Minute+30*time.Second, began, "the next look hears that it is not known")
		require.LessOrEqual(t, ended, 22*time.Minute, "the next try is a minute later at most")
		require.Greater(t, h.count("backup", true), 3)
	})
}

func TestAFailedBackupIsTriedAgainAndDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
		c := drilled(t, target, new(recoverytest.Storage))
		_, err := c.Backup(t.Context(), recovery.Configuration, time.Now())
		require.NoError(t, err)
		target.Set(nil) // an empty one is refused each time
		time.Sleep(time.Hour)
		h := runs(t, 10*time.Minute+time.Second, c, recovery.Routine{DrillEvery: -1, Keep: recovery.Keep{Verified: 1, Within: 1}})
		require.Equal(t, 11, h.count("backup", false), "once a minute")
		require.ErrorIs(t, h.results[0].Err, recovery.ErrEmpty)
		require.Zero(t, h.count("retire", true))
		_, err = c.Newest(t.Context(), recovery.Configuration)
		require.NoError(t, err)
	})
}

func TestARestartTakesNoBackupTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := drilled(t, recoverytest.NewTarget(recovery.Configuration, []byte("x")), new(recoverytest.Storage))
		for range 19 {
			runs(t, 61*time.Second, c, recovery.Routine{})
		}
		backups, err := c.Backups(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, backups, 4, "at 0, 5, 10 and 15 minutes")
		drills, err := c.Drills(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, drills, 1)
	})
}

func TestALongDrillDelaysNoBackupAndLosesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := recoverytest.NewTarget(recovery.Configuration, []byte("x"))
		target.Rehearsals(50*time.Minute, nil)
		c := drilled(t, target, new(recoverytest.Storage))
		h := runs(t, 59*time.Minute, c, recovery.Routine{Keep: recovery.Keep{Verified: 1, Within: 1}})
		require.Equal(t, 12, h.count("backup", true))
		drills, err := c.Drills(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, drills, 1)
		require.NotContains(t, drills[0].Problem, "no such backup", "what it restores is not deleted under it")
		require.Contains(t, drills[0].Problem, "took 50m0s, RTO is 15m0s")
	})
}

func TestSchedulerNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewScheduler(recovery.SchedulerConfig{})
	require.ErrorContains(t, err, "Catalog: is nil")
	_, err = recovery.NewScheduler(recovery.SchedulerConfig{
		Catalog: newCatalog(t, recoverytest.NewTarget(recovery.Configuration, nil)), Retry: -1, CheckEvery: -1,
		Routines: map[recovery.Component]recovery.Routine{recovery.HistoricalData: {Every: -1, Keep: recovery.Keep{Verified: -1}}},
	})
	for _, want := range []string{`"Historical Data" has no target`, "Every: -1ns", "Keep.Verified: -1", "Retry: -1ns", "CheckEvery: -1ns"} {
		require.ErrorContains(t, err, want)
	}
}
