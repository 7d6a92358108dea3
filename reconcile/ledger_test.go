package reconcile_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

func TestDerive_EntryPrices(t *testing.T) {
	type trade struct {
		side            andon.Side
		quantity, price string
	}
	buy, sell := andon.Buy, andon.Sell
	for name, test := range map[string]struct {
		trades          []trade
		quantity, entry string
		rounded         bool
	}{
		"opened":                       {[]trade{{buy, "2", "10"}}, "2", "10", false},
		"enlarged":                     {[]trade{{buy, "1", "10"}, {buy, "3", "20"}}, "4", "17.5", false},
		"short enlarged":               {[]trade{{sell, "1", "10"}, {sell, "1", "11"}}, "-2", "10.5", false},
		"made smaller keeps its entry": {[]trade{{buy, "2", "10"}, {sell, "1", "99"}}, "1", "10", false},
		"turned over starts again":     {[]trade{{buy, "2", "10"}, {sell, "3", "12"}}, "-1", "12", false},
		"not exact":                    {[]trade{{buy, "1", "10"}, {buy, "2", "10.5"}}, "3", "10.33333333", true},
		"a tie goes to the even digit": {[]trade{{buy, "1", "10"}, {buy, "1", "10.00000001"}}, "2", "10", true},
		"rounded, then turned over":    {[]trade{{buy, "1", "10"}, {buy, "2", "10.5"}, {sell, "4", "9"}}, "-1", "9", false},
		"rounded, then smaller":        {[]trade{{buy, "1", "10"}, {buy, "2", "10.5"}, {sell, "1", "9"}}, "2", "10.33333333", true},
	} {
		t.Run(name, func(t *testing.T) {
			var fills []andon.Fill
			for i, tr := range test.trades {
				f := fill(string(rune('a'+i)), "o", tr.side, tr.quantity, tr.price, "0")
				f.At = noon.Add(time.Duration(i) * time.Second)
				fills = append(fills, f)
			}
			slices.Reverse(fills) // the times say in which order they were, not the list
			l, err := reconcile.Derive(fills)
			require.NoError(t, err)
			require.Len(t, l.Positions, 1)
			require.Equal(t, test.quantity, l.Positions[0].Quantity.String())
			require.Equal(t, test.entry, l.Positions[0].Entry.String())
			require.Equal(t, test.rounded, len(l.Rounded) == 1)
			require.Equal(t, fills[0].At, l.Positions[0].At)
		})
	}
}

func TestDerive_RefusesWhatCannotBeRight(t *testing.T) {
	good := fill("1", "o", andon.Buy, "1", "10", "0")
	other := good
	other.Price = dec("11")
	_, err := reconcile.Derive([]andon.Fill{good, other})
	conflict, ok := errors.AsType[*reconcile.ConflictError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "1", conflict.ID)

	bad := good
	bad.ID, bad.Side = "7", 0
	_, err = reconcile.Derive([]andon.Fill{good, bad})
	require.ErrorContains(t, err, `fill "7": side is missing`)

	long := good
	long.Leg, long.Side = andon.Long, andon.Sell
	_, err = reconcile.Derive([]andon.Fill{long})
	require.ErrorContains(t, err, "wrong sign", "a long leg cannot be sold below flat")

	huge := good
	huge.Quantity, huge.Price = dec("0.0000000001"), dec("0.0000000001")
	_, err = reconcile.Derive([]andon.Fill{huge})
	require.ErrorIs(t, err, andon.ErrTooManyDigits)
}

func TestDerive_FeesByCurrencyAndRepeats(t *testing.T) {
	a, b := fill("1", "o", andon.Buy, "1", "10", "0.1"), fill("2", "o", andon.Buy, "1", "10", "-0.05")
	c := fill("3", "p", andon.Sell, "2", "10", "0.001")
	c.FeeCurrency = "BTC"
	l, err := reconcile.Derive([]andon.Fill{a, b, c, b})
	require.NoError(t, err)
	require.Equal(t, 3, l.Fills)
	require.Equal(t, 1, l.Repeats)
	require.Empty(t, l.Positions)
	require.Equal(t, []reconcile.Amount{{Currency: "BTC", Amount: dec("0.001")}, {Currency: "USD", Amount: dec("0.05")}}, l.Fees)
	require.Len(t, l.Orders, 2)
	require.Equal(t, "20", l.Orders[0].Value.String())
	require.Equal(t, []reconcile.Amount{{Currency: "USD", Amount: dec("0.05")}}, l.Orders[0].Fees)
}

// TestDerive_SumsDoNotDependOnOrder: quantities, fees and totals are sums, and the
// entry depends on times only.
func TestDerive_SumsDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fills, _ := genOrders(t)
		want, err := reconcile.Derive(fills)
		require.NoError(t, err)
		mixed := rapid.Permutation(append(fills, fills...)).Draw(t, "fills")
		got, err := reconcile.Derive(mixed)
		require.NoError(t, err)
		want.Repeats = len(fills)
		require.Equal(t, want, got)

		sum := andon.Decimal{}
		for _, f := range fills {
			sum = sum.Add(f.Signed())
		}
		held := andon.Decimal{}
		for _, p := range got.Positions {
			held = held.Add(p.Quantity)
		}
		require.True(t, sum.Equal(held), "%v, %v", sum, held)
	})
}

func TestAddFill_AnUnknownEntryStaysUnknown(t *testing.T) {
	p := position("BTC-USD", "1", "0")
	p, _, err := reconcile.AddFill(p, fill("1", "o", andon.Buy, "1", "10", "0"))
	require.NoError(t, err)
	require.Equal(t, "2", p.Quantity.String())
	require.True(t, p.Entry.IsZero(), "an average over an unknown price is not known")
	_, _, err = reconcile.AddFill(p, andon.Fill{ID: "2", Venue: "v", Symbol: "ETH-USD"})
	require.ErrorContains(t, err, "not of v/BTC-USD")
}
