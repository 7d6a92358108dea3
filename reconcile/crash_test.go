package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/reconcile"
)

// diary is a timeline that is on disk when Record returns.
type diary string

func (d diary) Record(_ context.Context, _ time.Time, who, what, _ string) (err error) {
	f, err := os.OpenFile(string(d), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, outcome, _ := strings.Cut(what, "plan-")
	if _, err := fmt.Fprintf(f, "%s %s\n", who, outcome); err != nil {
		return err
	}
	return f.Sync()
}

// crashWorld is a book with one thing wrong in each subject, and the venue that says so.
func crashWorld() (reconcile.Records, *account) {
	missing, wrong := fill("2", "o", andon.Buy, "2", "10.5", "0.21"), fill("1", "o", andon.Buy, "1", "10", "0.1")
	whole := mustReport(wrong)
	second := mustReport(missing)
	whole.Filled, whole.Value, whole.Fee = whole.Filled.Add(second.Filled), whole.Value.Add(second.Value), whole.Fee.Add(second.Fee)
	whole.Size = whole.Filled
	gone := andon.Order{ClientID: "gone", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1"), Status: andon.Live, At: noon}
	return reconcile.Records{
			Positions: []andon.Position{position("A", "1", "5"), position("GONE", "3", "5")},
			Orders:    []andon.Order{gone},
			Fills:     []andon.Fill{wrong},
			Balances:  []andon.Balance{{Venue: "v", Currency: "USD", Total: dec("10")}},
		}, &account{
			positions: []andon.Position{position("A", "2", "5"), position("B", "1", "7")},
			reports:   []reconcile.OrderReport{whole},
			balances:  []andon.Balance{{Venue: "v", Currency: "USD", Total: dec("7.5")}},
			window:    window,
		}
}

// unknownAll knows no order.
type unknownAll struct{}

func (unknownAll) Lookup(context.Context, string, string) (andon.Order, error) {
	return andon.Order{}, andon.ErrOrderNotFound
}

func crashReconciler(dir string) (*reconcile.Reconciler, *reconcile.FileBook, error) {
	_, venue := crashWorld()
	book := reconcile.NewFileBook(filepath.Join(dir, "book"))
	r, err := reconcile.New(reconcile.Config{
		Venue: "v", Account: venue, History: venue, Finder: unknownAll{}, Balances: true, Book: book,
		Recorder: diary(filepath.Join(dir, "diary")),
	})
	return r, book, err
}

// applyStored does what a person does: it applies the plan that was stored.
func applyStored(dir string) (reconcile.Result, error) {
	r, _, err := crashReconciler(dir)
	if err != nil {
		return reconcile.Result{}, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		return reconcile.Result{}, err
	}
	p, err := reconcile.DecodePlan(data)
	if err != nil {
		return reconcile.Result{}, err
	}
	return r.Apply(context.Background(), p, reconcile.Approval{By: "ada", Note: "seen", Commit: true}, asked)
}

// TestLaw9_KilledAtEveryStepOfApplyAndThenAgainEndsTheSame kills the process before,
// after and in the middle of everything that it writes, and applies the plan again.
func TestLaw9_KilledAtEveryStepOfApplyAndThenAgainEndsTheSame(t *testing.T) {
	setup := func(dir string) error {
		r, book, err := crashReconciler(dir)
		if err != nil {
			return err
		}
		ctx := context.Background()
		records, _ := crashWorld()
		if err := book.Create(ctx); err != nil {
			return err
		}
		if err := book.Update(ctx, func(all *reconcile.Records) error { *all = records; return nil }); err != nil {
			return err
		}
		report, err := r.Compare(ctx, asked)
		if err != nil {
			return err
		}
		p, err := report.Plan()
		if err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(dir, "plan.json"))
		if err != nil {
			return err
		}
		return errors.Join(p.WriteJSON(f), f.Close())
	}

	var known *reconcile.Records // what Apply ends with when nobody kills it
	want := func(t *testing.T) reconcile.Records {
		if known != nil {
			return *known
		}
		dir := t.TempDir()
		require.NoError(t, setup(dir))
		result, err := applyStored(dir)
		require.NoError(t, err)
		require.Equal(t, 6, result.Repairs)
		_, book, err := crashReconciler(dir)
		require.NoError(t, err)
		records, err := book.Read(t.Context())
		require.NoError(t, err)
		known = &records
		return records
	}
	crashtest.Run(t, crashtest.Config{Setup: setup}, func(dir string) error {
		if _, err := applyStored(dir); err != nil {
			return err
		}
		fmt.Println("applied")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		r, book, err := crashReconciler(dir)
		require.NoError(t, err)
		records, _ := crashWorld()
		left, err := book.Read(t.Context())
		require.NoError(t, err)
		whole := len(left.Orders) == 0
		if slices.Contains(at.Lines, "applied") {
			require.True(t, whole, "what was acknowledged is there")
		}
		if whole {
			require.Equal(t, want(t), left)
			lines, err := os.ReadFile(filepath.Join(dir, "diary"))
			require.NoError(t, err)
			require.Contains(t, string(lines), "approved, about to be applied", "the record comes first")
		} else {
			require.Equal(t, records, left, "half a plan was applied")
		}

		result, err := applyStored(dir)
		require.NoError(t, err)
		require.Equal(t, whole, result.Already)
		again, err := book.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, want(t), again)
		report, err := r.Compare(t.Context(), asked)
		require.NoError(t, err)
		require.True(t, report.Clean(), "%v", report.Discrepancies())
	})
}

// TestMemory_KilledAtEveryStepNothingConfirmedIsForgotten kills a process that compares,
// confirms and halts. Once it has said that it halted, no later process lifts a hold of
// its own; and whatever is left of its memory can be read.
func TestMemory_KilledAtEveryStepNothingConfirmedIsForgotten(t *testing.T) {
	memory := func(dir string) func(*reconcile.Config) {
		return func(c *reconcile.Config) { c.Memory = filepath.Join(dir, "memory.json") }
	}
	crashtest.Run(t, crashtest.Config{MaxSteps: 16}, func(dir string) error {
		g := newGuard(panics{}, memory(dir))
		g.differ()
		for range 3 {
			if err := g.check(); err != nil {
				return err
			}
			fmt.Println(g.rope.state())
		}
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		g := newGuard(t, memory(dir))
		require.NoError(t, g.check())
		require.Empty(t, g.rope.halt, "the memory could be read")
		if slices.Contains(at.Lines, "halted") {
			require.Zero(t, g.rope.relaxed)
		}
		g.differ()
		for range 3 {
			require.NoError(t, g.check())
		}
		require.Equal(t, "halted", g.rope.state())
	})
}

// panics is a require.TestingT for a child, which has no test of its own.
type panics struct{}

func (panics) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (panics) FailNow()                          { panic("failed") }
