package recovery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func drilled(t *testing.T, target recovery.Target, history recovery.Storage) *recovery.Catalog {
	t.Helper()
	c, err := recovery.NewCatalog(recovery.CatalogConfig{
		Targets: map[recovery.Component]recovery.Target{recovery.Configuration: target}, History: history, Recorder: new(recoverytest.Recorder),
	})
	require.NoError(t, err)
	return c
}

func TestADrillMeasuresTheRTOAndKeepsItsVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
		c := drilled(t, target, new(recoverytest.Storage))
		b, err := c.Backup(ctx, recovery.Configuration, time.Now())
		require.NoError(t, err)

		target.Rehearsals(15*time.Minute, nil) // exactly the RTO
		d, err := c.Drill(ctx, recovery.Configuration, "alice", time.Now())
		require.NoError(t, err)
		require.True(t, d.Passed)
		require.Equal(t, b.Name, d.Backup)
		require.Equal(t, 15*time.Minute, d.Took)
		require.Equal(t, "drill of Configuration with "+b.Name+" passed in 15m0s, RTO 15m0s: 11 bytes with their SHA-256", d.String())
		require.True(t, c.Compliance(ctx, time.Now())[2].RTOMet)

		target.Rehearsals(15*time.Minute+1, nil)
		d, err = c.Drill(ctx, recovery.Configuration, "bob", time.Now())
		require.ErrorIs(t, err, recovery.ErrUnproven)
		require.ErrorContains(t, err, "took 15m0.000000001s, RTO is 15m0s")
		require.False(t, d.Passed)
		compliance := c.Compliance(ctx, time.Now())[2]
		require.False(t, compliance.RTOMet)
		require.Equal(t, 15*time.Minute+1, compliance.RestoreTook)

		drills, err := c.Drills(ctx, recovery.Configuration)
		require.NoError(t, err)
		require.Len(t, drills, 2)
		require.Equal(t, d, drills[0], "the newest first, as it was")
		require.True(t, drills[1].Passed)
		other, err := c.Drills(ctx, recovery.HistoricalData)
		require.NoError(t, err)
		require.Empty(t, other)
	})
}

// odd answers rehearsals in its own way.
type odd struct {
	*recoverytest.Target
	rehearse func(ctx context.Context) (recovery.Rehearsal, error)
}

func (o odd) Rehearse(ctx context.Context, _ string, _ time.Time) (recovery.Rehearsal, error) {
	return o.rehearse(ctx)
}

func TestLaw1_ADrillThatShowsNothingHasFailed(t *testing.T) {
	for name, c := range map[string]struct {
		rehearse func(ctx context.Context) (recovery.Rehearsal, error)
		says     string
	}{
		"error": {func(context.Context) (recovery.Rehearsal, error) {
			return recovery.Rehearsal{}, errors.New("index is missing")
		}, "index is missing"},
		"no evidence":  {func(context.Context) (recovery.Rehearsal, error) { return recovery.Rehearsal{Took: 1}, nil }, "no evidence"},
		"not measured": {func(context.Context) (recovery.Rehearsal, error) { return recovery.Rehearsal{Evidence: "fine"}, nil }, "that was not measured"},
		"longer than it was": {func(context.Context) (recovery.Rehearsal, error) {
			return recovery.Rehearsal{Evidence: "fine", Took: time.Hour}, nil
		}, "that was not measured"},
		"panic": {func(context.Context) (recovery.Rehearsal, error) { panic("nil map") }, "panicked: nil map"},
		"hangs": {func(context.Context) (recovery.Rehearsal, error) {
			time.Sleep(2 * time.Hour)
			return recovery.Rehearsal{}, nil
		}, "no answer within 1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer letGo()
				target := odd{recoverytest.NewTarget(recovery.Configuration, []byte("x")), c.rehearse}
				catalog := drilled(t, target, new(recoverytest.Storage))
				_, err := catalog.Backup(t.Context(), recovery.Configuration, time.Now())
				require.NoError(t, err)
				d, err := catalog.Drill(t.Context(), recovery.Configuration, "alice", time.Now())
				require.ErrorIs(t, err, recovery.ErrUnproven)
				require.ErrorContains(t, err, c.says)
				require.False(t, d.Passed)
				kept, err := catalog.Drills(t.Context(), recovery.Configuration)
				require.NoError(t, err)
				require.Equal(t, []recovery.Drill{d}, kept, "a failure is a verdict too")
				require.False(t, catalog.Compliance(t.Context(), time.Now())[2].RTOMet)
			})
		})
	}
}

func TestADrillThatFailsDisprovesWhatWasMeasuredBefore(t *testing.T) {
	objective := recovery.Objective{Component: "c", RTO: time.Minute, RPO: time.Hour}
	backups := []recovery.Backup{{Name: "b", State: recovery.Verified, At: noon, RestoredAt: noon, RestoreTook: time.Second}}
	require.Equal(t, "drill of Database FAILED: there is none", recovery.Drill{Component: "Database", Problem: "there is none"}.String())
	failed := recovery.Drill{Backup: "b", At: noon.Add(time.Minute), Problem: "index is missing"}
	c := objective.Judge(noon.Add(2*time.Minute), backups, failed)
	require.False(t, c.RTOMet)
	require.Contains(t, c.String(), "the newest drill failed, RTO is 1m0s: index is missing")
	failed.At = noon.Add(-time.Minute)
	require.True(t, objective.Judge(noon, backups, failed).RTOMet, "and nothing that was measured after it")
}

func TestADrillThatIsCutShortIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := recoverytest.NewTarget(recovery.Configuration, []byte("x"))
		c := drilled(t, target, new(recoverytest.Storage))
		_, err := c.Backup(t.Context(), recovery.Configuration, time.Now())
		require.NoError(t, err)
		target.Rehearsals(time.Minute, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Drill(ctx, recovery.Configuration, "alice", time.Now())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		drills, err := c.Drills(t.Context(), recovery.Configuration)
		require.NoError(t, err)
		require.Empty(t, drills, "the process that was stopped says nothing about the backup")
	})
}

func TestADrillNeedsWhatItStandsOn(t *testing.T) {
	ctx := t.Context()
	target := recoverytest.NewTarget(recovery.Configuration, []byte("x"))
	_, err := newCatalog(t, target).Drill(ctx, recovery.Configuration, "alice", noon)
	require.ErrorContains(t, err, "History is nil")
	history := new(recoverytest.Storage)
	c := drilled(t, target, history)
	_, err = c.Drill(ctx, recovery.Configuration, "", noon)
	require.ErrorContains(t, err, "who does it is empty")
	_, err = c.Drill(ctx, "Warp Drive", "alice", noon)
	require.ErrorContains(t, err, "has no objective")
	_, err = c.Drill(ctx, recovery.Configuration, "alice", noon)
	require.ErrorIs(t, err, recovery.ErrNoBackup)
	_, err = drilled(t, struct{ recovery.Target }{target}, new(recoverytest.Storage)).Drill(ctx, recovery.Configuration, "alice", noon)
	require.ErrorContains(t, err, "it is no Rehearser")

	full := errors.New("no space left on device")
	history.FailWhen(func(op, _ string) error {
		if op == "put" {
			return full
		}
		return nil
	})
	_, err = c.Backup(ctx, recovery.Configuration, noon)
	require.NoError(t, err)
	d, err := c.Drill(ctx, recovery.Configuration, "alice", noon)
	require.True(t, d.Passed)
	require.ErrorIs(t, err, full, "a verdict that is not kept is none")

	history.FailWhen(nil)
	_, err = c.Drill(ctx, recovery.Configuration, "alice", noon)
	require.NoError(t, err)
	last := history.Keys()[len(history.Keys())-1]
	require.NoError(t, history.Alter(last, func(data []byte) []byte { data[len(data)/2] ^= 1; return data }))
	_, err = c.Drills(ctx, recovery.Configuration)
	require.ErrorContains(t, err, last, "a history that was altered says so")
	require.False(t, c.Compliance(ctx, noon)[2].Met())
}
