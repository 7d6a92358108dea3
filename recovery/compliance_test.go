package recovery_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	objective := recovery.Objective{Component: recovery.Configuration, RTO: 15 * time.Minute, RPO: 5 * time.Minute}
	verified := func(age time.Duration) recovery.Backup {
		return recovery.Backup{Name: "b", State: recovery.Verified, At: noon.Add(-age), RestoredAt: noon, RestoreTook: time.Second}
	}
	with := func(b recovery.Backup, change func(*recovery.Backup)) recovery.Backup {
		change(&b)
		return b
	}
	for name, c := range map[string]struct {
		backups  []recovery.Backup
		rpo, rto bool
		problem  string
	}{
		"met":                            {[]recovery.Backup{verified(time.Minute)}, true, true, ""},
		"on the boundary":                {[]recovery.Backup{verified(5 * time.Minute)}, true, true, ""},
		"just too old":                   {[]recovery.Backup{verified(5*time.Minute + 1)}, false, true, "5m0.000000001s old, RPO is 5m0s"},
		"no backup at all":               {nil, false, false, "no verified backup"},
		"the future is not fresh":        {[]recovery.Backup{verified(-time.Second)}, false, true, "one of the clocks is wrong"},
		"newer but only complete":        {[]recovery.Backup{with(verified(0), func(b *recovery.Backup) { b.State = recovery.Complete }), verified(time.Hour)}, false, true, "1h0m0s old"},
		"never restored":                 {[]recovery.Backup{with(verified(0), func(b *recovery.Backup) { b.RestoreTook = 0 })}, true, false, "no restore was ever measured"},
		"restore on the boundary":        {[]recovery.Backup{with(verified(0), func(b *recovery.Backup) { b.RestoreTook = 15 * time.Minute })}, true, true, ""},
		"restore too slow":               {[]recovery.Backup{with(verified(0), func(b *recovery.Backup) { b.RestoreTook = 16 * time.Minute })}, true, false, "took 16m0s, RTO is 15m0s"},
		"the newest measurement decides": {[]recovery.Backup{with(verified(0), func(b *recovery.Backup) { b.RestoreTook = time.Hour }), with(verified(0), func(b *recovery.Backup) { b.RestoredAt = noon.Add(-time.Hour) })}, true, false, "took 1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			got := objective.Judge(noon, c.backups)
			require.Equal(t, c.rpo, got.RPOMet, got)
			require.Equal(t, c.rto, got.RTOMet, got)
			require.Equal(t, c.rpo && c.rto, got.Met())
			require.Equal(t, got.Met(), len(got.Problems) == 0)
			require.Contains(t, got.String(), c.problem)
		})
	}
}

func TestBackupNamesAreThePlaybooks(t *testing.T) {
	at := time.Date(2026, 3, 4, 16, 4, 5, 999, time.FixedZone("CET", 3600))
	require.Equal(t, "backup_20260304_150405", recovery.BackupName(at, 1))
	require.Equal(t, "backup_20260304_150405_2", recovery.BackupName(at, 2))
	for _, good := range []string{"backup_20260304_150405", "backup_20260304_150405_12"} {
		require.True(t, recovery.IsBackupName(good), good)
	}
	for _, bad := range []string{"", "backup_20260304_150405_", "backup_20260304_150405_0", "backup_20260304_150405.sql", "xbackup_20260304_150405", "backup_20260304_150405/..", "backup_20260304_150405\n"} {
		require.False(t, recovery.IsBackupName(bad), bad)
	}
}

func TestStatesFailSafe(t *testing.T) {
	require.False(t, recovery.Backup{}.Good(), "the zero backup does not count")
	require.Equal(t, recovery.Writing, recovery.State(0))
	for s := recovery.Writing; s <= recovery.Damaged; s++ {
		text, err := s.MarshalText()
		require.NoError(t, err)
		back := recovery.State(99)
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, s, back)
	}
	_, err := recovery.State(99).MarshalText()
	require.Error(t, err)
	s := recovery.Damaged
	require.Error(t, s.UnmarshalText([]byte("good")))
	require.Equal(t, recovery.Damaged, s)
}
