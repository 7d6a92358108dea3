package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mismatch is one thing about which book and venue have disagreed in one comparison
// after the other.
type Mismatch struct {
	Key Key `json:"key"`

	// What says in which ways they disagreed last, for people.
	What string `json:"what"`

	// Since is when the first of those comparisons was, and Seen how many there were.
	// A comparison that could not judge the thing neither counts nor starts anew.
	Since time.Time `json:"since"`
	Seen  int       `json:"seen"`

	// Confirmed says that it counts: Config.Confirmations and Config.ConfirmOver are
	// reached.
	Confirmed bool `json:"confirmed"`
}

// String returns one line.
func (m Mismatch) String() string {
	state := "not confirmed"
	if m.Confirmed {
		state = "confirmed"
	}
	return fmt.Sprintf("%s, %s: seen %d times since %s", m.What, state, m.Seen, m.Since.UTC().Format(time.RFC3339))
}

// Acceptance is a named person's word that one discrepancy may stand as it is. It
// counts for exactly this difference: once a value moves, or the sides agree, it is
// over.
type Acceptance struct {
	Kind    Kind      `json:"kind"`
	Key     Key       `json:"key"`
	InBook  string    `json:"in_book"`
	OnVenue string    `json:"on_venue"`
	By      string    `json:"by"`
	Note    string    `json:"note"`
	At      time.Time `json:"at"`
}

func (a Acceptance) of(d Discrepancy) bool {
	return a.Kind == d.Kind && a.Key == d.Key && a.InBook == d.InBook && a.OnVenue == d.OnVenue
}

// watch is what one comparison after the other has shown. It is a value that a mutex
// guards, and has no clock and no side effects.
type watch struct {
	mismatches map[Key]Mismatch
	accepted   []Acceptance

	// holds are the reasons of the Reducing holds that are ours to lift, one for each
	// cause at most.
	holds map[cause]string

	// confirmed says that a mismatch was confirmed and that nobody has resumed since:
	// until then no hold is lifted, not by us.
	confirmed bool

	// halt is the reason given for the confirmed mismatch that stands, or empty.
	halt string

	pending  map[Key]time.Time // since when each thing has been pending without agreeing
	complete time.Time         // when both sides last answered everything
	clean    time.Time         // when they last agreed
}

// cause is why trading is narrowed.
type cause string

const (
	start    cause = "start"    // nothing was compared yet
	silence  cause = "silence"  // nothing complete was heard for too long
	mismatch cause = "mismatch" // the sides disagree
)

func newWatch() *watch {
	return &watch{mismatches: map[Key]Mismatch{}, pending: map[Key]time.Time{}, holds: map[cause]string{}}
}

// observe takes in one comparison.
func (w *watch) observe(r *Report, now time.Time, c *Config) {
	judged := map[Subject]bool{}
	for _, cmp := range r.Comparisons {
		judged[cmp.Subject] = true
	}
	pending := w.observePending(r, now, judged)
	found := map[Key][]string{}
	for _, d := range r.matters() {
		if !w.accepts(d) {
			found[d.Key] = append(found[d.Key], d.String())
		}
	}
	for _, d := range r.Pending() {
		if d.Kind != Dust && now.Sub(w.pending[d.Key]) > c.MaxPending && !w.accepts(d) {
			found[d.Key] = append(found[d.Key], d.String()+fmt.Sprintf(", pending since %s", w.pending[d.Key].UTC().Format(time.RFC3339)))
		}
	}
	for key := range w.mismatches {
		if judged[key.Subject] && found[key] == nil && !pending[key] {
			delete(w.mismatches, key)
		}
	}
	for key, what := range found {
		w.find(key, strings.Join(what, "; "), now, c)
	}
	w.forgetAccepted(r, judged)
	if len(r.Failed) > 0 {
		return
	}
	w.complete = now
	if r.Clean() {
		w.clean = now
	}
}

func (w *watch) observePending(r *Report, now time.Time, judged map[Subject]bool) map[Key]bool {
	pending := map[Key]bool{}
	for _, d := range r.Pending() {
		pending[d.Key] = true
		if _, ok := w.pending[d.Key]; !ok {
			w.pending[d.Key] = now
		}
	}
	for key := range w.pending {
		if judged[key.Subject] && !pending[key] {
			delete(w.pending, key)
		}
	}
	return pending
}

func (w *watch) find(key Key, what string, now time.Time, c *Config) {
	m, ok := w.mismatches[key]
	if !ok {
		m = Mismatch{Key: key, Since: now}
	}
	m.What = what
	m.Seen++
	if !m.Confirmed && m.Seen >= c.Confirmations && now.Sub(m.Since) >= c.ConfirmOver {
		m.Confirmed = true
		w.confirmed = true
	}
	w.mismatches[key] = m
}

func (w *watch) accepts(d Discrepancy) bool {
	return slices.ContainsFunc(w.accepted, func(a Acceptance) bool { return a.of(d) })
}

// forgetAccepted drops what is not there any more as it was accepted.
func (w *watch) forgetAccepted(r *Report, judged map[Subject]bool) {
	there := slices.Concat(r.Discrepancies(), r.Pending())
	w.accepted = slices.DeleteFunc(w.accepted, func(a Acceptance) bool {
		return judged[a.Key.Subject] && !slices.ContainsFunc(there, a.of)
	})
}

// sorted returns the mismatches, confirmed ones first, then by key.
func (w *watch) sorted() []Mismatch {
	all := make([]Mismatch, 0, len(w.mismatches))
	for _, m := range w.mismatches {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Mismatch) int {
		if a.Confirmed != b.Confirmed {
			if a.Confirmed {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Key.compare(b.Key), cmp.Compare(a.What, b.What))
	})
	return all
}

// pull is what is to be done to trading.
type pull uint8

const (
	pullNothing pull = iota
	pullReduce
	pullHalt
	pullRelax
)

// next decides what is to be done to trading, and with which words. It may be asked
// as often as one likes.
func (w *watch) next(complete bool) (pull, string) {
	standing := w.sorted()
	switch {
	case len(standing) > 0 && standing[0].Confirmed:
		if w.halt == "" {
			w.halt = "book and venue disagree: " + inAll(standing)
		}
		clear(w.holds) // they belong to a confirmed mismatch now
		return pullHalt, w.halt
	case len(standing) > 0:
		w.halt = ""
		return pullReduce, w.narrow(mismatch, "book and venue disagree, not confirmed yet: "+inAll(standing))
	}
	w.halt = ""
	if complete && len(w.holds) > 0 && !w.confirmed && len(w.pending) == 0 {
		return pullRelax, ""
	}
	return pullNothing, ""
}

// narrow returns the words of the hold for this cause, which are these unless it is
// there already. Once a mismatch was confirmed no hold is ours.
func (w *watch) narrow(c cause, reason string) string {
	if w.confirmed {
		return reason
	}
	if w.holds[c] == "" {
		w.holds[c] = reason
	}
	return w.holds[c]
}

func inAll(standing []Mismatch) string {
	text := standing[0].What
	if n := len(standing) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}
