package safety

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// CloseReport says what a close-all did. The zero value is not flat.
type CloseReport struct {
	Plan   string             `json:"plan"` // the plan's id
	By     string             `json:"by"`
	At     time.Time          `json:"at"` // the moment that Apply was given
	Halt   Report             `json:"halt"`
	Venues []CloseVenueReport `json:"venues"`
}

// CloseVenueReport says what happened on one venue.
type CloseVenueReport struct {
	Venue string `json:"venue"`

	// Flat is the last reading of the venue; Flat.Flat only when every one of the last
	// Confirm readings said so and no order is in flight.
	Flat FlatReport `json:"flat"`

	Legs     []CloseLegReport `json:"legs"`
	Canceled []string         `json:"canceled"`          // orders that were cancelled, or had ended, by name
	InFlight []string         `json:"in_flight"`         // client ids of orders whose outcome is unknown
	Left     []string         `json:"left"`              // what a person has to look at, and why
	Took     time.Duration    `json:"took"`              // from the halt to the last reading
	Stopped  string           `json:"stopped,omitempty"` // why it ended before it was done

	moved bool
}

// CloseOutcome is what became of a leg.
type CloseOutcome string

// The outcomes of a leg.
const (
	CloseDone    CloseOutcome = "closed"        // nothing is left of what was to be closed
	CloseDust    CloseOutcome = "dust"          // what is left is too small for any order
	CloseKept    CloseOutcome = "kept"          // only what the bot did not open is left
	CloseOpen    CloseOutcome = "still-open"    // a part is there, and a person has to look
	CloseMoved   CloseOutcome = "moved"         // it is not what the plan rests on: not touched
	CloseUnknown CloseOutcome = "not-known"     // the venue could not be read at the end
	CloseForeign CloseOutcome = "not-in-a-plan" // it came after the plan: not touched
)

// CloseLegReport says what became of one leg.
type CloseLegReport struct {
	Symbol  string        `json:"symbol"`
	Leg     andon.Leg     `json:"leg"`
	Before  andon.Decimal `json:"before"` // in the plan, signed
	Now     andon.Decimal `json:"now"`    // at the last reading, signed
	Closed  andon.Decimal `json:"closed"` // by orders of this plan
	Outcome CloseOutcome  `json:"outcome"`
	Why     string        `json:"why,omitempty"`
	Orders  []string      `json:"orders"` // client ids that this plan has used for it
}

// Flat reports whether every venue is flat, by law 5.
func (r CloseReport) Flat() bool {
	for _, v := range r.Venues {
		if !v.Flat.Flat {
			return false
		}
	}
	return len(r.Venues) > 0
}

func (r CloseReport) summary() string {
	if r.Flat() {
		return "flat"
	}
	lines := make([]string, 0, len(r.Venues))
	for _, v := range r.Venues {
		lines = append(lines, v.Venue+": "+v.String())
	}
	return strings.Join(lines, "; ")
}

// String returns the outcome of a venue in one line.
func (r CloseVenueReport) String() string {
	parts := []string{r.Flat.String()}
	for _, l := range r.Legs {
		if l.Outcome != CloseDone {
			parts = append(parts, fmt.Sprintf("%v %v %s", andon.LegKey{Venue: r.Venue, Symbol: l.Symbol, Leg: l.Leg}, l.Now, l.Outcome))
		}
	}
	if r.Stopped != "" {
		parts = append(parts, "stopped: "+r.Stopped)
	}
	return strings.Join(parts, ", ")
}

// failure is what the plan says and was not done, or nothing.
func (r CloseVenueReport) failure() error {
	if len(r.Left) == 0 && r.Stopped == "" {
		return nil
	}
	err := ErrLeftOpen
	if r.moved {
		err = fmt.Errorf("%w: %w", ErrLeftOpen, ErrPlanMoved)
	}
	why := r.Left
	if r.Stopped != "" {
		why = append([]string{r.Stopped}, why...)
	}
	return fmt.Errorf("%s: %w: %s", r.Venue, err, strings.Join(why, "; "))
}

// String returns the report as WriteTable writes it.
func (r CloseReport) String() string {
	var b bytes.Buffer
	_ = r.WriteTable(&b) // a buffer takes everything
	return b.String()
}

// WriteTable writes the report for people: the verdict first, then every leg, and what a
// person has to look at.
func (r CloseReport) WriteTable(w io.Writer) error {
	t := newTable(w)
	verdict := "FLAT: every venue was read again"
	if !r.Flat() {
		verdict = "NOT FLAT"
	}
	t.row("close-all by %s: %s", r.By, verdict)
	for _, v := range r.Venues {
		t.row("%s\t%s\t%d orders cancelled\tin %v", v.Venue, v.Flat.String(), len(v.Canceled), v.Took.Round(time.Millisecond))
		for _, l := range v.Legs {
			t.row("%v\t%s\twas %v\tis %v\tclosed %v\t%s", andon.LegKey{Venue: v.Venue, Symbol: l.Symbol, Leg: l.Leg}, l.Outcome, l.Before, l.Now, l.Closed, l.Why)
		}
		for _, id := range v.InFlight {
			t.row("%s\tOUTCOME UNKNOWN\torder %s", v.Venue, id)
		}
		if v.Stopped != "" {
			t.row("%s\tSTOPPED\t%s", v.Venue, v.Stopped)
		}
		for _, why := range v.Left {
			t.row("%s\tLOOK AT\t%s", v.Venue, why)
		}
	}
	return t.flush()
}
