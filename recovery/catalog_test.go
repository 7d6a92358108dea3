package recovery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func newCatalog(t *testing.T, target recovery.Target) *recovery.Catalog {
	t.Helper()
	c, err := recovery.NewCatalog(recovery.CatalogConfig{Targets: map[recovery.Component]recovery.Target{recovery.Configuration: target}})
	require.NoError(t, err)
	return c
}

func TestLaw8_ABackupCountsOnlyWhenItWasReadBack(t *testing.T) {
	ctx := t.Context()
	target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
	c := newCatalog(t, target)

	_, err := c.Newest(ctx, recovery.Configuration)
	require.ErrorIs(t, err, recovery.ErrNoBackup)

	_, err = target.Backup(ctx, noon)
	require.NoError(t, err)
	_, err = c.Newest(ctx, recovery.Configuration)
	require.ErrorIs(t, err, recovery.ErrNoBackup, "complete is not verified")

	good, err := c.Backup(ctx, recovery.Configuration, noon.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, good.Good())

	cut := target.CutOff(noon.Add(2 * time.Minute))
	newest, err := c.Newest(ctx, recovery.Configuration)
	require.NoError(t, err)
	require.Equal(t, good.Name, newest.Name, "the partial %s is newer and does not count", cut.Name)

	require.NoError(t, target.Damage(good.Name))
	_, err = target.Verify(ctx, good.Name, noon)
	require.ErrorIs(t, err, recovery.ErrDamaged)
	_, err = c.Newest(ctx, recovery.Configuration)
	require.ErrorIs(t, err, recovery.ErrNoBackup, "damaged is not verified any more")
}

// liar says that it verified something without having done so.
type liar struct{ *recoverytest.Target }

func (l liar) Verify(context.Context, string, time.Time) (recovery.Backup, error) {
	return recovery.Backup{Name: recovery.BackupName(noon, 1), State: recovery.Complete}, nil
}

func TestLaw8_AVerificationThatDoesNotSayVerifiedIsNone(t *testing.T) {
	c := newCatalog(t, liar{recoverytest.NewTarget(recovery.Configuration, []byte("x"))})
	_, err := c.Backup(t.Context(), recovery.Configuration, noon)
	require.ErrorIs(t, err, recovery.ErrUnproven)
}

func TestLaw1_BackupsThatCannotBeListedAreABreach(t *testing.T) {
	ctx := t.Context()
	target := recoverytest.NewTarget(recovery.Configuration, []byte("x"))
	c := newCatalog(t, target)
	b, err := c.Backup(ctx, recovery.Configuration, noon)
	require.NoError(t, err)
	require.NoError(t, target.Restored(b.Name, noon, time.Second))

	all := c.Compliance(ctx, noon.Add(time.Minute))
	require.Len(t, all, 6)
	require.True(t, all[2].Met(), all[2])
	require.Equal(t, time.Minute, all[2].Age)
	for _, i := range []int{0, 1, 3, 4, 5} {
		require.False(t, all[i].Met())
		require.Contains(t, all[i].String(), "no backup target is configured")
		_, err := c.Newest(ctx, all[i].Objective.Component)
		require.ErrorIs(t, err, recovery.ErrNoTarget)
		require.ErrorIs(t, err, recovery.ErrNoBackup)
	}

	target.Fail(errors.New("disk is gone"))
	all = c.Compliance(ctx, noon.Add(time.Minute))
	require.False(t, all[2].Met())
	require.Contains(t, all[2].String(), "disk is gone")
	_, err = c.Newest(ctx, recovery.Configuration)
	require.ErrorContains(t, err, "disk is gone")
	require.NotErrorIs(t, err, recovery.ErrNoBackup, "not known is not none")
	_, err = c.Backup(ctx, recovery.Configuration, noon)
	require.ErrorContains(t, err, "disk is gone")
}

func TestCatalogNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewCatalog(recovery.CatalogConfig{
		Objectives: []recovery.Objective{{Component: "a", RTO: 1}, {Component: "a", RTO: 1}, {RTO: -1, RPO: -1, Every: -1}},
		Targets:    map[recovery.Component]recovery.Target{"b": nil},
	})
	for _, want := range []string{
		"Objectives: a is there twice", "Objectives: number 3: component is empty", "rto of ", "rpo of ", "every of ",
		`Targets: "b" has no objective`, `Targets: the target of "b" is nil`,
	} {
		require.ErrorContains(t, err, want)
	}
}
