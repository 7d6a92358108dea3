package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
)

// explore runs the campaign without subtests, so that a test can expect trouble.
func explore(t *testing.T, cfg Config, work func(string) error, visit func(dir string, at Step)) ([]Step, error) {
	t.Helper()
	actAsChild(t, work)
	cfg = cfg.withDefaults()
	c := newCampaign(t, cfg.Setup, cfg.Timeout)
	steps, err := c.explore(cfg.MaxSteps, t.Logf, func(_, dir string, at Step) { visit(dir, at) })
	if errors.Is(err, errNoTrace) {
		needs.Missing(t, "%v", err)
	}
	return steps, err
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestRunKillsOnBothSidesOfEveryStep(t *testing.T) {
	seen := map[string][]string{}
	steps := Run(t, Config{}, func(dir string) error {
		for _, d := range []string{"a", "b", "c"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				return err
			}
			fmt.Println("made", d)
		}
		return nil
	}, func(t *testing.T, dir string, at Step) {
		got := names(t, dir)
		for _, l := range at.Lines {
			require.Contains(t, got, strings.TrimPrefix(l, "made "))
		}
		seen[at.String()] = got
	})
	require.Len(t, steps, 3)
	require.Equal(t, map[string][]string{
		"before 1st of 3: mkdirat a": {}, "after 1st of 3: mkdirat a": {"a"},
		"before 2nd of 3: mkdirat b": {"a"}, "after 2nd of 3: mkdirat b": {"a", "b"},
		"before 3rd of 3: mkdirat c": {"a", "b"}, "after 3rd of 3: mkdirat c": {"a", "b", "c"},
		"ended by itself": {"a", "b", "c"},
	}, seen)
}

func TestRunSeesEveryKindOfStep(t *testing.T) {
	work := func(dir string) error {
		in := func(name string) string { return filepath.Join(dir, name) }
		f, err := os.Create(in("f"))
		if err != nil {
			return err
		}
		_, err1 := f.WriteString("0123456789")
		_, err2 := f.WriteAt([]byte("x"), 0)
		err = errors.Join(err1, err2, f.Sync(), syscall.Fdatasync(int(f.Fd())), f.Truncate(4),
			syscall.Fallocate(int(f.Fd()), 0, 0, 8), f.Close(),
			os.Link(in("f"), in("l")), os.Symlink("f", in("s")), os.Rename(in("l"), in("m")), os.Remove(in("s")),
			os.Truncate(in("f"), 0))
		if err != nil {
			return err
		}
		if _, err := os.ReadFile(in("f")); err != nil { // reading is no step
			return err
		}
		g, err := os.OpenFile(in("f"), os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		return errors.Join(g.Close(), root.Mkdir("d", 0o755), root.WriteFile("d/x", []byte("yy"), 0o600), root.Close())
	}
	var torn []string
	steps, err := explore(t, Config{}, work, func(dir string, at Step) {
		if at.Moment == Torn {
			b, err := os.ReadFile(filepath.Join(dir, at.Path))
			require.NoError(t, err)
			torn = append(torn, string(b))
		}
	})
	require.NoError(t, err)
	var got []string
	for _, s := range steps {
		line := s.Call + " " + s.Path
		if s.To != "" {
			line += " " + s.To
		}
		got = append(got, line)
	}
	require.Equal(t, []string{
		"create f", "write f", "pwrite f", "fsync f", "fdatasync f", "ftruncate f", "fallocate f",
		"linkat f l", "symlinkat s", "renameat l m", "unlinkat s", "truncate f", "truncate f",
		"mkdirat d", "create d/x", "write d/x",
	}, got)
	require.Equal(t, []string{"01234", "y"}, torn, "a torn write keeps its first half")
}

func TestRunCatchesAWriterThatIsNotAtomic(t *testing.T) {
	setup := func(dir string) error { return os.WriteFile(filepath.Join(dir, "state"), []byte("old"), 0o644) }
	caught := map[string]bool{}
	_, err := explore(t, Config{Setup: setup}, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "state"), []byte("new!"), 0o644)
	}, func(dir string, at Step) {
		b, err := os.ReadFile(filepath.Join(dir, "state"))
		require.NoError(t, err)
		if s := string(b); s != "old" && s != "new!" {
			caught[fmt.Sprintf("%v leaves %q", at, s)] = true
		}
	})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{
		`after 1st of 2: truncate state leaves ""`: true,
		`before 2nd of 2: write state leaves ""`:   true,
		`torn 2nd of 2: write state leaves "ne"`:   true,
	}, caught)
}

func TestRunFollowsEveryThread(t *testing.T) {
	const threads = 8
	killed := 0
	steps, err := explore(t, Config{}, func(dir string) error {
		var wg sync.WaitGroup
		errs := make([]error, threads)
		start := make(chan struct{})
		for i := range threads {
			wg.Go(func() {
				<-start
				time.Sleep(time.Millisecond) // blocks in the kernel: more threads than processors
				errs[i] = os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte("xy"), 0o644)
			})
		}
		close(start)
		wg.Wait()
		return errors.Join(errs...)
	}, func(dir string, at Step) {
		if at.Moment != Ended {
			killed++
		}
	})
	require.NoError(t, err)
	require.Len(t, steps, 2*threads, "one create and one write on each")
	require.Equal(t, 5*threads, killed, "create: before, after; write: before, after, torn")
}

func TestRunPassesSignalsOn(t *testing.T) {
	_, err := explore(t, Config{}, func(dir string) error {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			return err
		}
		<-c
		return os.Mkdir(filepath.Join(dir, "got"), 0o755)
	}, func(string, Step) {})
	require.NoError(t, err)
}

func TestRunLeavesNoOrphan(t *testing.T) {
	pids := []int{}
	_, err := explore(t, Config{}, func(dir string) error {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return err
		}
		fmt.Println(os.Getpid())
		fmt.Println(cmd.Process.Pid)
		return os.Mkdir(filepath.Join(dir, "d"), 0o755)
	}, func(_ string, at Step) {
		for _, l := range at.Lines {
			pid, err := strconv.Atoi(l)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	})
	require.NoError(t, err)
	require.Len(t, pids, 2*3, "two processes in each of three runs")
	for _, pid := range pids {
		require.Eventually(t, func() bool { return ended(pid) }, time.Minute, 5*time.Millisecond, "process %d lives on", pid)
	}
}

// ended reports whether a process is gone, or a zombie that its new parent has not reaped.
func ended(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestRunRefusesAChildThatShowsNothing(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		work       func(dir string) error
	}{
		{"fails", "exit status 1): disk on fire", func(string) error { return errors.New("disk on fire") }},
		{"hangs", "did not end within 300ms", func(string) error { select {} }},
		{"idles", "no durable step", func(string) error { return nil }},
		{"writes elsewhere", "no durable step", func(dir string) error {
			return os.WriteFile(dir+"-other", nil, 0o644)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := 30 * time.Second
			if tc.name == "hangs" {
				timeout = 300 * time.Millisecond
			}
			_, err := explore(t, Config{Timeout: timeout}, tc.work, func(string, Step) {})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestRunRefusesASetupThatFails(t *testing.T) {
	_, err := explore(t, Config{Setup: func(string) error { return errors.New("no room") }},
		func(string) error { return nil }, func(string, Step) {})
	require.ErrorContains(t, err, "setup: no room")
}

func TestConfigNamesEveryProblem(t *testing.T) {
	err := Config{Timeout: -1, MaxSteps: 1}.validate()
	require.EqualError(t, err, "Timeout: -1ns is negative\nMaxSteps: 1, want at least 2")
	t.Setenv("ANDON_KILLS", "many")
	_, err = RandomConfig{}.withDefaults()
	require.EqualError(t, err, `ANDON_KILLS: "many" is not a number`)
	_, err = RandomConfig{Kills: -1, Within: -1, Timeout: -1}.withDefaults()
	require.EqualError(t, err, "Kills: -1, want at least 1\nWithin: -1ns is negative\nTimeout: -1ns is negative")
}

func TestMaxStepsBoundsTheKills(t *testing.T) {
	var at []int
	steps, err := explore(t, Config{MaxSteps: 3}, func(dir string) error {
		for i := range 9 {
			if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o755); err != nil {
				return err
			}
		}
		return nil
	}, func(_ string, s Step) { at = append(at, s.N) })
	require.NoError(t, err)
	require.Len(t, steps, 9)
	require.Equal(t, []int{0, 1, 1, 5, 5, 9, 9}, at)
}

func TestRunRandomKeepsWhatWasAcknowledged(t *testing.T) {
	killed, acknowledged := 0, 0
	RunRandom(t, RandomConfig{}, func(dir string) error {
		f, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			return err
		}
		for i := 0; ; i++ {
			if _, err := fmt.Fprintln(f, i); err != nil {
				return err
			}
			fmt.Println(i)
		}
	}, func(t *testing.T, dir string, at Step) {
		if at.Moment == Random {
			killed++
		}
		acknowledged += len(at.Lines)
		b, err := os.ReadFile(filepath.Join(dir, "log"))
		if len(at.Lines) == 0 {
			return
		}
		require.NoError(t, err)
		have := strings.Fields(string(b))
		require.GreaterOrEqual(t, len(have), len(at.Lines))
		require.True(t, slices.Equal(have[:len(at.Lines)], at.Lines))
	})
	require.Positive(t, killed)
	require.Positive(t, acknowledged)
}

func TestRunRandomJudgesAChildThatEndedFirst(t *testing.T) {
	const long = time.Hour // the child's end comes first
	t.Run("well", func(t *testing.T) {
		work := func(string) error { fmt.Println("done"); return nil }
		actAsChild(t, work)
		var got []Step
		c := newCampaign(t, nil, 30*time.Second)
		require.NoError(t, c.killAfter(long, func(_ string, at Step) { got = append(got, at) }))
		require.Equal(t, []Step{{Moment: Ended, Lines: []string{"done"}}}, got)
	})
	t.Run("badly", func(t *testing.T) {
		work := func(string) error { return errors.New("disk on fire") }
		actAsChild(t, work)
		c := newCampaign(t, nil, 30*time.Second)
		require.ErrorContains(t, c.killAfter(long, func(string, Step) {}), "failed by itself (exit status 1): disk on fire")
	})
}
