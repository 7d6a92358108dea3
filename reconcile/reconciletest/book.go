package reconciletest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestBook checks a Book. Each subtest opens one, which must be empty.
func TestBook(t *testing.T, open func(t *testing.T) reconcile.Book) {
	for _, test := range bookTests {
		t.Run(test.name, func(t *testing.T) {
			b := &bookTest{T: t, book: open(t)}
			test.run(b)
		})
	}
}

var bookTests = []struct {
	name string
	run  func(*bookTest)
}{
	{"an empty book is empty, without an error", (*bookTest).empty},
	{"what was put in comes out exactly", (*bookTest).exact},
	{"an edit replaces all rows of its key and no other", (*bookTest).replaces},
	{"rows that have moved are refused and named", (*bookTest).moved},
	{"all edits or none", (*bookTest).allOrNone},
	{"a transaction is made once", (*bookTest).once},
	{"of many at once one is made", (*bookTest).concurrent},
	{"rows of one key may repeat", (*bookTest).duplicates},
	{"a balance comes out exactly, or the edit is refused", (*bookTest).balances},
	{"a context that has ended is an error", (*bookTest).ended},
}

type bookTest struct {
	*testing.T
	book reconcile.Book
	next int
}

func (b *bookTest) apply(edits ...reconcile.Edit) error {
	b.next++
	return b.book.Apply(b.Context(), reconcile.Transaction{ID: fmt.Sprintf("tx-%d", b.next), At: noon, Edits: edits})
}

func (b *bookTest) mustApply(edits ...reconcile.Edit) {
	b.Helper()
	if err := b.apply(edits...); err != nil {
		b.Fatalf("Apply: %v", err)
	}
}

func (b *bookTest) read() reconcile.Records {
	b.Helper()
	r, err := b.book.Read(b.Context())
	if err != nil {
		b.Fatalf("Read: %v", err)
	}
	return r
}

func position(symbol, quantity string) andon.Position {
	return andon.Position{
		Venue: "v", Symbol: symbol, Quantity: andon.MustDecimal(quantity),
		Entry: andon.MustDecimal("10.00000001"), At: noon.Add(123456 * time.Microsecond),
	}
}

func fill(id, order string) andon.Fill {
	return andon.Fill{
		ID: id, OrderID: order, Venue: "v", Symbol: "BTC-USD", Side: andon.Sell,
		Quantity: andon.MustDecimal("0.33375687"), Price: andon.MustDecimal("120832.83"),
		Fee: andon.MustDecimal("0.0000000000000000001"), FeeCurrency: "USD", At: noon,
	}
}

func order(id string) andon.Order {
	return andon.Order{
		ClientID: id, Venue: "v", Symbol: "BTC-USD", Leg: andon.Long, Side: andon.Sell, Kind: andon.StopLimit,
		Quantity: andon.MustDecimal("2"), Filled: andon.MustDecimal("0.5"), Price: andon.MustDecimal("9"),
		Trigger: andon.MustDecimal("9.5"), ReduceOnly: true, Status: andon.Live, At: noon,
	}
}

func positionEdit(symbol string, before, after []andon.Position) reconcile.Edit {
	key := reconcile.PositionKey(andon.LegKey{Venue: "v", Symbol: symbol})
	return reconcile.Edit{Key: key, Positions: &reconcile.Rows[andon.Position]{Before: before, After: after}}
}

func fillEdit(order string, before, after []andon.Fill) reconcile.Edit {
	key := reconcile.FillKey(fill("", order))
	return reconcile.Edit{Key: key, Fills: &reconcile.Rows[andon.Fill]{Before: before, After: after}}
}

func rows[T any](r ...T) []T { return r }

func (b *bookTest) empty() {
	b.wantNoRows()
	done, err := b.book.Applied(b.Context(), "tx-1")
	if err != nil || done {
		b.Fatalf("Applied of an id that was never used: %v, %v, want false, nil", done, err)
	}
}

func (b *bookTest) wantNoRows() {
	b.Helper()
	r := b.read()
	if n := len(r.Positions) + len(r.Orders) + len(r.Fills) + len(r.Balances); n > 0 {
		b.Fatalf("a book into which nothing was put has %d rows", n)
	}
}

func (b *bookTest) exact() {
	p, o, f := position("A", "-0.0000000000000000001"), order("c1"), fill("1", "o1")
	b.mustApply(
		positionEdit("A", nil, rows(p)),
		fillEdit("o1", nil, rows(f)),
		reconcile.Edit{Key: reconcile.OrderKey(o), Orders: &reconcile.Rows[andon.Order]{After: rows(o)}},
	)
	r := b.read()
	if len(r.Positions) != 1 || len(r.Orders) != 1 || len(r.Fills) != 1 {
		b.Fatalf("put in one row of each, read %d positions, %d orders, %d fills", len(r.Positions), len(r.Orders), len(r.Fills))
	}
	gp, g, gf := r.Positions[0], r.Orders[0], r.Fills[0]
	if !gp.At.Equal(p.At) || !g.At.Equal(o.At) || !gf.At.Equal(f.At) {
		b.Errorf("times came back as %v, %v, %v", gp.At, g.At, gf.At)
	}
	gp.At, g.At, gf.At = p.At, o.At, f.At
	if !reflect.DeepEqual(gp, p) || !reflect.DeepEqual(g, o) || !reflect.DeepEqual(gf, f) {
		b.Errorf("rows came back changed: a book that rounds or forgets can never agree with a venue\n%v\n%v\n%v", gp, g, gf)
	}
}

func (b *bookTest) replaces() {
	a, other := position("A", "1"), position("B", "5")
	b.mustApply(positionEdit("A", nil, rows(a)), positionEdit("B", nil, rows(other)))
	b.mustApply(positionEdit("A", rows(a), rows(position("A", "2"))))
	b.wantQuantities("2", "5")
	b.mustApply(positionEdit("A", rows(position("A", "2")), nil))
	b.wantQuantities("5")
}

func (b *bookTest) wantQuantities(want ...string) {
	b.Helper()
	left := map[string]int{}
	for _, p := range b.read().Positions {
		left[p.Quantity.String()]++
	}
	for _, q := range want {
		left[q]--
	}
	for q, n := range left {
		if n != 0 {
			b.Errorf("quantity %s: %+d rows more than there should be", q, n)
		}
	}
}

func (b *bookTest) moved() {
	a, f := position("A", "1"), fill("1", "o")
	b.mustApply(positionEdit("A", nil, rows(a)), fillEdit("o", nil, rows(f)))
	later := a
	later.At = a.At.Add(time.Second)
	for name, e := range map[string]reconcile.Edit{
		"other content":         positionEdit("A", rows(position("A", "3")), rows(position("A", "4"))),
		"only the time differs": positionEdit("A", rows(later), rows(position("A", "4"))),
		"there is a row":        positionEdit("A", nil, rows(position("A", "4"))),
		"there is no row":       positionEdit("B", rows(position("B", "3")), nil),
		"a row more":            fillEdit("o", nil, rows(fill("2", "o"))),
		"a row less":            fillEdit("o", rows(f, fill("2", "o")), rows(f)),
	} {
		err := b.apply(e)
		moved, ok := errors.AsType[*reconcile.MovedError](err)
		if !ok || !errors.Is(err, reconcile.ErrMoved) {
			b.Errorf("%s: Apply gave %v, want a *MovedError: the repair was made for other rows", name, err)
		} else if moved.Key != e.Key {
			b.Errorf("%s: the error names %v, want %v", name, moved.Key, e.Key)
		}
	}
	b.wantQuantities("1")
}

func (b *bookTest) allOrNone() {
	err := b.apply(
		positionEdit("A", nil, rows(position("A", "1"))),
		fillEdit("o", nil, rows(fill("1", "o"))),
		positionEdit("B", rows(position("B", "1")), nil),
	)
	if err == nil {
		b.Fatal("Apply made an edit of a row that is not there")
	}
	b.empty()
}

func (b *bookTest) once() {
	tx := reconcile.Transaction{ID: "once", At: noon, Edits: rows(positionEdit("A", nil, rows(position("A", "1"))))}
	if err := b.book.Apply(b.Context(), tx); err != nil {
		b.Fatalf("Apply: %v", err)
	}
	if done, err := b.book.Applied(b.Context(), "once"); err != nil || !done {
		b.Fatalf("Applied after Apply: %v, %v, want true, nil", done, err)
	}
	b.mustApply(positionEdit("A", rows(position("A", "1")), nil))
	if err := b.book.Apply(b.Context(), tx); !errors.Is(err, reconcile.ErrApplied) {
		b.Errorf("Apply again: %v, want ErrApplied: a plan applied twice must change nothing, "+
			"even where its edits would fit again", err)
	}
	b.wantQuantities()
}

func (b *bookTest) concurrent() {
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			tx := reconcile.Transaction{ID: fmt.Sprint("racer-", i), At: noon, Edits: rows(
				positionEdit("A", nil, rows(position("A", fmt.Sprint(i+1)))))}
			err := b.book.Apply(b.Context(), tx)
			switch {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, reconcile.ErrMoved):
				b.Errorf("Apply: %v, want nil or ErrMoved", err)
			}
		})
	}
	wg.Wait()
	if n := len(b.read().Positions); made.Load() != 1 || n != 1 {
		b.Errorf("%d of 8 transactions that exclude each other were made, %d rows: want 1", made.Load(), n)
	}
}

func (b *bookTest) duplicates() {
	f := fill("1", "o")
	twin := f
	twin.Fee = andon.MustDecimal("3")
	switch err := b.apply(fillEdit("o", nil, rows(f, twin))); {
	case errors.Is(err, reconcile.ErrConflict):
		b.empty()
		b.Skipf("this book holds one row an id and refuses another: %v", err)
	case err != nil:
		b.Fatalf("Apply: %v", err)
	}
	if n := len(b.read().Fills); n != 2 {
		b.Skipf("this book holds one row an id and kept %d of 2", n)
	}
	b.mustApply(fillEdit("o", rows(twin, f), rows(f))) // in any order
	if n := len(b.read().Fills); n != 1 {
		b.Errorf("%d rows left of two, want 1", n)
	}
}

func (b *bookTest) balances() {
	usd := andon.Balance{Venue: "v", Currency: "USD", Total: andon.MustDecimal("10.00000001"), Reserved: andon.MustDecimal("0.5")}
	e := reconcile.Edit{Key: reconcile.BalanceKey(usd), Balances: &reconcile.Rows[andon.Balance]{After: rows(usd)}}
	switch err := b.apply(e); {
	case errors.Is(err, errors.ErrUnsupported):
		b.wantNoRows()
		b.Skipf("this book keeps no balances: %v", err)
	case err != nil:
		b.Fatalf("Apply: %v, want nil, or errors.ErrUnsupported from a book that keeps no balances", err)
	}
	if got := b.read().Balances; !reflect.DeepEqual(got, rows(usd)) {
		b.Errorf("put in %v, read %v", usd, got)
	}
	if err := b.apply(e); !errors.Is(err, reconcile.ErrMoved) {
		b.Errorf("Apply where there is a row already: %v, want ErrMoved", err)
	}
	e.Balances = &reconcile.Rows[andon.Balance]{Before: rows(usd)}
	b.mustApply(e)
	b.wantNoRows()
}

func (b *bookTest) ended() {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if _, err := b.book.Read(ctx); err == nil {
		b.Error("Read with an ended context gave records: it must not look like an empty book")
	}
	if _, err := b.book.Applied(ctx, "x"); err == nil {
		b.Error("Applied with an ended context gave an answer")
	}
	tx := reconcile.Transaction{ID: "x", At: noon, Edits: rows(positionEdit("A", nil, rows(position("A", "1"))))}
	if err := b.book.Apply(ctx, tx); err == nil {
		b.Error("Apply with an ended context gave no error")
	}
}
