package incident

import (
	"sync"
	"time"

	"github.com/andon-go/andon/internal/boottime"
)

// steady says what time it is for the decisions of a manager. It begins at a time of
// day and advances by the monotonic clock and the machine's sleep, so that setting
// the machine's clock moves nothing that is due.
type steady struct {
	base  time.Time     // what it said when it began
	wall  time.Time     // the reading then; it carries the monotonic one
	slept time.Duration // what the machine had slept by then
}

func newSteady(base time.Time) steady {
	return steady{base: base.UTC().Round(0), wall: time.Now(), slept: boottime.Slept()}
}

func (c steady) now() time.Time { return c.base.Add(elapsed(c.wall, c.slept)) }

// elapsed returns the time since a reading, sleep included. What the machine seems to
// have slept is measured with two clocks, so that less than a second is none.
func elapsed(since time.Time, slept time.Duration) time.Duration {
	d := time.Since(since)
	if more := boottime.Slept() - slept; more >= time.Second {
		d += more
	}
	return d
}

// mark is one instant on the clock of the timeline and on that of a machine, which
// nobody can set.
type mark struct {
	at   time.Time
	boot string        // which machine, and since which start of it
	up   time.Duration // since that start
}

// began is one reading of the clocks. It is made when the program starts, so that it is
// outside of every bubble of testing/synctest: what has passed since is then the time
// of package time, inside a bubble as outside.
var began = struct {
	wall      time.Time
	up, slept time.Duration
}{time.Now(), boottime.Uptime(), boottime.Slept()}

var bootID = sync.OnceValue(boottime.BootID)

// machine reads the clock of the machine, which nobody can set: which start of which
// machine, empty where that cannot be told, and how long since.
func machine() (boot string, up time.Duration) {
	return bootID(), began.up + elapsed(began.wall, began.slept)
}

// resume returns the time that it is after the events of a board, and whether there is
// doubt how much has passed since. Where nothing is ahead, any time of day is as good as
// another, and the machine's is taken.
func (b *board) resume(wall time.Time, boot string, up time.Duration) (now time.Time, doubt bool) {
	if len(b.live) == 0 {
		return wall, false
	}
	if m, ok := b.marks[boot]; ok && boot != "" && up >= m.up {
		return m.at.Add(up - m.up), false
	}
	return wall, b.latest.Sub(wall) >= time.Second // time does not go back: the clock was set, and nobody knows by how much
}
