package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/andon-go/andon"
)

// answers are what the venue said to each query. A list counts only while the error
// beside it is nil.
type answers struct {
	positions []andon.Position
	orders    []andon.Order
	reports   []OrderReport
	window    Window
	balances  []andon.Balance

	// found has what was looked up by its id, nil where the venue knows no such order.
	found map[Key]*andon.Order

	positionsErr *QueryError
	ordersErr    *QueryError
	reportsErr   *QueryError
	balancesErr  *QueryError
	lookupErrs   []*QueryError
}

// readVenue asks the venue everything; one failed query does not keep the others
// from being asked.
func (r *Reconciler) readVenue(ctx context.Context) answers {
	var a answers
	if r.config.Account != nil {
		r.readAccount(ctx, &a)
	}
	if r.config.History == nil {
		return a
	}
	var err error
	if a.reports, a.window, err = r.config.History.Reports(ctx); err == nil {
		err = checkRows(a.reports, r.config.Venue, func(o OrderReport) (string, error) { return o.Venue, o.Validate() })
	}
	a.reportsErr = unanswered("done orders", err)
	return a
}

// readAccount reads the live orders before the positions: one that fills in between would be
// in neither list otherwise. Where both are empty it reads the orders again, for one that has
// come in between.
func (r *Reconciler) readAccount(ctx context.Context, a *answers) {
	r.readOrders(ctx, a)
	var err error
	if a.positions, err = r.config.Account.Positions(ctx); err == nil {
		err = checkRows(a.positions, r.config.Venue, func(p andon.Position) (string, error) { return p.Venue, p.Validate() })
	}
	a.positionsErr = unanswered("positions", err)
	if a.flat() {
		r.readOrders(ctx, a)
	}
	if !r.config.Balances {
		return
	}
	if a.balances, err = r.config.Account.Balances(ctx); err == nil {
		err = checkRows(a.balances, r.config.Venue, func(b andon.Balance) (string, error) { return b.Venue, checkBalance(b) })
	}
	a.balancesErr = unanswered("balances", err)
}

func (r *Reconciler) readOrders(ctx context.Context, a *answers) {
	var err error
	if a.orders, err = r.config.Account.Orders(ctx); err == nil {
		err = checkRows(a.orders, r.config.Venue, func(o andon.Order) (string, error) { return o.Venue, checkLive(o) })
	}
	a.ordersErr = unanswered("live orders", err)
}

func unanswered(query string, err error) *QueryError {
	if err == nil {
		return nil
	}
	return &QueryError{VenueSide, query, err}
}

// checkRows makes an error of the first row that cannot be right, since one such row
// means that the rest cannot be trusted either.
func checkRows[T any](rows []T, venue string, check func(T) (string, error)) error {
	for i, row := range rows {
		name, err := check(row)
		if err == nil && name != venue {
			err = fmt.Errorf("venue is %q, want %q", name, venue)
		}
		if err != nil {
			return fmt.Errorf("row %d of %d: %w", i+1, len(rows), err)
		}
	}
	return nil
}

func checkLive(o andon.Order) error {
	err := checkOrder(o)
	if o.Status.Done() {
		err = errors.Join(err, fmt.Errorf("order %q is %v in the list of live ones", OrderKey(o).Order, o.Status))
	}
	return err
}

// checkOrder is less than Order.Validate asks of an order that is to be sent: an order
// placed by hand has no client id.
func checkOrder(o andon.Order) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.ClientID == "" && o.VenueID == "" {
		add("order has no id")
	}
	if o.Symbol == "" {
		add("order %q: symbol is empty", OrderKey(o).Order)
	}
	if o.Leg > andon.Short || o.Side.Sign() == 0 || o.Kind == 0 || o.Kind > andon.TakeProfitLimit {
		add("order %q: %v, %v, %v", OrderKey(o).Order, o.Leg, o.Side, o.Kind)
	}
	if o.Quantity.Sign() <= 0 || o.Filled.Sign() < 0 || o.Quantity.Less(o.Filled) {
		add("order %q: filled %v of %v", OrderKey(o).Order, o.Filled, o.Quantity)
	}
	return errors.Join(errs...)
}

// maxLookups bounds the look-ups of one comparison. The state of the orders beyond it
// stays unknown until some of the others have been put right.
const maxLookups = 100

// lookUp asks for each of these orders that is not among the live ones and has an id
// to ask by.
func (r *Reconciler) lookUp(ctx context.Context, a *answers, orders []andon.Order, skip func(andon.Order) bool) {
	if r.config.Finder == nil || a.ordersErr != nil {
		return
	}
	live := map[Key]bool{}
	for _, o := range a.orders {
		live[OrderKey(o)] = true
	}
	a.found = map[Key]*andon.Order{}
	asked := 0
	for _, o := range orders {
		key := OrderKey(o)
		if _, done := a.found[key]; done || live[key] || o.ClientID == "" || skip(o) {
			continue
		}
		if asked++; asked > maxLookups {
			return
		}
		found, err := r.config.Finder.Lookup(ctx, o.Symbol, o.ClientID)
		switch {
		case errors.Is(err, andon.ErrOrderNotFound) && !errors.Is(err, andon.ErrOutcomeUnknown):
			a.found[key] = nil
			continue
		case err == nil:
			err = checkRows([]andon.Order{found}, r.config.Venue, func(o andon.Order) (string, error) { return o.Venue, checkOrder(o) })
		}
		if err == nil && OrderKey(found) != key {
			err = fmt.Errorf("the answer is of %v", OrderKey(found))
		}
		if err != nil {
			a.lookupErrs = append(a.lookupErrs, unanswered("order "+o.ClientID, err))
			continue
		}
		a.found[key] = &found
	}
}

func (a answers) failed() []*QueryError {
	var failed []*QueryError
	for _, e := range []*QueryError{a.positionsErr, a.ordersErr, a.balancesErr, a.reportsErr} {
		if e != nil {
			failed = append(failed, e)
		}
	}
	return append(failed, a.lookupErrs...)
}

// flat reports whether the venue said that nothing is held and nothing is live.
func (a answers) flat() bool {
	if a.positionsErr != nil || a.ordersErr != nil || len(a.orders) > 0 {
		return false
	}
	for _, p := range a.positions {
		if !p.Quantity.IsZero() {
			return false
		}
	}
	return true
}
