package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/andon-go/andon"
)

// Discrepancy is one way in which book and venue disagree about one thing, with
// the rows of both sides as evidence.
type Discrepancy struct {
	Kind Kind `json:"kind"`
	Key  Key  `json:"key"`

	// InBook and OnVenue say what each side has, for people: "1.5", "none".
	InBook  string `json:"in_book"`
	OnVenue string `json:"on_venue"`

	Book  Evidence `json:"book"`
	Venue Evidence `json:"venue"`
}

// String returns one line, such as
// "quantity: position coinbase/BTC-USD: book 1.5, venue 1".
func (d Discrepancy) String() string {
	return fmt.Sprintf("%v: %v: book %s, venue %s", d.Kind, d.Key, d.InBook, d.OnVenue)
}

// Evidence is every row that one side has for a key. It has at most one kind of row.
type Evidence struct {
	Positions []andon.Position `json:"positions,omitempty"`
	Orders    []andon.Order    `json:"orders,omitempty"`
	Fills     []andon.Fill     `json:"fills,omitempty"`
	Reports   []OrderReport    `json:"reports,omitempty"`
	Balances  []andon.Balance  `json:"balances,omitempty"`
}

// Unknown is something about which the venue gave no word. It is not a
// discrepancy, and nothing follows from it.
type Unknown struct {
	Key Key    `json:"key"`
	Why string `json:"why"`
}

// Comparison is the outcome of comparing one subject. What its lists hold is
// ordered by key and kind.
type Comparison struct {
	Subject Subject `json:"subject"`

	// InBook and OnVenue count the things that each side has, repeats and flat legs
	// left out; Agreed those on which both say the same.
	InBook  int `json:"in_book"`
	OnVenue int `json:"on_venue"`
	Agreed  int `json:"agreed"`

	// RepeatsInBook and RepeatsOnVenue count rows that were there before with the
	// same content.
	RepeatsInBook  int `json:"repeats_in_book"`
	RepeatsOnVenue int `json:"repeats_on_venue"`

	// Unpriced counts positions for which the venue gave no entry price, so that only
	// the quantity was compared.
	Unpriced int `json:"unpriced"`

	Discrepancies []Discrepancy `json:"discrepancies"`

	// Pending are differences that an order or a fill explains which is too young for
	// both sides to have seen it. They are no discrepancies yet.
	Pending []Discrepancy `json:"pending"`

	Unknown []Unknown `json:"unknown"`
}

func (c *Comparison) sort() {
	for _, list := range [][]Discrepancy{c.Discrepancies, c.Pending} {
		slices.SortFunc(list, func(a, b Discrepancy) int {
			return cmp.Or(a.Key.compare(b.Key), cmp.Compare(a.Kind, b.Kind))
		})
	}
	slices.SortFunc(c.Unknown, func(a, b Unknown) int { return a.Key.compare(b.Key) })
}

// Report is what one comparison of a book with a venue found.
type Report struct {
	Venue       string       `json:"venue"`
	At          time.Time    `json:"at"`
	Comparisons []Comparison `json:"comparisons"`

	// Failed are the queries without an answer, in the order in which they were
	// made. What they would have been compared with is not compared.
	Failed []*QueryError `json:"-"`

	flat bool
}

// Clean reports whether both sides answered every query and agree in everything.
// What is Dust, pending or unknown does not stand against it; it is listed.
func (r *Report) Clean() bool {
	return r != nil && len(r.Comparisons) > 0 && len(r.Failed) == 0 && len(r.matters()) == 0
}

// matters are the discrepancies that an order could put right.
func (r *Report) matters() []Discrepancy {
	return slices.DeleteFunc(r.Discrepancies(), func(d Discrepancy) bool { return d.Kind == Dust })
}

// Flat reports whether the venue said, in this comparison, that there is no
// position on any leg and no live order in any list. False also means that it is
// not known.
func (r *Report) Flat() bool { return r != nil && r.flat && len(r.Failed) == 0 }

// Discrepancies returns those of all comparisons.
func (r *Report) Discrepancies() []Discrepancy {
	var all []Discrepancy
	for _, c := range r.Comparisons {
		all = append(all, c.Discrepancies...)
	}
	return all
}

// Pending returns those of all comparisons.
func (r *Report) Pending() []Discrepancy {
	var all []Discrepancy
	for _, c := range r.Comparisons {
		all = append(all, c.Pending...)
	}
	return all
}

// Unknown returns those of all comparisons.
func (r *Report) Unknown() []Unknown {
	var all []Unknown
	for _, c := range r.Comparisons {
		all = append(all, c.Unknown...)
	}
	return all
}

// Err returns the queries without an answer, joined, or nil.
func (r *Report) Err() error {
	var errs []error
	for _, q := range r.Failed {
		errs = append(errs, q)
	}
	return errors.Join(errs...)
}

// WriteTable writes the report for people: what was compared, what gave no answer,
// each discrepancy, what is pending, and how much is unknown.
func (r *Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "venue %s at %s\n", r.Venue, r.At.UTC().Format(time.RFC3339))
	fmt.Fprintln(tw, "compared\tbook\tvenue\tagreed\tdiffer\tpending\tunknown\trepeats")
	for _, c := range r.Comparisons {
		fmt.Fprintf(tw, "%v\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", c.Subject, c.InBook, c.OnVenue, c.Agreed,
			len(c.Discrepancies), len(c.Pending), len(c.Unknown), c.RepeatsInBook+c.RepeatsOnVenue)
	}
	for _, q := range r.Failed {
		fmt.Fprintf(tw, "NO ANSWER\t%s\n", cell(q.Error()))
	}
	writeRows(tw, "kind", r.Discrepancies())
	writeRows(tw, "pending", r.Pending())
	return tw.Flush()
}

func writeRows(tw *tabwriter.Writer, head string, ds []Discrepancy) {
	if len(ds) > 0 {
		fmt.Fprintf(tw, "%s\twhat\tbook\tvenue\n", head)
	}
	for _, d := range ds {
		fmt.Fprintf(tw, "%v\t%s\t%s\t%s\n", d.Kind, cell(d.Key.String()), cell(d.InBook), cell(d.OnVenue))
	}
}

// cell keeps what a venue or a person wrote from breaking a table.
func cell(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
