package recovery_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// history makes one backup an hour, the newest of them now, by letters: v verified,
// d damaged, c complete, w writing. The first letter is the newest.
func history(now time.Time, states string) []recovery.Backup {
	of := map[rune]recovery.State{'v': recovery.Verified, 'd': recovery.Damaged, 'c': recovery.Complete, 'w': recovery.Writing}
	var backups []recovery.Backup
	for i, letter := range states {
		at := now.Add(-time.Duration(i) * time.Hour)
		backups = append(backups, recovery.Backup{Name: recovery.BackupName(at, 1), At: at, State: of[letter]})
	}
	return backups
}

// marks is what a plan deletes: x for each deleted backup, . for each that stays.
func marks(p recovery.Retirement, backups []recovery.Backup) string {
	out := make([]byte, len(backups))
	for i, b := range backups {
		out[i] = '.'
		if slices.ContainsFunc(p.Delete, func(r recovery.Retired) bool { return r.Name == b.Name }) {
			out[i] = 'x'
		}
	}
	return string(out)
}

func TestComplaint1_SevenBadBackupsPushNoGoodOneOut(t *testing.T) {
	for name, c := range map[string]struct {
		keep       recovery.Keep
		have, want string
	}{
		"seven bad ones, newest":          {recovery.Keep{Verified: 1, Within: time.Minute}, "dddddddv", "........"},
		"bad ones behind a good one":      {recovery.Keep{Verified: 1, Within: time.Minute}, "dvddwcd", "..xxxxx"},
		"good ones beyond the number":     {recovery.Keep{Verified: 2, Within: time.Minute}, "vvvv", "..xx"},
		"bad ones do not count":           {recovery.Keep{Verified: 2, Within: time.Minute}, "dvdvdv", "..x.xx"},
		"the only good one is old":        {recovery.Keep{Verified: 1, Within: time.Minute}, "wcdv", "...."},
		"nothing good at all":             {recovery.Keep{Verified: 1, Within: time.Minute}, "dcwd", "...."},
		"younger than the period":         {recovery.Keep{Verified: 1, Within: 2 * time.Hour}, "vvdvv", "...xx"},
		"defaults keep a week":            {recovery.Keep{}, "vvvvvvdddd", ".........."},
		"nothing":                         {recovery.Keep{}, "", ""},
		"a complete one is not yet proof": {recovery.Keep{Verified: 1, Within: time.Minute}, "ccv", "..."},
	} {
		t.Run(name, func(t *testing.T) {
			backups := history(noon, c.have)
			p, err := c.keep.Plan(recovery.Configuration, noon, backups)
			require.NoError(t, err)
			require.Equal(t, c.want, marks(p, backups))
		})
	}
}

func TestRetentionNeverDeletesTheLastVerifiedOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		backups := history(noon, rapid.StringOf(rapid.SampledFrom([]rune("vdcw"))).Draw(rt, "states"))
		keep := recovery.Keep{Verified: rapid.IntRange(1, 5).Draw(rt, "verified"), Within: time.Duration(rapid.IntRange(1, 20).Draw(rt, "hours")) * time.Hour}
		later := time.Duration(rapid.IntRange(0, 1000).Draw(rt, "later")) * time.Hour
		p, err := keep.Plan(recovery.Configuration, noon.Add(later), backups)
		require.NoError(rt, err)
		good, deleted := 0, 0
		for _, b := range backups {
			gone := slices.ContainsFunc(p.Delete, func(r recovery.Retired) bool { return r.Name == b.Name })
			require.False(rt, gone && later+noon.Sub(b.At) <= keep.Within, "%v is younger than %v", b, keep.Within)
			if b.Good() {
				good++
				if gone {
					deleted++
				}
			}
		}
		require.GreaterOrEqual(rt, good-deleted, min(good, keep.Verified))
		require.Len(rt, p.Verified, good-deleted)
	})
}

func TestABackupWhoseTimeIsNotKnownIsKept(t *testing.T) {
	backups := append(history(noon, "v"), recovery.Backup{Name: "x", State: recovery.Damaged})
	p, err := recovery.Keep{Verified: 1, Within: 1}.Plan(recovery.Configuration, noon.Add(time.Hour), backups)
	require.NoError(t, err)
	require.Empty(t, p.Delete)
	_, err = recovery.Keep{}.Plan(recovery.Configuration, noon.Add(-time.Minute), backups)
	require.ErrorIs(t, err, recovery.ErrClock)
	_, err = recovery.Keep{Verified: -1, Within: -1}.Plan(recovery.Configuration, noon, nil)
	require.ErrorContains(t, err, "Keep.Verified: -1")
	require.ErrorContains(t, err, "Keep.Within: -1ns")
}

// stocked is a catalog with three verified backups and a plan to delete the oldest.
func stocked(t *testing.T) (*recovery.Catalog, *recoverytest.Target, *recoverytest.Recorder, recovery.Retirement) {
	t.Helper()
	target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
	rec := new(recoverytest.Recorder)
	c, err := recovery.NewCatalog(recovery.CatalogConfig{Targets: map[recovery.Component]recovery.Target{recovery.Configuration: target}, Recorder: rec, History: new(recoverytest.Storage)})
	require.NoError(t, err)
	for i := range 3 {
		_, err := c.Backup(t.Context(), recovery.Configuration, noon.Add(time.Duration(i)*time.Hour))
		require.NoError(t, err)
	}
	p, err := c.PlanRetirement(t.Context(), recovery.Configuration, recovery.Keep{Verified: 2, Within: 1}, noon.Add(3*time.Hour))
	require.NoError(t, err)
	require.Len(t, p.Delete, 1)
	return c, target, rec, p
}

func TestLaw9_ARetirementIsAPlanAndTwiceIsOnce(t *testing.T) {
	ctx := t.Context()
	c, _, rec, p := stocked(t)
	require.Equal(t, "plan "+p.ID[:12]+": delete 1 backups of Configuration; 2 verified ones stay\n  delete backup_20260304_120000, verified, 11 bytes\n", p.String())
	deleted, err := c.Retire(ctx, p, "alice", "disk is full", noon)
	require.NoError(t, err)
	require.Equal(t, []string{"backup_20260304_120000"}, deleted)
	require.Equal(t, "backups of Configuration deleted: backup_20260304_120000", rec.Entries()[0].What)
	require.Equal(t, "alice", rec.Entries()[0].Who)
	require.Contains(t, rec.Entries()[0].Why, "disk is full (plan "+p.ID)

	deleted, err = c.Retire(ctx, p, "alice", "disk is full", noon)
	require.NoError(t, err)
	require.Empty(t, deleted)
	require.Len(t, rec.Entries(), 1)
}

func TestLaw9_ARetirementWhoseFactsHaveMovedIsRefused(t *testing.T) {
	ctx := t.Context()
	c, target, rec, p := stocked(t)
	edited := p
	edited.Delete = append(slices.Clone(p.Delete), recovery.Retired{Name: p.Verified[0], State: recovery.Verified})
	_, err := c.Retire(ctx, edited, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrMoved, "a plan is not to be edited")

	for _, name := range p.Verified {
		require.NoError(t, target.Damage(name))
		_, err := target.Verify(ctx, name, noon)
		require.ErrorIs(t, err, recovery.ErrDamaged)
	}
	_, err = c.Retire(ctx, p, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrMoved)
	require.ErrorContains(t, err, "no backup that was to stay counts any more")

	require.NoError(t, target.Damage(p.Delete[0].Name))
	_, err = target.Verify(ctx, p.Delete[0].Name, noon)
	require.ErrorIs(t, err, recovery.ErrDamaged)
	_, err = c.Retire(ctx, p, "alice", "why", noon)
	require.ErrorContains(t, err, "was verified and is damaged")
	require.Empty(t, rec.Entries())
	backups, err := c.Backups(ctx, recovery.Configuration)
	require.NoError(t, err)
	require.Len(t, backups, 3)
}

func TestLaw10_NoBackupIsDeletedUnrecorded(t *testing.T) {
	ctx := t.Context()
	c, target, rec, p := stocked(t)
	rec.Fail(errors.New("timeline is full"))
	_, err := c.Retire(ctx, p, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	_, err = c.Retire(ctx, p, "", "why", noon)
	require.ErrorContains(t, err, "who does it is empty")
	_, err = c.Retire(ctx, p, "alice", "", noon)
	require.ErrorContains(t, err, "why is empty")
	_, err = newCatalog(t, target).Retire(ctx, p, "alice", "why", noon)
	require.ErrorIs(t, err, recovery.ErrNotRecorded, "there is no recorder")
	backups, err := c.Backups(ctx, recovery.Configuration)
	require.NoError(t, err)
	require.Len(t, backups, 3)
}
