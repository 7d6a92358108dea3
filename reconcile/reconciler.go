package reconcile

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon"
)

// Reconciler compares one book with one venue account, repairs the book, and holds
// trading while they disagree. New makes one, Run keeps it comparing. It is safe for
// concurrent use.
type Reconciler struct {
	config Config
	meters *meters

	running  atomic.Bool
	checking chan struct{} // holds the one whose turn it is

	saving sync.Mutex // taken before mu
	saved  string     // what Memory holds

	// pulling is held from a decision until the Cord has done it, so that one overtakes no
	// other. It is taken before mu, which nothing of the caller's is called under.
	pulling sync.Mutex

	mu     sync.Mutex      // guards what follows
	watch  *watch          // nil until remember
	forgot string          // why Memory could not be read
	pulled map[string]bool // the reasons that the Cord was pulled for and that still stand
}

// New returns a Reconciler, or every problem of the Config, joined. It reads nothing
// yet and starts nothing.
func New(c Config) (*Reconciler, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	c = c.withDefaults()
	m, err := newMeters(c.Meters, c.Venue)
	if err != nil {
		return nil, fmt.Errorf("reconcile: Meters: %w", err)
	}
	return &Reconciler{config: c, meters: m, checking: make(chan struct{}, 1), pulled: map[string]bool{}}, nil
}

// Compare asks both sides for everything and compares it. The report is never nil;
// a query without an answer is in its Failed and in the error, which is
// ErrUnanswered then, and what depends on it is not compared. It holds nobody up and
// remembers nothing; see Check.
func (r *Reconciler) Compare(ctx context.Context, now time.Time) (*Report, error) {
	start := time.Now()
	report := r.compare(ctx, now)
	r.meters.compared(ctx, report, time.Since(start))
	return report, report.Err()
}

func (r *Reconciler) compare(ctx context.Context, now time.Time) *Report {
	report := &Report{Venue: r.config.Venue, At: now}
	began := time.Now()
	// The venue is read first: what happens meanwhile is in the book then, with its
	// time, and so is known to be young.
	venue := r.readVenue(ctx)
	book, bookErr := r.readBook(ctx)
	rules := Rules{
		Now: now, InFlight: r.config.InFlight, StaleAfter: r.config.StaleAfter, Instruments: r.config.Instruments, took: time.Since(began),
	}
	if bookErr == nil {
		r.lookUp(ctx, &venue, book.Orders, func(o andon.Order) bool { return o.Status.Done() || rules.young(o.At) })
	}
	report.Failed = venue.failed()
	report.flat = r.config.Account != nil && venue.flat()
	if bookErr != nil {
		report.Failed = append(report.Failed, bookErr)
		return report
	}
	rules.took = time.Since(began)
	j := newJudge(rules, book, venue)
	add := func(c Comparison) { report.Comparisons = append(report.Comparisons, c) }
	if r.config.Account != nil && venue.positionsErr == nil {
		keys := NewKeys(max(len(book.Positions), len(venue.positions)))
		b := keys.LoadPositions(book.Positions)
		add(j.positions(b, keys.LoadPositions(venue.positions)))
	}
	if r.config.Account != nil && venue.ordersErr == nil {
		add(j.liveOrders(book.Orders, venue.orders))
	}
	if r.config.History != nil && venue.reportsErr == nil {
		c, err := j.executions(book.Fills, venue.reports, venue.window)
		if err != nil {
			report.Failed = append(report.Failed, &QueryError{BookSide, "records", err})
		} else {
			add(c)
		}
	}
	if r.config.Balances && venue.balancesErr == nil {
		add(j.balances(book.Balances, venue.balances, j.movingCurrency))
	}
	return report
}

// readBook reads this venue's rows of the book.
func (r *Reconciler) readBook(ctx context.Context) (Records, *QueryError) {
	all, err := r.config.Book.Read(ctx)
	if err != nil {
		return Records{}, &QueryError{BookSide, "records", err}
	}
	return Records{
		Positions: rowsOf(all.Positions, r.config.Venue, func(p *andon.Position) string { return p.Venue }),
		Orders:    rowsOf(all.Orders, r.config.Venue, func(o *andon.Order) string { return o.Venue }),
		Fills:     rowsOf(all.Fills, r.config.Venue, func(f *andon.Fill) string { return f.Venue }),
		Balances:  rowsOf(all.Balances, r.config.Venue, func(b *andon.Balance) string { return b.Venue }),
	}, nil
}

// rowsOf returns the rows of one venue: the list itself where it has no others.
func rowsOf[T any](rows []T, venue string, of func(*T) string) []T {
	n := 0
	for i := range rows {
		if of(&rows[i]) == venue {
			n++
		}
	}
	if n == len(rows) {
		return rows
	}
	own := make([]T, 0, n)
	for i := range rows {
		if of(&rows[i]) == venue {
			own = append(own, rows[i])
		}
	}
	return own
}
