package gitrelease_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/gitrelease"
	"github.com/stretchr/testify/require"
)

// world returns every file below a directory with its content, its mode and its time.
func world(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(b)
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime(), text)
		return nil
	}))
	return all
}

func TestDeployPutsAVersionBesideTheRunningOne(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	repo := filepath.Join(dir, "repo")
	require.NoError(t, os.WriteFile(filepath.Join(repo, "bot.py"), []byte("a fix by hand"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(repo, "untracked"), []byte("x"), 0o644))
	before := world(t, repo)
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_EXTERNAL_DIFF", "/nowhere")
	r := open(t, config(dir))
	require.Contains(t, r.Version(), "git version")

	log, err := r.Log(t.Context(), 2)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]+ third\n[0-9a-f]+ second, Stable\n$`, log)
	stable, err := r.Stable(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]+ second, Stable\n$`, stable)
	root := world(t, filepath.Join(dir, "releases"))
	preview, err := r.Preview(t.Context(), "stable-latest")
	require.NoError(t, err)
	require.Contains(t, preview, "second, Stable")
	require.Equal(t, root, world(t, filepath.Join(dir, "releases")), "a preview changes nothing")

	evidence, err := r.Deploy(t.Context(), "first", "alice", "a clean reinstall", "main")
	require.NoError(t, err)
	require.Contains(t, evidence, "current: nothing -> ")
	require.Equal(t, "print(3)", bot(t, dir))
	_, err = r.Deploy(t.Context(), "back", "alice", "the third loses orders", "stable-latest")
	require.NoError(t, err)
	require.Equal(t, "print(2)", bot(t, dir))
	require.Equal(t, before, world(t, repo), "the running checkout is not touched")

	env := filepath.Join(dir, "releases", "current", ".env")
	info, err := os.Lstat(env)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	to, err := os.Readlink(filepath.Join(dir, "releases", "current", "data"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "shared", "data"), to)

	done, said, err := r.Done(t.Context(), "back")
	require.NoError(t, err)
	require.True(t, done)
	again, err := r.Deploy(t.Context(), "back", "alice", "the third loses orders", "stable-latest")
	require.NoError(t, err)
	require.Equal(t, said, again)
	_, err = r.Deploy(t.Context(), "back", "alice", "other", "main")
	require.ErrorIs(t, err, gitrelease.ErrKeyUsed)

	_, err = r.Undo(t.Context(), "back", "bob", "it was the exchange")
	require.NoError(t, err)
	require.Equal(t, "print(3)", bot(t, dir))
	_, err = r.Undo(t.Context(), "back", "bob", "it was the exchange")
	require.NoError(t, err)
	done, _, err = r.Done(t.Context(), "back")
	require.NoError(t, err)
	require.False(t, done)
	_, err = r.Deploy(t.Context(), "back", "alice", "again", "stable-latest")
	require.ErrorIs(t, err, gitrelease.ErrKeyUsed)
	_, err = r.Undo(t.Context(), "first", "bob", "no")
	require.ErrorContains(t, err, "none to go back to")
	_, err = r.Undo(t.Context(), "never", "bob", "no")
	require.ErrorIs(t, err, gitrelease.ErrUnknownKey)
}

func TestUndoLeavesWhatOthersHaveSwitched(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	r := open(t, config(dir))
	for i, rev := range []string{"main", "stable-latest", "main~2"} {
		_, err := r.Deploy(t.Context(), fmt.Sprint(i), "alice", "x", rev)
		require.NoError(t, err)
	}
	_, err := r.Undo(t.Context(), "1", "bob", "x")
	require.ErrorIs(t, err, gitrelease.ErrMoved)
	require.Equal(t, "print(1)", bot(t, dir))
}

func TestABuildThatFailsLeavesCurrentAsItWas(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	cfg := config(dir)
	_, err := open(t, cfg).Deploy(t.Context(), "a", "alice", "x", "main")
	require.NoError(t, err)
	works := cfg.Build
	for name, build := range map[string]func(context.Context, string) error{
		"fails": func(context.Context, string) error { return errors.New("no space left") },
		"alters the version": func(_ context.Context, dir string) error {
			return os.WriteFile(filepath.Join(dir, "bot.py"), []byte("print(0)"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Build = build
			_, err := open(t, cfg).Deploy(t.Context(), name, "alice", "x", "stable-latest")
			require.Error(t, err)
			require.True(t, errors.Is(err, gitrelease.ErrBuild) || errors.Is(err, gitrelease.ErrDamaged), err)
			require.Equal(t, "print(3)", bot(t, dir))
			cfg.Build = works
			_, err = open(t, cfg).Deploy(t.Context(), name, "alice", "x", "stable-latest")
			require.NoError(t, err, "the same call goes on")
			require.Equal(t, "print(2)", bot(t, dir))
			_, err = open(t, cfg).Undo(t.Context(), name, "alice", "x")
			require.NoError(t, err)
		})
	}
}

func TestRevisionsThatAreNoneAreRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	r := open(t, config(dir))
	for _, rev := range []string{"", "--help", "-n1", "nothing", "main main", "main\n", "main:bot.py", "0000000000000000000000000000000000000000"} {
		_, err := r.Deploy(t.Context(), "k", "alice", "x", rev)
		require.ErrorIs(t, err, gitrelease.ErrNoRevision, "%q", rev)
		if strings.HasPrefix(rev, "-") {
			require.ErrorContains(t, err, "begins with a dash", "git does not see it")
		}
		_, err = r.Preview(t.Context(), rev)
		require.ErrorIs(t, err, gitrelease.ErrNoRevision, "%q", rev)
	}
	_, err := r.Log(t.Context(), 0)
	require.Error(t, err)
}

func TestDiffHidesTheValuesOfEnv(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	repo := filepath.Join(dir, "repo")
	require.NoError(t, os.WriteFile(filepath.Join(repo, "old.env"), []byte("A_B=canary1\nKEY_X='-----BEGIN\ncanary2=\n'\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(repo, "bot.py"), []byte("print(3)\napi_key: canary3\nlimit = 4\n"), 0o644))
	marker := filepath.Join(dir, "ran")
	_, err := git(repo, "config", "diff.external", "touch "+marker)
	require.NoError(t, err)
	diff, err := open(t, config(dir)).Diff(t.Context())
	require.NoError(t, err)
	require.Contains(t, diff, "+A_B=(hidden)")
	require.Contains(t, diff, "-A_B=(hidden)")
	require.Contains(t, diff, "+limit = 4")
	require.NotContains(t, diff, "canary")
	require.NoFileExists(t, marker, "no program of the repository's configuration runs")
	diff, err = open(t, config(dir)).Diff(t.Context(), "old.env")
	require.NoError(t, err)
	require.NotContains(t, diff, "limit")
	require.NoError(t, os.Mkdir(filepath.Join(repo, "config"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(repo, "config", "a.json"), []byte("{}\n"), 0o644))
	_, err = git(repo, "add", "config")
	require.NoError(t, err)
	diff, err = open(t, config(dir)).Diff(t.Context(), ".env", "config/") // as the playbook has it
	require.NoError(t, err)
	require.Contains(t, diff, "+{}")
}

func TestADamagedRepositoryIsNotDeployed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	repo := filepath.Join(dir, "repo")
	blob, err := git(repo, "rev-parse", "main:bot.py")
	require.NoError(t, err)
	object := filepath.Join(repo, ".git", "objects", blob[:2], blob[2:])
	require.NoError(t, os.Chmod(object, 0o644))
	b, err := os.ReadFile(object)
	require.NoError(t, err)
	b[len(b)-1] ^= 0xff
	require.NoError(t, os.WriteFile(object, b, 0o444))
	_, err = open(t, config(dir)).Deploy(t.Context(), "k", "alice", "x", "stable-latest")
	require.ErrorIs(t, err, gitrelease.ErrDamaged, "not even another commit of it")
	require.Empty(t, bot(t, dir))
}

func TestNothingIsReplacedThatIsNotALink(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "releases", "current"), 0o755))
	_, err := open(t, config(dir)).Deploy(t.Context(), "k", "alice", "x", "main")
	require.ErrorContains(t, err, "not a symbolic link")
}

func TestSharedIsThereAndNotInTheCommit(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	cfg := config(dir)
	cfg.Shared = append(cfg.Shared, gitrelease.Shared{Path: "logs", From: filepath.Join(dir, "nothing")})
	_, err := open(t, cfg).Deploy(t.Context(), "k", "alice", "x", "main")
	require.ErrorIs(t, err, os.ErrNotExist)
	cfg.Shared[2] = gitrelease.Shared{Path: "bot.py", From: filepath.Join(dir, "shared", "env")}
	_, err = open(t, cfg).Deploy(t.Context(), "k", "alice", "x", "main")
	require.ErrorContains(t, err, "bot.py is in the commit")
	require.Empty(t, bot(t, dir))
}

func TestOldCheckoutsAreRemovedButNotTheCurrentAndThePrevious(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	cfg := config(dir)
	cfg.Keep = 1
	r := open(t, cfg)
	var kept []string
	for i := range 5 {
		_, err := r.Deploy(t.Context(), fmt.Sprint(i), "alice", "x", "main")
		require.NoError(t, err)
		current, err := r.Current()
		require.NoError(t, err)
		kept = append(kept, current)
		left, err := filepath.Glob(filepath.Join(dir, "releases", "*-*"))
		require.NoError(t, err)
		for j := range left {
			left[j] = filepath.Base(left[j])
		}
		require.ElementsMatch(t, kept[max(0, i-2):], left)
	}
}

func TestLaw10_NothingIsDeployedThatCannotBeRecorded(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	for _, rec := range []recovery.Recorder{nil, &timeline{err: errors.New("disk full")}} {
		cfg := config(dir)
		cfg.Recorder = rec
		_, err := open(t, cfg).Deploy(t.Context(), "k", "alice", "x", "main")
		require.ErrorIs(t, err, recovery.ErrNotRecorded)
		require.Empty(t, bot(t, dir))
	}
	_, err := open(t, config(dir)).Deploy(t.Context(), "", "", "x", "main")
	require.ErrorContains(t, err, "key: is empty\nby: is empty")
}

func TestOpenNamesEveryProblem(t *testing.T) {
	_, err := gitrelease.Open(gitrelease.Config{Source: "/a", Root: "/a/b", Keep: -1, Timeout: -1, Shared: []gitrelease.Shared{{Path: "../x", From: "y"}, {Path: ".git/hooks", From: "/y"}}})
	for _, f := range []string{"Root: /a/b is within Source", "Keep:", "Timeout:", "Shared[0]: Path", "Shared[0]: From", "Shared[1]: Path"} {
		require.ErrorContains(t, err, f)
	}
	_, err = gitrelease.Open(gitrelease.Config{Source: "/a", Root: "/b", Git: "/no/such/git"})
	require.ErrorIs(t, err, gitrelease.ErrNoGit)
}

// before lays the repository and deploys its first version.
func before(dir string) error {
	if err := lay(dir); err != nil {
		return err
	}
	r, err := gitrelease.Open(config(dir))
	if err != nil {
		return err
	}
	_, err = r.Deploy(context.Background(), "old", "alice", "x", "main")
	return err
}

func TestADeploymentThatIsKilledIsFinishedOrTakenBack(t *testing.T) {
	turn := 0
	crashtest.Run(t, crashtest.Config{Setup: before, MaxSteps: 12}, func(dir string) error {
		r, err := gitrelease.Open(config(dir))
		if err != nil {
			return err
		}
		if _, err := r.Deploy(context.Background(), "new", "alice", "x", "stable-latest"); err != nil {
			return err
		}
		fmt.Println("deployed")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		r := open(t, config(dir))
		is := bot(t, dir)
		require.Contains(t, []string{"print(3)", "print(2)"}, is)
		if slices.Contains(at.Lines, "deployed") {
			require.Equal(t, "print(2)", is)
		}
		if turn++; turn%2 == 0 {
			_, err := r.Undo(t.Context(), "new", "bob", "x")
			if err != nil {
				require.ErrorIs(t, err, gitrelease.ErrUnknownKey)
			}
			require.Equal(t, "print(3)", bot(t, dir))
			return
		}
		_, err := r.Deploy(t.Context(), "new", "alice", "x", "stable-latest")
		require.NoError(t, err)
		require.Equal(t, "print(2)", bot(t, dir))
	})
}
