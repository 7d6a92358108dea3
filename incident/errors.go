package incident

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNothing says that the signals are no incident: there are none, or they
	// only see our own halt.
	ErrNothing = errors.New("no incident")

	// ErrUnknown says that there is no incident of that number.
	ErrUnknown = errors.New("no such incident")

	// ErrResolved says that the incident is over; nothing about it can be changed
	// but its notes.
	ErrResolved = errors.New("incident is resolved")

	// ErrOpen says that an incident cannot be reopened, since it or another one of the
	// same condition and component is open.
	ErrOpen = errors.New("incident is open")

	// ErrUnproven says that the checklist has open items. It is a *UnprovenError.
	ErrUnproven = errors.New("checklist has unproven items")

	// ErrUnnamed says that a decision has no person's name, or no reason.
	ErrUnnamed = errors.New("a named person and a reason are needed")

	// ErrNotRecorded says that the store did not confirm the event in time. What
	// stops or pages has been done all the same, and its events are kept in memory
	// and written as soon as the store takes them. What resumes, restores or closes
	// has been refused, and is not on the timeline.
	ErrNotRecorded = errors.New("not recorded")

	// ErrRecordUnknown says that the store is writing the event right now and has
	// not answered: look at the timeline before deciding again.
	ErrRecordUnknown = errors.New("not known whether it is recorded")

	// ErrStopUnconfirmed says that the incident is declared and that the gate could
	// not be shown to be closed. The pages say STOP NOT CONFIRMED.
	ErrStopUnconfirmed = errors.New("STOP NOT CONFIRMED")

	// ErrRunning says that Run was called twice.
	ErrRunning = errors.New("manager is running already")
)

// UnprovenError names the items of the checklist that keep an incident open.
type UnprovenError struct {
	Incident string
	Items    []string
}

// Error names the items and the way out.
func (e *UnprovenError) Error() string {
	return fmt.Sprintf("%s: %v: %s; prove them, or have a named person say why it is resolved all the same",
		e.Incident, ErrUnproven, strings.Join(e.Items, "; "))
}

// Is reports whether target is ErrUnproven.
func (e *UnprovenError) Is(target error) bool { return target == ErrUnproven }
