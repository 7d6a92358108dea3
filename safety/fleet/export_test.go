package fleet

import "time"

// SetClock puts another clock in the place of CLOCK_BOOTTIME: one that runs fast or
// slow, or on which the machine sleeps. Call it before anything else.
func (f *Fleet) SetClock(now func() time.Duration) { f.clock = now }

// Parse reads records as a member does, and says whether the fleet may trade by them.
func Parse(records []Record) (halted bool, members int) {
	v := parse(records)
	return len(v.order.Holds) > 0, len(v.members)
}

// ID returns the id of the present run.
func (m *Member) ID() string { return m.self.ID }
