package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/credentials"
	"github.com/andon-go/andon/recovery/credentials/credentialstest"
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

// identity is of a test: it opens what the store seals.
const identity = "AGE-SECRET-KEY-1M54GXYLSAJJ8FSGNJ3HA32Z64R4HR7SNDXZJUDP73RN83VM5L34SZ0D8DS"

// venue is where keys are tried: it knows those that work, and quotes them when it
// refuses, as venues do.
type venue struct {
	works map[string]bool // by name
	used  []string
	deaf  error
}

func (v *venue) test(_ context.Context, _ string, k credentials.Key) error {
	if !v.works[k.Name] {
		return errors.New("401 Unauthorized: " + k.Secret())
	}
	return nil
}

func (v *venue) use(_ context.Context, _ string, k credentials.Key) error {
	if v.deaf != nil {
		return fmt.Errorf("%w: %s", v.deaf, k.Secret())
	}
	v.used = append(v.used, k.Name)
	return nil
}

func config(dir string, v *venue) (credentials.Config, error) {
	vault, err := credentials.OpenDir(filepath.Join(dir, "keys"))
	if err != nil {
		return credentials.Config{}, err
	}
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		return credentials.Config{}, err
	}
	return credentials.Config{
		Vault: vault, Venues: []string{"bluefin", "coinbase"}, Test: v.test, Use: v.use, Recorder: &timeline{},
		Recipients: []age.Recipient{id.Recipient()}, Unseal: func(context.Context) ([]age.Identity, error) { return []age.Identity{id}, nil },
	}, nil
}

func open(dir string, v *venue) (*credentials.Store, error) {
	cfg, err := config(dir, v)
	if err != nil {
		return nil, err
	}
	return credentials.New(cfg)
}

// lay puts key "old" into use and stages "new".
func lay(dir string) error {
	s, err := open(dir, &venue{works: map[string]bool{"old": true}})
	if err != nil {
		return err
	}
	for _, name := range []string{"old", "new"} {
		path := filepath.Join(dir, name+".pem")
		if err := os.WriteFile(path, []byte("canary-secret-of-"+name+"\n"), 0o600); err != nil {
			return err
		}
		if err := s.Import(context.Background(), "coinbase", name, path, time.Time{}); err != nil {
			return err
		}
		if name == "old" {
			if _, err := s.Rotate(context.Background(), "first", "alice", "the first one", "coinbase"); err != nil {
				return err
			}
		}
	}
	return nil
}

func inUse(t *testing.T, s *credentials.Store) string {
	t.Helper()
	k, err := s.Key(t.Context(), "coinbase")
	require.NoError(t, err)
	require.Equal(t, "canary-secret-of-"+k.Name, k.Secret())
	return k.Name
}

func TestTheNewKeyIsTestedBeforeItReplacesTheOld(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	v := &venue{works: map[string]bool{"old": true}}
	s, err := open(dir, v)
	require.NoError(t, err)
	preview, err := s.Preview(t.Context(), "coinbase")
	require.NoError(t, err)
	require.Contains(t, preview, "new")
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.ErrorIs(t, err, credentials.ErrNotWorking)
	require.NotContains(t, err.Error(), "canary")
	require.Equal(t, "old", inUse(t, s))
	require.Empty(t, v.used)

	v.works["new"] = true
	evidence, err := s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	require.Equal(t, "new", inUse(t, s))
	again, err := s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	require.Equal(t, evidence, again)
	require.Equal(t, []string{"new"}, v.used, "once for a key")
	done, _, err := s.Done(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, done)
	works, err := s.Check(t.Context(), "coinbase")
	require.NoError(t, err)
	require.Contains(t, works, "coinbase works: new")
	text, err := os.ReadFile(filepath.Join(dir, "keys", "coinbase.json"))
	require.NoError(t, err)
	require.NotContains(t, string(text), "canary-secret-of-old", "the old one is sealed")
}

func TestUndoPutsTheOldKeyBackWhileItWorks(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	v := &venue{works: map[string]bool{"old": true, "new": true}}
	s, err := open(dir, v)
	require.NoError(t, err)
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	v.works["old"] = false
	_, err = s.Undo(t.Context(), "k", "bob", "no trades")
	require.ErrorIs(t, err, credentials.ErrNotWorking)
	require.Equal(t, "new", inUse(t, s))
	v.works["old"] = true
	_, err = s.Undo(t.Context(), "k", "bob", "no trades")
	require.NoError(t, err)
	require.Equal(t, "old", inUse(t, s))
	_, err = s.Undo(t.Context(), "k", "bob", "no trades")
	require.NoError(t, err)
	require.Equal(t, []string{"new", "old"}, v.used)
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.ErrorIs(t, err, credentials.ErrKeyUsed)
	_, err = s.Undo(t.Context(), "never", "bob", "x")
	require.ErrorIs(t, err, credentials.ErrUnknownKey)
}

// A key of the caller's stands for one venue, told of or not, taken back or not: Done and
// Undo ask for no venue.
func TestAKeyStandsForOneVenue(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	v := &venue{works: map[string]bool{"old": true, "new": true, "other": true}, deaf: errors.New("refused")}
	s, err := open(dir, v)
	require.NoError(t, err)
	_, err = s.Generate(t.Context(), "bluefin", "other", credentials.Hex)
	require.NoError(t, err)
	refused := func() {
		t.Helper()
		_, err := s.Rotate(t.Context(), "k", "alice", "leaked", "bluefin")
		require.ErrorIs(t, err, credentials.ErrKeyUsed)
		_, err = s.Key(t.Context(), "bluefin")
		require.ErrorIs(t, err, credentials.ErrNoKey)
	}
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.ErrorIs(t, err, credentials.ErrNotUsed)
	refused()
	v.deaf = nil
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	refused()
	_, err = s.Undo(t.Context(), "k", "bob", "no trades")
	require.NoError(t, err)
	refused()
}

func TestTheOldKeyIsKeptUntilAPersonAttestsItsRevocation(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	s, err := open(dir, &venue{works: map[string]bool{"old": true, "new": true, "third": true}})
	require.NoError(t, err)
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	_, err = s.Generate(t.Context(), "coinbase", "third", credentials.Hex)
	require.NoError(t, err)
	_, err = s.Rotate(t.Context(), "k2", "alice", "again", "coinbase")
	require.ErrorIs(t, err, credentials.ErrUnrevoked)
	require.Error(t, s.Revoked(t.Context(), "coinbase", "", "deleted"))
	require.NoError(t, s.Revoked(t.Context(), "coinbase", "alice", "deleted in the dashboard"))
	_, err = s.Undo(t.Context(), "k", "bob", "x")
	require.ErrorIs(t, err, credentials.ErrNoKey)
	_, err = s.Rotate(t.Context(), "k2", "alice", "again", "coinbase")
	require.NoError(t, err)
}

func TestABotThatDoesNotUseItIsToldAgain(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	v := &venue{works: map[string]bool{"new": true}, deaf: errors.New("refused")}
	s, err := open(dir, v)
	require.NoError(t, err)
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.ErrorIs(t, err, credentials.ErrNotUsed)
	require.NotContains(t, err.Error(), "canary")
	done, _, err := s.Done(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, done)
	v.deaf = nil
	_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, v.used)
}

func TestNoSecretIsPrinted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	s, err := open(dir, &venue{works: map[string]bool{"new": true}})
	require.NoError(t, err)
	k, err := s.Key(t.Context(), "coinbase")
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k, "pointer", &k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k)
	evidence, err := s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q %v %s %s", k, k, k, k, k, &k, log.String(), evidence), "canary")
	require.Equal(t, "canary-secret-of-old", k.Secret())
	type bot struct{ key credentials.Key } // whose field's methods fmt does not call
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, in := range []any{k, &k, bot{k}, &bot{k}, []bot{{k}}} {
			text := fmt.Sprintf(format, in)
			require.NotContains(t, text, "canary", format)
			require.NotContains(t, strings.ToLower(text), fmt.Sprintf("%x", "canary"), format)
		}
	}
}

func TestKeysLieOnlyWhereTheyMay(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	s, err := open(dir, &venue{})
	require.NoError(t, err)
	_, err = credentials.OpenDir("keys")
	require.ErrorIs(t, err, credentials.ErrExposed, "in the working directory")
	require.NoDirExists(t, "keys")
	tree := filepath.Join(dir, "tree")
	require.NoError(t, os.MkdirAll(filepath.Join(tree, ".git"), 0o755))
	_, err = credentials.OpenDir(filepath.Join(tree, "a", "b"))
	require.ErrorIs(t, err, credentials.ErrExposed, "in a git work tree")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "wide"), 0o755))
	_, err = credentials.OpenDir(filepath.Join(dir, "wide"))
	require.ErrorIs(t, err, credentials.ErrExposed, "open to others")

	for name, mode := range map[string]os.FileMode{"tree/new.pem": 0o600, "readable.pem": 0o644} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("canary"), mode))
		require.ErrorIs(t, s.Import(t.Context(), "coinbase", "x", path, time.Time{}), credentials.ErrExposed, name)
	}
	file := filepath.Join(dir, "keys", "coinbase.json")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.NoError(t, os.Chmod(file, 0o640))
	_, err = s.Key(t.Context(), "coinbase")
	require.ErrorIs(t, err, credentials.ErrExposed)
	require.NoError(t, os.Chmod(file, 0o600))
	require.NoError(t, os.WriteFile(file, []byte(`{"Current":"canary`), 0o600))
	_, err = s.Key(t.Context(), "coinbase")
	require.ErrorContains(t, err, "cannot be understood")
	require.NotContains(t, err.Error(), "canary")
}

func TestGenerateMakesEveryKind(t *testing.T) {
	dir := t.TempDir()
	v := &venue{works: map[string]bool{"hex": true, "p256": true, "ed25519": true}}
	s, err := open(dir, v)
	require.NoError(t, err)
	_, err = s.Key(t.Context(), "bluefin")
	require.ErrorIs(t, err, credentials.ErrNoKey)
	_, err = s.Rotate(t.Context(), "k", "alice", "x", "bluefin")
	require.ErrorIs(t, err, credentials.ErrNothingStaged)
	for kind, want := range map[credentials.Kind]string{credentials.Hex: `^[0-9a-f]{64}$`, credentials.P256: "^-----BEGIN EC PRIVATE KEY-----", credentials.Ed25519: "^-----BEGIN PRIVATE KEY-----"} {
		public, err := s.Generate(t.Context(), "bluefin", string(kind), kind)
		require.NoError(t, err)
		require.Equal(t, kind != credentials.Hex, strings.HasPrefix(public, "-----BEGIN PUBLIC KEY-----"))
		_, err = s.Rotate(t.Context(), string(kind), "alice", "x", "bluefin")
		require.NoError(t, err)
		k, err := s.Key(t.Context(), "bluefin")
		require.NoError(t, err)
		require.Regexp(t, want, k.Secret())
		if err := s.Revoked(t.Context(), "bluefin", "alice", "done"); err != nil {
			require.ErrorIs(t, err, credentials.ErrNoKey)
		}
	}
	_, err = s.Generate(t.Context(), "bluefin", "x", "rsa")
	require.ErrorContains(t, err, "kind:")
	_, err = s.Generate(t.Context(), "../x", "x", credentials.Hex)
	require.ErrorContains(t, err, "venue:")
}

func TestAnExpiredKeyDoesNotWork(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	s, err := open(dir, &venue{works: map[string]bool{"old": true, "new": true}})
	require.NoError(t, err)
	require.NoError(t, s.Import(t.Context(), "coinbase", "new", filepath.Join(dir, "new.pem"), time.Now().Add(-time.Hour)))
	_, err = s.Rotate(t.Context(), "k", "alice", "x", "coinbase")
	require.ErrorContains(t, err, "expired")
	require.Equal(t, "old", inUse(t, s))
}

func TestLaw10_NothingIsRotatedThatCannotBeRecorded(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	cfg, err := config(dir, &venue{works: map[string]bool{"new": true}})
	require.NoError(t, err)
	for _, r := range []recovery.Recorder{nil, &timeline{err: errors.New("disk full")}} {
		cfg.Recorder = r
		s, err := credentials.New(cfg)
		require.NoError(t, err)
		_, err = s.Rotate(t.Context(), "k", "alice", "x", "coinbase")
		require.ErrorIs(t, err, recovery.ErrNotRecorded)
		require.Equal(t, "old", inUse(t, s))
	}
	_, err = credentials.New(credentials.Config{})
	require.ErrorContains(t, err, "Vault: is nil\nTest: is nil\nRecipients: there are none")
}

func TestDirIsAVault(t *testing.T) {
	dir := t.TempDir()
	credentialstest.TestVault(t, func(t *testing.T) credentials.Vault {
		v, err := credentials.OpenDir(filepath.Join(dir, "keys"))
		require.NoError(t, err)
		return v
	})
}

func TestARotationThatIsKilledLeavesAWorkingKey(t *testing.T) {
	rotate := func(dir string) error {
		s, err := open(dir, &venue{works: map[string]bool{"old": true, "new": true}})
		if err != nil {
			return err
		}
		if _, err := s.Rotate(context.Background(), "k", "alice", "leaked", "coinbase"); err != nil {
			return err
		}
		fmt.Println("rotated")
		return nil
	}
	steps := crashtest.Run(t, crashtest.Config{Setup: lay}, rotate, func(t *testing.T, dir string, at crashtest.Step) {
		s, err := open(dir, &venue{works: map[string]bool{"old": true, "new": true}})
		require.NoError(t, err)
		is := inUse(t, s)
		require.Contains(t, []string{"old", "new"}, is)
		if slices.Contains(at.Lines, "rotated") {
			require.Equal(t, "new", is)
		}
		_, err = s.Rotate(t.Context(), "k", "alice", "leaked", "coinbase")
		require.NoError(t, err)
		require.Equal(t, "new", inUse(t, s))
		_, err = s.Undo(t.Context(), "k", "bob", "x")
		require.NoError(t, err)
		require.Equal(t, "old", inUse(t, s))
	})
	require.Empty(t, crashtest.Unsynced(steps))
}

// A venue that is misspelt has no key of its own: neither Done nor Undo would find it.
func TestAVenueThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	v := &venue{works: map[string]bool{"old": true, "new": true}}
	s, err := open(dir, v)
	require.NoError(t, err)
	for what, err := range map[string]error{
		"import":   s.Import(t.Context(), "coinbaes", "new", filepath.Join(dir, "new.pem"), time.Time{}),
		"rotate":   func() error { _, err := s.Rotate(t.Context(), "k", "alice", "leaked", "coinbaes"); return err }(),
		"generate": func() error { _, err := s.Generate(t.Context(), "coinbaes", "new", credentials.P256); return err }(),
	} {
		require.ErrorContains(t, err, `"coinbaes" is none of Config.Venues: ["bluefin" "coinbase"]`, what)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "keys", "coinbaes*"))
	require.NoError(t, err)
	require.Empty(t, kept)
}

func TestTheFirstKeyReplacesNone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, lay(dir))
	s, err := open(dir, &venue{works: map[string]bool{"old": true, "new": true}})
	require.NoError(t, err)
	_, evidence, err := s.Done(t.Context(), "first")
	require.NoError(t, err)
	require.Contains(t, evidence, "replaces no key\n")
}
