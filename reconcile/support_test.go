package reconcile_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	asked  = noon.Add(time.Hour) // nothing is young any more
	dec    = andon.MustDecimal
	window = reconcile.Window{From: noon.Add(-24 * time.Hour), To: noon.Add(24 * time.Hour)}
)

func position(symbol, quantity, entry string) andon.Position {
	return andon.Position{Venue: "v", Symbol: symbol, Quantity: dec(quantity), Entry: dec(entry), At: noon}
}

func fill(id, order string, side andon.Side, quantity, price, fee string) andon.Fill {
	return andon.Fill{
		ID: id, OrderID: order, Venue: "v", Symbol: "BTC-USD", Side: side,
		Quantity: dec(quantity), Price: dec(price), Fee: dec(fee), FeeCurrency: "USD", At: noon,
	}
}

// reportOf is what an honest venue says of an order with these fills.
func reportOf(t require.TestingT, fills ...andon.Fill) reconcile.OrderReport {
	f := fills[0]
	r := reconcile.OrderReport{
		ID: f.OrderID, Venue: f.Venue, Symbol: f.Symbol, Leg: f.Leg, Side: f.Side,
		FeeCurrency: f.FeeCurrency, Status: andon.Filled, At: f.At,
	}
	for _, f := range fills {
		v, err := f.Value()
		require.NoError(t, err)
		r.Filled, r.Value, r.Fee = r.Filled.Add(f.Quantity), r.Value.Add(v), r.Fee.Add(f.Fee)
	}
	r.Size = r.Filled
	return r
}

// account is a venue that says what it was told to. Nobody may trade on it: it has no
// way to.
type account struct {
	mu        sync.Mutex // for those who change it while Run reads it
	hang      chan struct{}
	onOrders  func()
	deaf      bool // a query that hangs does not hear its context
	positions []andon.Position
	orders    []andon.Order
	reports   []reconcile.OrderReport
	window    reconcile.Window

	balances []andon.Balance

	failPositions, failOrders, failReports, failBalances error
	reads                                                int
}

func (a *account) Positions(ctx context.Context) ([]andon.Position, error) {
	a.mu.Lock()
	hang, deaf := a.hang, a.deaf
	a.mu.Unlock()
	if hang != nil {
		ended := ctx.Done()
		if deaf {
			ended = nil
		}
		select {
		case <-hang:
		case <-ended:
			return nil, ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	return a.positions, a.failPositions
}

func (a *account) set(p ...andon.Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.positions = p
}

func (a *account) setFailure(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failPositions = err
}

// setHang keeps queries from answering until hang is closed.
func (a *account) setHang(hang chan struct{}, deaf bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hang, a.deaf = hang, deaf
}

// speak lets everything answer again.
func (a *account) speak() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failPositions = nil
	if a.hang != nil {
		close(a.hang)
		a.hang = nil
	}
}

func (a *account) Orders(context.Context) ([]andon.Order, error) {
	if a.onOrders != nil {
		a.onOrders()
	}
	return a.orders, a.failOrders
}

func (a *account) Balances(context.Context) ([]andon.Balance, error) {
	return a.balances, a.failBalances
}

func (a *account) Reports(context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	return a.reports, a.window, a.failReports
}

// memoryBook is a Book in memory: Records.Edit under a lock.
type memoryBook struct {
	mu      sync.Mutex
	records reconcile.Records
	applied map[string]bool
	last    reconcile.Transaction
	fail    error
	silent  string // "before" or "after" it is made, the next Apply gets no answer
}

func (b *memoryBook) Read(context.Context) (reconcile.Records, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return reconcile.Records{}, b.fail
	}
	return b.records, nil
}

func (b *memoryBook) Applied(_ context.Context, id string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.applied[id], b.fail
}

func (b *memoryBook) Apply(_ context.Context, tx reconcile.Transaction) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.applied[tx.ID] {
		return reconcile.ErrApplied
	}
	silent := b.silent
	if b.silent = ""; silent == "before" {
		return fmt.Errorf("commit: connection reset: %w", andon.ErrOutcomeUnknown)
	}
	next, err := b.records.Edit(tx.Edits)
	if err != nil {
		return err
	}
	if b.applied == nil {
		b.applied = map[string]bool{}
	}
	b.records, b.applied[tx.ID], b.last = next, true, tx
	if silent != "" {
		return fmt.Errorf("commit: connection reset: %w", andon.ErrOutcomeUnknown)
	}
	return nil
}

// timeline remembers what was recorded, or refuses to.
type timeline struct {
	lines []string
	fail  error
}

func (l *timeline) Record(_ context.Context, at time.Time, who, what, why string) error {
	if l.fail != nil {
		return l.fail
	}
	l.lines = append(l.lines, fmt.Sprintf("%s %s: %s (%s)", at.Format(time.RFC3339), who, what, why))
	return nil
}

// desk is a reconciler with everything around it.
type desk struct {
	*reconcile.Reconciler
	venue *account
	book  *memoryBook
	log   *timeline
}

func newDesk(t require.TestingT, book reconcile.Records, venue *account) *desk {
	d := &desk{venue: venue, book: &memoryBook{records: book}, log: &timeline{}}
	r, err := reconcile.New(reconcile.Config{
		Venue: "v", Account: d.venue, History: d.venue, Book: d.book, Recorder: d.log,
	})
	require.NoError(t, err)
	d.Reconciler = r
	return d
}

// plan compares and plans.
func (d *desk) plan(t require.TestingT) *reconcile.Plan {
	report, err := d.Compare(context.Background(), asked)
	require.NoError(t, err)
	p, err := report.Plan()
	require.NoError(t, err)
	return p
}

func (d *desk) apply(p *reconcile.Plan) (reconcile.Result, error) {
	return d.Apply(context.Background(), p, reconcile.Approval{By: "ada", Note: "looked at it", Commit: true}, noon.Add(time.Minute))
}

func (d *desk) requireClean(t require.TestingT) {
	report, err := d.Compare(context.Background(), asked)
	require.NoError(t, err)
	require.Empty(t, report.Discrepancies())
	require.True(t, report.Clean())
}

func newFileBook(t *testing.T) *reconcile.FileBook {
	b := reconcile.NewFileBook(filepath.Join(t.TempDir(), "book"))
	require.NoError(t, b.Create(t.Context()))
	return b
}

// witness counts the book's positions whenever something is recorded.
type witness struct {
	book      *memoryBook
	positions []int
}

func (w *witness) Record(context.Context, time.Time, string, string, string) error {
	w.positions = append(w.positions, len(w.book.records.Positions))
	return nil
}
