package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/andon-go/andon"
)

// ErrAltered says that a plan is not what was written: its content does not give
// its id.
var ErrAltered = errors.New("altered after it was made")

// Plan is what would be done to the book, as data. It is made by [Report.Plan],
// reviewed by a person, and applied by [Reconciler.Apply]. Nobody may change it in
// between: its id is made from all of its content.
type Plan struct {
	ID    string    `json:"id"`
	Venue string    `json:"venue"`
	At    time.Time `json:"at"` // of the comparison

	// Facts are what the venue said of everything that is repaired. What the book
	// said is in the edits themselves.
	Facts []Fact `json:"facts"`

	Repairs []Repair `json:"repairs"` // ordered by key, one a key

	// Left are the discrepancies for which there is no repair, with the reason.
	Left []Left `json:"left"`
}

// Fact is what the venue said of one key.
type Fact struct {
	Key  Key    `json:"key"`
	Says string `json:"says"`
}

// Repair puts one key of the book right.
type Repair struct {
	Action Action `json:"action"`
	Kinds  []Kind `json:"kinds"` // the discrepancies that it removes
	Why    string `json:"why"`
	Edit   Edit   `json:"edit"`
}

// Left is a discrepancy that stays.
type Left struct {
	Kind Kind   `json:"kind"`
	Key  Key    `json:"key"`
	Why  string `json:"why"`
}

// Plan makes the repairs that would let the report's venue and book agree. It does
// nothing else. It is ErrUnanswered when a query of the report has no answer: half of
// the facts is not enough to change a book.
func (r *Report) Plan() (*Plan, error) {
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("no plan: %w", err)
	}
	if len(r.Comparisons) == 0 {
		return nil, fmt.Errorf("no plan: %w: nothing was compared", ErrUnanswered)
	}
	p := &Plan{Venue: r.Venue, At: r.At.UTC().Round(0), Facts: []Fact{}, Repairs: []Repair{}, Left: []Left{}}
	for _, c := range r.Comparisons {
		for _, ds := range byKey(c.Discrepancies) {
			p.add(ds)
		}
	}
	id, err := p.digest()
	if err != nil {
		return nil, err
	}
	p.ID = id
	return p, nil
}

// byKey splits discrepancies, which are ordered by key.
func byKey(ds []Discrepancy) [][]Discrepancy {
	var groups [][]Discrepancy
	for i, d := range ds {
		if i == 0 || ds[i-1].Key != d.Key {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], d)
	}
	return groups
}

func (p *Plan) add(ds []Discrepancy) {
	repair, err := repairOf(ds)
	if err != nil {
		for _, d := range ds {
			p.Left = append(p.Left, Left{d.Kind, d.Key, err.Error()})
		}
		return
	}
	for _, d := range ds {
		repair.Kinds = append(repair.Kinds, d.Kind)
	}
	p.Repairs = append(p.Repairs, repair)
	p.Facts = append(p.Facts, Fact{ds[0].Key, ds[0].Venue.says()})
}

// says is what a plan remembers of the venue's rows: what was compared, and not the
// mark or the time, which move by themselves, nor how often a row was repeated.
func (e Evidence) says() string {
	var texts []string
	for _, p := range e.Positions {
		if !p.Quantity.IsZero() {
			texts = append(texts, positionSays(p))
		}
	}
	for _, o := range e.Orders {
		texts = append(texts, orderSays(o))
	}
	for _, r := range e.Reports {
		texts = append(texts, r.says())
	}
	for _, b := range e.Balances {
		if heldBalance(&b) != nil {
			texts = append(texts, balanceSays(b))
		}
	}
	if len(texts) == 0 {
		return "none"
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), " and ")
}

// digest is the id that the plan's content gives.
func (p *Plan) digest() (string, error) {
	q := *p
	q.ID = ""
	b, err := json.Marshal(q)
	if err != nil {
		return "", fmt.Errorf("plan: %w", err)
	}
	sum := sha256.Sum256(b)
	return "plan-" + hex.EncodeToString(sum[:]), nil
}

// Verify reports whether the plan is what was made: ErrAltered when its content does
// not give its id, and an error that names the place when it contradicts itself.
func (p *Plan) Verify() error {
	id, err := p.digest()
	if err != nil {
		return err
	}
	if id != p.ID {
		return fmt.Errorf("plan %q: %w: make a new plan", p.ID, ErrAltered)
	}
	if len(p.Facts) != len(p.Repairs) {
		return fmt.Errorf("plan %s: %d facts for %d repairs", p.ID, len(p.Facts), len(p.Repairs))
	}
	seen := map[Key]bool{}
	for i, r := range p.Repairs {
		err := r.Edit.Validate()
		switch {
		case err != nil:
		case seen[r.Edit.Key]:
			err = fmt.Errorf("%v is repaired twice", r.Edit.Key)
		case p.Facts[i].Key != r.Edit.Key:
			err = fmt.Errorf("%v rests on a fact of %v", r.Edit.Key, p.Facts[i].Key)
		case r.Edit.Key.Venue != p.Venue:
			err = fmt.Errorf("%v is not of venue %q", r.Edit.Key, p.Venue)
		}
		if err != nil {
			return fmt.Errorf("plan %s: repairs[%d]: %w", p.ID, i, err)
		}
		seen[r.Edit.Key] = true
	}
	return nil
}

// Empty reports whether the plan would change nothing.
func (p *Plan) Empty() bool { return len(p.Repairs) == 0 }

// WriteJSON writes the plan so that DecodePlan reads the same plan.
func (p *Plan) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(p)
}

// DecodePlan reads what WriteJSON wrote and nothing more. Errors name the field or
// the place; a plan that was changed by hand is ErrAltered.
func DecodePlan(data []byte) (*Plan, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("plan: line %d: %w", lineOf(data, dec, err), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("plan: there is more after the plan")
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	return &p, nil
}

// lineOf returns the line at which decoding stopped, counted from 1.
func lineOf(data []byte, dec *json.Decoder, err error) int {
	at := dec.InputOffset()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = syntax.Offset
	}
	return 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n"))
}

// WriteTable writes the plan for people: every repair with its reason and its rows
// before and after, and what is left.
func (p *Plan) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\nvenue %s, facts of %s, repairs of the book only: %d\n",
		p.ID, p.Venue, p.At.Format(time.RFC3339), len(p.Repairs))
	for i, r := range p.Repairs {
		fmt.Fprintf(tw, "%d\t%v\t%s\t%s\n", i+1, r.Action, cell(r.Edit.Key.String()), cell(r.Why))
		before, after := r.Edit.lines()
		for _, l := range before {
			fmt.Fprintf(tw, "\t-\t%s\t\n", cell(l))
		}
		for _, l := range after {
			fmt.Fprintf(tw, "\t+\t%s\t\n", cell(l))
		}
	}
	for _, l := range p.Left {
		fmt.Fprintf(tw, "left\t%v\t%s\t%s\n", l.Kind, cell(l.Key.String()), cell(l.Why))
	}
	return tw.Flush()
}

// lines says which rows an edit removes and which it adds.
func (e Edit) lines() (removed, added []string) {
	switch {
	case e.Positions != nil:
		return diff(*e.Positions, positionSays)
	case e.Orders != nil:
		return diff(*e.Orders, orderSays)
	case e.Balances != nil:
		return diff(*e.Balances, balanceSays)
	case e.Fills != nil:
		return diff(*e.Fills, func(f andon.Fill) string { return f.ID + " " + fillSays(f) })
	}
	return nil, nil
}

func diff[T any](rows Rows[T], says func(T) string) (removed, added []string) {
	left := map[string]int{}
	for _, r := range rows.Before {
		left[rowText(r)]++
	}
	for _, r := range rows.After {
		if text := rowText(r); left[text] > 0 {
			left[text]--
		} else {
			added = append(added, says(r))
		}
	}
	for _, r := range rows.Before {
		if text := rowText(r); left[text] > 0 {
			left[text]--
			removed = append(removed, says(r))
		}
	}
	return removed, added
}
