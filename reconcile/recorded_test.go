package reconcile_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// recordedPage reads recorded pages of one account, or skips where they are absent.
func recordedPages[T any](t *testing.T, name string) []T {
	t.Helper()
	dir := os.Getenv("ANDON_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(dir, "coinbase", name))
	if os.IsNotExist(err) && os.Getenv("CI") != "true" {
		t.Skipf("no recorded data: %v; set ANDON_TEST_DATA to its folder", err)
	}
	require.NoError(t, err)
	var pages []struct {
		Records []T `json:"records"`
	}
	require.NoError(t, json.Unmarshal(data, &pages))
	var all []T
	for _, p := range pages {
		all = append(all, p.Records...)
	}
	return all
}

func recordedFills(t *testing.T) []andon.Fill {
	var fills []andon.Fill
	for _, r := range recordedPages[struct {
		TradeID   json.Number   `json:"trade_id"`
		ProductID string        `json:"product_id"`
		OrderID   string        `json:"order_id"`
		Price     andon.Decimal `json:"price"`
		Size      andon.Decimal `json:"size"`
		Fee       andon.Decimal `json:"fee"`
		CreatedAt time.Time     `json:"created_at"`
		Side      andon.Side    `json:"side"`
		Funding   string        `json:"funding_currency"`
	}](t, "fills-pages.json") {
		fills = append(fills, andon.Fill{
			ID: r.TradeID.String(), OrderID: r.OrderID, Venue: "v", Symbol: r.ProductID, Side: r.Side,
			Quantity: r.Size, Price: r.Price, Fee: r.Fee, FeeCurrency: r.Funding, At: r.CreatedAt,
		})
	}
	return fills
}

func recordedReports(t *testing.T) []reconcile.OrderReport {
	var reports []reconcile.OrderReport
	for _, r := range recordedPages[struct {
		ID        string        `json:"id"`
		ProductID string        `json:"product_id"`
		Side      andon.Side    `json:"side"`
		Size      andon.Decimal `json:"size"`
		Filled    andon.Decimal `json:"filled_size"`
		Fees      andon.Decimal `json:"fill_fees"`
		Value     andon.Decimal `json:"executed_value"`
		Funding   string        `json:"funding_currency"`
		Reason    string        `json:"done_reason"`
		DoneAt    time.Time     `json:"done_at"`
	}](t, "orders-pages.json") {
		status := andon.Filled
		if r.Reason != "filled" {
			status = andon.Canceled
		}
		reports = append(reports, reconcile.OrderReport{
			ID: r.ID, Venue: "v", Symbol: r.ProductID, Side: r.Side, Size: r.Size, Filled: r.Filled, Value: r.Value,
			Fee: r.Fees, FeeCurrency: r.Funding, Status: status, At: r.DoneAt,
		})
	}
	return reports
}

// recordedWindow is what the url of the recorded order pages says.
var recordedWindow = reconcile.Window{
	From: time.Date(2025, 6, 15, 0, 0, 0, 0, time.UTC), To: time.Date(2025, 6, 20, 0, 0, 0, 0, time.UTC),
}

func TestRecorded_FillsComeToTheKnownPositionAndFees(t *testing.T) {
	ledger, err := reconcile.Derive(recordedFills(t))
	require.NoError(t, err)
	require.Equal(t, 845, ledger.Fills)
	require.Zero(t, ledger.Repeats)
	require.Len(t, ledger.Orders, 602)
	require.Len(t, ledger.Positions, 1)
	require.Equal(t, "-0.33375687", ledger.Positions[0].Quantity.String())
	require.Equal(t, []reconcile.Amount{{Currency: "USDT", Amount: dec("114.53456408917888")}}, ledger.Fees)
}

func TestRecorded_OrdersAgreeAndTheRestIsUnknown(t *testing.T) {
	c, err := reconcile.CompareExecutions(recordedFills(t), recordedReports(t), recordedWindow, reconcile.Rules{})
	require.NoError(t, err)
	require.Equal(t, 602, c.InBook)
	require.Equal(t, 136, c.OnVenue)
	require.Equal(t, 33, c.RepeatsOnVenue)
	require.Zero(t, c.RepeatsInBook)
	require.Equal(t, 136, c.Agreed)
	require.Empty(t, c.Discrepancies)
	require.Len(t, c.Unknown, 466)
}

// TestRecorded_ThreeDamagedRowsAreFoundAndRepaired damages three rows of orders that
// the venue knows, in every way, and wants exactly these three found, planned and
// repaired.
func TestRecorded_ThreeDamagedRowsAreFoundAndRepaired(t *testing.T) {
	fills, reports := recordedFills(t), recordedReports(t)
	known := map[string]bool{}
	for _, r := range reports {
		known[r.ID] = true
	}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 0))
		damaged := slices.Clone(fills)
		want := map[string]reconcile.Kind{}
		for len(want) < 3 {
			i := rng.IntN(len(damaged))
			f := damaged[i]
			if !known[f.OrderID] || want[f.OrderID] != 0 {
				continue
			}
			want[f.OrderID] = damage(rng, &damaged, i)
		}
		d := newDesk(t, reconcile.Records{Fills: damaged}, &account{reports: reports, window: recordedWindow})
		report, err := d.Compare(t.Context(), asked)
		require.NoError(t, err)
		got := map[string]reconcile.Kind{}
		for _, found := range report.Discrepancies() {
			got[found.Key.Order] = found.Kind
		}
		require.Equal(t, want, got, "seed %d", seed)
		require.Len(t, report.Discrepancies(), 3, "seed %d", seed)
		require.Len(t, report.Unknown(), 466)
		p := d.plan(t)
		require.Len(t, p.Repairs, 3, "seed %d", seed)
		require.Empty(t, p.Left)
		result, err := d.apply(p)
		require.NoError(t, err)
		require.Equal(t, 3, result.Repairs)
		d.requireClean(t)
		ledger, err := reconcile.Derive(d.book.records.Fills)
		require.NoError(t, err)
		require.Equal(t, "-0.33375687", ledger.Positions[0].Quantity.String(), "seed %d", seed)
		require.Equal(t, "114.53456408917888", ledger.Fees[0].Amount.String(), "seed %d", seed)
	}
}

// damage spoils one row and returns what a comparison must call it.
func damage(rng *rand.Rand, fills *[]andon.Fill, i int) reconcile.Kind {
	f := &(*fills)[i]
	several := 0
	for _, o := range *fills {
		if o.OrderID == f.OrderID {
			several++
		}
	}
	switch rng.IntN(6) {
	case 0:
		*fills = slices.Delete(*fills, i, i+1)
		if several == 1 {
			return reconcile.Unexpected
		}
		return reconcile.Quantity
	case 1:
		f.Quantity = f.Quantity.Add(f.Quantity)
		return reconcile.Quantity
	case 2:
		f.Price = f.Price.Add(dec("0.01"))
		return reconcile.Price
	case 3:
		f.Fee = f.Fee.Add(dec("0.25"))
		return reconcile.Fee
	case 4:
		f.Side = f.Side.Opposite()
		return reconcile.WrongSide
	}
	twin := *f
	twin.Price = twin.Price.Add(dec("1"))
	*fills = append(*fills, twin)
	return reconcile.Duplicate
}
