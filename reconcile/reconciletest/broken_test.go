package reconciletest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

// brokenEnv names the broken one that a child of TestSuitesFindWhatIsBroken runs.
const brokenEnv = "ANDON_RECONCILETEST_BROKEN"

var brokenVenues = map[string]struct {
	spoil func(*reconciletest.Venue) andon.Venue
	finds string
}{
	"no conditional orders": {func(v *reconciletest.Venue) andon.Venue { return noConditional{v} }, "survives a close-all"},
	"down reads as flat":    {func(v *reconciletest.Venue) andon.Venue { return flatWhenDown{v} }, "that reads as flat"},
	"timeout is rejection":  {func(v *reconciletest.Venue) andon.Venue { return timeoutRejects{v} }, "a timeout is not a rejection"},
	"unknown is found":      {func(v *reconciletest.Venue) andon.Venue { return findsAll{v} }, "want ErrOrderNotFound"},
	"down is not found":     {func(v *reconciletest.Venue) andon.Venue { return findsNothing{v} }, "it cannot know"},
	"reads the first page":  {func(v *reconciletest.Venue) andon.Venue { return firstPage{v} }, "complete or an error"},
	"half a list":           {func(v *reconciletest.Venue) andon.Venue { return halfList{v} }, "when the list broke off"},
	"opens by reduce-only":  {func(v *reconciletest.Venue) andon.Venue { return ignoresReduceOnly{v} }, "from flat opened"},
}

type noConditional struct{ *reconciletest.Venue }

func (v noConditional) Orders(ctx context.Context) ([]andon.Order, error) {
	all, err := v.Venue.Orders(ctx)
	var plain []andon.Order
	for _, o := range all {
		if !o.Kind.Conditional() {
			plain = append(plain, o)
		}
	}
	return plain, err
}

type firstPage struct{ *reconciletest.Venue }

func (v firstPage) Orders(ctx context.Context) ([]andon.Order, error) {
	all, err := v.Venue.Orders(ctx)
	return all[:min(len(all), 2)], err
}

type halfList struct{ *reconciletest.Venue }

func (v halfList) Orders(ctx context.Context) ([]andon.Order, error) {
	all, err := v.Venue.Orders(ctx)
	if err != nil && ctx.Err() == nil {
		return all, nil
	}
	return all, err
}

type flatWhenDown struct{ *reconciletest.Venue }

func (v flatWhenDown) Positions(ctx context.Context) ([]andon.Position, error) {
	p, err := v.Venue.Positions(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, nil
	}
	return p, err
}

type timeoutRejects struct{ *reconciletest.Venue }

func (v timeoutRejects) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	got, err := v.Venue.Submit(ctx, o)
	if errors.Is(err, andon.ErrOutcomeUnknown) {
		return got, &andon.RejectedError{Order: o, Reason: "timeout"}
	}
	return got, err
}

type findsAll struct{ *reconciletest.Venue }

func (v findsAll) Lookup(ctx context.Context, symbol, id string) (andon.Order, error) {
	o, err := v.Venue.Lookup(ctx, symbol, id)
	if errors.Is(err, andon.ErrOrderNotFound) {
		return andon.Order{}, nil
	}
	return o, err
}

type findsNothing struct{ *reconciletest.Venue }

func (v findsNothing) Lookup(ctx context.Context, symbol, id string) (andon.Order, error) {
	o, err := v.Venue.Lookup(ctx, symbol, id)
	if err != nil {
		return andon.Order{}, andon.ErrOrderNotFound
	}
	return o, nil
}

type ignoresReduceOnly struct{ *reconciletest.Venue }

func (v ignoresReduceOnly) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	o.ReduceOnly = false
	return v.Venue.Submit(ctx, o)
}

var brokenBooks = map[string]struct {
	spoil func(*reconcile.FileBook) reconcile.Book
	finds string
}{
	"applies again":  {func(b *reconcile.FileBook) reconcile.Book { return again{b} }, "applied twice must change nothing"},
	"takes any rows": {func(b *reconcile.FileBook) reconcile.Book { return blind{b} }, "want a *MovedError"},
	"half a plan":    {func(b *reconcile.FileBook) reconcile.Book { return half{b} }, "a book into which nothing was put"},
	"rounds":         {func(b *reconcile.FileBook) reconcile.Book { return rounds{b} }, "rows came back changed"},
}

type again struct{ *reconcile.FileBook }

func (b again) Apply(ctx context.Context, tx reconcile.Transaction) error {
	err := b.FileBook.Apply(ctx, tx)
	if errors.Is(err, reconcile.ErrApplied) {
		tx.ID += " again"
		return b.FileBook.Apply(ctx, tx)
	}
	return err
}

type blind struct{ *reconcile.FileBook }

func (b blind) Apply(ctx context.Context, tx reconcile.Transaction) error {
	if err := b.FileBook.Apply(ctx, tx); !errors.Is(err, reconcile.ErrMoved) {
		return err
	}
	return nil
}

type half struct{ *reconcile.FileBook }

func (b half) Apply(ctx context.Context, tx reconcile.Transaction) error {
	for i, e := range tx.Edits {
		part := reconcile.Transaction{ID: tx.ID + string(rune('a'+i)), At: tx.At, Edits: []reconcile.Edit{e}}
		if err := b.FileBook.Apply(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

type rounds struct{ *reconcile.FileBook }

func (b rounds) Read(ctx context.Context) (reconcile.Records, error) {
	r, err := b.FileBook.Read(ctx)
	for i := range r.Fills {
		r.Fills[i].Fee = andon.Decimal{}
	}
	return r, err
}

// TestBroken is run by the children of TestSuitesFindWhatIsBroken, and must fail
// there.
func TestBroken(t *testing.T) {
	name := os.Getenv(brokenEnv)
	if name == "" {
		t.Skip("run by TestSuitesFindWhatIsBroken only")
	}
	if b, ok := brokenBooks[name]; ok {
		reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
			file := reconcile.NewFileBook(filepath.Join(t.TempDir(), "book"))
			if err := file.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			return b.spoil(file)
		})
		return
	}
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v := reconciletest.NewVenue("sim", andon.MustDecimal("100"), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		c := venueCase(v)
		c.Venue = brokenVenues[name].spoil(v)
		c.Wait, c.Patience = func() {}, 3
		return c
	})
}

func TestSuitesFindWhatIsBroken(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	finds := map[string]string{}
	for name, b := range brokenVenues {
		finds[name] = b.finds
	}
	for name, b := range brokenBooks {
		finds[name] = b.finds
	}
	for name, want := range finds {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), self, "-test.run=^TestBroken$")
			child.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := child.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the suite passed it: %v\n%s", err, out)
			}
			if !strings.Contains(string(out), want) {
				t.Errorf("the failure does not say %q:\n%s", want, out)
			}
		})
	}
}
