package filebackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

// writeTree makes a directory with two files, one of them a level down.
func writeTree(root, text string) error {
	return errors.Join(
		os.MkdirAll(filepath.Join(root, "keys"), 0o700),
		os.WriteFile(filepath.Join(root, "bot.yaml"), []byte("leverage: "+text), 0o640),
		os.WriteFile(filepath.Join(root, "keys", "pem"), []byte("secret "+text), 0o600),
	)
}

func openStore(dir string) (*Store, error) { return openRecorded(dir, new(recoverytest.Recorder)) }

func openRecorded(dir string, rec recovery.Recorder) (*Store, error) {
	return New(Config{
		Component: recovery.Configuration, Dir: filepath.Join(dir, "backups"), Sources: []string{filepath.Join(dir, "config")},
		Recorder: rec, Idle: idle,
	})
}

// aloud is a timeline that outlives a kill: on standard output.
type aloud struct{}

func (aloud) Record(_ context.Context, _ time.Time, _, what, _ string) error {
	_, err := fmt.Println(what[:strings.Index(what, ":")])
	return err
}

func TestLaw8_AKilledBackupIsNeverGoodUnlessItIsWhole(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{
		MaxSteps: 60,
		Setup:    func(dir string) error { return writeTree(filepath.Join(dir, "config"), "2") },
	}, func(dir string) error {
		store, err := openStore(dir)
		if err != nil {
			return err
		}
		b, err := store.Backup(t.Context(), noon)
		if err != nil {
			return err
		}
		fmt.Println("complete")
		if _, err := store.Verify(t.Context(), b.Name, noon); err != nil {
			return err
		}
		fmt.Println("verified")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		store, err := openStore(dir)
		require.NoError(t, err)
		backups, err := store.Backups(t.Context())
		require.NoError(t, err)
		if slices.Contains(at.Lines, "complete") {
			require.Len(t, backups, 1)
			require.NotEqual(t, recovery.Writing, backups[0].State)
		}
		if slices.Contains(at.Lines, "verified") {
			require.True(t, backups[0].Good(), backups[0])
		}
		for _, b := range backups {
			require.NotEqual(t, recovery.Damaged, b.State, b)
			verified, err := store.Verify(t.Context(), b.Name, noon)
			if b.State == recovery.Writing {
				require.ErrorIs(t, err, recovery.ErrDamaged, "what was cut off can never be verified")
				require.False(t, verified.Good())
				continue
			}
			require.NoError(t, err, "its commit record is there, so it is whole")
			m, err := store.Manifest(t.Context(), b.Name)
			require.NoError(t, err)
			require.Equal(t, look(t, filepath.Join(dir, "config")), m.tree(filepath.Join(dir, "config")))
		}
		b, err := store.Backup(t.Context(), noon.Add(time.Minute))
		require.NoError(t, err, "run again, it finishes")
		b, err = store.Verify(t.Context(), b.Name, noon.Add(time.Minute))
		require.NoError(t, err)
		require.True(t, b.Good())
	})
	require.Empty(t, crashtest.Unsynced(steps), "a power cut would lose it")
}

// readPlan reads the plan that a person has reviewed and kept.
func readPlan(dir string) (p Plan, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(data, &p)
}

func TestLaw9_AKilledRestoreLeavesTheOldTreeOrTheNewAndFinishesWhenAppliedAgain(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{
		MaxSteps: 60,
		Setup:    func(dir string) error { return preparePlan(t, dir) },
	}, func(dir string) error {
		store, err := openRecorded(dir, aloud{})
		if err != nil {
			return err
		}
		p, err := readPlan(dir)
		if err != nil {
			return err
		}
		if _, err := store.Restore(t.Context(), p, "alice", "damaged", noon); err != nil {
			return err
		}
		fmt.Println("restored")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		rec := new(recoverytest.Recorder)
		store, err := openRecorded(dir, rec)
		require.NoError(t, err)
		p, err := readPlan(dir)
		require.NoError(t, err)
		target := filepath.Join(dir, "config")
		is := treeSum(t, target)
		require.Contains(t, []string{p.Before, p.After}, is, "a mixture")
		if slices.Contains(at.Lines, "restored") {
			require.Equal(t, p.After, is)
		}
		done, err := store.Restore(t.Context(), p, "bob", "again", noon)
		require.NoError(t, err)
		require.Equal(t, p.After, treeSum(t, target))
		said := slices.Concat(at.Lines, rec.Whats())
		require.True(t, slices.ContainsFunc(said, func(what string) bool {
			return strings.HasPrefix(what, "restore done") || strings.HasPrefix(what, "restore is finished after an interruption")
		}), "law 10: the exchange is on the timeline, whenever it was cut off: %q", said)
		require.Equal(t, string(p.Keep), done.Kept)
		require.Equal(t, p.Before, treeSum(t, done.Kept), "the old tree is kept whole")
		require.ElementsMatch(t, []string{"backups", "config", filepath.Base(done.Kept), "plan.json"}, ls(t, dir), "nothing else is left")
		entries := rec.Entries()
		require.NoFileExists(t, filepath.Join(dir, "backups", unnotedPrefix+p.short()))
		done, err = store.Restore(t.Context(), p, "bob", "once more", noon)
		require.NoError(t, err)
		require.True(t, done.Unchanged)
		require.Equal(t, entries, rec.Entries(), "what is on the timeline does not come there again")
	})
	require.Empty(t, crashtest.Unsynced(steps), "a power cut would lose it")
}

func treeSum(t *testing.T, p string) string {
	t.Helper()
	sum, err := fingerprint(look(t, p))
	require.NoError(t, err)
	return sum
}

// preparePlan makes a tree, a verified backup of it, another tree in its place, and
// a plan to bring the first one back.
func preparePlan(t *testing.T, dir string) error {
	return preparePlanOf(t, dir, func() (*Store, error) { return openStore(dir) })
}

func preparePlanOf(t *testing.T, dir string, open func() (*Store, error)) error {
	source := filepath.Join(dir, "config")
	if err := writeTree(source, "2"); err != nil {
		return err
	}
	store, err := open()
	if err != nil {
		return err
	}
	b, err := store.Backup(t.Context(), noon)
	if err != nil {
		return err
	}
	if _, err := store.Verify(t.Context(), b.Name, noon); err != nil {
		return err
	}
	if err := errors.Join(writeTree(source, "200"), os.Remove(filepath.Join(source, "keys", "pem"))); err != nil {
		return err
	}
	p, err := store.PlanRestore(t.Context(), Request{}, noon)
	if err != nil {
		return err
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "plan.json"), data, 0o600),
		os.WriteFile(store.dir(lockFile), nil, 0o600), // as an earlier restore left it
	)
}
