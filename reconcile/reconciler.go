package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Config says what a Reconciler compares.
type Config struct {
	// Venue is the name that rows of this account carry. Rows of the book with
	// another name are left alone; a row with another name from Account is an error.
	// Required.
	Venue string

	// Account is the venue, which is read and never traded. Defaults to none: then
	// positions and live orders are not compared, and History is required.
	Account andon.Account

	// Book is where the bot's records lie. Required.
	Book Book

	// History is the venue's word on done orders. Defaults to none: then fills are
	// not compared.
	History History

	// Recorder puts applied plans on the timeline. Defaults to none: then Apply
	// refuses, since a repair that nobody can see later is not made.
	Recorder Recorder
}

func (c Config) validate() error {
	var errs []error
	if c.Venue == "" {
		errs = append(errs, errors.New("Venue: is empty, want the name that the account's rows carry"))
	}
	if c.Account == nil && c.History == nil {
		errs = append(errs, errors.New("Account: is missing, and so is History: there is nothing to compare with"))
	}
	if c.Book == nil {
		errs = append(errs, errors.New("Book: is missing"))
	}
	return errors.Join(errs...)
}

// Reconciler compares one book with one venue account and repairs the book. It is
// safe for concurrent use.
type Reconciler struct {
	config Config
}

// New returns a Reconciler, or every problem of the Config, joined.
func New(c Config) (*Reconciler, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return &Reconciler{config: c}, nil
}

// Compare asks both sides for everything and compares it. The report is never nil;
// a query without an answer is in its Failed and in the error, which is
// ErrUnanswered then, and what depends on it is not compared.
func (r *Reconciler) Compare(ctx context.Context, now time.Time) (*Report, error) {
	report := &Report{Venue: r.config.Venue, At: now}
	fail := func(err *QueryError) { report.Failed = append(report.Failed, err) }
	book, bookErr := r.readBook(ctx)
	if bookErr != nil {
		fail(bookErr)
	}
	venue := r.readVenue(ctx)
	report.Failed = append(report.Failed, venue.failed()...)
	report.flat = r.config.Account != nil && venue.flat()
	if bookErr != nil {
		return report, report.Err()
	}
	if r.config.Account != nil && venue.positionsErr == nil {
		keys := NewKeys(len(book.Positions))
		b, v := keys.LoadPositions(book.Positions), keys.LoadPositions(venue.positions)
		report.Comparisons = append(report.Comparisons, ComparePositions(b, v))
	}
	if r.config.Account != nil && venue.ordersErr == nil {
		report.Comparisons = append(report.Comparisons, CompareLiveOrders(book.Orders, venue.orders))
	}
	if r.config.History != nil && venue.reportsErr == nil {
		c, err := CompareExecutions(book.Fills, venue.reports, venue.window)
		if err != nil {
			fail(&QueryError{BookSide, "records", err})
		} else {
			report.Comparisons = append(report.Comparisons, c)
		}
	}
	return report, report.Err()
}

// readBook reads this venue's rows of the book.
func (r *Reconciler) readBook(ctx context.Context) (Records, *QueryError) {
	all, err := r.config.Book.Read(ctx)
	if err != nil {
		return Records{}, &QueryError{BookSide, "records", err}
	}
	return Records{
		Positions: rowsOf(all.Positions, r.config.Venue, func(p andon.Position) string { return p.Venue }),
		Orders:    rowsOf(all.Orders, r.config.Venue, func(o andon.Order) string { return o.Venue }),
		Fills:     rowsOf(all.Fills, r.config.Venue, func(f andon.Fill) string { return f.Venue }),
	}, nil
}

func rowsOf[T any](rows []T, venue string, of func(T) string) []T {
	var own []T
	for _, row := range rows {
		if of(row) == venue {
			own = append(own, row)
		}
	}
	return own
}

// answers are what the venue said to each query. A list counts only while the error
// beside it is nil.
type answers struct {
	positions    []andon.Position
	orders       []andon.Order
	reports      []OrderReport
	window       Window
	positionsErr *QueryError
	ordersErr    *QueryError
	reportsErr   *QueryError
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

func (r *Reconciler) readAccount(ctx context.Context, a *answers) {
	var err error
	if a.positions, err = r.config.Account.Positions(ctx); err == nil {
		err = checkRows(a.positions, r.config.Venue, func(p andon.Position) (string, error) { return p.Venue, p.Validate() })
	}
	a.positionsErr = unanswered("positions", err)
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

// checkLive is less than Order.Validate asks of an order that is to be sent: an order
// placed by hand has no client id.
func checkLive(o andon.Order) error {
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
	if o.Status.Done() {
		add("order %q is %v in the list of live ones", OrderKey(o).Order, o.Status)
	}
	return errors.Join(errs...)
}

func (a answers) failed() []*QueryError {
	var failed []*QueryError
	for _, e := range []*QueryError{a.positionsErr, a.ordersErr, a.reportsErr} {
		if e != nil {
			failed = append(failed, e)
		}
	}
	return failed
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
