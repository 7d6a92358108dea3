package reconcile

import (
	"fmt"

	"github.com/andon-go/andon"
)

// CompareLiveOrders compares the orders that the book holds for live with all that
// the venue has live, of both lists: side, quantity and what is filled of it, price and
// trigger, kind and reduce-only. Orders that are done in the book are looked at only
// when the venue has them live. An order that is live in the book alone is a State, not
// a Missing: where it went is not known until it is looked up.
func CompareLiveOrders(book, venue []andon.Order) Comparison {
	ids := map[Key]uint32{}
	b, v := loadOrders(ids, book), loadOrders(ids, venue)
	c := Comparison{Subject: LiveOrders, RepeatsInBook: b.repeats, RepeatsOnVenue: v.repeats}
	for key, id := range ids {
		compareLiveOrder(&c, key, b, v, id)
	}
	c.sort()
	return c
}

var orderShape = shape[andon.Order]{
	same: func(a, b *andon.Order) bool {
		kind, _, _ := differ(a, b)
		return kind == 0
	},
	newer: func(a, b *andon.Order) bool { return a.At.After(b.At) },
}

func loadOrders(ids map[Key]uint32, rows []andon.Order) *table[andon.Order] {
	t := newTable(rows)
	for i := range rows {
		key := OrderKey(rows[i])
		id, ok := ids[key]
		if !ok {
			id = uint32(len(ids))
			ids[key] = id
		}
		t.add(id, i, orderShape)
	}
	return t
}

func compareLiveOrder(c *Comparison, key Key, book, venue *table[andon.Order], id uint32) {
	b, v := book.row(id), venue.row(id)
	bookLive := b != nil && !b.Status.Done()
	if bookLive {
		c.InBook++
	}
	if v != nil {
		c.OnVenue++
	}
	report := func(kind Kind, inBook, onVenue string) {
		c.add(Discrepancy{
			Kind: kind, Key: key, InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Orders: book.all(id)}, Venue: Evidence{Orders: venue.all(id)},
		})
	}
	switch {
	case book.conflict[id] || venue.conflict[id]:
		report(Duplicate, orderRows(book.all(id)), orderRows(venue.all(id)))
	case v == nil && !bookLive:
	case v == nil:
		report(StateUnknown, b.Status.String(), "not live")
	case b == nil:
		report(Unexpected, "none", orderSays(*v))
	default:
		kind, inBook, onVenue := differ(b, v)
		if kind == 0 {
			c.Agreed++
			return
		}
		report(kind, inBook, onVenue)
	}
}

// differ returns the first way in which two rows of one order disagree, or 0.
func differ(b, v *andon.Order) (kind Kind, inBook, onVenue string) {
	switch {
	case b.Symbol != v.Symbol || b.Leg != v.Leg:
		return WrongLeg, b.Key().String(), v.Key().String()
	case b.Side != v.Side:
		return WrongSide, b.Side.String(), v.Side.String()
	case !b.Quantity.Equal(v.Quantity) || !b.Filled.Equal(v.Filled):
		return Quantity, filledText(b), filledText(v)
	case !b.Price.Equal(v.Price) || !b.Trigger.Equal(v.Trigger):
		return Price, pricesText(b), pricesText(v)
	case b.Kind != v.Kind || b.ReduceOnly != v.ReduceOnly:
		return Terms, termsText(b), termsText(v)
	case b.Status != v.Status:
		return State, b.Status.String(), v.Status.String()
	}
	return 0, "", ""
}

func filledText(o *andon.Order) string { return fmt.Sprintf("%v of %v", o.Filled, o.Quantity) }
func pricesText(o *andon.Order) string { return fmt.Sprintf("%v, trigger %v", o.Price, o.Trigger) }

func termsText(o *andon.Order) string {
	if o.ReduceOnly {
		return o.Kind.String() + " reduce-only"
	}
	return o.Kind.String()
}

func orderSays(o andon.Order) string {
	return fmt.Sprintf("%v %s %s, %s filled, price %s, %v",
		o.Side, o.Key(), termsText(&o), filledText(&o), pricesText(&o), o.Status)
}

func orderRows(os []andon.Order) string { return rowsSay(os, orderSays) }
