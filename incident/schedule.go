package incident

import (
	"container/heap"
	"time"
)

// schedule knows which incidents are to be looked at, and when: those that something
// has happened to, and those whose next time has come. The others cost nothing.
type schedule struct {
	touched []string // in order
	waiting slots
	places  map[string]*slot // every incident in touched or waiting
}

// slot is an incident's place in the schedule.
type slot struct {
	incident string
	at       time.Time
	index    int  // in waiting; -1: it is not there
	touched  bool // it is in touched
}

func newSchedule() *schedule { return &schedule{places: map[string]*slot{}} }

func (s *schedule) place(incident string) *slot {
	p := s.places[incident]
	if p == nil {
		p = &slot{incident: incident, index: -1}
		s.places[incident] = p
	}
	return p
}

// touch has an incident looked at now.
func (s *schedule) touch(incident string) {
	if p := s.place(incident); !p.touched {
		p.touched = true
		s.touched = append(s.touched, incident)
	}
}

// wait has an incident looked at again at a time; zero means not before it is touched.
func (s *schedule) wait(incident string, at time.Time) {
	p := s.place(incident)
	p.at = at
	switch {
	case at.IsZero() && p.index >= 0:
		heap.Remove(&s.waiting, p.index)
	case at.IsZero():
	case p.index >= 0:
		heap.Fix(&s.waiting, p.index)
	default:
		heap.Push(&s.waiting, p)
	}
	s.forget(p)
}

// forget drops what is nowhere any more.
func (s *schedule) forget(p *slot) {
	if !p.touched && p.index < 0 {
		delete(s.places, p.incident)
	}
}

// pop returns an incident to look at: one that was touched, else the one whose time
// was the earliest to come.
func (s *schedule) pop(now time.Time) (incident string, ok bool) {
	if len(s.touched) > 0 {
		p := s.places[s.touched[0]]
		s.touched = s.touched[1:]
		p.touched = false
		s.forget(p)
		return p.incident, true
	}
	if len(s.waiting) > 0 && !s.waiting[0].at.After(now) {
		p := heap.Pop(&s.waiting).(*slot)
		s.forget(p)
		return p.incident, true
	}
	return "", false
}

// soonest returns when the next incident is to be looked at, zero where none is.
func (s *schedule) soonest() time.Time {
	if len(s.waiting) == 0 {
		return time.Time{}
	}
	return s.waiting[0].at
}

// slots is a heap, the earliest first.
type slots []*slot

func (h slots) Len() int           { return len(h) }
func (h slots) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h slots) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *slots) Push(x any) {
	p := x.(*slot)
	p.index = len(*h)
	*h = append(*h, p)
}

// Pop is heap.Interface's.
func (h *slots) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.index = -1
	return p
}
