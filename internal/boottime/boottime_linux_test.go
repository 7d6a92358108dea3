package boottime_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/boottime"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func clock(t testing.TB) boottime.Clock {
	c, err := boottime.New()
	require.NoError(t, err)
	return c
}

func bySyscall(t testing.TB) time.Duration {
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	return time.Duration(ts.Nano())
}

func TestNowIsTheKernelsClock(t *testing.T) {
	c := clock(t)
	for range 1000 {
		before := bySyscall(t)
		now := c.Now()
		require.LessOrEqual(t, before, now)
		require.LessOrEqual(t, now, bySyscall(t))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Now() }))
}

func TestAClockThatCannotBeReadIsLaterThanEveryDeadline(t *testing.T) {
	require.Equal(t, boottime.Never, boottime.Clock{}.Now())
}

// The kernel's function is called on the goroutine's own stack, which must have room
// however deep it is, survive signals that preempt it, and stay whole for the collector.
func TestNowOnEveryStack(t *testing.T) {
	c := clock(t)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for depth := 0; !stop.Load(); depth = (depth + 7) % 200 {
				if !deep(c, depth, [4]int{1, 2, 3, 4}) {
					panic("the stack was overwritten")
				}
			}
		})
	}
	for range 20 {
		runtime.GC()
		wg.Go(func() { // a new goroutine has the smallest stack
			if !deep(c, 0, [4]int{1, 2, 3, 4}) {
				panic("the stack was overwritten")
			}
		})
	}
	stop.Store(true)
	wg.Wait()
}

//go:noinline
func deep(c boottime.Clock, depth int, mark [4]int) bool {
	if depth == 0 {
		return c.Now() > 0 && mark == [4]int{1, 2, 3, 4}
	}
	return deep(c, depth-1, mark) && mark == [4]int{1, 2, 3, 4}
}

// In a time namespace whose boot was a day earlier, as after a day's sleep, the clock
// must be a day ahead: the monotonic clock is not.
func TestSleepCounts(t *testing.T) {
	const child = "ANDON_BOOTTIME_CHILD"
	if os.Getenv(child) != "" {
		fmt.Println("now", int64(clock(t).Now()))
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("no unshare(1) to make a time namespace with")
	}
	if out, err := exec.Command(unshare, "--time", "--boottime", "86400", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("the kernel lets us make no time namespace: %v: %s", err, out)
	}
	before := clock(t).Now()
	cmd := exec.Command(unshare, "--time", "--boottime", "86400", "--fork", os.Args[0], "-test.run=^TestSleepCounts$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	after := clock(t).Now()
	_, rest, ok := strings.Cut(string(out), "now ")
	require.True(t, ok, string(out))
	ns, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	got := time.Duration(ns) - 24*time.Hour
	require.LessOrEqual(t, before, got)
	require.LessOrEqual(t, got, after)
}

func BenchmarkNow(b *testing.B) {
	c := clock(b)
	b.Run("CLOCK_BOOTTIME", func(b *testing.B) {
		for b.Loop() {
			c.Now()
		}
	})
	b.Run("by-syscall", func(b *testing.B) {
		for b.Loop() {
			bySyscall(b)
		}
	})
	began := time.Now()
	b.Run("time.Since", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(began)
		}
	})
}
