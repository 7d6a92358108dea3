package bluefin

import (
	"context"
	"fmt"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

var _ reconcile.History = (*Venue)(nil)

// Reports implements reconcile.History: what every order that traded in the last
// Config.TradesBack came to; one that is live still is among them and says so. The venue
// has no list of done orders, so that an order's total is that of its trades, and its size
// is not known. Trades are read
// as much further back as an order lives, so that no total lacks its beginning; an order
// that was told to live longer than Config.OrderLife is the exception. The window ends
// Config.Settle before now, since trades lag.
func (v *Venue) Reports(ctx context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	// What is live is asked for after the trades: an order that ends in between is missing
	// from the trades of its last moment, which lies outside of the window.
	now := v.clock.Now()
	window := reconcile.Window{From: now.Add(-v.config.TradesBack), To: now.Add(-v.config.Settle)}
	trades, err := v.trades(ctx, "", window.From.Add(-v.config.OrderLife))
	if err != nil {
		return nil, reconcile.Window{}, err
	}
	live, err := v.lists(ctx, "")
	if err != nil {
		return nil, reconcile.Window{}, err
	}
	var all []reconcile.OrderReport
	at := map[string]int{}
	for _, t := range trades {
		switch {
		case t.OrderID == "":
			return nil, reconcile.Window{}, fmt.Errorf("bluefin: trade %s: orderHash is missing", t.ID)
		case !t.feeKnown:
			return nil, reconcile.Window{}, fmt.Errorf("bluefin: trade %s: its fee is missing", t.ID)
		}
		hash := bareHash(t.OrderID)
		i, known := at[hash]
		if !known {
			i = len(all)
			at[hash] = i
			status := andon.Filled
			if live.has(t.OrderID) {
				status = andon.Live
			}
			all = append(all, reconcile.OrderReport{
				ID: t.OrderID, ClientID: t.ClientID, Venue: t.Venue, Symbol: t.Symbol, Side: t.Side, FeeCurrency: t.FeeCurrency, Status: status,
			})
		}
		if err := addTrade(&all[i], t); err != nil {
			return nil, reconcile.Window{}, fmt.Errorf("bluefin: trade %s: %w", t.ID, err)
		}
	}
	return inWindow(all, window), window, nil
}

func addTrade(r *reconcile.OrderReport, t trade) error {
	value, err := t.Value()
	if err != nil {
		return err
	}
	if t.FeeCurrency != r.FeeCurrency {
		return fmt.Errorf("its fee is in %s, that of another trade of its order in %s", t.FeeCurrency, r.FeeCurrency)
	}
	r.Filled, r.Value, r.Fee = r.Filled.Add(t.Quantity), r.Value.Add(value), r.Fee.Add(t.Fee)
	if t.At.After(r.At) {
		r.At = t.At
	}
	return nil
}

// inWindow leaves out orders that traded before the window alone: of the oldest the
// beginning may be missing.
func inWindow(all []reconcile.OrderReport, w reconcile.Window) []reconcile.OrderReport {
	var in []reconcile.OrderReport
	for _, r := range all {
		if !r.At.Before(w.From.Truncate(time.Millisecond)) {
			in = append(in, r)
		}
	}
	return in
}
