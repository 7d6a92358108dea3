package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/credentials"
	"github.com/andon-go/andon/recovery/gitrelease"
	"github.com/andon-go/andon/recovery/settings"
)

var (
	_ runbook.Settings    = (*settings.Store)(nil)
	_ runbook.Credentials = (*credentials.Store)(nil)
	_ runbook.Releases    = (*gitrelease.Repo)(nil)
)

// variables are a drill's settings, in its own .env and production.json.
func variables(t *testing.T, dir string, rec recovery.Recorder) *settings.Store {
	t.Helper()
	s, err := settings.New(settings.Config{
		Env: filepath.Join(dir, ".env"), JSON: filepath.Join(dir, "production.json"), Dir: filepath.Join(dir, "settings"), Recorder: rec,
		Defaults: map[string]string{"RISK__MAX_POSITION_SIZE": "0.25", "TRADING__MIN_TIME_BETWEEN_TRADES": "60"},
	})
	require.NoError(t, err)
	return s
}

// set says what stands in the files of a drill's settings.
func set(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	for _, name := range []string{".env", "production.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		lines := strings.Fields(string(b))
		if name == ".env" {
			slices.Sort(lines)
		}
		out = append(out, strings.Join(lines, " "))
	}
	return strings.Join(out, " ")
}

// keysOf are a drill's keys to its venue. Those whose name begins with bad do not work.
func keysOf(t *testing.T, dir string, rec recovery.Recorder, bad string) *credentials.Store {
	t.Helper()
	place := filepath.Join(dir, "keys")
	require.NoError(t, os.MkdirAll(place, 0o700))
	vault, err := credentials.OpenDir(place)
	require.NoError(t, err)
	owner, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	s, err := credentials.New(credentials.Config{
		Vault: vault, Venues: []string{"coinbase"}, Recipients: []age.Recipient{owner.Recipient()}, Recorder: rec,
		Test: func(_ context.Context, _ string, k credentials.Key) error {
			if strings.HasPrefix(k.Name, bad) {
				return fmt.Errorf("%s: 401 Unauthorized", k.Name)
			}
			return nil
		},
	})
	require.NoError(t, err)
	return s
}

// hold gives a drill an old key in use, and a new one that lies ready.
func hold(t *testing.T, dir string) {
	t.Helper()
	s := keysOf(t, dir, nobody{}, "none")
	for _, name := range []string{"old", "new"} {
		path := filepath.Join(dir, name+".pem")
		require.NoError(t, os.WriteFile(path, []byte("secret of "+name), 0o600))
		require.NoError(t, s.Import(t.Context(), "coinbase", name, path, time.Time{}))
		if name == "old" {
			_, err := s.Rotate(t.Context(), "first", "Ada", "the first key", "coinbase")
			require.NoError(t, err)
		}
	}
}

// inUse is the name of the key that a drill's bot uses.
func inUse(t *testing.T, dir string) string {
	t.Helper()
	k, err := keysOf(t, dir, nobody{}, "none").Key(t.Context(), "coinbase")
	require.NoError(t, err)
	return k.Name
}

// repository makes a bot's repository with a good version, which is tagged, and a bad one.
func repository(t *testing.T, dir string) {
	t.Helper()
	repo := filepath.Join(dir, "repo")
	sh(t, "git", "init", "-q", "-b", "main", repo)
	for _, version := range []string{"good", "bad"} {
		require.NoError(t, os.WriteFile(filepath.Join(repo, "VERSION"), []byte(version), 0o600))
		sh(t, "git", "-C", repo, "add", "VERSION")
		sh(t, "git", "-C", repo, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", version+": stable or not")
		if version == "good" {
			sh(t, "git", "-C", repo, "tag", "stable-latest")
		}
	}
}

func releasesOf(t *testing.T, dir string, rec recovery.Recorder) *gitrelease.Repo {
	t.Helper()
	r, err := gitrelease.Open(gitrelease.Config{Source: filepath.Join(dir, "repo"), Root: filepath.Join(dir, "releases"), Recorder: rec})
	require.NoError(t, err)
	return r
}

// running is the version that the link current leads to, and how many there are.
func running(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "releases", "current", "VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	require.NoError(t, err)
	all, err := filepath.Glob(filepath.Join(dir, "releases", "[0-9a-f]*-*"))
	require.NoError(t, err)
	return fmt.Sprintf("%s of %d", b, len(all))
}
