package reconciletest

import (
	"context"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/reconcile"
)

// Venue is andontest's venue with a word on what is done there.
type Venue struct {
	*andontest.Venue
	now time.Time
}

var (
	_ andon.Venue       = (*Venue)(nil)
	_ reconcile.History = (*Venue)(nil)
)

// NewVenue returns a venue that is flat, where everything costs price and every row is
// of now. NewVenueFrom takes more.
func NewVenue(name string, price andon.Decimal, now time.Time) *Venue {
	return NewVenueFrom(andontest.Config{Name: name, Price: price, Now: now})
}

// NewVenueFrom returns a venue made from an andontest.Config, where Now is required.
func NewVenueFrom(cfg andontest.Config) *Venue { return &Venue{andontest.New(cfg), cfg.Now} }

// LoseAnswers makes the next n submits and cancels take effect and answer
// andon.ErrOutcomeUnknown.
func (v *Venue) LoseAnswers(n int) { v.Inject(andontest.TimeoutTaken, n) }

// Fills returns every execution so far, as a bot would have heard of them.
func (v *Venue) Fills() []andon.Fill { return v.Truth().Fills }

// Reports implements reconcile.History; the list is complete for all that happened
// here. It is an error where a query for orders is one.
func (v *Venue) Reports(ctx context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	window := reconcile.Window{From: v.now.Add(-time.Hour), To: v.now.Add(time.Hour)}
	if _, err := v.Orders(ctx); err != nil {
		return nil, window, err
	}
	truth := v.Truth()
	var all []reconcile.OrderReport
	for _, o := range truth.Done {
		r := reconcile.OrderReport{
			ID: o.VenueID, ClientID: o.ClientID, Venue: o.Venue, Symbol: o.Symbol, Leg: o.Leg, Side: o.Side,
			Size: o.Quantity, Filled: o.Filled, Status: o.Status, At: o.At,
		}
		for _, f := range truth.Fills {
			if f.OrderID != o.VenueID {
				continue
			}
			value, err := f.Value()
			if err != nil {
				return nil, window, err
			}
			r.Value, r.Fee, r.FeeCurrency = r.Value.Add(value), r.Fee.Add(f.Fee), f.FeeCurrency
		}
		all = append(all, r)
	}
	return all, window, nil
}
