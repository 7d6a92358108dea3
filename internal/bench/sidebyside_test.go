package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkSideBySide takes every contender in turn, a short while each, many times
// over, so that what else the machine does meets all of them; and it prints what each
// costs at its quickest twentieth, and as a multiple of our Enter with three limits.
func BenchmarkSideBySide(b *testing.B) {
	const rounds, asks = 3000, 256
	type row struct {
		name string
		once func() time.Duration // for asks
		took []time.Duration
	}
	m := newEnters(b, threeLimits)
	perBatch := asks / len(m.orders)
	rows := []*row{{name: "andon/Enter-3-limits", once: func() (d time.Duration) {
		for range perBatch {
			d += m.batch(b)
		}
		return d
	}}}
	for _, c := range contenders() {
		ask := c.open(b)
		rows = append(rows, &row{name: c.name, once: func() time.Duration {
			start := time.Now()
			for range asks {
				if err := ask(); err != nil {
					b.Fatal(c.name, err)
				}
			}
			return time.Since(start)
		}})
	}
	for range rounds {
		for _, r := range rows {
			r.took = append(r.took, r.once())
		}
	}
	cost := func(r *row) float64 {
		slices.Sort(r.took)
		return float64(r.took[len(r.took)/20].Nanoseconds()) / asks
	}
	ours := cost(rows[0])
	slices.SortFunc(rows, func(x, y *row) int { return int(cost(x)*1000) - int(cost(y)*1000) })
	var t strings.Builder
	fmt.Fprintf(&t, "\n%-32s %10s %8s\n", "", "ns", "ratio")
	for _, r := range rows {
		fmt.Fprintf(&t, "%-32s %10.1f %8.2f\n", r.name, cost(r), cost(r)/ours)
	}
	fmt.Print(t.String()) // a log of this length would be cut
	b.ReportMetric(ours, "ns/Enter")
}
