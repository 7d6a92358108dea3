package fleet

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/safety"
)

// Hold is one reason why the fleet is halted.
type Hold struct {
	ID     string    `json:"id"`     // of this hold only
	By     string    `json:"by"`     // the person or component that halted the fleet
	Reason string    `json:"reason"` // in words for the person who resumes
	At     time.Time `json:"at"`     // by the clock of the machine it was placed on
}

// String returns the hold in one line.
func (h Hold) String() string {
	return fmt.Sprintf("halted by %s since %s: %s", h.By, h.At.UTC().Format(time.RFC3339), h.Reason)
}

// order is the fleet's standing: halted while it has a hold.
type order struct {
	Version    int               `json:"version"`
	Generation uint64            `json:"generation"` // rises with every halt and resume
	Holds      []Hold            `json:"holds"`
	Resumed    safety.Resumption `json:"resumed,omitzero"`
}

// member is what a member says of itself.
type member struct {
	Version int           `json:"version"`
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Host    string        `json:"host"`
	PID     int           `json:"pid"`
	Joined  time.Time     `json:"joined"`   // by its own clock, for people
	Lease   time.Duration `json:"lease_ns"` // how long it may go on without hearing

	Seen     uint64   `json:"seen"`                // the highest generation it has read
	Closed   uint64   `json:"closed"`              // the generation for which its gate is closed; zero while it is not
	Settled  bool     `json:"settled"`             // closed, and nothing is in flight
	InFlight []string `json:"in_flight,omitempty"` // closed: client ids of what is
}

func (m *member) title() string { return fmt.Sprintf("%s (%s)", m.Name, m.ID) }

const (
	version  = 1
	maxHolds = 32
	maxText  = 1000 // bytes of a name, a reason or a note
)

// parseOrder reads the fleet's order. Whatever is not exactly that is an error.
func parseOrder(b []byte) (order, error) {
	var o order
	if err := strict(b, &o); err != nil {
		return order{}, err
	}
	switch {
	case o.Version != version:
		return order{}, fmt.Errorf("version %d, want %d", o.Version, version)
	case o.Generation == 0:
		return order{}, errors.New("generation is missing")
	case len(o.Holds) == 0 && (o.Resumed.By == "" || o.Resumed.Note == ""):
		return order{}, errors.New("it has no hold, and nobody who resumed")
	}
	seen := map[string]bool{}
	for _, h := range o.Holds {
		if h.ID == "" || h.By == "" || h.Reason == "" || seen[h.ID] {
			return order{}, fmt.Errorf("hold %q is incomplete or there twice", h.ID)
		}
		seen[h.ID] = true
	}
	return o, nil
}

// parseMember reads what the member with that id says of itself.
func parseMember(id string, b []byte) (*member, error) {
	m := &member{}
	if err := strict(b, m); err != nil {
		return nil, err
	}
	switch {
	case m.Version != version:
		return nil, fmt.Errorf("version %d, want %d", m.Version, version)
	case m.ID != id:
		return nil, fmt.Errorf("it is of %q", m.ID)
	case m.Lease < minLease || m.Lease > maxLease:
		return nil, fmt.Errorf("lease %v", m.Lease)
	case m.Settled && (m.Closed == 0 || len(m.InFlight) > 0), m.Closed > m.Seen:
		return nil, errors.New("it contradicts itself")
	}
	return m, nil
}

// strict reads one JSON value that has exactly the fields of v.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after it")
	}
	return nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of plain structs: cannot be
	}
	return b
}

// newHold fills in what a halt leaves out, rather than refusing it.
func newHold(by, reason string) Hold {
	if strings.TrimSpace(by) == "" {
		by = "somebody who gave no name"
	}
	if strings.TrimSpace(reason) == "" {
		reason = "no reason given"
	}
	return Hold{ID: rand.Text(), By: bounded(by), Reason: bounded(reason), At: time.Now().Round(0)}
}

func bounded(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + " (cut)"
}

// with returns the order with one hold more. One that says the same gives way, so that
// pulling the cord again is news to whoever has seen the first pull; so do the oldest of
// very many.
func (o order) with(h Hold, generation uint64) order {
	holds := slices.DeleteFunc(slices.Clone(o.Holds), func(x Hold) bool { return x.By == h.By && x.Reason == h.Reason })
	if n := len(holds) - (maxHolds - 1); n > 0 {
		holds = slices.Delete(holds, 0, n)
	}
	return order{Version: version, Generation: generation, Holds: append(holds, h), Resumed: o.Resumed}
}

func (o order) has(id string) bool {
	return slices.ContainsFunc(o.Holds, func(h Hold) bool { return h.ID == id })
}
