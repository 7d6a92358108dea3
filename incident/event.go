package incident

import (
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/severity"
)

// Kind says what an event is. Kinds that this version does not know are kept and
// shown, and change nothing.
type Kind string

// The kinds of events. Those that end in -due are intents: they stand before the
// thing is done; the outcome has a kind of its own and stands after it.
const (
	Declared  Kind = "declared"  // an incident begins
	Signalled Kind = "signalled" // the same condition was seen again while it was open
	Cleared   Kind = "cleared"   // what a signal with a Ref saw has ended
	Assessed  Kind = "assessed"  // the level was set or changed, with the reason

	HaltDue     Kind = "halt-due"     // the gate is about to be closed
	Halted      Kind = "halted"       // the gate is closed
	Unconfirmed Kind = "halt-unknown" // the gate could not be shown to be closed: STOP NOT CONFIRMED
	DrainDue    Kind = "drain-due"    // the orders in flight are about to be waited for
	Drained     Kind = "drained"      // they have settled, or are named

	PageDue    Kind = "page-due"    // somebody is about to be paged
	Paged      Kind = "paged"       // a channel has accepted the page
	PageFailed Kind = "page-failed" // no channel accepted it, or it was stopped by an acknowledgement

	NoticeDue    Kind = "notice-due"    // a status update, breach or resolution notice is about to be sent
	Notified     Kind = "notified"      // a channel has accepted it
	NoticeFailed Kind = "notice-failed" // no channel accepted it

	ResponseBreach   Kind = "response-breach"   // nobody acknowledged within the target
	ResolutionBreach Kind = "resolution-breach" // it was not resolved within the target

	Acknowledged Kind = "acknowledged" // a person has it; no escalation page starts after this
	AckExpired   Kind = "ack-expired"  // the acknowledgement held too long without a resolution; paging opens again
	RoleGiven    Kind = "role"         // a person took a role, such as Commander
	Noted        Kind = "note"         // what a person wrote
	Updated      Kind = "update"       // what a person wrote for the status update
	ItemProven   Kind = "item-proven"  // an item of the checklist was proven or attested
	Mitigated    Kind = "mitigated"    // the harm has stopped
	Resolved     Kind = "resolved"     // it is over
	Reopened     Kind = "reopened"     // it was not: the resolution is taken back, and paging opens again

	Audited   Kind = "audited"   // something had fallen due and was not begun; it is now
	Decision  Kind = "decision"  // what another part of the library decided (Manager.Record)
	Recovered Kind = "recovered" // the store dropped a torn tail when it was opened

	Responder    Kind = "responder"     // a process has become the one that pages, for the stores that several share
	AnchorUnread Kind = "anchor-unread" // the published tips could not be read, and the store was opened without them
	Copied       Kind = "copied"        // an event that was kept here meanwhile is in the shared store; Cites says where
)

// Event is one thing that happened, with who, what, why and when. Events are
// values, and never change once they are stored.
type Event struct {
	// Seq is the event's place in the store, from 1; 0 means that it is not stored.
	Seq uint64

	At       time.Time // when it happened, not when it was stored
	Incident string    // the incident's number; empty where it belongs to none
	Kind     Kind
	By       string // the person, or the component such as "andon/incident"
	What     string
	Why      string
	Data     Data

	// Cites is the event that this one is a copy of, in another store; zero for one
	// that is no copy.
	Cites Tip

	// Prev is the hash of the event before this one and Hash is its own, which
	// covers Prev. Both are zero while the event is not stored.
	Prev, Hash Hash
}

// Data is what an event says to the machine. Fields that do not belong to the
// event's kind are zero.
type Data struct {
	Condition string         `json:"condition,omitempty"`
	Component string         `json:"component,omitempty"`
	Episode   int            `json:"episode,omitempty"` // counts the incidents of one condition and component, from 1
	Level     severity.Level `json:"level,omitzero"`
	NoHalt    bool           `json:"no_halt,omitempty"`   // the assessment pages and does not halt
	Ref       string         `json:"ref,omitempty"`       // the source's own name for what the signal saw
	SignalAt  time.Time      `json:"signal_at,omitzero"`  // when the signal was measured, or ended
	RespondBy time.Time      `json:"respond_by,omitzero"` // the level's targets, counted from the declaration
	ResolveBy time.Time      `json:"resolve_by,omitzero"`

	Trace   string    `json:"trace,omitempty"`     // the span of the declaration, as W3C traceparent
	Key     string    `json:"key,omitempty"`       // the dedup key of a page or notice
	Round   int       `json:"round,omitempty"`     // the round of paging, from 1
	Step    int       `json:"step,omitempty"`      // the escalation step, from 1
	Roles   []string  `json:"roles,omitempty"`     // whom it was for
	Notice  string    `json:"notice,omitempty"`    // which notice it was
	DueAt   time.Time `json:"due_at,omitzero"`     // when it fell due
	RetryAt time.Time `json:"retry_at,omitzero"`   // when it is to be tried again
	SentAt  time.Time `json:"sent_at,omitzero"`    // when a channel accepted it
	Channel string    `json:"channel,omitempty"`   // which one
	Tries   int       `json:"tries,omitempty"`     // how many attempts that took
	Error   string    `json:"error,omitempty"`     // why something did not succeed
	Flight  []string  `json:"in_flight,omitempty"` // client ids of orders whose outcome is open

	Role       string    `json:"role,omitempty"`
	Item       string    `json:"item,omitempty"`       // the checklist's item
	Attested   bool      `json:"attested,omitempty"`   // proven by a person's word
	Contact    string    `json:"contact,omitempty"`    // who was told, or who took a role
	RootCause  string    `json:"root_cause,omitempty"` // what a resolution or note gives as the cause
	Impact     *Impact   `json:"impact,omitempty"`
	Update     *Update   `json:"update,omitempty"`
	PostMortem time.Time `json:"post_mortem,omitzero"` // when it is held
	Unproven   []string  `json:"unproven,omitempty"`   // what was open when a person resolved it all the same

	Run *RunStep `json:"run,omitempty"` // of a runbook

	// Boot and Uptime tie At to a clock that nobody can set: which machine, since which
	// start of it, and how long since. The first event that a Manager writes has them.
	Boot   string        `json:"boot,omitempty"`
	Uptime time.Duration `json:"uptime,omitempty"` // in nanoseconds
}

// RunStep is what an event says of the run of a runbook; package runbook has the kinds.
type RunStep struct {
	ID      string            `json:"id"`                // of the run, such as "INC-20260301-001/2"
	Runbook string            `json:"runbook,omitempty"` // its name, and the digest of its steps: of the first event
	Digest  string            `json:"digest,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
	Step    string            `json:"step,omitempty"`
	Output  string            `json:"output,omitempty"` // the step's evidence
}

// validate reports what an event lacks to be a decision on record: law 10.
func (e Event) validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"Kind", string(e.Kind)}, {"By", e.By}, {"What", e.What}, {"Why", e.Why},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("%s is empty", f.name))
		}
	}
	if e.At.IsZero() {
		errs = append(errs, errors.New("At is zero"))
	}
	return errors.Join(errs...)
}
