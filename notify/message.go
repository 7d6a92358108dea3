package notify

import (
	"time"

	"github.com/andon-go/andon/severity"
)

// Kind is what a message is.
type Kind string

// The kinds of message.
const (
	InitialAlert     Kind = "alert"      // an escalation page
	StatusUpdate     Kind = "update"     // the update of the 30-minute cadence
	BreachNotice     Kind = "breach"     // a response or resolution target was missed
	ResolutionNotice Kind = "resolution" // it is over
)

// Message is what a Notifier sends. A Courier fills in To.
type Message struct {
	Key      string         `json:"key"`      // dedup key: the same key is the same message
	Incident string         `json:"incident"` // number, such as INC-20260314-001
	Kind     Kind           `json:"kind"`
	Level    severity.Level `json:"level"`
	At       time.Time      `json:"at"`           // what it reports was so at this time
	To       string         `json:"to,omitempty"` // address on the channel that sends it
	Text     string         `json:"text"`         // complete and ready to show
}
