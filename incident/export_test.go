package incident

import "time"

// Schedule is the schedule, for its model test.
type Schedule struct{ s *schedule }

// NewSchedule returns an empty one.
func NewSchedule() Schedule { return Schedule{newSchedule()} }

// Touch, Wait, Pop and Soonest are the schedule's; Places counts what it remembers.
func (s Schedule) Touch(incident string)              { s.s.touch(incident) }
func (s Schedule) Wait(incident string, at time.Time) { s.s.wait(incident, at) }
func (s Schedule) Pop(now time.Time) (string, bool)   { return s.s.pop(now) }
func (s Schedule) Soonest() time.Time                 { return s.s.soonest() }
func (s Schedule) Places() int                        { return len(s.s.places) }
