package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// benchPositions makes n legs and the same again in another order, a thousandth of them
// changed.
func benchPositions(n int) (book, venue []andon.Position) {
	rng := rand.New(rand.NewPCG(1, 2))
	book = make([]andon.Position, n)
	for i := range book {
		book[i] = andon.Position{
			Venue: "v", Symbol: fmt.Sprintf("SYMBOL-%07d-PERP", i),
			Quantity: andon.NewDecimal(rng.Int64N(1e12)+1, 8), Entry: andon.NewDecimal(rng.Int64N(1e12)+1, 6), At: noon,
		}
	}
	venue = make([]andon.Position, n)
	for i, j := range rng.Perm(n) {
		venue[i] = book[j]
		if j%1000 == 0 {
			venue[i].Quantity = venue[i].Quantity.Add(andon.NewDecimal(1, 8))
		}
	}
	return book, venue
}

// mapJoin is what one would write without this package: the floor to compare with.
func mapJoin(book, venue []andon.Position) (differ int) {
	byKey := make(map[andon.LegKey]andon.Position, len(venue))
	for _, v := range venue {
		byKey[v.Key()] = v
	}
	for _, b := range book {
		v, ok := byKey[b.Key()]
		if !ok || !b.Quantity.Equal(v.Quantity) || !b.Entry.Equal(v.Entry) {
			differ++
		}
		delete(byKey, b.Key())
	}
	return differ + len(byKey)
}

func BenchmarkComparePositions(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		book, venue := benchPositions(n)
		check := func(b *testing.B, differ int) {
			if differ != n/1000 {
				b.Fatalf("%d of %d differ, want %d", differ, n, n/1000)
			}
		}
		b.Run(fmt.Sprintf("loaded/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			keys := reconcile.NewKeys(n)
			bt, vt := keys.LoadPositions(book), keys.LoadPositions(venue)
			for b.Loop() {
				check(b, len(reconcile.ComparePositions(bt, vt, reconcile.Rules{}).Discrepancies))
			}
		})
		b.Run(fmt.Sprintf("load-and-compare/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keys := reconcile.NewKeys(n)
				bt := keys.LoadPositions(book)
				check(b, len(reconcile.ComparePositions(bt, keys.LoadPositions(venue), reconcile.Rules{}).Discrepancies))
			}
		})
		b.Run(fmt.Sprintf("map-join/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				check(b, mapJoin(book, venue))
			}
		})
	}
}

func BenchmarkFileBookRecordFill(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var fills []andon.Fill
			for i := range n {
				fills = append(fills, fill(fmt.Sprint(i), fmt.Sprint("o", i/3), andon.Buy, "1", "10", "0.1"))
			}
			book := reconcile.NewFileBook(b.TempDir() + "/book")
			if err := book.Create(b.Context()); err != nil {
				b.Fatal(err)
			}
			if _, err := book.RecordFills(b.Context(), fills...); err != nil {
				b.Fatal(err)
			}
			next := fill("x", "x", andon.Sell, "1", "10", "0")
			for b.Loop() {
				err := book.Update(b.Context(), func(r *reconcile.Records) error {
					r.Fills = append(r.Fills[:n], next)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
