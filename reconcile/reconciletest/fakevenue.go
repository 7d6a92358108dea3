package reconciletest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// Venue is a venue in memory that does and fails as it is told to. Market orders fill
// at once at Price; everything else rests until it is cancelled. It is safe for
// concurrent use; its zero value has no name, so use NewVenue.
type Venue struct {
	name string

	mu         sync.Mutex
	now        time.Time
	price      andon.Decimal
	positions  map[andon.LegKey]andon.Position
	orders     []andon.Order // all that were ever taken, conditional ones too
	fills      []andon.Fill
	down       error
	loseAnswer int
	next       int
}

var (
	_ andon.Venue       = (*Venue)(nil)
	_ reconcile.History = (*Venue)(nil)
)

// NewVenue returns a venue that is flat, where everything costs price.
func NewVenue(name string, price andon.Decimal, now time.Time) *Venue {
	return &Venue{name: name, price: price, now: now, positions: map[andon.LegKey]andon.Position{}}
}

// Down makes every call fail with err until it is called with nil. Submit and Cancel
// fail with an error that is andon.ErrOutcomeUnknown too.
func (v *Venue) Down(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = err
}

// LoseAnswers makes the next n submits take effect and answer
// andon.ErrOutcomeUnknown.
func (v *Venue) LoseAnswers(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.loseAnswer = n
}

// SetPosition makes the venue hold p, as if it had always been there; a quantity of zero
// takes the leg away.
func (v *Venue) SetPosition(p andon.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.Venue = v.name
	v.positions[p.Key()] = p
	if p.Quantity.IsZero() {
		delete(v.positions, p.Key())
	}
}

// Fills returns every execution so far, as a bot would have heard of them.
func (v *Venue) Fills() []andon.Fill {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.fills)
}

// Positions implements andon.Account.
func (v *Venue) Positions(ctx context.Context) ([]andon.Position, error) {
	return answer(ctx, v, func() []andon.Position {
		var all []andon.Position
		for _, p := range v.positions {
			all = append(all, p)
		}
		return all
	})
}

// Orders implements andon.Account.
func (v *Venue) Orders(ctx context.Context) ([]andon.Order, error) {
	return answer(ctx, v, func() []andon.Order {
		return slices.DeleteFunc(slices.Clone(v.orders), func(o andon.Order) bool { return o.Status.Done() })
	})
}

// Balances implements andon.Account; it has none.
func (v *Venue) Balances(ctx context.Context) ([]andon.Balance, error) {
	return answer(ctx, v, func() []andon.Balance { return nil })
}

// Reports implements reconcile.History; the list is complete for all that happened
// here.
func (v *Venue) Reports(ctx context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	reports, err := answer(ctx, v, func() []reconcile.OrderReport {
		var all []reconcile.OrderReport
		for _, o := range v.orders {
			if o.Status.Done() {
				all = append(all, v.report(o))
			}
		}
		return all
	})
	return reports, reconcile.Window{From: v.now.Add(-time.Hour), To: v.now.Add(time.Hour)}, err
}

func (v *Venue) report(o andon.Order) reconcile.OrderReport {
	r := reconcile.OrderReport{
		ID: o.VenueID, ClientID: o.ClientID, Venue: o.Venue, Symbol: o.Symbol, Leg: o.Leg, Side: o.Side,
		Size: o.Quantity, Filled: o.Filled, Status: o.Status, At: o.At,
	}
	for _, f := range v.fills {
		if f.OrderID != o.VenueID {
			continue
		}
		value, err := f.Value()
		if err != nil { // Submit took no such fill
			panic("reconciletest: " + err.Error())
		}
		r.Value, r.Fee, r.FeeCurrency = r.Value.Add(value), r.Fee.Add(f.Fee), f.FeeCurrency
	}
	return r
}

func answer[T any](ctx context.Context, v *Venue, list func() []T) ([]T, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if v.down != nil {
		return nil, v.down
	}
	return list(), nil
}

// Submit implements andon.Trader.
func (v *Venue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.reachable(ctx); err != nil {
		return andon.Order{}, err
	}
	taken, err := v.take(o)
	if err != nil {
		return andon.Order{}, err
	}
	if v.loseAnswer > 0 {
		v.loseAnswer--
		return andon.Order{}, fmt.Errorf("order %s: no answer: %w", o.ClientID, andon.ErrOutcomeUnknown)
	}
	return taken, nil
}

func (v *Venue) reachable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	if v.down != nil {
		return fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, v.down)
	}
	return nil
}

// take books an order, and fills it where it is a market order.
func (v *Venue) take(o andon.Order) (andon.Order, error) {
	reject := func(reason string) (andon.Order, error) {
		return andon.Order{}, &andon.RejectedError{Order: o, Reason: reason}
	}
	if err := o.Validate(); err != nil {
		return reject(err.Error())
	}
	if o.Venue != v.name {
		return reject("this is " + v.name)
	}
	if v.find(o.Symbol, o.ClientID) >= 0 {
		return reject("client id was used before")
	}
	held := v.positions[o.Key()].Quantity
	if o.ReduceOnly && (held.IsZero() || held.Sign() == o.Side.Sign() || held.Abs().Less(o.Quantity)) {
		return reject("would not only reduce")
	}
	v.next++
	o.VenueID, o.Status, o.At, o.Filled = fmt.Sprintf("%s-%d", v.name, v.next), andon.Live, v.now, andon.Decimal{}
	if o.Kind == andon.Market {
		if err := v.fill(&o); err != nil {
			return reject(err.Error())
		}
	}
	v.orders = append(v.orders, o)
	return o, nil
}

func (v *Venue) fill(o *andon.Order) error {
	f := andon.Fill{
		ID: "f" + o.VenueID, OrderID: o.VenueID, ClientID: o.ClientID, Venue: v.name, Symbol: o.Symbol, Leg: o.Leg,
		Side: o.Side, Quantity: o.Quantity, Price: v.price, FeeCurrency: "USD", At: v.now,
	}
	if _, err := f.Value(); err != nil {
		return err
	}
	p, _, err := reconcile.AddFill(v.positions[o.Key()], f)
	if err != nil {
		return err
	}
	p.Mark = v.price
	v.positions[o.Key()] = p
	if p.Quantity.IsZero() {
		delete(v.positions, o.Key())
	}
	v.fills = append(v.fills, f)
	o.Filled, o.Status = o.Quantity, andon.Filled
	return nil
}

func (v *Venue) find(symbol, clientID string) int {
	return slices.IndexFunc(v.orders, func(o andon.Order) bool { return o.Symbol == symbol && o.ClientID == clientID })
}

// Cancel implements andon.Trader.
func (v *Venue) Cancel(ctx context.Context, o andon.Order) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.reachable(ctx); err != nil {
		return err
	}
	i := v.find(o.Symbol, o.ClientID)
	if i < 0 || v.orders[i].Status.Done() {
		return fmt.Errorf("cancel %s: %w", o.ClientID, andon.ErrOrderNotFound)
	}
	v.orders[i].Status, v.orders[i].At = andon.Canceled, v.now
	return nil
}

// Lookup implements andon.Trader.
func (v *Venue) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.reachable(ctx); err != nil {
		return andon.Order{}, err
	}
	i := v.find(symbol, clientID)
	if i < 0 {
		return andon.Order{}, fmt.Errorf("look up %s: %w", clientID, andon.ErrOrderNotFound)
	}
	return v.orders[i], nil
}
