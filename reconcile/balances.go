package reconcile

import (
	"fmt"

	"github.com/andon-go/andon"
)

// CompareBalances compares two sides currency by currency: the total and what is
// reserved of it. A row with neither is the same as no row. Balances carry no time:
// while an order or a fill of a symbol is young, those of its currencies are pending
// to a Reconciler.
func CompareBalances(book, venue []andon.Balance, rules Rules) Comparison {
	return (&judge{Rules: rules}).balances(book, venue, func(string) bool { return false })
}

var balanceShape = shape[andon.Balance]{
	same: func(a, b *andon.Balance) bool { return a.Total.Equal(b.Total) && a.Reserved.Equal(b.Reserved) },
	// They carry no time, so that the text decides, for the same answer in any order.
	newer: func(a, b *andon.Balance) bool { return false },
}

func (j *judge) balances(book, venue []andon.Balance, moving func(currency string) bool) Comparison {
	ids := map[Key]uint32{}
	b, v := loadByKey(ids, book, BalanceKey, balanceShape), loadByKey(ids, venue, BalanceKey, balanceShape)
	c := Comparison{Subject: Balances, RepeatsInBook: b.repeats, RepeatsOnVenue: v.repeats}
	for key, id := range ids {
		j.balance(&c, key, b, v, id, moving(key.Currency))
	}
	c.sort()
	return c
}

func (j *judge) balance(c *Comparison, key Key, book, venue *table[andon.Balance], id uint32, young bool) {
	b, v := heldBalance(book.row(id)), heldBalance(venue.row(id))
	if b != nil {
		c.InBook++
	}
	if v != nil {
		c.OnVenue++
	}
	report := func(kind Kind) {
		inBook, onVenue := balanceText(b), balanceText(v)
		if kind == Duplicate {
			inBook, onVenue = rowsSay(book.all(id), balanceSays), rowsSay(venue.all(id), balanceSays)
		}
		c.file(Discrepancy{
			Kind: kind, Key: key, InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Balances: book.all(id)}, Venue: Evidence{Balances: venue.all(id)},
		}, young)
	}
	switch {
	case book.conflict[id] || venue.conflict[id]:
		report(Duplicate)
	case b == nil && v == nil:
	case b != nil && v != nil && balanceShape.same(b, v):
		c.Agreed++
	case j.balanceDust(key.Currency, b, v):
		report(Dust)
	case v == nil:
		report(Missing)
	case b == nil:
		report(Unexpected)
	default:
		report(Quantity)
	}
}

func (j *judge) balanceDust(currency string, b, v *andon.Balance) bool {
	var zero andon.Balance
	if b == nil {
		b = &zero
	}
	if v == nil {
		v = &zero
	}
	lot := j.Instruments[currency].Lot
	return b.Total.Sub(v.Total).Abs().Less(lot) && b.Reserved.Sub(v.Reserved).Abs().Less(lot)
}

// heldBalance returns nil for a currency of which there is nothing.
func heldBalance(b *andon.Balance) *andon.Balance {
	if b == nil || b.Total.IsZero() && b.Reserved.IsZero() {
		return nil
	}
	return b
}

func balanceSays(b andon.Balance) string {
	if b.Reserved.IsZero() {
		return b.Total.String()
	}
	return fmt.Sprintf("%v, of which %v reserved", b.Total, b.Reserved)
}

func balanceText(b *andon.Balance) string {
	if b == nil {
		return "none"
	}
	return balanceSays(*b)
}

// checkBalance is what a venue's balance cannot be.
func checkBalance(b andon.Balance) error {
	if b.Currency == "" {
		return fmt.Errorf("balance of %v has no currency", b.Total)
	}
	if b.Reserved.Sign() < 0 {
		return fmt.Errorf("balance of %s: reserved %v is negative", b.Currency, b.Reserved)
	}
	return nil
}
