package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

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

// mapJoin is what one would write without this package, and write well: the map has its
// room from the start and holds indexes, not rows.
func mapJoin(book, venue []andon.Position) (differ int) {
	byKey := make(map[andon.LegKey]int32, len(venue))
	for i := range venue {
		byKey[venue[i].Key()] = int32(i)
	}
	seen := make([]bool, len(venue))
	matched := 0
	for i := range book {
		b := &book[i]
		j, ok := byKey[b.Key()]
		if !ok {
			differ++
			continue
		}
		v := &venue[j]
		if !seen[j] {
			seen[j] = true
			matched++
		}
		if !b.Quantity.Equal(v.Quantity) || !b.Entry.Equal(v.Entry) {
			differ++
		}
	}
	return differ + len(venue) - matched
}

// BenchmarkPositions compares n positions with n others three times in every round, so
// that whatever else the machine does meets all three alike:
//
//	loaded      from loaded rows to the report, which is what a bot waits for
//	load        loading both sides too: every key hashed and numbered
//	map-join    mapJoin on the same rows
//
// MB is everything allocated beyond the rows, freed or not, so that the peak is no more.
func BenchmarkPositions(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			book, venue := benchPositions(n)
			keys := reconcile.NewKeys(n)
			bt, vt := keys.LoadPositions(book), keys.LoadPositions(venue)
			var spent [3]time.Duration
			var bytes [3]uint64
			rounds := 0
			for b.Loop() {
				rounds++
				for i, compare := range []func() int{
					func() int { return len(reconcile.ComparePositions(bt, vt, reconcile.Rules{}).Discrepancies) },
					func() int {
						keys := reconcile.NewKeys(n)
						bt := keys.LoadPositions(book)
						return len(reconcile.ComparePositions(bt, keys.LoadPositions(venue), reconcile.Rules{}).Discrepancies)
					},
					func() int { return mapJoin(book, venue) },
				} {
					runtime.GC()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					start := time.Now()
					differ := compare()
					spent[i] += time.Since(start)
					runtime.ReadMemStats(&after)
					bytes[i] = after.TotalAlloc - before.TotalAlloc
					if differ != n/1000 {
						b.Fatalf("%d of %d differ, want %d", differ, n, n/1000)
					}
				}
			}
			for i, name := range []string{"loaded", "load", "map-join"} {
				b.ReportMetric(spent[i].Seconds()*1000/float64(rounds), name+"-ms")
				b.ReportMetric(float64(bytes[i])/1e6, name+"-MB")
			}
			b.ReportMetric(spent[0].Seconds()/spent[2].Seconds(), "loaded/map-join")
			b.ReportMetric(spent[1].Seconds()/spent[2].Seconds(), "load/map-join")
			b.ReportMetric(0, "ns/op")
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
