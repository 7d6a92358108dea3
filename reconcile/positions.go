package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

var positionShape = shape[andon.Position]{
	same:  func(a, b *andon.Position) bool { return a.Quantity.Equal(b.Quantity) && a.Entry.Equal(b.Entry) },
	newer: func(a, b *andon.Position) bool { return a.At.After(b.At) || a.At.Equal(b.At) && a.Mark.Less(b.Mark) },
}

// ComparePositions compares two sides leg by leg: the signed quantity and the entry
// price. A row with quantity zero is a flat leg and the same as no row. Where the
// venue gives no entry price only the quantity is compared, and counted as unpriced;
// mark and time are evidence and are not compared.
//
// A leg is young by the time of the book's row, which is that of the last fill in it;
// the venue's row often carries the time of the answer and says nothing.
//
// It panics when a table is nil or they were not loaded with the same Keys, which
// are mistakes in the program: a side without an answer has no table.
func ComparePositions(book, venue *PositionTable, rules Rules) Comparison {
	return (&judge{Rules: rules}).positions(book, venue)
}

func (j *judge) positions(book, venue *PositionTable) Comparison {
	if book == nil || venue == nil || book.keys != venue.keys {
		panic("reconcile: ComparePositions needs two tables of the same Keys")
	}
	book.number()
	venue.number()
	c := Comparison{Subject: Positions, RepeatsInBook: book.t.repeats, RepeatsOnVenue: venue.t.repeats}
	for id := range uint32(max(len(book.t.at), len(venue.t.at))) {
		if !j.plainlyAgree(book.t, venue.t, id) {
			j.position(&c, book.t, venue.t, id)
			continue
		}
		c.InBook++
		c.OnVenue++
		c.Agreed++
	}
	c.sort()
	return c
}

// plainlyAgree reports whether both sides hold the same at the same entry price, digit
// by digit, and nothing else stands against it: what almost every leg is, and so few
// steps that the processor reads the rows of several legs at once.
func (j *judge) plainlyAgree(book, venue *table[andon.Position], id uint32) bool {
	b, v := book.row(id), venue.row(id)
	return b != nil && v != nil && b.Quantity == v.Quantity && b.Entry == v.Entry && !v.Quantity.IsZero() && !v.Entry.IsZero() &&
		(j.StaleAfter <= 0 || !j.stale(v.At)) && (book.conflict == nil || !book.conflict[id]) && (venue.conflict == nil || !venue.conflict[id])
}

func (j *judge) position(c *Comparison, book, venue *table[andon.Position], id uint32) {
	b, v := held(book.row(id)), held(venue.row(id))
	if b != nil {
		c.InBook++
	}
	if v != nil {
		c.OnVenue++
	}
	agreed := true
	report := func(kind Kind, inBook, onVenue string) {
		agreed = false
		row := book.row(id)
		young := row != nil && j.young(row.At)
		if row == nil {
			row = venue.row(id)
		}
		c.file(Discrepancy{
			Kind: kind, Key: PositionKey(row.Key()), InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Positions: book.all(id)}, Venue: Evidence{Positions: venue.all(id)},
		}, young || j.moving[row.Key()])
	}
	switch {
	case book.conflict[id] || venue.conflict[id]:
		report(Duplicate, positionRows(book.all(id)), positionRows(venue.all(id)))
	case j.StaleAfter > 0 && venue.row(id) != nil && j.stale(venue.row(id).At):
		at := "without a time"
		if v := venue.row(id); !v.At.IsZero() {
			at = "as of " + v.At.UTC().Format(time.RFC3339)
		}
		report(Stale, positionRows(book.all(id)), positionRows(venue.all(id))+", "+at)
	case b == nil && v == nil:
		return
	case v == nil:
		report(j.ordust(Missing, b, nil), b.Quantity.String(), "none")
	case b == nil:
		report(j.ordust(Unexpected, nil, v), "none", v.Quantity.String())
	default:
		j.held(c, b, v, report)
	}
	if agreed {
		c.Agreed++
	}
}

// ordust returns Dust where the instrument says so, else the kind.
func (j *judge) ordust(kind Kind, b, v *andon.Position) Kind {
	var difference andon.Decimal
	var prices []andon.Decimal
	var symbol string
	if b != nil {
		difference, symbol, prices = b.Quantity, b.Symbol, []andon.Decimal{b.Mark, b.Entry}
	}
	if v != nil {
		difference, symbol, prices = difference.Sub(v.Quantity), v.Symbol, append(prices, v.Mark, v.Entry)
	}
	if dust(j.Instruments[symbol], difference, prices...) {
		return Dust
	}
	return kind
}

func (j *judge) held(c *Comparison, b, v *andon.Position, report func(Kind, string, string)) {
	if !b.Quantity.Equal(v.Quantity) {
		kind := Quantity
		if b.Quantity.Sign() != v.Quantity.Sign() {
			kind = WrongSide
		} else if fees := j.baseFees[b.Key()]; !fees.IsZero() && b.Quantity.Sub(fees).Equal(v.Quantity) {
			kind = Fee
		}
		report(j.ordust(kind, b, v), b.Quantity.String(), v.Quantity.String())
	}
	switch {
	case v.Entry.IsZero():
		c.Unpriced++
	case b.Entry.Equal(v.Entry):
	case b.Entry.IsZero() || !b.Entry.Sub(v.Entry).Abs().Less(j.Instruments[b.Symbol].EntryStep):
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

// rowsSay is what rows say together; a repeat says nothing new.
func rowsSay[T any](rows []T, says func(T) string) string {
	var texts []string
	for _, r := range rows {
		if text := says(r); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, " and ")
}
