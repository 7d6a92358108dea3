package recorded

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/stretchr/testify/require"
)

// data returns the path of a recording. Where it is absent the test says so and
// skips, and fails under CI=true.
func data(t *testing.T, name string) string {
	dir := os.Getenv("ANDON_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, "coinbase", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the recording is missing: %v", err)
		}
		t.Skipf("the recording is missing, set ANDON_TEST_DATA to the folder that holds coinbase/%s: %v", name, err)
	}
	return path
}

func TestTheRecordedFillsAreWhatTheyAreKnownToBe(t *testing.T) {
	got, err := LoadFills(data(t, "fills-pages.json"))
	require.NoError(t, err)
	require.Equal(t, []int{9, 845, 0}, []int{got.Pages, got.Records, got.Repeats})
	require.Len(t, got.Fills, 845)

	var size, fees andon.Decimal
	ids, orders := map[string]bool{}, map[string]bool{}
	for _, f := range got.Fills {
		require.NoError(t, f.Validate())
		require.Equal(t, andon.LegKey{Venue: "coinbase", Symbol: "BTC-USDT"}, f.Key())
		require.Equal(t, "USDT", f.FeeCurrency)
		size, fees = size.Add(f.Signed()), fees.Add(f.Fee)
		ids[f.ID], orders[f.OrderID] = true, true
	}
	require.Len(t, ids, 845)
	require.Len(t, orders, 602)
	require.Equal(t, "-0.33375687", size.String())
	require.Equal(t, "114.53456408917888", fees.String())
}

func TestTheRecordedOrdersAreWhatTheyAreKnownToBe(t *testing.T) {
	got, err := LoadOrders(data(t, "orders-pages.json"))
	require.NoError(t, err)
	require.Equal(t, []int{3, 169, 33}, []int{got.Pages, got.Records, got.Repeats})
	require.Len(t, got.Reports, 136)
	require.Equal(t, reconcile.Window{
		From: time.Date(2025, 6, 15, 0, 0, 0, 0, time.UTC),
		To:   time.Date(2025, 6, 20, 0, 0, 0, 0, time.UTC),
	}, got.Window)
	for _, r := range got.Reports {
		require.NoError(t, r.Validate())
		require.Equal(t, andon.Filled, r.Status)
	}
}

func TestTheRecordedOrdersAgreeWithTheirFills(t *testing.T) {
	fills, err := LoadFills(data(t, "fills-pages.json"))
	require.NoError(t, err)
	orders, err := LoadOrders(data(t, "orders-pages.json"))
	require.NoError(t, err)
	c, err := reconcile.CompareExecutions(fills.Fills, orders.Reports, orders.Window, reconcile.Rules{})
	require.NoError(t, err)
	require.Empty(t, c.Discrepancies)
	require.Equal(t, 136, c.Agreed)
	require.Len(t, c.Unknown, 466, "outside the window: unknown, not missing")

	known := map[string]bool{}
	for _, r := range orders.Reports {
		known[r.ID] = true
	}
	inside := 0
	for _, f := range fills.Fills {
		if known[f.OrderID] {
			inside++
		}
	}
	require.Equal(t, 221, inside)
}
