package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/journal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// inOrder requires that the texts stand in the output one after the other.
func inOrder(t *testing.T, out string, texts ...string) {
	t.Helper()
	rest := out
	for _, text := range texts {
		_, after, ok := strings.Cut(rest, text)
		require.True(t, ok, "%q is not there, or too early, in\n%s", text, out)
		rest = after
	}
}

// Each fault is lived through, to a checklist that is proven whole.
func TestEveryFaultIsLivedThrough(t *testing.T) {
	story := map[string][]string{
		"data-corruption": {"FAULT  three rows", "SIGNAL inconsistent-positions", "SEV-1", "the gate is closed", "writes to the book are held", "repairs of the book only: 3", "applied: 3 repairs"},
		"venue-outage":    {"FAULT  the venue answers 503", "SIGNAL venue-timeouts", "SEV-1", "the gate is closed", "position check: unknown, and so taken for unprotected", "the venue is back"},
		"auth-failure":    {"FAULT  the venue answers 401", "SIGNAL auth-failure", "SEV-1", "the gate is closed", "the API key was changed"},
		"naked-position":  {"FAULT  the venue drops the stop", "SIGNAL naked-position", "SEV-1", "the gate is closed", "NOT PROTECTED", "stop-market at"},
		"slow-execution":  {"FAULT  every call", "SIGNAL slow-execution", "SEV-2", "trading is reducing", "as fast as before"},
		"operator-flag":   {"FAULT  somebody touches", "SIGNAL operator-stop", "SEV-1", "the gate is closed", "the stop stays"},
	}
	require.Len(t, story, len(faultNames()))
	for _, name := range faultNames() {
		if testing.Short() && name != "data-corruption" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "day")
			var out, errs output
			code := run([]string{"-fault", name, "-operator", "alice", "-window", "1s", "-dir", dir}, &out, &errs)
			require.Zero(t, code, "%s\n%s", out.String(), errs.String())
			inOrder(t, out.String(), "this is the very first start", "alice resumes")
			inOrder(t, out.String(), story[name]...)
			inOrder(t, out.String(), "alice acknowledges", "recovery Stop Loss System: proven", "recovery Monitoring: proven",
				"window 1s", "Post-mortem scheduled", "alice resumes", "watch of 1s passed", "is resolved")
			require.Equal(t, 8, strings.Count(out.String(), "- [x] "), "every item is proven")
			require.NotContains(t, out.String(), "- [ ]")
			for _, measured := range []string{"signal to halt", "halt to last in-flight order", "halt to first page accepted", "incident to resolved"} {
				require.Contains(t, out.String(), measured)
			}
			reports, err := filepath.Glob(filepath.Join(dir, "INC-*-001.md"))
			require.NoError(t, err)
			require.Len(t, reports, 1)
			text, err := os.ReadFile(reports[0])
			require.NoError(t, err)
			require.Contains(t, string(text), "alice")
			report, err := journal.Verify(filepath.Join(dir, "journal"))
			require.NoError(t, err)
			require.Greater(t, report.Tip.Seq, uint64(30))
		})
	}
}

// A person's stop is heard at any time, and it lasts until the person takes the file
// away and the operator resumes.
func TestTheEmergencyStopFromAnotherShellHasItsTrueEffect(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "day")
	flag := filepath.Join(dir, "EMERGENCY_STOP")
	var out, errs output
	code := make(chan int, 1)
	go func() { code <- run([]string{"-operator", "alice", "-window", "1s", "-dir", dir}, &out, &errs) }()
	await := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), text) }, time.Minute, 5*time.Millisecond, "%q", text)
	}
	await("to stop it: touch")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	await("SIGNAL operator-stop")
	await("remove it to go on")
	require.NoError(t, os.Remove(flag))
	require.Zero(t, <-code, "%s\n%s", out.String(), errs.String())
	inOrder(t, out.String(), "SIGNAL operator-stop", "the gate is closed", "is gone; the stop stays", "alice resumes", "is resolved")
	require.NotContains(t, out.String(), "FAULT", "it came before the fault")
}

func TestWrongInputIsNamedAndLeavesNothing(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.json")
	require.NoError(t, os.WriteFile(good, []byte(`[{"url": "u", "records": []}]`), 0o600))
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("[{\n\"records\": [{\"trade_id\": 1,\n \"size\": \"x\"}]}]"), 0o600))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown fault":      {[]string{"-fault", "rain"}, 2, "data-corruption"},
		"unknown flag":       {[]string{"-colour"}, 2, "colour"},
		"no operator":        {[]string{"-operator", " "}, 2, "-operator is empty"},
		"no note":            {[]string{"-note", ""}, 2, "-note is empty"},
		"window too short":   {[]string{"-window", "1ms"}, 2, "-window 1ms: want 500ms to 1h"},
		"window no duration": {[]string{"-window", "soon"}, 2, "soon"},
		"seed no number":     {[]string{"-seed", "x"}, 2, "seed"},
		"fills alone":        {[]string{"-fills", good}, 2, "-fills and -orders go together"},
		"corrupt alone":      {[]string{"-corrupt", "3"}, 2, "-corrupt needs -fills and -orders"},
		"corrupt negative":   {[]string{"-corrupt=-1", "-fills", good, "-orders", good}, 2, "-corrupt -1"},
		"no such file":       {[]string{"-fills", good + "x", "-orders", good}, 1, "no such file"},
		"broken file":        {[]string{"-fills", broken, "-orders", good}, 1, "broken.json:"},
		"dir exists":         {[]string{"-dir", filepath.Dir(good)}, 1, "-dir:"},
		"dir below nothing":  {[]string{"-dir", filepath.Join(good, "x")}, 1, "-dir:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var errs bytes.Buffer
			require.Equal(t, c.code, run(c.args, io.Discard, &errs), errs.String())
			require.Contains(t, errs.String(), c.want)
			require.Contains(t, errs.String(), "paperbot: ")
			left, err := os.ReadDir(".")
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// recordings returns the flags for the recorded data, or skips where it is absent.
func recordings(t *testing.T) []string {
	dir := os.Getenv("ANDON_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	fills := filepath.Join(dir, "coinbase", "fills-pages.json")
	if _, err := os.Stat(fills); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the recorded data is missing: %v", err)
		}
		t.Skipf("the recorded data is missing: %v; set ANDON_TEST_DATA to its folder", err)
	}
	return []string{"-operator", "alice", "-fills", fills, "-orders", filepath.Join(dir, "coinbase", "orders-pages.json")}
}

func TestRecordedDataAgreesExactly(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(append(recordings(t), "-dir", filepath.Join(t.TempDir(), "d")), &out, &errs), errs.String())
	for _, want := range []string{
		"845 fills, 0 repeated", "136 orders after 33 repeats", "136 of 136 agree in size, fees and value",
		"466 orders lie outside the recorded window: unknown, not missing", "position: -0.33375687 BTC", "fees: 114.53456408917888 USDT",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestDamagedRowsOfRecordedDataAreFoundAndRepaired(t *testing.T) {
	for seed := range 8 {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			var out, errs bytes.Buffer
			args := append(recordings(t), "-dir", filepath.Join(t.TempDir(), "d"), "-corrupt", "3", "-seed", fmt.Sprint(seed))
			require.Zero(t, run(args, &out, &errs), "%s%s", out.String(), errs.String())
			require.Equal(t, 3, strings.Count(out.String(), "damaged: "))
			inOrder(t, out.String(), "133     3       0        466", "repairs of the book only: 3", "applied: 3 repairs, approved by alice; applied again: 0",
				"136 of 136 agree", "position: -0.33375687 BTC", "fees: 114.53456408917888 USDT")
		})
	}
}
