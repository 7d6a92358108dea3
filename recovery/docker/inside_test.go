package docker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/stretchr/testify/require"
)

func errorsIs(err, target error) bool { return errors.Is(err, target) }

func contains(text, part string) bool { return strings.Contains(text, part) }

// logsOf returns what a container printed on stdout.
func logsOf(w world, name string) (string, error) {
	var out bytes.Buffer
	err := w.Logs(context.Background(), name, docker.LogQuery{}, &out, nil)
	return out.String(), err
}

func TestNoErrorLogsReadsEveryContainerAndBothStreams(t *testing.T) {
	w := newWorld(t)
	image := w.image("1")
	w.box.Run("bot", image, nil)
	w.box.Run("quiet", image, nil)
	w.box.Eventually("both have printed", func() bool {
		evidence, err := w.NoErrorLogs(t.Context(), 5*time.Minute)
		require.NoError(t, err)
		return strings.HasPrefix(evidence, "4 lines of ")
	})
	w.box.Run("loud", image, map[string]any{"Cmd": []string{"/bin/box", "say", "fine\n", "x CRITICAL: out of margin\nFATAL", "0"}})
	w.box.Eventually("it is found", func() bool {
		_, err := w.NoErrorLogs(t.Context(), 5*time.Minute)
		return err != nil && contains(err.Error(), "loud printed 2 lines") && contains(err.Error(), "x CRITICAL: out of margin")
	})
	w.open(t, func(c *docker.Config) { c.Project = "no-such-project" })
	_, err := w.NoErrorLogs(t.Context(), time.Minute)
	require.ErrorIs(t, err, docker.ErrNotFound, "no log is no proof")
}

func TestExecGivesTheExitCode(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	o, err := w.Exec(t.Context(), "bot", []string{"/bin/box", "say", "out", "err", "3"}, alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, docker.Output{Exit: 3, Stdout: "out", Stderr: "err"}, o)
	w.open(t, func(c *docker.Config) { c.ExecTimeout = 300 * time.Millisecond })
	o, err = w.Exec(t.Context(), "bot", []string{"/bin/box", "sleep"}, alice, why, noon)
	require.Error(t, err)
	require.NotZero(t, o.Exit, "what has not ended has no exit code of success (law 1)")
	o, err = w.Exec(t.Context(), "bot", nil, alice, why, noon)
	require.Error(t, err)
	require.NotZero(t, o.Exit)
}

func TestClearCacheEmptiesTheCacheAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1", "PATH", "/bin"), nil)
	box := func(args ...string) docker.Output {
		o, err := w.Exec(t.Context(), "bot", append([]string{"/bin/box"}, args...), alice, why, noon)
		require.NoError(t, err)
		return o
	}
	require.Zero(t, box("write", "/tmp/cache/a/b", "old").Exit)
	require.Zero(t, box("write", "/tmp/kept", "kept").Exit)
	require.NoError(t, w.ClearCache(t.Context(), "bot", alice, why, noon))
	require.NotZero(t, box("read", "/tmp/cache/a/b").Exit)
	require.Equal(t, "kept", box("read", "/tmp/kept").Stdout)
	require.Contains(t, w.rec.Whats()[2], `"/tmp/cache" "-mindepth" "1" "-delete"`)

	w.box.Run("bare", w.image("bare", "PATH", "/none"), nil)
	require.Error(t, w.ClearCache(t.Context(), "bare", alice, why, noon), "an image without find")
	w.open(t, func(c *docker.Config) { c.CacheDir = "/tmp/none" })
	require.ErrorContains(t, w.ClearCache(t.Context(), "bot", alice, why, noon), "find ended with 1")
}

func TestLimitsMoveTogetherAndNeverBelowWhatIsUsed(t *testing.T) {
	w := newWorld(t)
	id := w.box.Run("bot", w.image("1"), nil)
	c, err := w.SetLimits(t.Context(), "bot", docker.Limits{Memory: 256 << 20, CPUs: 0.5}, alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, int64(256<<20), c.Limits.Memory)
	c, err = w.SetLimits(t.Context(), "bot", docker.Limits{Memory: 1 << 30}, alice, "more than memory and swap together were", noon)
	require.NoError(t, err)
	require.Equal(t, int64(1<<30), c.Limits.Memory)
	require.Equal(t, 0.5, c.Limits.CPUs, "what is not named stays")
	_, err = w.SetLimits(t.Context(), "bot", docker.Limits{Memory: 4096}, alice, why, noon)
	require.ErrorContains(t, err, "it would be killed")
	for _, l := range []docker.Limits{{}, {Memory: -1}, {CPUs: -1}, {Swap: -2}} {
		_, err = w.SetLimits(t.Context(), "bot", l, alice, why, noon)
		require.Error(t, err)
	}
	state, _ := w.box.State(id)
	require.Equal(t, int64(1<<30), state.HostConfig.Memory)
	require.Equal(t, int64(5e8), state.HostConfig.NanoCpus)
	require.Len(t, w.rec.Entries(), 2)
	require.True(t, state.State.Running)
}

func TestStatsAndTop(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	a, err := w.Stats(t.Context(), "bot")
	require.NoError(t, err)
	b := a
	_, err = b.Cores(a)
	require.Error(t, err, "two samples of one moment say nothing")
	b.At, b.CPU = a.At.Add(2*time.Second), a.CPU+time.Second
	cores, err := b.Cores(a)
	require.NoError(t, err)
	require.Equal(t, 0.5, cores)
	_, err = a.Cores(b)
	require.Error(t, err)
	b.CPU = 0 // started anew between the two
	_, err = b.Cores(a)
	require.Error(t, err)
	top, err := w.Top(t.Context(), "bot")
	require.NoError(t, err)
	require.Len(t, top.Rows, 1)
	require.ErrorIs(t, second(w.Top(t.Context(), "none")), docker.ErrNotFound)
}

func second[A any](_ A, err error) error { return err }

func TestSplitNeverTakesAPartForTheWhole(t *testing.T) {
	whole := []byte("\x01\x00\x00\x00\x00\x00\x00\x03one\x02\x00\x00\x00\x00\x00\x00\x03two")
	var out, errs bytes.Buffer
	require.NoError(t, docker.Split(bytes.NewReader(whole), &out, &errs))
	require.Equal(t, "one", out.String())
	require.Equal(t, "two", errs.String())
	for n := range whole {
		err := docker.Split(bytes.NewReader(whole[:n]), nil, nil)
		if n == 0 || n == 11 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut after %d bytes", n)
	}
	require.ErrorContains(t, docker.Split(strings.NewReader("\x03\x00\x00\x00\x00\x00\x00\x04gone"), nil, nil), "the engine broke off: gone")
	require.ErrorContains(t, docker.Split(strings.NewReader("\x09\x00\x00\x00\x00\x00\x00\x01x"), nil, nil), "unknown stream 9")
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03one"))
	f.Add([]byte("\x03\xff\xff\xff\xff\xff\xff\xffx"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out, errs bytes.Buffer
		_ = docker.Split(bytes.NewReader(stream), &out, &errs) // any error; no panic, and never more than came in
		require.LessOrEqual(t, out.Len()+errs.Len(), len(stream))
	})
}
