// Package boottime reads CLOCK_BOOTTIME: the time since the machine started, sleep
// included.
//
// Nobody sets this clock, and unlike Go's monotonic clock it goes on while the machine
// sleeps. So it is the clock for deadlines that must have passed when a laptop or a
// suspended guest wakes up, such as a lease's. It means nothing on another machine:
// compare durations between machines, never readings. Two clocks run at rates that
// differ by no more than what time synchronisation steers, 500 ppm each.
//
// On Linux on amd64 a reading is a call into the kernel's shared page, without a system
// call; on other Linux it is a system call. Elsewhere there is no such clock and New
// says so. A guest that its hypervisor freezes, and whose clocks it does not set forward
// afterwards, does not know that it was frozen; no clock inside the guest does.
package boottime

import (
	"errors"
	"math"
	"time"
)

// ErrUnsupported says that this system has no clock that counts sleep.
var ErrUnsupported = errors.New("no CLOCK_BOOTTIME on this system")

// Never is what a clock gives that cannot be read: later than every deadline.
const Never = time.Duration(math.MaxInt64)

// Clock reads CLOCK_BOOTTIME. Its zero value reads Never. Safe for concurrent use.
type Clock struct {
	call uintptr // the kernel's clock_gettime in the shared page; zero where there is none
	ok   bool
}

// New finds the clock, or returns ErrUnsupported.
func New() (Clock, error) { return find() }

// Now returns the time since the machine started, or Never where the clock cannot be
// read. It allocates nothing.
func (c Clock) Now() time.Duration {
	if !c.ok {
		return Never
	}
	return c.now()
}
