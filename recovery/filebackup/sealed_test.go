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

	"filippo.io/age"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// vault is where sealed backups of a test lie: a directory, and the key to it beside.
type vault struct{ dir string }

func (v vault) storage() string { return filepath.Join(v.dir, "vault") }
func (v vault) keyFile() string { return filepath.Join(v.dir, "key.txt") }

// makeKey writes a new key, in the place of another one.
func (v vault) makeKey() error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	return os.WriteFile(v.keyFile(), []byte(key.String()), 0o600)
}

func (v vault) identities(context.Context) ([]age.Identity, error) {
	text, err := os.ReadFile(v.keyFile())
	if err != nil {
		return nil, err
	}
	key, err := age.ParseX25519Identity(string(text))
	return []age.Identity{key}, err
}

func (v vault) open(change ...func(*recovery.RepositoryConfig)) (*recovery.Repository, error) {
	keys, err := v.identities(context.Background())
	if err != nil {
		return nil, err
	}
	storage, err := recovery.NewDirStorage(v.storage())
	if err != nil {
		return nil, err
	}
	cfg := recovery.RepositoryConfig{
		Component: recovery.Configuration, Storage: storage,
		Seal: &recovery.Seal{Recipients: []age.Recipient{keys[0].(*age.X25519Identity).Recipient()}, Identities: v.identities},
	}
	for _, c := range change {
		c(&cfg)
	}
	return recovery.NewRepository(cfg)
}

// inVault makes a world whose backups are sealed.
func inVault(t testing.TB, v vault, change ...func(*recovery.RepositoryConfig)) func(*Config) {
	t.Helper()
	if _, err := os.Stat(v.keyFile()); err != nil {
		require.NoError(t, v.makeKey())
	}
	r, err := v.open(change...)
	require.NoError(t, err)
	return func(c *Config) { c.Repository = r }
}

func sealedWorld(t testing.TB, change ...func(*recovery.RepositoryConfig)) (world, vault) {
	t.Helper()
	v := vault{t.TempDir()}
	return newWorld(t, inVault(t, v, change...)), v
}

func TestASealedStoreConforms(t *testing.T) {
	for name, change := range map[string]func(*recovery.RepositoryConfig){
		"sealed": func(*recovery.RepositoryConfig) {},
		"open":   func(c *recovery.RepositoryConfig) { c.Seal = nil },
	} {
		t.Run(name, func(t *testing.T) {
			open := func(t *testing.T) recoverytest.Subject {
				w, v := sealedWorld(t, change)
				w.fill(t)
				return recoverytest.Subject{Target: w.store, Damage: func(name string) error {
					return flip(filepath.Join(v.storage(), name, "data", "000001.000001"), 13)
				}}
			}
			recoverytest.TestTarget(t, open)
			recoverytest.TestRehearser(t, open)
		})
	}
}

func TestNothingOfASealedBackupCanBeReadWithoutItsKey(t *testing.T) {
	w, v := sealedWorld(t)
	w.fill(t)
	b := w.good(t, noon)
	require.Equal(t, 5, b.Files)
	require.Equal(t, int64(13+12+6+0+3), b.Bytes)
	secrets := []string{"secret", "leverage", "bot.yaml", "key.pem", "/nowhere", "1.4.2", w.dir}
	for _, p := range stored(t, v.storage()) {
		data, err := os.ReadFile(p)
		require.NoError(t, err)
		for _, secret := range secrets {
			require.NotContains(t, string(data), secret, p)
			require.NotContains(t, p, "bot.yaml")
		}
	}
	require.Equal(t, []string{"config"}, ls(t, w.dir)[1:], "and nothing lies beside it")
	require.Empty(t, ls(t, w.backups))

	require.NoError(t, v.makeKey())
	require.True(t, describe(t, w, b.Name).Good(), "it can be listed without its key")
	_, err := w.store.PlanRestore(t.Context(), Request{}, noon)
	require.ErrorIs(t, err, recovery.ErrKey)
	_, err = w.store.Verify(t.Context(), b.Name, noon)
	require.ErrorIs(t, err, recovery.ErrKey)
	require.True(t, describe(t, w, b.Name).Good(), "another key says nothing of the backup")
	_, err = w.store.Backup(t.Context(), noon.Add(time.Hour))
	require.ErrorIs(t, err, recovery.ErrKey, "what could never be opened again is not made")
	require.Len(t, ls(t, v.storage()), 1)
}

func TestAnyTreeComesBackFromASealedBackup(t *testing.T) {
	t.Parallel() // it waits for the clock of the file system more than it works
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		size := rapid.IntRange(64, 4096).Draw(rt, "chunk size")
		w := worldIn(t, dir, inVault(t, vault{t.TempDir()}, func(c *recovery.RepositoryConfig) { c.ChunkSize = size }))
		drawTree(rt, w.source)
		before := look(t, w.source)
		w.good(t, noon)
		require.NoError(rt, removeTree(w.source))
		drawTree(rt, w.source)
		p := w.plan(t, Request{})
		_, err = w.restore(t, p)
		require.NoError(rt, err)
		require.Equal(rt, before, look(t, w.source))
	})
}

func TestASealedRestoreIsDoneByItsPlanAndMeasured(t *testing.T) {
	v := vault{t.TempDir()}
	w := damagedWorld(t, inVault(t, v))
	plain := damagedWorld(t)
	p := w.plan(t, Request{})
	require.Equal(t, len(plain.plan(t, Request{}).Changes), len(p.Changes))
	text, err := w.store.Diff(t.Context(), p)
	require.NoError(t, err)
	was, err := plain.store.Diff(t.Context(), plain.plan(t, Request{}))
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(was, plain.dir, w.dir), text)
	require.Contains(t, text, "+leverage: 2\n")
	done, err := w.restore(t, p)
	require.NoError(t, err)
	b := describe(t, w, p.Backup)
	require.Equal(t, done.Took, b.RestoreTook)
	done, err = w.restore(t, p)
	require.NoError(t, err)
	require.True(t, done.Unchanged)
	require.NoError(t, os.Chtimes(filepath.Join(w.source, "bot.yaml"), noon, noon))
	_, err = w.restore(t, p)
	require.ErrorIs(t, err, ErrMoved)

	m, err := w.store.Manifest(t.Context(), p.Backup)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"bot": "1.4.2"}, m.Versions)
}

func TestLaw8_AnySingleFlippedBitOfASealedBackupIsFoundAndNamed(t *testing.T) {
	w, v := sealedWorld(t)
	w.fill(t)
	b := w.good(t, noon)
	place := filepath.Join(v.storage(), b.Name)
	files := stored(t, place)
	require.Len(t, files, 4+1+3, "four files with bytes, the record, the claim, the manifest and the verdict")
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(files).Draw(rt, "file")
		info, err := os.Stat(p)
		require.NoError(rt, err)
		bit := rapid.IntRange(0, int(info.Size())*8-1).Draw(rt, "bit")
		require.NoError(rt, flip(p, bit))
		defer func() { require.NoError(rt, flip(p, bit)) }()
		name, err := filepath.Rel(place, p)
		require.NoError(rt, err)
		if strings.HasPrefix(name, "VERDICT") {
			require.False(rt, describe(t, w, b.Name).Good(), "a verdict that was altered proves nothing")
			return
		}
		_, err = w.store.Rehearse(t.Context(), b.Name, noon) // of what was damaged since it was verified
		switch {
		case name == "MANIFEST":
			require.ErrorIs(rt, err, ErrNotVerified)
		case name != "BEGUN": // which no restore reads
			require.ErrorIs(rt, err, recovery.ErrDamaged)
		}
		if strings.HasPrefix(name, "data") || name == "BEGUN" {
			found := verifyCopy(rt, v, b.Name)
			damage, ok := errors.AsType[*recovery.DamagedError](found)
			require.True(rt, ok, "%v", found)
			require.Equal(rt, name, damage.File)
		}
	})
}

// verifyCopy verifies a copy of a vault, so that its verdict is not kept in the vault.
func verifyCopy(t *rapid.T, v vault, name string) error {
	dir, err := os.MkdirTemp("", "vault-")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	require.NoError(t, os.CopyFS(dir, os.DirFS(v.dir)))
	r, err := vault{dir}.open()
	require.NoError(t, err)
	_, err = r.Verify(context.Background(), name, noon)
	return err
}

func TestTheRecordOfASealedBackupIsReadStrictly(t *testing.T) {
	w, v := sealedWorld(t, func(c *recovery.RepositoryConfig) { c.Seal = nil })
	w.fill(t)
	b := w.good(t, noon)
	_, rec, _, err := w.store.far.read(t.Context(), b.Name)
	require.NoError(t, err)
	repository, err := v.open(func(c *recovery.RepositoryConfig) { c.Seal = nil })
	require.NoError(t, err)
	m, err := repository.Manifest(t.Context(), b.Name)
	require.NoError(t, err)
	require.NoError(t, rec.validate(m))
	for name, alter := range map[string]func(*record){
		"a file is in no part":        func(r *record) { r.Stored[0].Part = "" },
		"a file is in another part":   func(r *record) { r.Stored[0].Part, r.Stored[1].Part = r.Stored[1].Part, r.Stored[0].Part },
		"a part that there is not":    func(r *record) { r.Stored[0].Part = "file.000099" },
		"a file is not there":         func(r *record) { r.Stored = r.Stored[1:] },
		"the last one is not there":   func(r *record) { r.Stored = r.Stored[:len(r.Stored)-1] },
		"one that is none too many":   func(r *record) { r.Stored = append(r.Stored, place{"x", ""}) },
		"that of another backup":      func(r *record) { r.Manifest.Name = "backup_20260304_150406" },
		"a path that leads elsewhere": func(r *record) { r.Manifest.Entries[0].Path = "../etc" },
	} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(rec)
			require.NoError(t, err)
			var altered record
			require.NoError(t, json.Unmarshal(data, &altered))
			require.NoError(t, altered.validate(m))
			alter(&altered)
			require.Error(t, altered.validate(m))
		})
	}
}

func TestAFileThatChangesWhileItIsSealedIsReadAgain(t *testing.T) {
	w, _ := sealedWorld(t)
	w.fill(t)
	draft, err := w.store.far.Begin(t.Context(), noon)
	require.NoError(t, err)
	defer func() { require.NoError(t, draft.Discard(t.Context())) }()
	p := &parts{draft: draft, of: map[Path]string{}}
	for _, text := range []string{"first", "second and longer", ""} {
		size, _, err := p.write(t.Context(), "a", strings.NewReader(text), newBuffer())
		require.NoError(t, err)
		require.EqualValues(t, len(text), size)
		if text == "" {
			require.NotContains(t, p.of, Path("a"), "an empty file is in no part, whatever it was before")
			continue
		}
		part, ok := draft.Manifest().Part(p.of["a"])
		require.True(t, ok)
		require.EqualValues(t, len(text), part.Bytes)
	}
}

func TestASealedBackupOfADatabaseLeavesNoCopyInTheOpen(t *testing.T) {
	needSQLite(t)
	v := vault{t.TempDir()}
	w := newWorld(t, inVault(t, v), func(c *Config) { c.SQLite = SQLite3("") })
	require.NoError(t, os.Mkdir(w.source, 0o700))
	db := filepath.Join(w.source, "positions.db")
	sql(t, db, "PRAGMA journal_mode=wal; CREATE TABLE legs(n); INSERT INTO legs VALUES (41)")
	left := filepath.Join(w.backups, draftPrefix+"killed")
	require.NoError(t, os.Mkdir(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "database"), []byte("of a backup that was killed"), 0o600))
	w.good(t, noon)
	require.Equal(t, []string{draftLock}, ls(t, w.backups))
	into := filepath.Join(w.dir, "restored")
	_, err := w.restore(t, w.plan(t, Request{Into: into}))
	require.NoError(t, err)
	require.Equal(t, "41", sql(t, filepath.Join(into, "positions.db"), "SELECT n FROM legs"))

	_, done, err := w.store.scratch()
	require.NoError(t, err)
	_, err = w.store.Backup(t.Context(), noon.Add(time.Hour))
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, done())
	_, err = w.store.Backup(t.Context(), noon.Add(time.Hour))
	require.NoError(t, err)
}

func openSealed(dir string, rec recovery.Recorder) (*Store, error) {
	r, err := vault{dir}.open()
	if err != nil {
		return nil, err
	}
	return New(Config{
		Component: recovery.Configuration, Dir: filepath.Join(dir, "backups"), Sources: []string{filepath.Join(dir, "config")},
		Repository: r, Recorder: rec, Idle: idle,
	})
}

func TestLaw8_AKilledSealedBackupIsNeverGoodUnlessItIsWhole(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{
		MaxSteps: 30,
		Setup: func(dir string) error {
			return errors.Join(vault{dir}.makeKey(), writeTree(filepath.Join(dir, "config"), "2"))
		},
	}, func(dir string) error {
		store, err := openSealed(dir, nil)
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
		store, err := openSealed(dir, nil)
		require.NoError(t, err)
		backups, err := store.Backups(t.Context())
		require.NoError(t, err)
		if slices.Contains(at.Lines, "verified") {
			require.Len(t, backups, 1)
			require.True(t, backups[0].Good(), backups[0])
		}
		for _, b := range backups {
			require.NotEqual(t, recovery.Damaged, b.State, b)
			_, err := store.Verify(t.Context(), b.Name, noon)
			if b.State == recovery.Writing {
				require.ErrorIs(t, err, recovery.ErrDamaged, "what was cut off can never be verified")
				continue
			}
			require.NoError(t, err, "its commit record is there, so it is whole")
			m, err := store.Manifest(t.Context(), b.Name)
			require.NoError(t, err)
			require.Equal(t, look(t, filepath.Join(dir, "config")), m.tree(filepath.Join(dir, "config")))
		}
		b, err := store.Backup(t.Context(), noon.Add(time.Minute))
		require.NoError(t, err, "run again, it finishes")
		_, err = store.Verify(t.Context(), b.Name, noon.Add(time.Minute))
		require.NoError(t, err)
	})
	require.Empty(t, crashtest.Unsynced(steps), "a power cut would lose it")
}

func TestLaw9_AKilledSealedRestoreLeavesTheOldTreeOrTheNewAndFinishesWhenAppliedAgain(t *testing.T) {
	crashtest.Run(t, crashtest.Config{
		MaxSteps: 30,
		Setup: func(dir string) error {
			if err := (vault{dir}).makeKey(); err != nil {
				return err
			}
			return preparePlanOf(t, dir, func() (*Store, error) { return openSealed(dir, nil) })
		},
	}, func(dir string) error {
		store, err := openSealed(dir, aloud{})
		if err != nil {
			return err
		}
		p, err := readPlan(dir)
		if err != nil {
			return err
		}
		_, err = store.Restore(t.Context(), p, "alice", "damaged", noon)
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		rec := new(recoverytest.Recorder)
		store, err := openSealed(dir, rec)
		require.NoError(t, err)
		p, err := readPlan(dir)
		require.NoError(t, err)
		target := filepath.Join(dir, "config")
		require.Contains(t, []string{p.Before, p.After}, treeSum(t, target), "a mixture")
		done, err := store.Restore(t.Context(), p, "bob", "again", noon)
		require.NoError(t, err)
		require.Equal(t, p.After, treeSum(t, target))
		require.Equal(t, p.Before, treeSum(t, done.Kept), "the old tree is kept whole")
		require.Contains(t, strings.Join(slices.Concat(at.Lines, rec.Whats()), "\n"), "restore ")
	})
}

func TestTheRepositoryOfAStoreIsOfItsComponent(t *testing.T) {
	v := vault{t.TempDir()}
	require.NoError(t, v.makeKey())
	r, err := v.open(func(c *recovery.RepositoryConfig) { c.Component = recovery.MonitoringLogs })
	require.NoError(t, err)
	_, err = New(Config{Component: recovery.Configuration, Dir: t.TempDir(), Sources: []string{"/etc/hostname"}, Repository: r})
	require.ErrorContains(t, err, `Component: "Configuration", and that of the Repository is "`)
}
