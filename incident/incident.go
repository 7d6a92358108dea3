package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// Status is how far an incident has come.
type Status string

// The statuses, in order. An incident may skip any but the last.
const (
	Open       Status = "investigating" // nobody has acknowledged it
	Responding Status = "responding"    // somebody has
	Contained  Status = "mitigated"     // the harm has stopped
	Closed     Status = "resolved"      // it is over
)

// Commander is the role of the person who leads the response: the playbook's IC.
const Commander = "Incident Commander"

// Gate is what is known of the trading gate.
type Gate uint8

// The states of the gate. The zero value says that nobody has asked for a stop.
const (
	NotHalted      Gate = iota // no stop was due
	HaltPending                // a stop is due and was not answered yet
	GateClosed                 // it was closed; a resume since then is the switch's affair
	GateUnanswered             // STOP NOT CONFIRMED
)

// String returns "not halted", "halt pending", "closed" or "STOP NOT CONFIRMED".
func (g Gate) String() string {
	names := [...]string{"not halted", "halt pending", "closed", "STOP NOT CONFIRMED"}
	if int(g) < len(names) {
		return names[g]
	}
	return fmt.Sprintf("Gate(%d)", uint8(g))
}

// Incident is what the timeline says of one incident. It is a copy; nothing in it
// is shared. Times are zero where the thing has not happened.
type Incident struct {
	Number    string             // INC-YYYYMMDD-XXX, by the UTC day of the declaration
	Condition severity.Condition // with Component: what makes a signal belong to it
	Component string
	Episode   int // counts the incidents of this condition and component, from 1
	Summary   string
	Status    Status
	Commander string // empty: nobody yet
	Roles     map[string]string

	Level     severity.Level
	Why       string // the reason for the level
	NoHalt    bool   // it pages without a stop, as its source is configured
	RespondBy time.Time
	ResolveBy time.Time

	SignalAt    time.Time // the first signal, when it was measured
	Signals     int       // how many there were
	Firing      int       // how many of those with a Ref have not been cleared
	DeclaredAt  time.Time
	DeclaredBy  string
	Gate        Gate
	HaltDueAt   time.Time
	HaltedAt    time.Time // the gate was closed, the first time
	HaltWhy     string    // of a gate that did not answer: why
	DrainedAt   time.Time // the last order in flight had settled and the hold was durable
	InFlight    []string  // client ids that had not, when that was last looked at
	FirstPageAt time.Time // a channel accepted the first page
	AckedAt     time.Time // the first acknowledgement
	AckedBy     string
	MitigatedAt time.Time
	ResolvedAt  time.Time
	ResolvedBy  string
	Reopened    int // how many times its resolution was taken back

	ResponseBreachAt   time.Time // when the breach was noticed
	ResolutionBreachAt time.Time

	Proven     []string // items of the checklist, in the order of their proof
	RootCause  string
	Impact     Impact
	PostMortem time.Time // when it is held
	LastUpdate Update
	UpdatedAt  time.Time // the last status update

	paging  paging
	trace   string          // the span of the declaration
	ordinal int             // counts the declarations of the board
	refs    *few[time.Time] // by Ref: since when the signal fires; zero once it is cleared
	unsaid  int             // how many signals had no Ref, so that nobody will say that they ended
}

// paging is what the events say of what was sent and what is owed.
type paging struct {
	notify.Progress
	reached []notify.Role     // who was paged, in any round
	pages   []string          // dedup keys of the pages that were begun and of the breach notices that a channel accepted
	begun   *few[time.Time]   // by dedup key: when a send began whose outcome is not known
	doubt   bool              // nobody knows how much time has passed since the last event
	expired bool              // this round was opened by an acknowledgement that expired
	retry   *few[time.Time]   // by dedup key: not before
	owed    map[string]notice // by dedup key
	halt    time.Time         // when an unanswered halt is tried again
	drain   time.Time         // when an unfinished drain is tried again
}

// notice is a message that is not part of the escalation.
type notice struct {
	kind   notify.Kind
	target string // of a breach
	at     time.Time
	by     string // of an acknowledgement
	update Update
}

// halts reports whether the incident wants trading stopped.
func (in *Incident) halts() bool { return !in.NoHalt && in.Level.AtLeast(severity.SEV1) }

func (in *Incident) topic() topic { return topic{in.Condition, in.Component} }

// open reports whether the incident is not over.
func (in *Incident) open() bool { return in.Status != Closed }

// clone returns a copy that shares nothing.
func (in *Incident) clone() Incident {
	c := *in
	c.Roles = maps.Clone(in.Roles)
	c.InFlight = slices.Clone(in.InFlight)
	c.Proven = slices.Clone(in.Proven)
	c.Impact = in.Impact.clone()
	c.LastUpdate.Actions = slices.Clone(in.LastUpdate.Actions)
	c.LastUpdate.Next = slices.Clone(in.LastUpdate.Next)
	c.paging, c.refs = paging{}, nil
	return c
}

// Duration returns how long the incident lasted, from its declaration to its
// resolution, or to now while it is open.
func (in Incident) Duration(now time.Time) time.Duration {
	if !in.ResolvedAt.IsZero() {
		now = in.ResolvedAt
	}
	return now.Sub(in.DeclaredAt)
}

// Times are the durations that a report is judged by. A negative one has not
// happened, or is not known.
type Times struct {
	SignalToHalt     time.Duration // the signal to the closed gate
	HaltToDrained    time.Duration // the closed gate to the last order in flight settled
	HaltToFirstPage  time.Duration // the closed gate to the first page accepted; from the declaration where nothing was to be halted
	DeclaredToAck    time.Duration
	DeclaredToCalm   time.Duration // to the mitigation
	DeclaredToClosed time.Duration // to the resolution
}

// Times returns the measured durations.
func (in Incident) Times() Times {
	base := in.HaltedAt
	if base.IsZero() {
		base = in.DeclaredAt
	}
	return Times{
		SignalToHalt:     between(in.SignalAt, in.HaltedAt),
		HaltToDrained:    between(in.HaltedAt, in.DrainedAt),
		HaltToFirstPage:  between(base, in.FirstPageAt),
		DeclaredToAck:    between(in.DeclaredAt, in.AckedAt),
		DeclaredToCalm:   between(in.DeclaredAt, in.MitigatedAt),
		DeclaredToClosed: between(in.DeclaredAt, in.ResolvedAt),
	}
}

// between is -1 where one of the two has not happened. A clock that was set back
// makes it 0 and not a time that nobody measured.
func between(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return -1
	}
	return max(0, to.Sub(from))
}
