package notify

import (
	"time"

	"github.com/andon-go/andon/severity"
)

// Kind is what a message is.
type Kind string

// The kinds of message.
const (
	InitialAlert     Kind = "alert"           // an escalation page
	PageReminder     Kind = "reminder"        // a page that repeats: nobody has acknowledged, or the ack has expired
	StatusUpdate     Kind = "update"          // the update of the 30-minute cadence
	BreachNotice     Kind = "breach"          // a response or resolution target was missed
	AckNotice        Kind = "acknowledgement" // somebody has taken it: a pager stops escalating by itself
	ResolutionNotice Kind = "resolution"      // it is over
)

// pages reports whether a message of this kind is to wake somebody.
func (k Kind) pages() bool { return k == InitialAlert || k == PageReminder }

// Message is what a Notifier sends. A Courier fills in To.
type Message struct {
	Key      string         `json:"key"`      // dedup key: the same key is the same message
	Incident string         `json:"incident"` // number, such as INC-20260314-001
	Kind     Kind           `json:"kind"`
	Level    severity.Level `json:"level"`
	At       time.Time      `json:"at"`           // what it reports was so at this time
	To       string         `json:"to,omitempty"` // address on the channel that sends it
	Text     string         `json:"text"`         // complete and ready to show

	// Warning is what stands above everything else in Text, such as STOP NOT CONFIRMED;
	// empty: none. A page that stands for others in a storm says theirs too.
	Warning string `json:"warning,omitempty"`

	// First says that nobody has been told of the incident yet: it overtakes other
	// messages where a rate limit makes them wait.
	First bool `json:"first,omitempty"`

	// Pages are dedup keys of pages: those that an acknowledgement or a resolution
	// puts an end to, and those that a page in a storm stands for, besides its own.
	Pages []string `json:"pages,omitempty"`
}
