package sim

import (
	"context"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// Reports returns what every order came to, from the oldest, and the window from the
// start to now in which that is complete. An order that still trades is among
// them as andon.Live once it has a fill.
func (x *Exchange) Reports(ctx context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	var list []reconcile.OrderReport
	var window reconcile.Window
	err := x.ask(ctx, "reports", "", func() (err error) {
		window = reconcile.Window{From: x.cfg.Start, To: x.now.Add(1)} // an order at now is in it
		list, err = x.reports()
		return err
	})
	if err != nil {
		return nil, reconcile.Window{}, err
	}
	return list, window, nil
}

func (x *Exchange) reports() ([]reconcile.OrderReport, error) {
	values, fees := map[string]andon.Decimal{}, map[string]andon.Decimal{}
	var e exact
	for _, f := range x.fills {
		values[f.ClientID] = values[f.ClientID].Add(e.mul(f.Quantity, f.Price))
		fees[f.ClientID] = fees[f.ClientID].Add(f.Fee)
	}
	var list []reconcile.OrderReport
	for _, id := range x.accepted {
		o := x.orders[id]
		if !o.Status.Done() && o.Filled.IsZero() {
			continue
		}
		list = append(list, reconcile.OrderReport{
			ID: o.VenueID, ClientID: id, Venue: o.Venue, Symbol: o.Symbol, Leg: o.Leg, Side: o.Side,
			Size: o.Quantity, Filled: o.Filled, Value: values[id], Fee: fees[id], FeeCurrency: x.cfg.Currency,
			Status: o.Status, At: o.At,
		})
	}
	return list, e.err
}
