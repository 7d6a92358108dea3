package pgbook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// recordedPages reads recorded pages of one account, or skips where they are absent.
func recordedPages[T any](t *testing.T, name string) []T {
	t.Helper()
	dir := os.Getenv("ANDON_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(dir, "coinbase", name))
	if os.IsNotExist(err) {
		needs.Missing(t, "the recorded data: %v; set ANDON_TEST_DATA to its folder", err)
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
			ID: r.TradeID.String(), OrderID: r.OrderID, Venue: "coinbase", Symbol: r.ProductID, Side: r.Side,
			Quantity: r.Size, Price: r.Price, Fee: r.Fee, FeeCurrency: r.Funding, At: r.CreatedAt,
		})
	}
	return fills
}

// recordedVenue says what the recording does: its done orders with their overlaps, and
// the position that all fills come to.
type recordedVenue struct {
	reports   []reconcile.OrderReport
	positions []andon.Position
}

func (v *recordedVenue) Positions(context.Context) ([]andon.Position, error) { return v.positions, nil }
func (v *recordedVenue) Orders(context.Context) ([]andon.Order, error)       { return nil, nil }
func (v *recordedVenue) Balances(context.Context) ([]andon.Balance, error)   { return nil, nil }

// Reports gives the window that the urls of the recorded pages name.
func (v *recordedVenue) Reports(context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	return v.reports, reconcile.Window{
		From: time.Date(2025, 6, 15, 0, 0, 0, 0, time.UTC), To: time.Date(2025, 6, 20, 0, 0, 0, 0, time.UTC),
	}, nil
}

func newRecordedVenue(t *testing.T, positions []andon.Position) *recordedVenue {
	v := &recordedVenue{positions: positions}
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
		v.reports = append(v.reports, reconcile.OrderReport{
			ID: r.ID, Venue: "coinbase", Symbol: r.ProductID, Side: r.Side, Size: r.Size, Filled: r.Filled, Value: r.Value,
			Fee: r.Fees, FeeCurrency: r.Funding, Status: status, At: r.DoneAt,
		})
	}
	return v
}

// timeline remembers what was recorded.
type timeline []string

func (l *timeline) Record(_ context.Context, _ time.Time, who, what, why string) error {
	*l = append(*l, fmt.Sprintf("%s: %s (%s)", who, what, why))
	return nil
}

// TestRecorded_FromDamageToClean is the whole way on recorded data: fills into
// PostgreSQL, orders as the venue, corruption injected by SQL, found, exported, planned,
// applied, clean. The figures are those of the recording's description.
func TestRecorded_FromDamageToClean(t *testing.T) {
	fills := recordedFills(t)
	ledger, err := reconcile.Derive(fills)
	require.NoError(t, err)
	venue := newRecordedVenue(t, ledger.Positions)
	require.Len(t, venue.reports, 169)
	book, pool := playbookBook(t, func(c *pgbook.Config) {
		c.Venue = "coinbase"
		c.Skip = []string{"positions-future", "trades-orphan", "positions-orphan", "trades-leverage", "trades-address"} // no columns and no limits
	})

	added, err := book.RecordFills(t.Context(), fills...)
	require.NoError(t, err)
	require.Equal(t, 845, added)
	added, err = book.RecordFills(t.Context(), fills[:100]...) // a page that comes again
	require.NoError(t, err)
	require.Zero(t, added)
	p := ledger.Positions[0]
	exec(t, pool, fmt.Sprintf(`INSERT INTO positions VALUES ('%s', %v, %v, %v, 'open')`, p.Symbol, p.Quantity, p.Entry, p.Entry))
	exec(t, pool, `INSERT INTO trades VALUES ('open', '2025-08-13', 0.33375687, 1, '10.0.0.1')`)
	const figures = `SELECT concat_ws(' ', count(*), count(DISTINCT id), count(DISTINCT order_id),
		trim_scale(sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END)), trim_scale(sum(fee))) FROM andon.fills`
	const recorded = "845 845 602 -0.33375687 114.53456408917888"
	require.Equal(t, recorded, value(t, pool, figures))

	log := &timeline{}
	r, err := reconcile.New(reconcile.Config{Venue: "coinbase", Account: venue, History: venue, Book: book, Recorder: log})
	require.NoError(t, err)
	compare := func() *reconcile.Report {
		t.Helper()
		report, err := r.Compare(t.Context(), noon)
		require.NoError(t, err)
		return report
	}
	clean := func() {
		t.Helper()
		report := compare()
		require.Empty(t, report.Discrepancies())
		require.True(t, report.Clean())
		require.Len(t, report.Unknown(), 466, "outside of the window: unknown, never missing")
		for _, c := range report.Comparisons {
			if c.Subject == reconcile.Executions {
				require.Equal(t, []int{602, 136, 136, 33}, []int{c.InBook, c.OnVenue, c.Agreed, c.RepeatsOnVenue})
			}
		}
		integrity, err := book.CheckIntegrity(t.Context(), noon)
		require.NoError(t, err)
		require.True(t, integrity.Clean(), integrity.String())
		require.Equal(t, "-0.33375687", integrity.Totals[0].Quantity.String())
		require.Equal(t, recorded, value(t, pool, figures))
	}
	clean()

	// Corruption, in rows of orders that the venue knows.
	known := map[string]bool{}
	for _, o := range venue.reports {
		known[o.ID] = true
	}
	var damaged []andon.Fill // one of an order each
	seen := map[string]bool{}
	for _, f := range fills {
		if known[f.OrderID] && !seen[f.OrderID] && len(damaged) < 6 {
			damaged = append(damaged, f)
		}
		seen[f.OrderID] = true
	}
	for i, sql := range []string{
		`DELETE FROM andon.fills WHERE id = '%s'`,
		`UPDATE andon.fills SET quantity = quantity * 2 WHERE id = '%s'`,
		`UPDATE andon.fills SET price = price + 0.01 WHERE id = '%s'`,
		`UPDATE andon.fills SET fee = 0 WHERE id = '%s'`,
		`UPDATE andon.fills SET side = CASE side WHEN 'buy' THEN 'sell' ELSE 'buy' END WHERE id = '%s'`,
		`UPDATE positions SET entry_price = NULL, quantity = 0.5 -- '%s'`,
	} {
		exec(t, pool, fmt.Sprintf(sql, damaged[i].ID))
	}

	integrity, err := book.CheckIntegrity(t.Context(), noon)
	require.NoError(t, err)
	require.Equal(t, 1, integrity.Of("positions-null-price").Found)
	require.Equal(t, 1, integrity.Of("positions-fills").Found)
	require.Equal(t, 2, integrity.Found())
	path := filepath.Join(t.TempDir(), "corrupted_data.json")
	require.NoError(t, integrity.Export(path))
	exported, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(exported), `"position_quantity": "0.5"`)
	require.Contains(t, string(exported), `"entry_price": null`)

	report := compare()
	var kinds []string
	for _, d := range report.Discrepancies() {
		kinds = append(kinds, d.Kind.String())
	}
	require.Len(t, kinds, 7, "five orders, and side and price of the position: %v", kinds)
	for _, kind := range []reconcile.Kind{reconcile.Price, reconcile.Fee, reconcile.WrongSide, reconcile.Quantity} {
		require.Contains(t, kinds, kind.String())
	}
	plan, err := report.Plan()
	require.NoError(t, err)
	require.Len(t, plan.Repairs, 6)
	require.Empty(t, plan.Left)

	result, err := r.Apply(t.Context(), plan, reconcile.Approval{}, noon) // a dry run
	require.NoError(t, err)
	require.True(t, result.DryRun)
	require.Len(t, compare().Discrepancies(), 7, "nothing was changed")

	approval := reconcile.Approval{By: "ada", Note: "looked at all six", Commit: true}
	result, err = r.Apply(t.Context(), plan, approval, noon)
	require.NoError(t, err)
	require.Equal(t, 6, result.Repairs)
	exec(t, pool, `UPDATE positions SET current_price = 100000 WHERE current_price IS NULL`) // the bot marks it again
	clean()
	require.Equal(t, "ada|looked at all six|6", value(t, pool, `SELECT concat_ws('|', approved_by, note, (SELECT count(*) FROM andon.repairs WHERE applied = id)) FROM andon.applied`))
	require.True(t, strings.HasPrefix((*log)[0], "ada: reconciliation of coinbase, 6 repairs"))

	result, err = r.Apply(t.Context(), plan, approval, noon)
	require.NoError(t, err)
	require.True(t, result.Already)
	clean()
}
