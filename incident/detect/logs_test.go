package detect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// matches collects what is found.
type matches struct {
	mu    sync.Mutex
	lines []string
}

func (m *matches) add(x Match) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, x.Line)
}

func (m *matches) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines)
}

// follow follows a log in a folder until stop is called.
func follow(t testing.TB, path string, change func(*LogsConfig)) (m *matches, stop func()) {
	t.Helper()
	m = &matches{}
	cfg := LogsConfig{
		Files: []string{path}, Patterns: []Pattern{{"e", "ERROR"}}, Match: m.add, Poll: time.Millisecond, FromStart: true,
	}
	if change != nil {
		change(&cfg)
	}
	l, err := NewLogs(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	t.Cleanup(stop)
	return m, stop
}

func requireLines(t testing.TB, m *matches, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(m.all()) >= len(want) }, 20*time.Second, time.Millisecond, "found %q of %q", m, want)
	require.Equal(t, want, m.all())
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestLogs_FollowWhatIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, _ := follow(t, path, nil) // it is not there yet
	appendTo(t, path, "fine\nERROR 1\nfine\r\nERROR 2\r\n")
	requireLines(t, m, "ERROR 1", "ERROR 2")
	appendTo(t, path, "ERROR 3\n")
	requireLines(t, m, "ERROR 1", "ERROR 2", "ERROR 3")
}

func TestLogs_BeginAtTheEndOfWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	appendTo(t, path, "ERROR of last week\n")
	state := filepath.Join(t.TempDir(), "state")
	m, stop := follow(t, path, func(c *LogsConfig) { c.FromStart, c.State = false, state })
	require.Eventually(t, func() bool { _, err := os.Stat(state); return err == nil }, 20*time.Second, time.Millisecond)
	appendTo(t, path, "ERROR now\n")
	requireLines(t, m, "ERROR now")
	stop()
}

// A line that is written in two goes is one line, and one that stays without an end is
// matched all the same, once.
func TestLogs_HalfALineIsMatchedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, _ := follow(t, path, func(c *LogsConfig) { c.Patterns = append(c.Patterns, Pattern{"l", "late"}) })
	appendTo(t, path, "ERR")
	appendTo(t, path, "OR 1\nERROR 2")
	requireLines(t, m, "ERROR 1", "ERROR 2")
	appendTo(t, path, " is late\nERROR 3\n")
	requireLines(t, m, "ERROR 1", "ERROR 2", "ERROR 2 is late", "ERROR 3")
}

func TestLogs_ALineLongerThanIsReadAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, _ := follow(t, path, nil)
	x := strings.Repeat("x", chunk-len("ERR")) // the word lies across two parts
	appendTo(t, path, x+"ERROR"+x+x+"ERROR"+x+"\nERROR\n")
	require.Eventually(t, func() bool { return len(m.all()) == 2 }, 20*time.Second, time.Millisecond)
	require.True(t, strings.HasPrefix(m.all()[0], "xxx"))
	require.LessOrEqual(t, len(m.all()[0]), maxDetail+len("…"))
	require.Equal(t, "ERROR", m.all()[1])
}

func TestLogs_RotationByRenaming(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, _ := follow(t, path, nil)
	appendTo(t, path, "ERROR 1\n")
	requireLines(t, m, "ERROR 1")
	writer, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { require.NoError(t, writer.Close()) }()
	require.NoError(t, os.Rename(path, path+".1"))
	appendTo(t, path, "ERROR 2\n")
	requireLines(t, m, "ERROR 1", "ERROR 2")
	_, err = writer.WriteString("ERROR 3\n") // by a writer that was not told yet
	require.NoError(t, err)
	requireLines(t, m, "ERROR 1", "ERROR 2", "ERROR 3")
}

func TestLogs_Truncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, _ := follow(t, path, nil)
	appendTo(t, path, "ERROR 1\nfine\n")
	requireLines(t, m, "ERROR 1")
	require.NoError(t, os.Truncate(path, 0))
	appendTo(t, path, "ERROR 2\n")
	requireLines(t, m, "ERROR 1", "ERROR 2")
}

// A file that was truncated and has grown past where it was, between two looks.
func TestLogs_TruncationThatHasGrown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.log")
	m, stop := follow(t, path, func(c *LogsConfig) { c.Poll = 300 * time.Millisecond })
	appendTo(t, path, "ERROR 1\n")
	requireLines(t, m, "ERROR 1")
	require.NoError(t, os.WriteFile(path, []byte("ERROR 2 and more\nERROR 3\n"), 0o600))
	require.Eventually(t, func() bool { return len(m.all()) >= 3 }, 20*time.Second, time.Millisecond, "%v", m)
	stop()
	require.Equal(t, []string{"ERROR 1", "ERROR 2 and more", "ERROR 3"}, m.all())
}

// What was written while nobody followed is read on return, from the file that was
// rotated away meanwhile too; what was read is not read again.
func TestLogs_GoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	path, state := filepath.Join(dir, "bot.log"), filepath.Join(dir, "state.json")
	with := func(c *LogsConfig) { c.State, c.FromStart = state, false }
	appendTo(t, path, "ERROR of before\n")
	m, stop := follow(t, path, with)
	require.Eventually(t, func() bool { _, err := os.Stat(state); return err == nil }, 20*time.Second, time.Millisecond)
	appendTo(t, path, "ERROR 1\nERR")
	requireLines(t, m, "ERROR 1")
	stop()

	appendTo(t, path, "OR 2\n")
	m, stop = follow(t, path, with)
	requireLines(t, m, "ERROR 2")
	stop()

	appendTo(t, path, "ERROR 3\n")
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, os.WriteFile(path+".2.gz", []byte("ERROR packed\n"), 0o600))
	appendTo(t, path, "ERROR 4\n")
	m, stop = follow(t, path, with)
	require.Eventually(t, func() bool { return len(m.all()) == 2 }, 20*time.Second, time.Millisecond)
	require.ElementsMatch(t, []string{"ERROR 3", "ERROR 4"}, m.all())
	stop()

	require.NoError(t, os.WriteFile(state, []byte("{"), 0o600)) // unknown: from where it is
	m, stop = follow(t, path, with)
	require.Eventually(t, func() bool { b, err := os.ReadFile(state); return err == nil && len(b) > 1 }, 20*time.Second, time.Millisecond)
	appendTo(t, path, "ERROR 5\n")
	requireLines(t, m, "ERROR 5")
	stop()
}

func TestLogs_FilesByPattern(t *testing.T) {
	dir := t.TempDir()
	m, _ := follow(t, filepath.Join(dir, "*.log"), nil)
	appendTo(t, filepath.Join(dir, "a.log"), "ERROR a\n")
	requireLines(t, m, "ERROR a")
	appendTo(t, filepath.Join(dir, "b.log"), "ERROR b\n")
	appendTo(t, filepath.Join(dir, "b.txt"), "ERROR c\n")
	requireLines(t, m, "ERROR a", "ERROR b")
}

func TestLogs_UnreadCountsWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLogs(LogsConfig{
		Files: []string{filepath.Join(dir, "none.log"), filepath.Join(dir, "*.none"), dir}, Match: func(Match) {},
	})
	require.NoError(t, err)
	l.look(nil, true)
	v, detail, err := l.Unread()(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), v.N, detail)
	require.Contains(t, detail, "none.log: open")
	require.Contains(t, detail, "no regular file")
	appendTo(t, filepath.Join(dir, "none.log"), "x\n")
	l.look(nil, true)
	defer l.close()
	v, _, err = l.Unread()(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), v.N)
}

func TestLogs_RefuseWhatCannotBeMeant(t *testing.T) {
	_, err := NewLogs(LogsConfig{Files: []string{"[", ""}, Patterns: []Pattern{{"", "("}}, Poll: -1})
	for _, want := range []string{"Match is nil", "Poll is -1ns", `"["`, `"" is no path`, "Patterns[0]"} {
		require.ErrorContains(t, err, want)
	}
}

// Whatever is done to a log while it is followed, every line is matched, once; over
// restarts every line at least once.
func TestLogs_EveryLineOnceWhateverIsDoneToTheFile(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprintf("%d.log", run))
		state := path + "-state"
		found := map[string]int{}
		open := func() *Logs {
			l, err := NewLogs(LogsConfig{
				Files: []string{path}, Patterns: []Pattern{{"e", "ERROR"}}, State: state, FromStart: true,
				Match: func(m Match) { found[m.Line]++ },
			})
			require.NoError(t, err)
			known, err := l.remembered()
			require.NoError(t, err)
			l.look(known, true)
			return l
		}
		settle := func(l *Logs) {
			l.look(nil, true)
			for l.readAll(context.Background()) {
			}
		}
		l := open()
		defer func() { l.close() }()
		n, half, restarted, rotations := 0, "", false, 0
		write := func(text string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			require.NoError(t, err)
			_, err = f.WriteString(text)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"line", "line", "half", "look", "rename", "truncate", "restart"}).Draw(t, "do") {
			case "line":
				n++
				write(half + fmt.Sprintf("ERROR line %d %s.\n", n, strings.Repeat("y", n%90)))
				half = ""
			case "half":
				if half == "" {
					write("of which ")
					half = "and "
				}
			case "look":
				settle(l)
			case "rename":
				settle(l)
				rotations++
				if err := os.Rename(path, fmt.Sprintf("%s.%d", path, rotations)); err == nil {
					half = ""
				}
			case "truncate":
				settle(l)
				if err := os.Truncate(path, 0); err == nil {
					half = ""
				}
				settle(l) // else what is written next may end where the old text did
			case "restart":
				restarted = true
				_, err := l.remember(nil)
				require.NoError(t, err)
				l.close()
				l = open()
			}
		}
		settle(l)
		require.Len(t, found, n)
		for line, times := range found {
			require.True(t, times == 1 || restarted, "%q was matched %d times", line, times)
		}
	})
}

// BenchmarkLogs is the rate at which a log is followed, by one goroutine, with 40
// patterns, of which one line in a hundred matches one.
func BenchmarkLogs(b *testing.B) {
	patterns := PlaybookPatterns()
	for i := len(patterns); i < 40; i++ {
		patterns = append(patterns, Pattern{fmt.Sprint("p", i), fmt.Sprintf(`(?i)component-%d .*(refused|timed out after) \d+`, i)})
	}
	path := filepath.Join(b.TempDir(), "bot.log")
	f, err := os.Create(path)
	require.NoError(b, err)
	size := 0
	for i := 0; size < 64<<20; i++ {
		text := fmt.Sprintf("2026-03-01T12:00:%02d.%06dZ INFO engine component-%d order ord-%08d of BTC-USD 0.125 at 65123.45 accepted in %d ms\n", i%60, i%1e6, i%60, i, i%97)
		if i%100 == 0 {
			text = fmt.Sprintf("2026-03-01T12:00:%02dZ ERROR trade %d failed\n", i%60, i)
		}
		n, err := f.WriteString(text)
		require.NoError(b, err)
		size += n
	}
	require.NoError(b, f.Close())
	n := 0
	l, err := NewLogs(LogsConfig{Files: []string{path}, Patterns: patterns, Match: func(Match) { n++ }, FromStart: true})
	require.NoError(b, err)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		l.open = map[string]*tail{}
		l.look(nil, true)
		for l.readAll(b.Context()) {
		}
		l.close()
	}
	if n == 0 {
		b.Fatal("no line matched")
	}
}
