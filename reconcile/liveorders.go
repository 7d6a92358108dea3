package reconcile

import (
	"fmt"

	"github.com/andon-go/andon"
)

// CompareLiveOrders compares the orders that the book holds for live with all that
// the venue has live, of both lists: side, quantity and what is filled of it, price and
// trigger, kind and reduce-only. Orders that are done in the book are looked at only
// when the venue has them live. An order that is live in the book alone is a
// StateUnknown, not a Missing: where it went is not known until it is looked up.
func CompareLiveOrders(book, venue []andon.Order, rules Rules) Comparison {
	return (&judge{Rules: rules}).liveOrders(book, venue)
}

func (j *judge) liveOrders(book, venue []andon.Order) Comparison {
	ids := map[Key]uint32{}
	b, v := loadByKey(ids, book, OrderKey, orderShape), loadByKey(ids, venue, OrderKey, orderShape)
	c := Comparison{Subject: LiveOrders, RepeatsInBook: b.repeats, RepeatsOnVenue: v.repeats}
	for key, id := range ids {
		j.liveOrder(&c, key, b, v, id)
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

func (j *judge) liveOrder(c *Comparison, key Key, book, venue *table[andon.Order], id uint32) {
	b, v := book.row(id), venue.row(id)
	bookLive := b != nil && !b.Status.Done()
	if bookLive {
		c.InBook++
	}
	if v != nil {
		c.OnVenue++
	}
	young := b != nil && j.young(b.At) || v != nil && j.young(v.At)
	report := func(kind Kind, inBook, onVenue string) {
		c.file(Discrepancy{
			Kind: kind, Key: key, InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Orders: book.all(id)}, Venue: Evidence{Orders: venue.all(id)},
		}, young)
	}
	switch {
	case book.conflict[id] || venue.conflict[id]:
		report(Duplicate, orderRows(book.all(id)), orderRows(venue.all(id)))
	case v == nil && !bookLive:
	case v == nil:
		j.gone(c, key, b, Evidence{Orders: book.all(id)}, young)
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

// gone says what became of an order that the venue has not live any more.
func (j *judge) gone(c *Comparison, key Key, b *andon.Order, book Evidence, young bool) {
	d := Discrepancy{Kind: StateUnknown, Key: key, InBook: b.Status.String(), OnVenue: "not live", Book: book}
	switch found, asked := j.found[key]; {
	case !asked:
	case found == nil:
		d.Kind, d.OnVenue = Missing, "knows no such order"
	default:
		kind, inBook, onVenue := differ(b, found)
		if kind == 0 { // it came back between the list and the look-up
			c.Agreed++
			return
		}
		if found.Status.Done() { // what else differs follows from it
			kind, inBook, onVenue = State, b.Status.String(), stateText(found)
		}
		d.Kind, d.InBook, d.OnVenue, d.Venue = kind, inBook, onVenue, Evidence{Orders: []andon.Order{*found}}
		young = young || j.young(found.At)
	}
	c.file(d, young)
}

func stateText(o *andon.Order) string { return fmt.Sprintf("%v, %s filled", o.Status, filledText(o)) }

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
