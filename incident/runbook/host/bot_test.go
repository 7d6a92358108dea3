package host

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
)

func own(t *testing.T, c BotConfig) runbook.Bot {
	t.Helper()
	c.ProfileFor = 20 * time.Millisecond
	b, err := NewBot(c)
	require.NoError(t, err)
	return b
}

var lies = regexp.MustCompile(`(?m)^\S+ is in (\S+)$`)

func TestProfilesAreNewFilesForPprof(t *testing.T) {
	b := own(t, BotConfig{Dir: filepath.Join(t.TempDir(), "profiles")})
	for name, look := range map[string]runbook.Look{"cpu": b.CPU, "heap": b.Heap} {
		text, err := look(t.Context())
		require.NoError(t, err, name)
		require.Contains(t, text, "goroutines on")
		at := lies.FindStringSubmatch(text)
		require.Len(t, at, 2, text)
		require.True(t, strings.HasPrefix(read(t, at[1]), "\x1f\x8b"), "%s is compressed, as pprof wants it", name)
	}
	text, err := b.Threads(t.Context())
	require.NoError(t, err)
	require.Contains(t, read(t, lies.FindStringSubmatch(text)[1]), "TestProfilesAreNewFilesForPprof")
	text, err = b.Profile(t.Context())
	require.NoError(t, err)
	require.Len(t, lies.FindAllString(text, -1), 6)
	again, err := b.Profile(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, lies.FindString(text), lies.FindString(again), "none is replaced")
}

func TestAProfileThatFailsLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	b := own(t, BotConfig{Dir: dir})
	var other bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&other))
	_, err := b.CPU(t.Context())
	require.ErrorContains(t, err, "profile cpu")
	text, err := b.Profile(t.Context())
	pprof.StopCPUProfile()
	require.ErrorContains(t, err, "profile cpu")
	require.Len(t, lies.FindAllString(text, -1), 5, "the others are there")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.CPU(ctx)
	require.ErrorIs(t, err, context.Canceled)
	left, err := filepath.Glob(filepath.Join(dir, "cpu-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestGrepReadsEveryLogFile(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("monday: 401\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	old := write(t, filepath.Join(dir, "bot.log.1.gz"), packed.String())
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour)))
	log := write(t, filepath.Join(dir, "bot.log"), "all well\n"+strings.Repeat("x", 200<<10)+" 401 beyond\nkey Invalid\x1b[2J\nUnauthorized, and no end")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	b := own(t, BotConfig{Logs: []string{dir, log}})
	text, err := b.Grep(t.Context(), "401|403|Invalid|Unauthorized")
	require.NoError(t, err)
	require.Equal(t, old+": monday: 401\n"+log+": key Invalid\\e[2J\n"+log+": Unauthorized, and no end\n", text)
	text, err = b.Grep(t.Context(), "no such thing")
	require.NoError(t, err)
	require.Empty(t, text)
	_, err = b.Grep(t.Context(), "(")
	require.ErrorContains(t, err, "grep")
	text, err = own(t, BotConfig{Logs: []string{dir}, MaxLines: 1}).Grep(t.Context(), "401|Invalid|Unauthorized")
	require.NoError(t, err)
	require.Equal(t, "2 older lines are left out\n"+log+": Unauthorized, and no end\n", text)
}

func TestLaw1_ALogThatIsNotReadIsNotQuiet(t *testing.T) {
	dir := t.TempDir()
	_, err := own(t, BotConfig{Logs: []string{dir}}).Grep(t.Context(), "x")
	require.ErrorContains(t, err, "no log file")
	log := write(t, filepath.Join(dir, "bot.log"), "x\n")
	write(t, filepath.Join(dir, "torn.gz"), "no gzip")
	text, err := own(t, BotConfig{Logs: []string{dir, filepath.Join(dir, "gone")}}).Grep(t.Context(), "x")
	require.ErrorContains(t, err, "gone")
	require.ErrorContains(t, err, "torn.gz")
	require.Equal(t, log+": x\n", text, "the rest is read all the same")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = own(t, BotConfig{Logs: []string{log}}).Grep(ctx, "x")
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPIUsageIsCountedByDayAndStatus(t *testing.T) {
	today, long := time.Now().Format(time.DateOnly), time.Now().AddDate(0, 0, -30).Format(time.DateOnly)
	log := write(t, filepath.Join(t.TempDir(), "bot.log"), fmt.Sprintf(`%s 10:00 GET /orders status=200
%s 10:00 GET /orders status=200
{"at":"%sT10:00:01Z","status_code": 401}
  "GET /accounts HTTP/1.1" 429
a line of something else, status=9000
`, long, today, today))
	b := own(t, BotConfig{Logs: []string{log}})
	text, err := b.APIUsage(t.Context(), 7)
	require.NoError(t, err)
	require.Contains(t, text, "3 requests in 7 days")
	for _, status := range []string{"200", "401", "429"} {
		require.Regexp(t, today+` +`+status+` +1\n`, text)
	}
	require.NotContains(t, text, long)
	_, err = b.APIUsage(t.Context(), 0)
	require.ErrorContains(t, err, "0 days")
	write(t, log, "nothing of it\n")
	_, err = b.APIUsage(t.Context(), 7)
	require.ErrorContains(t, err, "not known", "law 1: no request that is found is not no request")
}
