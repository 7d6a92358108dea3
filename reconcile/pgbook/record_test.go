package pgbook_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

func TestRecordFillsCountsEachOnce(t *testing.T) {
	book, pool := playbookBook(t, nil)
	f1, f2 := fill("1", "o", andon.Buy, "1", "10", "0.1"), fill("2", "o", andon.Sell, "2", "10", "0")
	f1.At = noon.Add(123456789)
	n, err := book.RecordFills(t.Context(), f1, f2, f1)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = book.RecordFills(t.Context(), f1)
	require.NoError(t, err)
	require.Zero(t, n)

	other := f1
	other.Fee = dec("0.2")
	_, err = book.RecordFills(t.Context(), fill("3", "o", andon.Buy, "1", "1", "0"), other)
	require.ErrorIs(t, err, reconcile.ErrConflict)
	_, err = book.RecordFills(t.Context(), fill("3", "o", andon.Buy, "1", "1", "0"), fill("4", "o", andon.Buy, "-1", "1", "0"))
	require.ErrorContains(t, err, `fill "4": quantity is -1`)
	require.Equal(t, "2", value(t, pool, "SELECT count(*) FROM andon.fills"), "all or none")

	records, err := book.Read(t.Context())
	require.NoError(t, err)
	f1.At = noon.Add(123456 * time.Microsecond)
	require.ElementsMatch(t, rows(f1, f2), records.Fills)
	require.Empty(t, records.Positions, "positions are the bot's own")

	var wg sync.WaitGroup
	var added atomic.Int32
	for range 8 {
		wg.Go(func() {
			n, err := book.RecordFills(context.Background(), fill("9", "o", andon.Buy, "1", "1", "0"))
			added.Add(int32(n))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, added.Load())
}

// TestLaw6_FillsWhoseCommitWasLostAreRecordedAgain cuts the connection at each message.
func TestLaw6_FillsWhoseCommitWasLostAreRecordedAgain(t *testing.T) {
	conn := newDatabase(t, playbookTables)
	pool := connect(t, conn)
	m := &messenger{}
	through, err := m.pool(conn)
	require.NoError(t, err)
	defer through.Close()
	f := fill("1", "o", andon.Buy, "1", "10", "0.1")
	unknown := 0
	for _, attempts := range []int{5, 1} {
		book := open(t, through, func(c *pgbook.Config) { c.Attempts = attempts })
		for n, reached := 1, true; reached; n++ {
			exec(t, pool, `DELETE FROM andon.fills`)
			end := m.cutAt(n, true, false)
			_, err := book.RecordFills(t.Context(), f)
			reached = end()
			if attempts == 5 || !reached {
				require.NoError(t, err)
				require.Equal(t, "1", value(t, pool, `SELECT count(*) FROM andon.fills`))
				continue
			}
			require.Error(t, err)
			if errors.Is(err, andon.ErrOutcomeUnknown) {
				unknown++
			}
			_, err = book.RecordFills(t.Context(), f)
			require.NoError(t, err)
			require.Equal(t, "1", value(t, pool, `SELECT count(*) FROM andon.fills`))
		}
	}
	require.Equal(t, 1, unknown, "only the commit is in doubt")
}

// TestAnIdThatAnotherOrderHasIsAConflict: a repair cannot put one fill under two orders.
func TestAnIdThatAnotherOrderHasIsAConflict(t *testing.T) {
	book, pool := playbookBook(t, nil)
	_, err := book.RecordFills(t.Context(), fill("1", "o", andon.Buy, "1", "10", "0.1"))
	require.NoError(t, err)
	err = book.Apply(t.Context(), transaction("p", fillEdit("other", nil, rows(fill("1", "other", andon.Buy, "1", "10", "0.1")))))
	require.ErrorIs(t, err, reconcile.ErrConflict)
	require.Equal(t, "o 0", value(t, pool, `SELECT concat_ws(' ', string_agg(order_id, ','), (SELECT count(*) FROM andon.applied)) FROM andon.fills`))
}

func TestPutOrderReplaces(t *testing.T) {
	book, _ := playbookBook(t, nil)
	o := andon.Order{
		ClientID: "c", Venue: "v", Symbol: "A", Side: andon.Sell, Kind: andon.StopLimit, Quantity: dec("2"), Price: dec("9"),
		Trigger: dec("9.5"), ReduceOnly: true, ExpiresAt: noon.Add(time.Hour), Status: andon.StatusUnknown,
	}
	require.NoError(t, book.PutOrder(t.Context(), o))
	o.VenueID, o.Status, o.Filled, o.At = "77", andon.Live, dec("0.5"), noon
	require.NoError(t, book.PutOrder(t.Context(), o))
	records, err := book.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, rows(o), records.Orders)
	o.ClientID = ""
	require.ErrorContains(t, book.PutOrder(t.Context(), o), "client_id is empty")
}

func TestTheBotsOwnTablesAreTheBotsToWrite(t *testing.T) {
	book, _ := wholeBook(t, nil)
	_, err := book.RecordFills(t.Context(), fill("1", "o", andon.Buy, "1", "1", "0"))
	require.ErrorIs(t, err, pgbook.ErrMapped)
	require.ErrorIs(t, book.PutOrder(t.Context(), andon.Order{}), pgbook.ErrMapped)
}
