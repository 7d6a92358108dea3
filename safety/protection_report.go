package safety

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/andon-go/andon"
)

// ProtectionReport says of every open leg how it is protected. The zero value is the
// report of a check that never was: it protects nothing.
type ProtectionReport struct {
	At           time.Time       `json:"at"`           // the moment for which it was judged
	Requirements Requirements    `json:"requirements"` // with their defaults filled in
	Legs         []LegProtection `json:"legs"`         // every open leg, ordered by name

	// Strays are conditional orders on legs without a position, and those without a
	// leg in hedge mode.
	Strays []StopCheck `json:"strays"`
}

// LegProtection is one open leg, and the conditional orders on it.
type LegProtection struct {
	Position  andon.Position
	Covered   andon.Decimal // of the position's quantity, without its sign
	Uncovered andon.Decimal // the rest of it
	Problems  []Finding
	Stops     []StopCheck // all conditional orders on the leg
}

// StopCheck is one conditional order, and what keeps it from being protection.
type StopCheck struct {
	Order    andon.Order
	Covers   bool
	Distance andon.Decimal // of the trigger from the mark, as a ratio of the mark; zero where it is not known
	Findings []Finding     // empty when it covers
}

// Protected reports whether the leg is covered whole.
func (l LegProtection) Protected() bool {
	return !slices.ContainsFunc(l.Problems, func(f Finding) bool { return f.Problem != ProblemOvercovered })
}

// Protected reports whether the venue was read and every open leg is covered whole.
// With no open leg it is true.
func (r ProtectionReport) Protected() bool { return !r.At.IsZero() && r.unprotected() == 0 }

func (r ProtectionReport) unprotected() (n int) {
	for _, l := range r.Legs {
		if !l.Protected() {
			n++
		}
	}
	return n
}

// String returns the outcome in one line.
func (r ProtectionReport) String() string {
	switch n := r.unprotected(); {
	case r.At.IsZero():
		return "NOT PROTECTED: nothing was read"
	case n > 0:
		return fmt.Sprintf("NOT PROTECTED: %d of %d open legs", n, len(r.Legs))
	}
	return fmt.Sprintf("protected: all %d open legs", len(r.Legs))
}

// WriteTable writes the report for people: every leg, every order on it and what is
// wrong with it.
func (r ProtectionReport) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var errs []error
	row := func(cells ...string) {
		for len(cells) > 1 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1]
		}
		for i := range cells {
			cells[i] = strings.Map(printable, cells[i])
		}
		_, err := fmt.Fprintln(tw, strings.Join(cells, "\t"))
		errs = append(errs, err)
	}
	row(r.String())
	for _, l := range r.Legs {
		verdict := "protected"
		if !l.Protected() {
			verdict = "NOT PROTECTED"
		}
		row(l.Position.Key().String(), l.Position.Quantity.String(), "mark "+l.Position.Mark.String(),
			"covered "+l.Covered.String(), verdict, findings(l.Problems))
		for _, s := range l.Stops {
			row(s.cells("covers")...)
		}
	}
	for _, s := range r.Strays {
		row(s.cells("")...)
	}
	return errors.Join(append(errs, tw.Flush())...)
}

func (s StopCheck) cells(verdict string) []string {
	o := s.Order
	if !s.Covers {
		verdict = "no cover"
	}
	away := ""
	if s.Distance.Sign() > 0 {
		away = percent(s.Distance, nil) + " away"
	}
	return []string{"  " + orderName(o), fmt.Sprintf("%v %v", o.Side, o.Remaining()),
		fmt.Sprintf("%v at %v", o.Kind, o.Trigger), away, verdict, findings(s.Findings)}
}

func findings(fs []Finding) string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "; ")
}

// orderName is the id by which a person finds an order.
func orderName(o andon.Order) string { return cmp.Or(o.ClientID, o.VenueID, "(no id)") }

// printable keeps a venue's text from moving the cursor of a terminal.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// percent shows a ratio in at most two places, rounded up.
func percent(ratio andon.Decimal, err error) string {
	if err == nil {
		if hundred, err := ratio.Quo(andon.NewDecimal(1, 2), 2, andon.Up); err == nil {
			return hundred.String() + " %"
		}
	}
	return "further than can be told"
}

func (l *LegProtection) find(p Problem, format string, args ...any) {
	l.Problems = append(l.Problems, Finding{p, fmt.Sprintf(format, args...)})
}

func (s *StopCheck) find(p Problem, format string, args ...any) {
	s.Findings = append(s.Findings, Finding{p, fmt.Sprintf(format, args...)})
}

// sort makes the report independent of the order in which the venue gave its rows.
func (r *ProtectionReport) sort() {
	slices.SortFunc(r.Legs, func(a, b LegProtection) int { return compareLegs(a.Position.Key(), b.Position.Key()) })
	for _, l := range r.Legs {
		sortStops(l.Stops)
	}
	sortStops(r.Strays)
}

func sortStops(stops []StopCheck) {
	slices.SortFunc(stops, func(a, b StopCheck) int {
		c := cmp.Or(compareLegs(a.Order.Key(), b.Order.Key()),
			cmp.Compare(a.Order.ClientID, b.Order.ClientID), cmp.Compare(a.Order.VenueID, b.Order.VenueID))
		if c == 0 {
			c = cmp.Compare(a.fact(), b.fact())
		}
		return c
	})
}

func compareLegs(a, b andon.LegKey) int {
	return cmp.Or(cmp.Compare(a.Venue, b.Venue), cmp.Compare(a.Symbol, b.Symbol), cmp.Compare(a.Leg, b.Leg))
}

// fact is what a plan remembers of an order on a leg.
func (s StopCheck) fact() string {
	o := s.Order
	t := fmt.Sprintf("%q/%q %v %v %v left of %v at %v limit %v, %v", o.ClientID, o.VenueID, o.Side, o.Kind, o.Remaining(), o.Quantity, o.Trigger, o.Price, o.Status)
	if o.ReduceOnly {
		t += ", reduce-only"
	}
	if !o.ExpiresAt.IsZero() {
		t += ", until " + o.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return t
}

// MarshalJSON writes the leg with every number as a string. What the venue gave
// wrong is written too, which andon.Position's own JSON would refuse.
func (l LegProtection) MarshalJSON() ([]byte, error) {
	p := l.Position
	return json.Marshal(struct {
		Leg       string        `json:"leg"`
		Quantity  andon.Decimal `json:"quantity"`
		Entry     andon.Decimal `json:"entry"`
		Mark      andon.Decimal `json:"mark"`
		Protected bool          `json:"protected"`
		Covered   andon.Decimal `json:"covered"`
		Uncovered andon.Decimal `json:"uncovered"`
		Problems  []Finding     `json:"problems,omitempty"`
		Stops     []StopCheck   `json:"stops,omitempty"`
	}{p.Key().String(), p.Quantity, p.Entry, p.Mark, l.Protected(), l.Covered, l.Uncovered, l.Problems, l.Stops})
}

// MarshalJSON writes the order as the venue gave it, unknown fields by name.
func (s StopCheck) MarshalJSON() ([]byte, error) {
	o := s.Order
	return json.Marshal(struct {
		ClientID   string        `json:"client_id,omitempty"`
		VenueID    string        `json:"venue_id,omitempty"`
		Leg        string        `json:"leg"`
		Side       string        `json:"side"`
		Kind       string        `json:"kind"`
		Remaining  andon.Decimal `json:"remaining"`
		Trigger    andon.Decimal `json:"trigger"`
		Status     string        `json:"status"`
		ReduceOnly bool          `json:"reduce_only"`
		ExpiresAt  time.Time     `json:"expires_at,omitzero"`
		Distance   andon.Decimal `json:"distance"`
		Covers     bool          `json:"covers"`
		Findings   []Finding     `json:"findings,omitempty"`
	}{o.ClientID, o.VenueID, o.Key().String(), o.Side.String(), o.Kind.String(), o.Remaining(), o.Trigger,
		o.Status.String(), o.ReduceOnly, o.ExpiresAt, s.Distance, s.Covers, s.Findings})
}
