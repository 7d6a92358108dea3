package filebackup

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

// damagedWorld has a verified backup and a source that differs from it.
func damagedWorld(t *testing.T, change ...func(*Config)) world {
	t.Helper()
	w := newWorld(t, change...).fill(t)
	w.good(t, noon)
	w.write(t, "bot.yaml", "leverage: 200\n")
	w.write(t, "new.txt", "not backed up")
	require.NoError(t, os.Remove(filepath.Join(w.source, "keys", "none")))
	require.NoError(t, os.Chmod(filepath.Join(w.source, "production.json"), 0o666))
	return w
}

func TestAPlanSaysWhatItWouldChange(t *testing.T) {
	w := damagedWorld(t)
	before := look(t, w.source)
	p := w.plan(t, Request{})
	require.Equal(t, before, look(t, w.source), "planning changes nothing")
	require.Equal(t, []string{"backups", "config"}, ls(t, w.dir))
	require.Empty(t, w.rec.Entries())
	var got []string
	for _, c := range p.Changes {
		got = append(got, c.Path.String()+": "+c.What)
	}
	require.Equal(t, []string{
		".: changed: time", "bot.yaml: changed: content, time", "keys: changed: time", "keys/none: added", "new.txt: removed",
		"production.json: changed: mode 0666 becomes 0640",
	}, got)
	text := p.String()
	require.Contains(t, text, "restore "+w.source+" of backup_20260304_150405 into "+w.source+" (5 files, 34 bytes)")
	require.Contains(t, text, "what is there now is kept as "+w.source+".before_20260304_160405")
	require.Contains(t, text, "bot.yaml: changed: content")

	data, err := json.Marshal(p)
	require.NoError(t, err)
	var back Plan
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, p, back)
	done, err := w.restore(t, back)
	require.NoError(t, err)
	require.Equal(t, string(p.Keep), done.Kept)
	require.Equal(t, before, look(t, done.Kept))
	require.Positive(t, done.Took)
}

func TestLaw9_AppliedTwiceChangesNothingTheSecondTime(t *testing.T) {
	w := damagedWorld(t)
	p := w.plan(t, Request{})
	_, err := w.restore(t, p)
	require.NoError(t, err)
	source, kept, entries, names := look(t, w.source), look(t, string(p.Keep)), w.rec.Entries(), ls(t, w.dir)

	again, err := w.restore(t, p)
	require.NoError(t, err)
	require.True(t, again.Unchanged)
	require.Equal(t, source, look(t, w.source))
	require.Equal(t, kept, look(t, string(p.Keep)))
	require.Equal(t, names, ls(t, w.dir))
	require.Equal(t, entries, w.rec.Entries(), "nothing was decided")

	p = w.plan(t, Request{})
	require.True(t, p.NothingToDo())
	require.Empty(t, p.Keep)
	require.Contains(t, p.String(), "nothing to do")
	again, err = w.restore(t, p)
	require.NoError(t, err)
	require.True(t, again.Unchanged)
}

func TestLaw9_APlanWhoseFactsHaveMovedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		move func(t *testing.T, w world, p *Plan)
		is   error
	}{
		"a file of the target changed":  {func(t *testing.T, w world, _ *Plan) { w.write(t, "bot.yaml", "leverage: 201\n") }, ErrMoved},
		"a file was added":              {func(t *testing.T, w world, _ *Plan) { w.write(t, "more", "") }, ErrMoved},
		"the target is gone":            {func(t *testing.T, w world, _ *Plan) { require.NoError(t, removeTree(w.source)) }, ErrMoved},
		"the old tree's place is taken": {func(t *testing.T, _ world, p *Plan) { require.NoError(t, os.Mkdir(string(p.Keep), 0o700)) }, ErrMoved},
		"the plan was edited":           {func(_ *testing.T, w world, p *Plan) { p.Into = Path(filepath.Join(w.dir, "elsewhere")) }, ErrMoved},
		"the plan has no id":            {func(_ *testing.T, _ world, p *Plan) { p.ID = "" }, ErrMoved},
		"the backup was removed":        {func(t *testing.T, w world, p *Plan) { require.NoError(t, discard(filepath.Join(w.backups, p.Backup))) }, recovery.ErrNotFound},
		"the backup is another one": {func(t *testing.T, w world, p *Plan) {
			require.NoError(t, discard(filepath.Join(w.backups, p.Backup)))
			require.Equal(t, p.Backup, w.good(t, noon).Name)
		}, ErrMoved},
		"the backup is damaged": {func(t *testing.T, w world, p *Plan) {
			require.NoError(t, flip(filepath.Join(w.backups, p.Backup, filesDir, w.source, "bot.yaml"), 1))
			_, err := w.store.Verify(t.Context(), p.Backup, noon)
			require.ErrorIs(t, err, recovery.ErrDamaged)
		}, ErrNotVerified},
		"the backup is damaged, unseen yet": {func(t *testing.T, w world, p *Plan) {
			require.NoError(t, flip(filepath.Join(w.backups, p.Backup, filesDir, w.source, "bot.yaml"), 1))
		}, recovery.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			w := damagedWorld(t)
			p := w.plan(t, Request{})
			c.move(t, w, &p)
			names := ls(t, w.dir)
			source := look(t, w.source)
			_, err := w.restore(t, p)
			require.ErrorIs(t, err, c.is)
			require.Equal(t, source, look(t, w.source))
			require.Equal(t, names, ls(t, w.dir), "nothing is left beside it")
		})
	}
}

func TestLaw9_FactsThatMoveDuringTheRestoreAreSeen(t *testing.T) {
	looks := 0
	w := damagedWorld(t, func(c *Config) {
		c.Idle = func(_ context.Context, target string) error {
			if looks++; looks == 1 { // the new tree is built after this
				return os.WriteFile(filepath.Join(target, "late"), nil, 0o600)
			}
			return nil
		}
	})
	_, err := w.restore(t, w.plan(t, Request{}))
	require.ErrorIs(t, err, ErrMoved)
	require.FileExists(t, filepath.Join(w.source, "late"))
	require.ElementsMatch(t, []string{"backups", "config"}, ls(t, w.dir))
}

func TestLaw1_ATargetThatMayBeWrittenToIsNotReplaced(t *testing.T) {
	open := errors.New("the write gate is open")
	for name, c := range map[string]struct {
		idle func(context.Context, string) error
		is   error
	}{
		"nothing shows that it is idle": {nil, ErrLive},
		"it is not idle":                {func(context.Context, string) error { return open }, open},
		"it is idle only at first":      {onlyOnce(open), open},
	} {
		t.Run(name, func(t *testing.T) {
			w := damagedWorld(t, func(cfg *Config) { cfg.Idle = c.idle })
			before := look(t, w.source)
			_, err := w.restore(t, w.plan(t, Request{}))
			require.ErrorIs(t, err, ErrLive)
			require.ErrorIs(t, err, c.is)
			require.Equal(t, before, look(t, w.source))
			require.ElementsMatch(t, []string{"backups", "config"}, ls(t, w.dir))
			_, err = w.restore(t, w.plan(t, Request{Into: filepath.Join(w.dir, "new")}))
			require.NoError(t, err, "where there is nothing, nobody writes")
		})
	}
}

func onlyOnce(then error) func(context.Context, string) error {
	looks := 0
	return func(context.Context, string) error {
		if looks++; looks > 1 {
			return then
		}
		return nil
	}
}

func TestLaw10_ARestoreIsRecordedFirstOrRefused(t *testing.T) {
	w := damagedWorld(t)
	p, before := w.plan(t, Request{}), look(t, w.source)
	w.rec.Fail(errors.New("timeline is full"))
	_, err := w.restore(t, p)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.ErrorContains(t, err, "timeline is full")
	require.Equal(t, before, look(t, w.source))
	require.ElementsMatch(t, []string{"backups", "config"}, ls(t, w.dir))

	w.rec.Fail(nil)
	_, err = w.restore(t, p)
	require.NoError(t, err)
	entries := w.rec.Entries()
	require.Len(t, entries, 2)
	require.Equal(t, "restore begins: "+w.source+" from backup_20260304_150405 into "+w.source, entries[0].What)
	require.Contains(t, entries[1].What, "restore done: ")
	for _, e := range entries {
		require.Equal(t, "alice", e.Who)
		require.Contains(t, e.Why, "config is damaged (plan "+p.ID)
		require.False(t, e.At.IsZero())
	}

	none := worldIn(t, w.dir, func(c *Config) { c.Recorder = nil })
	none.write(t, "bot.yaml", "x")
	_, err = none.restore(t, none.plan(t, Request{}))
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.ErrorContains(t, err, "Config.Recorder is nil")
	_, err = w.store.Restore(t.Context(), p, "", "why", noon)
	require.ErrorContains(t, err, "who restores is empty")
	_, err = w.store.Restore(t.Context(), p, "alice", "", noon)
	require.ErrorContains(t, err, "why it is restored is empty")
}

func TestLaw10_ARestoreWhoseEndCouldNotBeRecordedIsRecordedWhenItIsAppliedAgain(t *testing.T) {
	w := damagedWorld(t)
	p := w.plan(t, Request{})
	var once atomic.Int64
	stubborn := recorderFunc(func(ctx context.Context, at time.Time, who, what, why string) error {
		if strings.HasPrefix(what, "restore done") && once.Add(1) == 1 {
			return errors.New("timeline is full")
		}
		return w.rec.Record(ctx, at, who, what, why)
	})
	again := worldIn(t, w.dir, func(c *Config) { c.Recorder = stubborn })
	done, err := again.restore(t, p)
	require.ErrorContains(t, err, "the restore is done, but: ")
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.Positive(t, done.Took)

	none := worldIn(t, w.dir, func(c *Config) { c.Recorder = nil })
	_, err = none.restore(t, p)
	require.ErrorIs(t, err, recovery.ErrNotRecorded, "it is not forgotten without a timeline")
	done, err = again.restore(t, p)
	require.NoError(t, err)
	require.False(t, done.Unchanged)
	require.Equal(t, string(p.Keep), done.Kept)
	require.Len(t, w.rec.Entries(), 2)
	require.Contains(t, w.rec.Whats()[1], "restore is finished after an interruption: ")
	done, err = again.restore(t, p)
	require.NoError(t, err)
	require.True(t, done.Unchanged)
	require.Len(t, w.rec.Entries(), 2)
}

type recorderFunc func(ctx context.Context, at time.Time, who, what, why string) error

func (f recorderFunc) Record(ctx context.Context, at time.Time, who, what, why string) error {
	return f(ctx, at, who, what, why)
}

func TestLaw8_OnlyAVerifiedBackupIsRestored(t *testing.T) {
	w := newWorld(t).fill(t)
	b, err := w.store.Backup(t.Context(), noon)
	require.NoError(t, err)
	_, err = w.store.PlanRestore(t.Context(), Request{}, noon)
	require.ErrorIs(t, err, recovery.ErrNoBackup)
	_, err = w.store.PlanRestore(t.Context(), Request{Backup: b.Name}, noon)
	require.ErrorIs(t, err, ErrNotVerified)
	require.ErrorContains(t, err, "it was not read back yet")
	_, err = w.store.PlanRestore(t.Context(), Request{Backup: "backup_20200101_000000"}, noon)
	require.ErrorIs(t, err, recovery.ErrNotFound)
}

func TestARestoreIsMeasured(t *testing.T) {
	w := damagedWorld(t)
	catalog, err := recovery.NewCatalog(recovery.CatalogConfig{
		Objectives: []recovery.Objective{{Component: recovery.Configuration, RTO: 15 * time.Minute, RPO: 24 * time.Hour}},
		Targets:    map[recovery.Component]recovery.Target{recovery.Configuration: w.store},
	})
	require.NoError(t, err)
	require.False(t, catalog.Compliance(t.Context(), noon)[0].RTOMet)
	done, err := w.restore(t, w.plan(t, Request{}))
	require.NoError(t, err)
	c := catalog.Compliance(t.Context(), noon.Add(time.Hour))[0]
	require.True(t, c.Met(), c)
	require.Equal(t, done.Took, c.RestoreTook)
	require.NoError(t, flip(filepath.Join(c.Newest.Place, restoredFile), 300))
	require.False(t, catalog.Compliance(t.Context(), noon)[0].RTOMet, "a measurement that was altered is none")
}

func TestOneRestoreAtATime(t *testing.T) {
	w := damagedWorld(t)
	other := flock.New(filepath.Join(w.backups, lockFile))
	got, err := other.TryLock()
	require.NoError(t, err)
	require.True(t, got)
	_, err = w.restore(t, w.plan(t, Request{}))
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, other.Close())
	_, err = w.restore(t, w.plan(t, Request{}))
	require.NoError(t, err)
}

func TestACancelledRestoreLeavesTheOldTree(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := damagedWorld(t, func(c *Config) {
		c.Idle = func(context.Context, string) error { cancel(); return nil }
	})
	before := look(t, w.source)
	_, err := w.store.Restore(ctx, w.plan(t, Request{}), "alice", "why", noon)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, look(t, w.source))
	require.ElementsMatch(t, []string{"backups", "config"}, ls(t, w.dir))
}

func TestAPlanIsMadeOnlyForATargetThatCanBe(t *testing.T) {
	w := newWorld(t).fill(t)
	w.good(t, noon)
	link := filepath.Join(w.dir, "link")
	require.NoError(t, os.Symlink(w.source, link))
	for into, says := range map[string]string{
		link:                           "is a symbolic link: name what it points to",
		"/":                            "lie within each other",
		w.backups:                      "lie within each other",
		filepath.Join(w.backups, "x"):  "lie within each other",
		w.dir:                          "lie within each other",
		filepath.Join(w.dir, "a", "b"): "no such file or directory",
	} {
		_, err := w.store.PlanRestore(t.Context(), Request{Into: into}, noon)
		require.ErrorContains(t, err, says, into)
	}
	_, err := w.store.PlanRestore(t.Context(), Request{Source: "/etc"}, noon)
	require.ErrorContains(t, err, `source "/etc" is not one of those in`)
}

func TestTheOwnerIsRestoredOrTheRestoreFails(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give a file to somebody else")
	}
	w := newWorld(t).fill(t)
	p := filepath.Join(w.source, "bot.yaml")
	require.NoError(t, os.Chown(p, 1234, 4321))
	w.good(t, noon)
	require.NoError(t, os.Chown(p, 0, 0))
	plan := w.plan(t, Request{})
	require.Equal(t, []Change{{"bot.yaml", "changed: owner 0:0 becomes 1234:4321"}}, plan.Changes)
	_, err := w.restore(t, plan)
	require.NoError(t, err)
	info, err := os.Stat(p)
	require.NoError(t, err)
	require.Equal(t, 1234, systemOf(info).uid)
	require.Equal(t, 4321, systemOf(info).gid)

	require.NoError(t, os.Chown(p, 0, 0))
	ours := worldIn(t, w.dir, func(c *Config) { c.IgnoreOwner = true })
	require.True(t, ours.plan(t, Request{}).NothingToDo())
}
