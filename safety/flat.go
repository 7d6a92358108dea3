package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/andon-go/andon"
)

// FlatReport says whether an account has nothing open. The zero value is not flat.
type FlatReport struct {
	At time.Time // when reading it began

	// Flat is true only when every query was answered, no leg has a position, and no
	// order is live in any list.
	Flat bool

	Positions []andon.Position // what is open, as far as it was read
	Orders    []andon.Order    // what is live or may be, as far as it was read
}

// ReadFlat re-reads an account and says whether it is flat. Any query without an
// answer, and any row that cannot be right, is an error, and then the report is never
// flat; it still lists what was read. An order whose state is not known counts as
// live.
//
// Live orders are read before the positions and again after them, since an order that
// fills between the two queries would be in neither. What is still on its way to the
// venue is on no list: drain the switch first.
func ReadFlat(ctx context.Context, a andon.Account) (FlatReport, error) {
	r, wrong, err := readFlat(ctx, a)
	errs := []error{err}
	for _, w := range wrong {
		errs = append(errs, w)
	}
	return r, errors.Join(errs...)
}

// wrongRow is a row of a venue that cannot be right.
type wrongRow struct {
	position bool         // or an order
	leg      andon.LegKey // as far as it says
	why      error
}

func (w wrongRow) Error() string { return "not known to be flat: " + w.why.Error() }

// readFlat is ReadFlat with the rows that cannot be right apart from the queries that have
// no answer. The report lists the rows too, and is not flat.
func readFlat(ctx context.Context, a andon.Account) (r FlatReport, wrong []wrongRow, _ error) {
	r.At = time.Now()
	before, beforeErr := a.Orders(ctx)
	positions, posErr := a.Positions(ctx)
	after, afterErr := a.Orders(ctx)

	var errs []error
	query := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("not known to be flat: %s: %w", what, err))
		}
	}
	query("live orders", beforeErr)
	query("positions", posErr)
	query("live orders, second reading", afterErr)
	for i, p := range positions {
		if err := p.Validate(); err != nil {
			wrong = append(wrong, wrongRow{true, p.Key(), fmt.Errorf("positions: row %d, %v: %w", i+1, p.Key(), err)})
		}
		if !p.Quantity.IsZero() {
			r.Positions = append(r.Positions, p)
		}
	}
	r.Orders = liveOrders(before, after)
	known := len(errs) == 0 && len(wrong) == 0
	r.Flat = known && len(r.Positions) == 0 && len(r.Orders) == 0
	return r, wrong, errors.Join(errs...)
}

// liveOrders returns what may be live by either reading. An order that has gone since
// the first may have filled after the positions were read, so it counts until the
// account is read again.
func liveOrders(before, after []andon.Order) []andon.Order {
	var live []andon.Order
	known := map[[3]string]bool{}
	for _, list := range [][]andon.Order{after, before} {
		for _, c := range distinctOrders(list) {
			id := [3]string{c.order.Venue, c.order.VenueID, c.order.ClientID}
			named := c.order.VenueID != "" || c.order.ClientID != ""
			if c.order.Status.Done() || named && known[id] {
				continue
			}
			known[id] = true
			live = append(live, c.order)
		}
	}
	return live
}

// String returns the outcome in one line.
func (r FlatReport) String() string {
	switch {
	case r.Flat:
		return "flat"
	case len(r.Positions)+len(r.Orders) == 0:
		return "NOT KNOWN to be flat"
	}
	return fmt.Sprintf("NOT FLAT: %d positions, %d live orders", len(r.Positions), len(r.Orders))
}

// MarshalJSON writes the report, unknown fields of an order by name.
func (r FlatReport) MarshalJSON() ([]byte, error) {
	type position struct {
		Leg      string        `json:"leg"`
		Quantity andon.Decimal `json:"quantity"`
	}
	type order struct {
		Leg       string        `json:"leg"`
		ClientID  string        `json:"client_id,omitempty"`
		VenueID   string        `json:"venue_id,omitempty"`
		Side      string        `json:"side"`
		Kind      string        `json:"kind"`
		Remaining andon.Decimal `json:"remaining"`
		Status    string        `json:"status"`
	}
	out := struct {
		At        time.Time  `json:"at"`
		Flat      bool       `json:"flat"`
		Positions []position `json:"positions"`
		Orders    []order    `json:"orders"`
	}{r.At, r.Flat, []position{}, []order{}}
	for _, p := range r.Positions {
		out.Positions = append(out.Positions, position{p.Key().String(), p.Quantity})
	}
	for _, o := range r.Orders {
		out.Orders = append(out.Orders, order{o.Key().String(), o.ClientID, o.VenueID, o.Side.String(), o.Kind.String(), o.Remaining(), o.Status.String()})
	}
	return json.Marshal(out)
}

// WriteTable writes the report for people.
func (r FlatReport) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var errs []error
	row := func(cells ...string) {
		_, err := fmt.Fprintln(tw, strings.Map(printableTab, strings.Join(cells, "\t")))
		errs = append(errs, err)
	}
	row(r.String())
	for _, p := range r.Positions {
		row("position", p.Key().String(), p.Quantity.String())
	}
	for _, o := range r.Orders {
		row("order", o.Key().String(), fmt.Sprintf("%v %v", o.Side, o.Remaining()), o.Kind.String(), o.Status.String(), orderName(o))
	}
	return errors.Join(append(errs, tw.Flush())...)
}

func printableTab(r rune) rune {
	if r == '\t' {
		return r
	}
	return printable(r)
}
