package gitrelease_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/gitrelease"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type timeline struct {
	all []string
	err error
}

func (r *timeline) Record(_ context.Context, _ time.Time, who, what, why string) error {
	if r.err == nil {
		r.all = append(r.all, who+" | "+what+" | "+why)
	}
	return r.err
}

// git runs the program in a directory, for a test's own repository.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %v: %w: %s", args, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// commits are the versions of the test's bot, the oldest first; the second is tagged
// stable-latest.
var commits = []struct{ message, bot, env string }{
	{"first", "print(1)", "A_B=1\n"},
	{"second, Stable", "print(2)", "A_B=1\n"},
	{"third", "print(3)", "A_B=hunter2\n"},
}

// lay makes repo, with three commits, and shared/ with data and logs.
func lay(dir string) error {
	repo := filepath.Join(dir, "repo")
	for _, d := range []string{repo, filepath.Join(dir, "shared", "data"), filepath.Join(dir, "releases")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "shared", "env"), []byte("SECRET_KEY=1\n"), 0o600); err != nil {
		return err
	}
	if _, err := git(repo, "init", "-q"); err != nil {
		return err
	}
	for i, c := range commits {
		if err := os.WriteFile(filepath.Join(repo, "bot.py"), []byte(c.bot), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(repo, "old.env"), []byte(c.env), 0o644); err != nil {
			return err
		}
		if _, err := git(repo, "add", "-A"); err != nil {
			return err
		}
		if _, err := git(repo, "commit", "-q", "-m", c.message); err != nil {
			return err
		}
		if i == 1 {
			if _, err := git(repo, "tag", "stable-latest"); err != nil {
				return err
			}
		}
	}
	return nil
}

func config(dir string) gitrelease.Config {
	return gitrelease.Config{
		Source: filepath.Join(dir, "repo"), Root: filepath.Join(dir, "releases"), Recorder: &timeline{},
		Shared: []gitrelease.Shared{
			{Path: ".env", From: filepath.Join(dir, "shared", "env"), Copy: true},
			{Path: "data", From: filepath.Join(dir, "shared", "data")},
		},
		Build: func(_ context.Context, dir string) error {
			return os.WriteFile(filepath.Join(dir, "built"), []byte("yes"), 0o644)
		},
	}
}

func open(t *testing.T, cfg gitrelease.Config) *gitrelease.Repo {
	t.Helper()
	r, err := gitrelease.Open(cfg)
	require.NoError(t, err)
	return r
}

// bot returns what current runs; empty when there is no current.
func bot(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "releases", "current", "bot.py"))
	if os.IsNotExist(err) {
		_, err := os.Lstat(filepath.Join(dir, "releases", "current"))
		require.ErrorIs(t, err, os.ErrNotExist, "current leads somewhere or is not there")
		return ""
	}
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(dir, "releases", "current", "built"))
	require.NoError(t, err, "what current leads to is built")
	return string(b)
}
