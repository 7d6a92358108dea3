package safety

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// slept returns how long the machine has been suspended since it booted, to the
// millisecond. Go's own monotonic clock stands still meanwhile.
func slept() time.Duration {
	boot := clockNanos(unix.CLOCK_BOOTTIME) // first, so that what passes between the two never looks like sleep
	return (boot - clockNanos(unix.CLOCK_MONOTONIC)).Truncate(time.Millisecond)
}

// uptime returns the time since the machine booted, sleep included.
func uptime() time.Duration { return clockNanos(unix.CLOCK_BOOTTIME) }

// bootID returns the identity of this boot of the machine, empty where it cannot be told.
func bootID() string {
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
