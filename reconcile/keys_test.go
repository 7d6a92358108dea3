package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// TestKeys_LoadingIsTheSameHoweverTheRowsCome loads whole lists and row by row, with room
// and without, and compares what a map says.
func TestKeys_LoadingIsTheSameHoweverTheRowsCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := func(name string) []andon.Position {
			return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) andon.Position {
				p := position(fmt.Sprint("S", rapid.IntRange(0, 300).Draw(t, "symbol")), "1", "2")
				p.Venue = rapid.SampledFrom([]string{"v", "w"}).Draw(t, "venue")
				p.Leg = rapid.SampledFrom([]andon.Leg{andon.Net, andon.Long}).Draw(t, "leg")
				return p
			}), 0, 400).Draw(t, name)
		}
		book, venue := rows("book"), rows("venue")
		want := map[andon.LegKey]int{}
		for _, p := range book {
			want[p.Key()] |= 1
		}
		for _, p := range venue {
			want[p.Key()] |= 2
		}
		missing, unexpected := 0, 0
		for _, side := range want {
			switch side {
			case 1:
				missing++
			case 2:
				unexpected++
			}
		}
		room := rapid.IntRange(0, 300).Draw(t, "room")
		keys := reconcile.NewKeys(room)
		b := keys.NewPositions(room)
		for _, p := range book {
			b.Add(p)
		}
		require.Equal(t, len(book), b.Len())
		c := reconcile.ComparePositions(b, keys.LoadPositions(venue), reconcile.Rules{})
		got := map[reconcile.Kind]int{}
		for _, d := range c.Discrepancies {
			require.Equal(t, d.Kind == reconcile.Missing, want[andon.LegKey{Venue: d.Key.Venue, Symbol: d.Key.Symbol, Leg: d.Key.Leg}] == 1)
			got[d.Kind]++
		}
		require.Equal(t, missing, got[reconcile.Missing])
		require.Equal(t, unexpected, got[reconcile.Unexpected])
		require.Equal(t, len(want)-missing-unexpected, c.Agreed)
		require.Equal(t, comparePositions(book, venue), c)
	})
}

// TestKeys_LegsWhoseHashesMeetAreToldApart: among so many names some have the same 32 bits
// of their hash, whatever its seed.
func TestKeys_LegsWhoseHashesMeetAreToldApart(t *testing.T) {
	const n = 400_000 // 18 such pairs are expected
	rows := make([]andon.Position, n)
	for i := range rows {
		rows[i] = position(fmt.Sprint(i), fmt.Sprint(i+1), "2")
	}
	keys := reconcile.NewKeys(n)
	book := keys.LoadPositions(rows)
	venue := keys.NewPositions(n)
	for _, p := range slices.Backward(rows) {
		venue.Add(p)
	}
	c := reconcile.ComparePositions(book, venue, reconcile.Rules{})
	require.Equal(t, n, c.Agreed)
	require.Zero(t, c.RepeatsInBook+c.RepeatsOnVenue)
}

func TestKeys_AddNeverWritesIntoTheCallersRows(t *testing.T) {
	rows := []andon.Position{position("A", "1", "2"), position("B", "1", "2")}
	keys := reconcile.NewKeys(2)
	table := keys.LoadPositions(rows[:1])
	table.Add(position("C", "1", "2"))
	require.Equal(t, "B", rows[1].Symbol)
	require.Equal(t, 2, table.Len())
}

// TestKeys_ANameIsKeptOnce: rows that are read one by one bring their names each time
// anew, and only the first is kept.
func TestKeys_ANameIsKeptOnce(t *testing.T) {
	keys := reconcile.NewKeys(1)
	b, v := keys.NewPositions(1), keys.NewPositions(1)
	fresh := func(q string) andon.Position { return position(strings.Clone("SYMBOL"), q, "2") }
	b.Add(fresh("1"))
	v.Add(fresh("2"))
	d := reconcile.ComparePositions(b, v, reconcile.Rules{}).Discrepancies[0]
	require.Same(t, unsafe.StringData(d.Book.Positions[0].Symbol), unsafe.StringData(d.Venue.Positions[0].Symbol))
}
