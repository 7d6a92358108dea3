package coinbase

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
	"github.com/andon-go/andon/reconcile"
)

var _ reconcile.History = (*Venue)(nil)

// wireFill is an execution as the venue writes it.
type wireFill struct {
	EntryID     *string    `json:"entry_id"`
	TradeID     *string    `json:"trade_id"`
	OrderID     *string    `json:"order_id"`
	ProductID   *string    `json:"product_id"`
	TradeType   *string    `json:"trade_type"`
	Side        *string    `json:"side"`
	Price       amount     `json:"price"`
	Size        amount     `json:"size"`
	SizeInQuote bool       `json:"size_in_quote"`
	Commission  amount     `json:"commission"`
	TradeTime   *time.Time `json:"trade_time"`
}

// decodeFills reads a page of GET /orders/historical/fills.
func decodeFills(body []byte) (page[wireFill], error) {
	var w struct {
		Fills  *[]wireFill `json:"fills"`
		Cursor string      `json:"cursor"`
	}
	if err := decode(body, &w); err != nil {
		return page[wireFill]{}, err
	}
	return page[wireFill]{rows: w.Fills, cursor: w.Cursor}, nil
}

// fill turns an execution into ours. A reversal or a correction is an error: what it means
// for the book is for a person to say.
func (w wireFill) fill(venue string, p product) (andon.Fill, error) {
	var f resthttp.Fields
	fill := andon.Fill{
		ID: f.Text("trade_id", w.TradeID), OrderID: f.Text("order_id", w.OrderID), Venue: venue, Symbol: f.Text("product_id", w.ProductID),
		Side: side(&f, w.Side), Price: w.Price.need(&f, "price"), Fee: w.Commission.need(&f, "commission"), FeeCurrency: p.quote,
		At: resthttp.Need(&f, "trade_time", w.TradeTime),
	}
	if kind := f.Text("trade_type", w.TradeType); kind != "FILL" && kind != "" {
		f.Wrong("it is a %s", kind)
	}
	size, err := w.Size.need(&f, "size"), error(nil)
	if w.SizeInQuote && fill.Price.Sign() > 0 {
		size, err = size.Quo(fill.Price, andon.MaxDecimals, andon.Exact)
	}
	if err == nil {
		fill.Quantity, err = p.units(size)
	}
	if err != nil {
		f.Wrong("size: %w", err)
	}
	return fill, f.Err("fill %s", fill.ID)
}

// Fills returns every execution since a time, of a symbol or of all where it is empty, the
// newest first, each once.
func (v *Venue) Fills(ctx context.Context, symbol string, since time.Time) ([]andon.Fill, error) {
	q := url.Values{"start_sequence_timestamp": {since.UTC().Format(time.RFC3339Nano)}}
	if symbol != "" {
		q.Set("product_ids", symbol)
	}
	var all []andon.Fill
	at := map[string]int{}
	err := pages(ctx, v, "/orders/historical/fills", q, decodeFills, func(w wireFill) (bool, error) {
		p, err := v.productOf(ctx, w.ProductID, nil)
		if err != nil {
			return false, err
		}
		fill, err := w.fill(v.config.Name, p)
		if err != nil {
			return false, fmt.Errorf("coinbase: %w", err)
		}
		if i, ok := at[fill.ID]; ok {
			all[i] = fill
			return true, nil
		}
		at[fill.ID] = len(all)
		all = append(all, fill)
		return true, nil
	})
	return all, err
}

// Reports implements reconcile.History: what every order with an execution since
// Config.History came to; one that is live still is among them and says so, as is one that
// was sent before. Orders that are done without an execution are among them too.
// The window ends Config.Settle before now, since the venue's lists lag.
func (v *Venue) Reports(ctx context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	now := v.client.Clock().Now()
	window := reconcile.Window{To: now.Add(-v.config.Settle)}
	q := url.Values{}
	if v.config.History > 0 {
		window.From = now.Add(-v.config.History)
		q.Set("start_date", window.From.UTC().Format(time.RFC3339))
	}
	seen := map[string]int{}
	var all []reconcile.OrderReport
	add := func(w wireOrder, o andon.Order) (bool, error) {
		i, known := seen[o.VenueID]
		if !known {
			i = len(all)
			seen[o.VenueID] = i
			all = append(all, reconcile.OrderReport{})
		}
		var err error
		all[i], err = v.report(ctx, w, o)
		return true, err
	}
	if err := v.listWire(ctx, q, add); err != nil {
		return nil, reconcile.Window{}, err
	}
	if v.config.History > 0 {
		if err := v.olderReports(ctx, window.From, seen, add); err != nil {
			return nil, reconcile.Window{}, err
		}
	}
	untraded := func(r reconcile.OrderReport) bool { return !r.Status.Done() && r.Filled.IsZero() }
	return slices.DeleteFunc(all, untraded), window, nil
}

// olderReports adds the orders that traded since a time and were sent before it.
func (v *Venue) olderReports(ctx context.Context, since time.Time, seen map[string]int, add func(wireOrder, andon.Order) (bool, error)) error {
	fills, err := v.Fills(ctx, "", since)
	if err != nil {
		return err
	}
	var missing []string
	for _, f := range fills {
		if _, ok := seen[f.OrderID]; !ok && !slices.Contains(missing, f.OrderID) {
			missing = append(missing, f.OrderID)
		}
	}
	for batch := range slices.Chunk(missing, mostCancels) {
		if err := v.listWire(ctx, url.Values{"order_ids": batch}, add); err != nil {
			return err
		}
	}
	for _, id := range missing {
		if _, ok := seen[id]; !ok {
			return fmt.Errorf("coinbase: order %s has traded and is in no list: the list is not complete", id)
		}
	}
	return nil
}

// report is what an order came to.
func (v *Venue) report(ctx context.Context, w wireOrder, o andon.Order) (reconcile.OrderReport, error) {
	p, err := v.productOf(ctx, w.ProductID, w.ProductType)
	if err != nil {
		return reconcile.OrderReport{}, err
	}
	var f resthttp.Fields
	r := reconcile.OrderReport{
		ID: o.VenueID, ClientID: o.ClientID, Venue: o.Venue, Symbol: o.Symbol, Side: o.Side, Size: o.Quantity, Filled: o.Filled,
		FeeCurrency: p.quote, Status: o.Status, At: o.At,
	}
	if o.Filled.Sign() > 0 {
		r.Value, r.Fee = w.FilledValue.need(&f, "filled_value"), w.TotalFees.need(&f, "total_fees")
	}
	if err := f.Err("order %s", r.ID); err != nil {
		return r, fmt.Errorf("coinbase: %w", err)
	}
	return r, r.Validate()
}

// productOf returns what has to be known of a product. Of spot its name says it.
func (v *Venue) productOf(ctx context.Context, id, kind *string) (product, error) {
	if id == nil || spotSymbol(*id) && (kind == nil || *kind == "SPOT") {
		p := product{spot: true, contract: andon.NewDecimal(1, 0)}
		if id != nil {
			_, p.quote, _ = strings.Cut(*id, "-")
		}
		return p, nil
	}
	p, err := v.product(ctx, *id)
	if err != nil {
		return product{}, fmt.Errorf("%s: its contract size is not known: %w", *id, err)
	}
	return p, nil
}
