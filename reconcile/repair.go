package reconcile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/andon-go/andon"
)

// repairOf makes the repair of one key from all its discrepancies. The error is the
// reason why there is none.
func repairOf(ds []Discrepancy) (Repair, error) {
	d := ds[0]
	if slices.ContainsFunc(ds, func(d Discrepancy) bool { return d.Kind == Stale }) {
		return Repair{}, errors.New("the venue's row is too old to be believed: ask it again")
	}
	if venueDisagrees(d) {
		return Repair{}, errors.New("the venue gave several answers that exclude each other: ask it again")
	}
	switch d.Key.Subject {
	case Positions:
		return repairPosition(ds), nil
	case LiveOrders:
		return repairLiveOrder(d)
	case Executions:
		return repairExecution(d)
	case Balances:
		return repairBalance(d), nil
	}
	return Repair{}, fmt.Errorf("no repair is known for %v", d.Key.Subject)
}

func venueDisagrees(d Discrepancy) bool {
	if d.Kind != Duplicate {
		return false
	}
	v := d.Venue
	return disagree(v.Positions, positionShape.same) || disagree(v.Orders, orderShape.same) ||
		disagree(v.Balances, balanceShape.same) || len(v.Reports) > 1
}

func disagree[T any](rows []T, same func(a, b *T) bool) bool {
	for i := range rows {
		if !same(&rows[0], &rows[i]) {
			return true
		}
	}
	return false
}

// repairPosition makes the book's rows of a leg what the venue says. An entry price
// that the venue does not give is kept where the side stays the same.
func repairPosition(ds []Discrepancy) Repair {
	d := ds[0]
	rows := &Rows[andon.Position]{Before: orEmpty(d.Book.Positions), After: []andon.Position{}}
	r := Repair{Action: CloseOut, Why: "the venue has no such position", Edit: Edit{Key: d.Key, Positions: rows}}
	var v *andon.Position
	for i := range d.Venue.Positions {
		if p := held(&d.Venue.Positions[i]); p != nil && (v == nil || positionShape.newer(p, v)) {
			v = p
		}
	}
	if v == nil {
		return r
	}
	after := *v
	r.Action, r.Why = Adopt, "only the venue has it"
	for _, b := range rows.Before {
		if b.Quantity.IsZero() {
			continue
		}
		r.Action, r.Why = Correct, "the venue says "+positionSays(*v)
		if after.Entry.IsZero() && b.Quantity.Sign() == v.Quantity.Sign() {
			after.Entry = b.Entry
		}
	}
	if slices.ContainsFunc(ds, func(d Discrepancy) bool { return d.Kind == Fee }) {
		r.Action, r.Why = BookFee, "the fees of its fills were taken in what was bought: the venue has "+after.Quantity.String()
	}
	rows.After = append(rows.After, after)
	return r
}

func repairLiveOrder(d Discrepancy) (Repair, error) {
	rows := &Rows[andon.Order]{Before: orEmpty(d.Book.Orders), After: []andon.Order{}}
	if d.Kind == Missing {
		return Repair{Action: CloseOut, Why: "the venue, asked by its id, knows no such order", Edit: Edit{Key: d.Key, Orders: rows}}, nil
	}
	if len(d.Venue.Orders) == 0 {
		return Repair{}, errors.New("where the order went is not known: look it up by its id and book the outcome")
	}
	v := d.Venue.Orders[0]
	for _, o := range d.Venue.Orders {
		if orderShape.newer(&o, &v) {
			v = o
		}
	}
	r := Repair{Action: Correct, Why: "the venue says " + orderSays(v)}
	if len(d.Book.Orders) == 0 {
		r.Action, r.Why = Adopt, "only the venue has it live"
	}
	rows.After = append(rows.After, v)
	r.Edit = Edit{Key: d.Key, Orders: rows}
	return r, nil
}

// repairBalance makes the book's row of a currency what the venue says.
func repairBalance(d Discrepancy) Repair {
	rows := &Rows[andon.Balance]{Before: orEmpty(d.Book.Balances), After: []andon.Balance{}}
	r := Repair{Action: CloseOut, Why: "the venue has none", Edit: Edit{Key: d.Key, Balances: rows}}
	for i := range d.Venue.Balances {
		if v := heldBalance(&d.Venue.Balances[i]); v != nil {
			rows.After = []andon.Balance{*v}
			r.Action, r.Why = Correct, "the venue says "+balanceSays(*v)
			if len(rows.Before) == 0 {
				r.Action, r.Why = Adopt, "only the venue has it"
			}
		}
	}
	return r
}

// orEmpty keeps JSON from saying null.
func orEmpty[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}
