package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/recorded"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/reconcile"
)

// maxCorrupt is how many orders the shortest useful recording has, roughly.
const maxCorrupt = 100

// done is the venue's word on done orders, as it was recorded.
type done struct{ orders *recorded.Orders }

// Reports implements reconcile.History.
func (d done) Reports(context.Context) ([]reconcile.OrderReport, reconcile.Window, error) {
	return d.orders.Reports, d.orders.Window, nil
}

// timeline writes decisions straight into the journal, for a run without incidents.
type timeline struct{ j *journal.Journal }

// Record implements reconcile.Recorder.
func (t timeline) Record(ctx context.Context, at time.Time, who, what, why string) error {
	_, err := t.j.Append(ctx, incident.Any, incident.Event{At: at, Kind: incident.Decision, By: who, What: what, Why: why})
	return err
}

// recordedDay builds the book from recorded fills, takes the recorded orders as the
// venue's word, and compares the two; with -corrupt it damages the book first and
// repairs it.
func recordedDay(ctx context.Context, f flags, out io.Writer) (err error) {
	fills, err := recorded.LoadFills(f.Fills)
	if err != nil {
		return err
	}
	orders, err := recorded.LoadOrders(f.Orders)
	if err != nil {
		return err
	}
	ledger, err := reconcile.Derive(fills.Fills)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Fills, err)
	}
	dir, err := makeDir(f.Dir, time.Now())
	if err != nil {
		return err
	}
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	book := reconcile.NewFileBook(filepath.Join(dir, "positions.db"))
	if err := book.Create(ctx); err != nil {
		return err
	}
	if err := book.Update(ctx, func(r *reconcile.Records) error { r.Fills = fills.Fills; return nil }); err != nil {
		return err
	}
	r, err := reconcile.New(reconcile.Config{
		Venue: recorded.Venue, Book: book, History: done{orders}, Recorder: timeline{j},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "book: %d fills, %d repeated, in %d orders\n", ledger.Fills, fills.Repeats, len(ledger.Orders))
	fmt.Fprintf(out, "venue: %d orders after %d repeats were recognised, complete from %s to %s\n", len(orders.Reports), orders.Repeats,
		orders.Window.From.Format(time.DateOnly), orders.Window.To.Format(time.DateOnly))
	printLedger(out, ledger)
	if f.Corrupt > 0 {
		damaged, err := corrupt(ctx, book, orders, rand.New(rand.NewPCG(f.Seed, 0)), f.Corrupt)
		if err != nil {
			return err
		}
		for _, line := range damaged {
			fmt.Fprintln(out, "damaged:", line)
		}
		if err := repair(ctx, r, f, damaged, out); err != nil {
			return err
		}
	}
	report, err := r.Compare(ctx, time.Now())
	if err != nil {
		return err
	}
	agreed := report.Comparisons[0]
	fmt.Fprintf(out, "compared: %d of %d agree in size, fees and value; %d orders lie outside the recorded window: unknown, not missing\n",
		agreed.Agreed, agreed.OnVenue, len(report.Unknown()))
	for _, d := range report.Discrepancies() {
		fmt.Fprintln(out, "differs:", d)
	}
	records, err := book.Read(ctx)
	if err != nil {
		return err
	}
	if ledger, err = reconcile.Derive(records.Fills); err != nil {
		return err
	}
	printLedger(out, ledger)
	fmt.Fprintf(out, "book     %s\njournal  %s\n", book.Path(), j.Path())
	if !report.Clean() {
		return fmt.Errorf("book and venue differ in %d places", len(report.Discrepancies()))
	}
	return nil
}

func printLedger(out io.Writer, l *reconcile.Ledger) {
	for _, p := range l.Positions {
		fmt.Fprintf(out, "position: %v %s\n", p.Quantity, p.Symbol)
	}
	for _, fee := range l.Fees {
		fmt.Fprintf(out, "fees: %v %s\n", fee.Amount, fee.Currency)
	}
}

// repair finds what is damaged, prints the plan, applies it, and applies it once more
// to show that nothing happens.
func repair(ctx context.Context, r *reconcile.Reconciler, f flags, damaged []string, out io.Writer) error {
	now := time.Now()
	report, err := r.Compare(ctx, now)
	if err != nil {
		return err
	}
	if err := report.WriteTable(out); err != nil {
		return err
	}
	found := map[string]bool{}
	for _, d := range report.Discrepancies() {
		found[d.Key.Order] = true
	}
	if len(found) != len(damaged) {
		return fmt.Errorf("damaged were %d rows, found %d orders that differ", len(damaged), len(found))
	}
	plan, err := report.Plan()
	if err != nil {
		return err
	}
	if err := plan.WriteTable(out); err != nil {
		return err
	}
	approval := reconcile.Approval{By: f.Operator, Note: "the venue's totals are right, the book was damaged", Commit: true}
	result, err := r.Apply(ctx, plan, approval, now)
	if err != nil {
		return err
	}
	again, err := r.Apply(ctx, plan, approval, now)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "applied: %d repairs, approved by %s; applied again: %d\n", result.Repairs, approval.By, again.Repairs)
	return nil
}

// corrupt damages n rows, each of another order that the venue has a word on, and
// says what it did.
func corrupt(ctx context.Context, book *reconcile.FileBook, orders *recorded.Orders, rng *rand.Rand, n int) ([]string, error) {
	known := map[string]bool{}
	for _, o := range orders.Reports {
		known[o.ID] = true
	}
	if n > len(known) {
		return nil, fmt.Errorf("-corrupt %d: the recording has %d orders", n, len(known))
	}
	var said []string
	err := book.Update(ctx, func(r *reconcile.Records) error {
		for len(said) < n {
			i := rng.IntN(len(r.Fills))
			fill := &r.Fills[i]
			if !known[fill.OrderID] {
				continue
			}
			known[fill.OrderID] = false
			said = append(said, damage(&r.Fills, i, rng.IntN(4)))
		}
		return nil
	})
	return said, err
}

// damage spoils one row as bad disks, bad merges and bad nights do.
func damage(fills *[]andon.Fill, i, how int) string {
	f := &(*fills)[i]
	at := fmt.Sprintf("fill %s of order %s: ", f.ID, f.OrderID)
	switch how {
	case 0:
		was := f.Quantity
		f.Quantity = f.Quantity.Add(f.Quantity)
		return at + fmt.Sprintf("quantity %v became %v", was, f.Quantity)
	case 1:
		was := f.Fee
		f.Fee = f.Fee.Add(andon.MustDecimal("0.25"))
		return at + fmt.Sprintf("fee %v became %v", was, f.Fee)
	case 2:
		was := f.Side
		f.Side = f.Side.Opposite()
		return at + fmt.Sprintf("%v became %v", was, f.Side)
	}
	*fills = slices.Delete(*fills, i, i+1)
	return at + "the row is gone"
}
