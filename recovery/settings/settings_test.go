package settings_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/settings"
	"github.com/stretchr/testify/require"
)

var tuning = map[string]string{
	"EXCHANGE__WEBSOCKET_TIMEOUT": "60", "EXCHANGE__WEBSOCKET_PING_INTERVAL": "20", "DOCKER_MEMORY": "4g",
	"performance.batch_size": "100", "performance.db_connection_pool": "20",
}

const newEnv = `# the bot's environment
export EXCHANGE__WEBSOCKET_TIMEOUT=60   # seconds
EXCHANGE__WEBSOCKET_PING_INTERVAL=20

SYSTEM__DRY_RUN=true
TRADING__MIN_TIME_BETWEEN_TRADES="60"
RISK__MAX_POSITION_SIZE=0.25
OTHER='of several
lines # kept'
MCP_ENABLED=true
DOCKER_MEMORY=4g
`

const newJSON = `{
  "name": "bot", "limit": 1.50000000000000000001,
  "performance": {
    "batch_size": 100,
    "parallel_workers": 2,
    "db_connection_pool": 20
  }
}
`

func TestSetChangesWhatItNamesAndNoOtherByte(t *testing.T) {
	dir := t.TempDir()
	env, json := files(t, dir)
	record := &timeline{}
	cfg := config(dir)
	cfg.Recorder = record
	var heard []settings.Change
	cfg.Changed = func(_ context.Context, c []settings.Change) error {
		require.Equal(t, newEnv, read(t, env), "the bot is told once the files are there")
		heard = append(heard, c...)
		return nil
	}
	s := store(t, cfg)

	diff, err := s.Preview(t.Context(), tuning)
	require.NoError(t, err)
	require.Contains(t, diff, "EXCHANGE__WEBSOCKET_TIMEOUT: 30 -> 60 s")
	require.Contains(t, diff, "DOCKER_MEMORY: (not set) -> 4g")
	require.Contains(t, diff, "performance.batch_size: 50 -> 100 items")
	require.Equal(t, oldEnv, read(t, env))
	require.NoDirExists(t, cfg.Dir, "a preview leaves nothing behind")

	evidence, err := s.Set(t.Context(), "INC-1/tune", "alice", "it is slow", tuning)
	require.NoError(t, err)
	require.Contains(t, evidence, "alice: it is slow")
	require.Equal(t, newEnv, read(t, env))
	require.Equal(t, newJSON, read(t, json))
	info, err := os.Stat(json)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
	require.Len(t, heard, 5)
	require.Len(t, record.all, 1)

	// Once for a key, whatever has become of the file since.
	require.NoError(t, os.WriteFile(env, []byte(oldEnv), 0o600))
	again, err := s.Set(t.Context(), "INC-1/tune", "alice", "it is slow", tuning)
	require.NoError(t, err)
	require.Equal(t, evidence, again)
	require.Equal(t, oldEnv, read(t, env))
	require.Len(t, heard, 5)
	is, got, err := s.Done(t.Context(), "INC-1/tune")
	require.NoError(t, err)
	require.True(t, is)
	require.Equal(t, evidence, got)
	_, err = s.Set(t.Context(), "INC-1/tune", "alice", "it is slow", map[string]string{"MCP_ENABLED": "false"})
	require.ErrorIs(t, err, settings.ErrKeyUsed)
	is, _, err = s.Done(t.Context(), "never")
	require.NoError(t, err)
	require.False(t, is)
}

func TestLaw9_ApplyRefusesWhenTheFactsHaveMoved(t *testing.T) {
	dir := t.TempDir()
	env, json := files(t, dir)
	s := store(t, config(dir))
	p, err := s.Plan(t.Context(), settings.Request{Values: tuning})
	require.NoError(t, err)
	moved := oldJSON + "\n"
	require.NoError(t, os.WriteFile(json, []byte(moved), 0o640))
	_, err = s.Apply(t.Context(), "k", "alice", "slow", p)
	require.ErrorIs(t, err, settings.ErrMoved)
	require.ErrorContains(t, err, json)
	require.Equal(t, oldEnv, read(t, env), "none of several")
	p, err = s.Plan(t.Context(), settings.Request{Values: tuning})
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), "k", "alice", "slow", p)
	require.NoError(t, err)
	require.Equal(t, newEnv, read(t, env))
	p, err = s.Plan(t.Context(), settings.Request{Values: tuning})
	require.NoError(t, err)
	require.Empty(t, p.Changes, "a second time there is nothing to change")
	_, err = s.Apply(t.Context(), "k", "alice", "slow", settings.Plan{})
	require.Error(t, err)
}

func TestRefusalsLeaveEverythingAsItIs(t *testing.T) {
	key := newKey(t)
	for name, c := range map[string]struct {
		values map[string]string
		says   string
	}{
		"none":                    {nil, "there are none"},
		"not a variable":          {map[string]string{"PATH": "/bin"}, "PATH is not a variable of the playbook"},
		"not a name":              {map[string]string{"A=B\nC": "x"}, "is not the name of a variable"},
		"other path":              {map[string]string{"limit.x": "2"}, "limit.x is not a variable"},
		"every problem":           {map[string]string{"MCP_ENABLED": "maybe", "DOCKER_CPUS": "0"}, "DOCKER_CPUS: it has to be a number above 0 and up to 1024 (CPUs), such as 0.5\nMCP_ENABLED: it has to be true or false"},
		"one of two":              {map[string]string{"MCP_ENABLED": "false", "performance.batch_size": "1.5"}, "whole number from 1 to 1000000"},
		"not exact":               {map[string]string{"RISK__MAX_POSITION_SIZE": "1e-1"}, "up to 1"},
		"zero":                    {map[string]string{"RISK__MAX_POSITION_SIZE": "0.000"}, "above 0"},
		"above one":               {map[string]string{"RISK__MAX_POSITION_SIZE": "1.000000000000000001"}, "up to 1"},
		"fraction":                {map[string]string{"RISK__MAX_POSITION_SIZE": "1/2"}, "up to 1"},
		"leading zero":            {map[string]string{"EXCHANGE__WEBSOCKET_TIMEOUT": "060"}, "whole number"},
		"ping as slow as timeout": {map[string]string{"EXCHANGE__WEBSOCKET_PING_INTERVAL": "30"}, "shorter than EXCHANGE__WEBSOCKET_TIMEOUT"},
		"little memory":           {map[string]string{"DOCKER_MEMORY": "5m"}, "at least 6m"},
		"memory without number":   {map[string]string{"DOCKER_MEMORY": "g"}, "at least 6m"},
		"everybody":               {map[string]string{"SECURITY__IP_WHITELIST": "10.0.0.1,0.0.0.0/0"}, "lets in everybody"},
		"nobody":                  {map[string]string{"SECURITY__IP_WHITELIST": ""}, "neither an IP address"},
		"placeholder":             {map[string]string{"SECURITY__IP_WHITELIST": "x.x.x.x,y.y.y.y"}, `"x.x.x.x" is neither`},
		"host bits":               {map[string]string{"SECURITY__IP_WHITELIST": "10.0.0.1/8"}, "is 10.0.0.0/8 meant"},
		"two lines":               {map[string]string{"EXCHANGE__CDP_API_KEY_NAME": "a\nB=c"}, "one line"},
		"half a key":              {map[string]string{"EXCHANGE__CDP_PRIVATE_KEY": key[:len(key)/2]}, "EXCHANGE__CDP_PRIVATE_KEY: it has to be the PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			env, json := files(t, dir)
			s := store(t, config(dir))
			_, err := s.Set(t.Context(), "k", "alice", "slow", c.values)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), key[40:80])
			require.Equal(t, oldEnv, read(t, env))
			require.Equal(t, oldJSON, read(t, json))
			is, _, err := s.Done(t.Context(), "k")
			require.NoError(t, err)
			require.False(t, is)
		})
	}
}

func TestWhatAddsExposureHasToBeNamed(t *testing.T) {
	for name, c := range map[string]struct {
		env           string
		variable, new string
		refused       bool
	}{
		"paper to real":         {"SYSTEM__DRY_RUN=true", "SYSTEM__DRY_RUN", "false", true},
		"real to paper":         {"SYSTEM__DRY_RUN=false", "SYSTEM__DRY_RUN", "true", false},
		"unknown to real":       {"", "SYSTEM__DRY_RUN", "false", true},
		"unknown to paper":      {"", "SYSTEM__DRY_RUN", "true", false},
		"smaller position":      {"RISK__MAX_POSITION_SIZE=0.25", "RISK__MAX_POSITION_SIZE", "0.1", false},
		"larger by a hair":      {"RISK__MAX_POSITION_SIZE=0.25", "RISK__MAX_POSITION_SIZE", "0.250000000000000001", true},
		"same, written longer":  {"RISK__MAX_POSITION_SIZE=0.25", "RISK__MAX_POSITION_SIZE", "0.250", false},
		"limit not set":         {"", "RISK__MAX_POSITION_SIZE", "0.1", true},
		"limit bare":            {"RISK__MAX_POSITION_SIZE", "RISK__MAX_POSITION_SIZE", "0.1", true},
		"limit from elsewhere":  {"RISK__MAX_POSITION_SIZE=${LIMIT}", "RISK__MAX_POSITION_SIZE", "0.1", true},
		"limit not a number":    {"RISK__MAX_POSITION_SIZE=low", "RISK__MAX_POSITION_SIZE", "0.1", true},
		"slower":                {"TRADING__MIN_TIME_BETWEEN_TRADES=60", "TRADING__MIN_TIME_BETWEEN_TRADES", "300", false},
		"faster":                {"TRADING__MIN_TIME_BETWEEN_TRADES=60", "TRADING__MIN_TIME_BETWEEN_TRADES", "59", true},
		"second factor off":     {"SECURITY__ENABLE_2FA=true", "SECURITY__ENABLE_2FA", "false", true},
		"the bot's own limit":   {"RISK__LEVERAGE=2", "RISK__LEVERAGE", "1", true},
		"the bot's own trading": {"", "TRADING__SYMBOLS", "BTC", true},
		"the bot's own meters":  {"", "MONITORING__PORT", "9090", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			env, _ := files(t, dir)
			require.NoError(t, os.WriteFile(env, []byte(c.env+"\n"), 0o600))
			cfg := config(dir)
			cfg.Extra = []string{"TRADING__", "RISK__", "MONITORING__"}
			s := store(t, cfg)
			values := map[string]string{c.variable: c.new}
			_, err := s.Set(t.Context(), "k", "alice", "why not", values)
			if !c.refused {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, settings.ErrLoosens)
			refused, ok := errors.AsType[*settings.LoosensError](err)
			require.True(t, ok)
			require.Equal(t, []string{c.variable}, refused.Names)
			require.Equal(t, c.env+"\n", read(t, env))
			p, err := s.Plan(t.Context(), settings.Request{Values: values, Loosen: []string{c.variable}})
			require.NoError(t, err)
			require.Contains(t, p.String(), "LOOSENS")
			_, err = s.Apply(t.Context(), "k", "alice", "it is meant", p)
			require.NoError(t, err)
			require.Contains(t, read(t, env), c.variable+"="+c.new)
		})
	}
}

func TestADefaultSaysWhatALimitIs(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	require.NoError(t, os.WriteFile(env, nil, 0o600))
	cfg := config(dir)
	cfg.Defaults = map[string]string{"RISK__MAX_POSITION_SIZE": "0.2"}
	s := store(t, cfg)
	_, err := s.Set(t.Context(), "a", "alice", "slow", map[string]string{"RISK__MAX_POSITION_SIZE": "0.3"})
	require.ErrorIs(t, err, settings.ErrLoosens)
	_, err = s.Set(t.Context(), "b", "alice", "slow", map[string]string{"RISK__MAX_POSITION_SIZE": "0.1"})
	require.NoError(t, err)
	require.Equal(t, "RISK__MAX_POSITION_SIZE=0.1\n", read(t, env))
}

func TestUndoPutsBackEveryByte(t *testing.T) {
	dir := t.TempDir()
	env, json := files(t, dir)
	s := store(t, config(dir))
	_, err := s.Set(t.Context(), "k", "alice", "slow", tuning)
	require.NoError(t, err)
	evidence, err := s.Undo(t.Context(), "k", "bob", "no better")
	require.NoError(t, err)
	require.Contains(t, evidence, "taken back by bob: no better")
	require.Equal(t, oldEnv, read(t, env))
	require.Equal(t, oldJSON, read(t, json))
	is, _, err := s.Done(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, is)

	require.NoError(t, os.WriteFile(env, []byte(newEnv), 0o600))
	again, err := s.Undo(t.Context(), "k", "bob", "no better")
	require.NoError(t, err)
	require.Equal(t, evidence, again)
	require.Equal(t, newEnv, read(t, env), "a second undo changes nothing")
	_, err = s.Set(t.Context(), "k", "alice", "slow", tuning)
	require.ErrorIs(t, err, settings.ErrKeyUsed)
	_, err = s.Undo(t.Context(), "never", "bob", "no better")
	require.ErrorIs(t, err, settings.ErrUnknownKey)
}

func TestUndoLeavesWhatOthersHaveChanged(t *testing.T) {
	dir := t.TempDir()
	env, json := files(t, dir)
	s := store(t, config(dir))
	_, err := s.Set(t.Context(), "k", "alice", "slow", tuning)
	require.NoError(t, err)
	theirs := strings.Replace(newEnv, "TIMEOUT=60", "TIMEOUT=90", 1) + "NEW=of somebody else\n"
	require.NoError(t, os.WriteFile(env, []byte(theirs), 0o600))
	theirJSON := strings.Replace(newJSON, `"bot"`, `"robot"`, 1)
	require.NoError(t, os.WriteFile(json, []byte(theirJSON), 0o640))

	evidence, err := s.Undo(t.Context(), "k", "bob", "no better")
	require.ErrorIs(t, err, settings.ErrConflict)
	conflict, ok := errors.AsType[*settings.ConflictError](err)
	require.True(t, ok)
	require.Equal(t, []string{"EXCHANGE__WEBSOCKET_TIMEOUT"}, conflict.Names)
	require.Contains(t, evidence, "EXCHANGE__WEBSOCKET_TIMEOUT was changed by somebody else")
	require.Equal(t, strings.Replace(oldEnv, "TIMEOUT=30", "TIMEOUT=90", 1)+"NEW=of somebody else\n", read(t, env))
	require.Equal(t, strings.Replace(oldJSON, `"bot"`, `"robot"`, 1), read(t, json))
}

func TestUndoDoesNotLoosenAndRestoreDoes(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	s := store(t, config(dir))
	_, err := s.Set(t.Context(), "k", "alice", "slow", map[string]string{"RISK__MAX_POSITION_SIZE": "0.1", "MCP_ENABLED": "false"})
	require.NoError(t, err)
	_, err = s.Undo(t.Context(), "k", "bob", "it is over")
	require.ErrorIs(t, err, settings.ErrLoosens)
	require.Equal(t, strings.Replace(oldEnv, "SIZE=0.25", "SIZE=0.1", 1), read(t, env), "the rest is put back")
	_, err = s.Undo(t.Context(), "k", "bob", "it is over")
	require.ErrorIs(t, err, settings.ErrLoosens, "a second time says the same")
	_, err = s.Restore(t.Context(), "k", "carol", "the limit is right again")
	require.NoError(t, err)
	require.Equal(t, oldEnv, read(t, env))
}

func TestAPrivateKeyOfManyLinesComesAndGoes(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	old, key := newKey(t), newKey(t)
	before := oldEnv + "EXCHANGE__CDP_PRIVATE_KEY=\"" + old + "\" # in use\nLAST=1"
	require.NoError(t, os.WriteFile(env, []byte(before), 0o600))
	require.NoError(t, os.Chmod(env, 0o644))
	record := &timeline{}
	cfg := config(dir)
	cfg.Recorder = record
	cfg.Changed = func(_ context.Context, c []settings.Change) error {
		return fmt.Errorf("told of %+v %#v", c, c)
	}
	s := store(t, cfg)
	values := map[string]string{"EXCHANGE__CDP_PRIVATE_KEY": key}
	p, err := s.Plan(t.Context(), settings.Request{Values: values})
	require.NoError(t, err)
	require.Contains(t, p.String(), "mode 0644 -> 0600")
	evidence, err := s.Set(t.Context(), "k", "alice", "leaked", values)
	require.ErrorIs(t, err, settings.ErrNotHeard)
	require.Equal(t, oldEnv+"EXCHANGE__CDP_PRIVATE_KEY='"+key+"' # in use\nLAST=1", read(t, env))
	info, err2 := os.Stat(env)
	require.NoError(t, err2)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	type bot struct{ plan settings.Plan } // whose field's methods fmt does not call
	all := fmt.Sprintf("%s %v %+v %#v %s %v %v %v %+v", p, p, p, &p, evidence, err, record.all, bot{p}, &bot{p})
	for _, secret := range []string{old, key} {
		for line := range strings.SplitSeq(strings.TrimSpace(secret), "\n") {
			if !strings.HasPrefix(line, "-----") {
				require.NotContains(t, all, line)
			}
		}
	}
	entries, err := os.ReadDir(cfg.Dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), e.Name())
	}
	_, err = s.Undo(t.Context(), "k", "alice", "the wrong one")
	require.ErrorIs(t, err, settings.ErrNotHeard)
	require.Equal(t, before, read(t, env))
}

func TestABotThatHasNotHeardIsToldAgain(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	down, calls := errors.New("connection refused"), 0
	cfg := config(dir)
	cfg.Changed = func(context.Context, []settings.Change) error { calls++; return down }
	s := store(t, cfg)
	values := map[string]string{"MCP_ENABLED": "false"}
	_, err := s.Set(t.Context(), "k", "alice", "slow", values)
	require.ErrorIs(t, err, settings.ErrNotHeard)
	require.ErrorIs(t, err, down)
	require.Contains(t, read(t, env), "MCP_ENABLED=false", "the file stays")
	is, _, err := s.Done(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, is)
	left, err := s.Unfinished()
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, left)
	down = nil
	_, err = s.Set(t.Context(), "k", "alice", "slow", values)
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	left, err = s.Unfinished()
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLaw10_NothingIsChangedThatCannotBeRecorded(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	for _, r := range []recovery.Recorder{nil, &timeline{err: errors.New("disk full")}} {
		cfg := config(dir)
		cfg.Recorder = r
		_, err := store(t, cfg).Set(t.Context(), "k", "alice", "slow", map[string]string{"MCP_ENABLED": "false"})
		require.ErrorIs(t, err, recovery.ErrNotRecorded)
		require.Equal(t, oldEnv, read(t, env))
	}
	_, err := store(t, config(dir)).Set(t.Context(), "k", " ", "", map[string]string{"MCP_ENABLED": "false"})
	require.ErrorContains(t, err, "by: is empty\nwhy: is empty")
}

func TestFilesThatCannotBeTrustedAreRefused(t *testing.T) {
	values := map[string]string{"MCP_ENABLED": "false", "performance.batch_size": "10"}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, env, json string)
		says  string
	}{
		"no .env": {func(t *testing.T, env, _ string) { require.NoError(t, os.Remove(env)) }, "make an empty one"},
		"no json": {func(t *testing.T, _, json string) { require.NoError(t, os.Remove(json)) }, "make an empty one"},
		"a link": {func(t *testing.T, env, _ string) {
			require.NoError(t, os.Rename(env, env+".real"))
			require.NoError(t, os.Symlink(env+".real", env))
		}, "symbolic link"},
		"a directory": {func(t *testing.T, env, _ string) {
			require.NoError(t, os.Remove(env))
			require.NoError(t, os.Mkdir(env, 0o755))
		}, "not a regular file"},
		"open quote": {func(t *testing.T, env, _ string) {
			require.NoError(t, os.WriteFile(env, []byte("A=1\nSECRET_B='hunter2\n"), 0o600))
		}, "line 2: a quote is opened"},
		"half json": {func(t *testing.T, _, json string) {
			require.NoError(t, os.WriteFile(json, []byte(oldJSON[:50]), 0o600))
		}, "it is not JSON"},
		"list": {func(t *testing.T, _, json string) { require.NoError(t, os.WriteFile(json, []byte("[]"), 0o600)) }, "not an object"},
		"member twice": {func(t *testing.T, _, json string) {
			require.NoError(t, os.WriteFile(json, []byte(`{"performance":{"batch_size":1,"batch_size":2}}`), 0o600))
		}, "performance.batch_size is there twice"},
		"not an object": {func(t *testing.T, _, json string) {
			require.NoError(t, os.WriteFile(json, []byte(`{"performance":3}`), 0o600))
		}, "performance is not an object"},
		"of other kind": {func(t *testing.T, _, json string) {
			require.NoError(t, os.WriteFile(json, []byte(`{"performance":{"batch_size":true}}`), 0o600))
		}, "another kind"},
		"not one scalar": {func(t *testing.T, _, json string) {
			require.NoError(t, os.WriteFile(json, []byte(`{"performance":{"batch_size":[1]}}`), 0o600))
		}, "not a number"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			env, json := files(t, dir)
			c.spoil(t, env, json)
			_, err := store(t, config(dir)).Set(t.Context(), "k", "alice", "slow", values)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hunter2")
			if b, err := os.ReadFile(env); err == nil {
				require.NotContains(t, string(b), "MCP_ENABLED=false")
			}
		})
	}
}

func TestALinkIsFollowedKnowingly(t *testing.T) {
	dir := t.TempDir()
	env, _ := files(t, dir)
	real := filepath.Join(dir, "shared.env")
	require.NoError(t, os.Rename(env, real))
	require.NoError(t, os.Symlink(real, env))
	cfg := config(dir)
	cfg.FollowLinks = true
	s := store(t, cfg)
	diff, err := s.Preview(t.Context(), map[string]string{"MCP_ENABLED": "false"})
	require.NoError(t, err)
	require.Contains(t, diff, real)
	_, err = s.Preview(t.Context(), map[string]string{"EXCHANGE__WEBSOCKET_PING_INTERVAL": "30"})
	require.ErrorContains(t, err, "shorter than", "what is checked of the file is checked behind a link too")
	_, err = s.Set(t.Context(), "k", "alice", "slow", map[string]string{"MCP_ENABLED": "false"})
	require.NoError(t, err)
	require.Contains(t, read(t, real), "MCP_ENABLED=false")
	to, err := os.Readlink(env)
	require.NoError(t, err)
	require.Equal(t, real, to)
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := settings.New(settings.Config{Env: "/x", JSON: "/x", Extra: []string{"A B"}, Defaults: map[string]string{"RISK__MAX_POSITION_SIZE": "2", "NO": "1"}})
	for _, field := range []string{"JSON: is the same", "Extra: \"A B\"", "Defaults: RISK__MAX_POSITION_SIZE", "Defaults: NO"} {
		require.ErrorContains(t, err, field)
	}
}

// TestTheTableIsThePlaybooks compares the table with every variable that the document
// sets, and tries the document's values.
func TestTheTableIsThePlaybooks(t *testing.T) {
	doc, err := os.ReadFile("../../../shared/playbook.md")
	if err != nil {
		needs.Missing(t, "the playbook: %v", err)
	}
	env := regexp.MustCompile(`(?m)(?:export |^\s*)([A-Z]+_[A-Z0-9_]+)="?([^\s"]*)`).FindAllStringSubmatch(string(doc), -1)
	block := regexp.MustCompile(`(?s)"performance": \{(.*?)\}`).FindStringSubmatch(string(doc))
	require.NotNil(t, block)
	var names []string
	values := map[string]string{}
	for _, m := range env {
		names = append(names, m[1])
		values[m[1]] = m[2]
	}
	for _, m := range regexp.MustCompile(`"(\w+)": (\d+)`).FindAllStringSubmatch(block[1], -1) {
		names = append(names, "performance."+m[1])
		values["performance."+m[1]] = m[2]
	}
	slices.Sort(names)
	var known []string
	for _, v := range settings.Variables() {
		known = append(known, v.Name)
	}
	slices.Sort(known)
	require.Equal(t, slices.Compact(names), known)

	delete(values, "EXCHANGE__CDP_PRIVATE_KEY")     // $(cat new-private-key.pem)
	values["SECURITY__IP_WHITELIST"] = "10.0.0.0/8" // x.x.x.x
	dir := t.TempDir()
	files(t, dir)
	_, err = store(t, config(dir)).Set(t.Context(), "k", "alice", "by the book", values)
	require.NoError(t, err)
}
