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

// Forget has the manager lose the times that it waits for.
func (m *Manager) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plan = newSchedule()
}

// Believe has the manager believe that something is being done.
func (m *Manager) Believe(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy[key] = true
}

// Misremember has the manager lose everything that it knows of its incidents.
func (m *Manager) Misremember() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.board = newBoard()
}

// EncodeAnyhow is Encode as encoding/json does it.
func (e Event) EncodeAnyhow() ([]byte, error) { return e.appendJSON(nil) }
