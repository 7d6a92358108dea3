package reconcile

import (
	"fmt"

	"github.com/andon-go/andon"
)

// Keys numbers the legs of both sides of a comparison, so that each name is hashed
// once, when its row is loaded. It is not safe for concurrent use.
type Keys struct {
	ids map[andon.LegKey]uint32
}

// NewKeys returns Keys with room for n legs.
func NewKeys(n int) *Keys { return &Keys{ids: make(map[andon.LegKey]uint32, n)} }

func (k *Keys) id(leg andon.LegKey) uint32 {
	id, ok := k.ids[leg]
	if !ok {
		id = uint32(len(k.ids))
		k.ids[leg] = id
	}
	return id
}

// PositionTable is one side's positions, loaded for ComparePositions.
type PositionTable struct {
	keys *Keys
	t    *table[andon.Position]
}

var positionShape = shape[andon.Position]{
	same:  func(a, b *andon.Position) bool { return a.Quantity.Equal(b.Quantity) && a.Entry.Equal(b.Entry) },
	newer: func(a, b *andon.Position) bool { return a.At.After(b.At) || a.At.Equal(b.At) && a.Mark.Less(b.Mark) },
}

// LoadPositions loads one side's positions. The rows are kept, not copied: nobody
// may change them while the table is in use. It panics beyond 2^31 rows.
func (k *Keys) LoadPositions(rows []andon.Position) *PositionTable {
	if len(rows) > 1<<31 {
		panic("reconcile: more than 2^31 positions")
	}
	t := newTable(rows)
	for i := range rows {
		t.add(k.id(rows[i].Key()), i, positionShape)
	}
	return &PositionTable{keys: k, t: t}
}

// ComparePositions compares two sides leg by leg: the signed quantity and the entry
// price. A row with quantity zero is a flat leg and the same as no row. Where the
// venue gives no entry price only the quantity is compared, and counted as unpriced;
// mark and time are evidence and are not compared.
//
// It panics when a table is nil or they were not loaded with the same Keys, which
// are mistakes in the program: a side without an answer has no table.
func ComparePositions(book, venue *PositionTable) Comparison {
	if book == nil || venue == nil || book.keys != venue.keys {
		panic("reconcile: ComparePositions needs two tables of the same Keys")
	}
	c := Comparison{Subject: Positions, RepeatsInBook: book.t.repeats, RepeatsOnVenue: venue.t.repeats}
	for id := range uint32(max(len(book.t.at), len(venue.t.at))) {
		comparePosition(&c, book.t, venue.t, id)
	}
	c.sort()
	return c
}

func comparePosition(c *Comparison, book, venue *table[andon.Position], id uint32) {
	b, v := held(book.row(id)), held(venue.row(id))
	if b != nil {
		c.InBook++
	}
	if v != nil {
		c.OnVenue++
	}
	before := len(c.Discrepancies)
	report := func(kind Kind, inBook, onVenue string) {
		key := book.row(id)
		if key == nil {
			key = venue.row(id)
		}
		c.add(Discrepancy{
			Kind: kind, Key: PositionKey(key.Key()), InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Positions: book.all(id)}, Venue: Evidence{Positions: venue.all(id)},
		})
	}
	switch {
	case book.conflict[id] || venue.conflict[id]:
		report(Duplicate, positionRows(book.all(id)), positionRows(venue.all(id)))
	case b == nil && v == nil:
		return
	case v == nil:
		report(Missing, b.Quantity.String(), "none")
	case b == nil:
		report(Unexpected, "none", v.Quantity.String())
	default:
		compareHeld(c, b, v, report)
	}
	if len(c.Discrepancies) == before {
		c.Agreed++
	}
}

func compareHeld(c *Comparison, b, v *andon.Position, report func(Kind, string, string)) {
	if !b.Quantity.Equal(v.Quantity) {
		kind := Quantity
		if b.Quantity.Sign() != v.Quantity.Sign() {
			kind = WrongSide
		}
		report(kind, b.Quantity.String(), v.Quantity.String())
	}
	switch {
	case v.Entry.IsZero():
		c.Unpriced++
	case !b.Entry.Equal(v.Entry):
		report(Price, priceText(b.Entry), v.Entry.String())
	}
}

// held returns nil for a flat leg.
func held(p *andon.Position) *andon.Position {
	if p == nil || p.Quantity.IsZero() {
		return nil
	}
	return p
}

func priceText(p andon.Decimal) string {
	if p.IsZero() {
		return "not known"
	}
	return p.String()
}

func positionSays(p andon.Position) string {
	return fmt.Sprintf("%v at %s", p.Quantity, priceText(p.Entry))
}

func positionRows(ps []andon.Position) string { return rowsSay(ps, positionSays) }

func rowsSay[T any](rows []T, says func(T) string) string {
	text := "none"
	for i, r := range rows {
		if i == 0 {
			text = says(r)
			continue
		}
		text += " and " + says(r)
	}
	return text
}
