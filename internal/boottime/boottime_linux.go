//go:build linux && !amd64

package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

func find() (Clock, error) {
	c := Clock{ok: true}
	if c.now() == Never {
		return Clock{}, ErrUnsupported
	}
	return c, nil
}

func (Clock) now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return Never
	}
	return time.Duration(ts.Nano())
}
