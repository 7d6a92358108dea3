package pgbook_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// BenchmarkReadAndCompare reads 1,000,000 positions out of PostgreSQL, the way one would
// with pgx alone, then through the book and compared with as many of a venue. It alternates
// the two, so that the machine's drift meets both, and reports their ratio: at most 1.5
// is wanted. The venue's rows are loaded when its answer comes; ratio-with-venue has that
// in it too. Rows of pgx that are thrown away unread are the floor.
func BenchmarkReadAndCompare(b *testing.B) {
	const n = 1_000_000
	pool := connect(b, newDatabase(b, playbookTables+`
		INSERT INTO positions SELECT 'SYMBOL-' || lpad(i::text, 7, '0') || '-PERP', (i % 9973 + 1) * 0.00010001, (i % 99991 + 1) * 0.0101, (i % 99991 + 1) * 0.0102, 'open'
		FROM generate_series(1, 1000000) i; ANALYZE positions`))
	book := open(b, pool, nil)
	const sql = "SELECT symbol, quantity, entry_price, current_price FROM positions WHERE status = 'open'"

	var venue []andon.Position
	require.NoError(b, book.Positions(b.Context(), func(p andon.Position) error {
		if len(venue)%1000 == 0 {
			p.Quantity = p.Quantity.Add(andon.NewDecimal(1, 8))
		}
		venue = append(venue, p)
		return nil
	}))
	for i := range venue { // in another order
		j := (i * 7919) % n
		venue[i], venue[j] = venue[j], venue[i]
	}

	alone := func() {
		type row struct {
			symbol                string
			quantity, entry, mark pgtype.Numeric
		}
		all := make([]row, 0, n)
		rows, err := pool.Query(b.Context(), sql)
		require.NoError(b, err)
		var r row
		_, err = pgx.ForEachRow(rows, []any{&r.symbol, &r.quantity, &r.entry, &r.mark}, func() error {
			all = append(all, r)
			return nil
		})
		require.NoError(b, err)
		require.Len(b, all, n)
	}
	floor := func() {
		rows, err := pool.Query(b.Context(), sql)
		require.NoError(b, err)
		count := 0
		for rows.Next() {
			count++
		}
		require.NoError(b, rows.Err())
		require.Equal(b, n, count)
	}
	var keys *reconcile.Keys
	var theirs *reconcile.PositionTable
	load := func() {
		keys = reconcile.NewKeys(n)
		theirs = keys.LoadPositions(venue)
	}
	compared := func() {
		mine := keys.NewPositions(n)
		require.NoError(b, book.Positions(b.Context(), func(p andon.Position) error {
			mine.Add(p)
			return nil
		}))
		require.Len(b, reconcile.ComparePositions(mine, theirs, reconcile.Rules{}).Discrepancies, n/1000)
	}
	var times [4]time.Duration
	rounds := 0
	for b.Loop() {
		for i, do := range []func(){alone, load, compared, floor} {
			runtime.GC() // so that nobody pays for what another left
			start := time.Now()
			do()
			times[i] += time.Since(start)
		}
		rounds++
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(times[0].Seconds()/float64(rounds), "s-pgx-alone")
	b.ReportMetric(times[2].Seconds()/float64(rounds), "s-read-and-compared")
	b.ReportMetric(times[3].Seconds()/float64(rounds), "s-thrown-away")
	b.ReportMetric(float64(times[2])/float64(times[0]), "ratio")
	b.ReportMetric(float64(times[1]+times[2])/float64(times[0]), "ratio-with-venue")
}

// BenchmarkApply applies plans of 1,000 repairs.
func BenchmarkApply(b *testing.B) {
	pool := connect(b, newDatabase(b, playbookTables))
	book := open(b, pool, func(c *pgbook.Config) { c.LockTimeout = time.Minute })
	for i := 0; b.Loop(); i++ {
		exec(b, pool, `TRUNCATE positions, andon.applied, andon.repairs`)
		tx := transaction("p")
		for j := range 1000 {
			symbol := string(rune('A'+j%26)) + string(rune('A'+j/26))
			tx.Edits = append(tx.Edits, positionEdit(symbol, nil, rows(position(symbol, "1", "2"))))
		}
		require.NoError(b, book.Apply(b.Context(), tx))
	}
}
