package boottime

import (
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Slept returns how long the machine has been suspended since it booted, to about a
// millisecond. Go's own monotonic clock stands still meanwhile.
func Slept() time.Duration {
	// The two clocks cannot be read at once. Whoever is held up between the readings
	// reads again, and the closest readings count.
	var slept time.Duration
	least := time.Duration(math.MaxInt64)
	for range 8 {
		before := clockNanos(unix.CLOCK_MONOTONIC)
		boot := clockNanos(unix.CLOCK_BOOTTIME)
		gap := clockNanos(unix.CLOCK_MONOTONIC) - before
		if gap < least {
			slept, least = boot-before-gap/2, gap
		}
		if least < 100*time.Microsecond {
			break
		}
	}
	return slept.Round(time.Millisecond)
}

// Uptime returns the time since the machine booted, sleep included.
func Uptime() time.Duration { return clockNanos(unix.CLOCK_BOOTTIME) }

// BootID returns the identity of this boot of the machine, empty where it cannot be told.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func clockNanos(clock int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
