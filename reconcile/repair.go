package reconcile

import (
	"errors"
	"fmt"

	"github.com/andon-go/andon"
)

// repairOf makes the repair of one key from all its discrepancies. The error is the
// reason why there is none.
func repairOf(ds []Discrepancy) (Repair, error) {
	d := ds[0]
	if venueDisagrees(d) {
		return Repair{}, errors.New("the venue gave several answers that exclude each other: ask it again")
	}
	switch d.Key.Subject {
	case Positions:
		return repairPosition(d), nil
	case LiveOrders:
		return repairLiveOrder(d)
	case Executions:
		return repairExecution(d)
	}
	return Repair{}, fmt.Errorf("no repair is known for %v", d.Key.Subject)
}

func venueDisagrees(d Discrepancy) bool {
	if d.Kind != Duplicate {
		return false
	}
	v := d.Venue
	return disagree(v.Positions, positionShape.same) || disagree(v.Orders, orderShape.same) || len(v.Reports) > 1
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
func repairPosition(d Discrepancy) Repair {
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
	rows.After = append(rows.After, after)
	return r
}

func repairLiveOrder(d Discrepancy) (Repair, error) {
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
	r.Edit = Edit{Key: d.Key, Orders: &Rows[andon.Order]{Before: orEmpty(d.Book.Orders), After: []andon.Order{v}}}
	return r, nil
}

// orEmpty keeps JSON from saying null.
func orEmpty[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}
