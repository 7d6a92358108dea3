package reconcile_test

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// TestLaw9_WhatIsNotAskedIsNotGone applies a plan that closes out a position through a
// Reconciler that does not ask for positions at all.
func TestLaw9_WhatIsNotAskedIsNotGone(t *testing.T) {
	d := newDesk(t, reconcile.Records{Positions: []andon.Position{position("A", "1", "2")}}, &account{window: window})
	p := d.plan(t)
	require.Equal(t, reconcile.CloseOut, p.Repairs[0].Action)

	unasking, err := reconcile.New(reconcile.Config{Venue: "v", Book: d.book, History: d.venue, Recorder: d.log})
	require.NoError(t, err)
	_, err = unasking.Apply(t.Context(), p, reconcile.Approval{By: "ada", Commit: true}, noon)
	require.ErrorIs(t, err, reconcile.ErrMoved)
	require.ErrorContains(t, err, "not known")
	require.Len(t, d.book.records.Positions, 1)
}

// TestLaw9_ApplyIsADryRunUnlessItIsTold: without Commit everything is checked and nothing
// is changed, and nobody's name is needed.
func TestLaw9_ApplyIsADryRunUnlessItIsTold(t *testing.T) {
	d := newDesk(t, reconcile.Records{Positions: []andon.Position{position("A", "1", "2")}},
		&account{positions: []andon.Position{position("A", "3", "2")}, window: window})
	p := d.plan(t)
	dry := func() (reconcile.Result, error) { return d.Apply(t.Context(), p, reconcile.Approval{By: "ada"}, asked) }
	result, err := dry()
	require.NoError(t, err)
	require.Equal(t, reconcile.Result{Plan: p.ID, Repairs: 1, DryRun: true}, result)
	require.Equal(t, "1", d.book.records.Positions[0].Quantity.String())
	require.Empty(t, d.log.lines)

	d.book.records.Positions[0].Quantity = dec("9")
	_, err = dry()
	require.ErrorIs(t, err, reconcile.ErrMoved, "the book's own rows are checked too")
	d.book.records.Positions[0].Quantity = dec("1")
	d.venue.positions[0].Quantity = dec("4")
	_, err = dry()
	require.ErrorIs(t, err, reconcile.ErrMoved)
	d.venue.positions[0].Quantity = dec("3")
	_, err = d.apply(p)
	require.NoError(t, err)
	result, err = dry()
	require.NoError(t, err)
	require.True(t, result.Already)
}

// TestApply_AsksTheWriteGate: while writes are held nothing is written or recorded.
func TestApply_AsksTheWriteGate(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "3", "2")}, window: window})
	held := errors.New("read-only")
	r, err := reconcile.New(reconcile.Config{
		Venue: "v", Account: d.venue, History: d.venue, Book: d.book, Recorder: d.log, CheckWrite: func() error { return held },
	})
	require.NoError(t, err)
	d.Reconciler = r
	p := d.plan(t)
	for _, commit := range []bool{false, true} {
		_, err = d.Apply(t.Context(), p, reconcile.Approval{By: "ada", Commit: commit}, asked)
		require.ErrorIs(t, err, held)
	}
	require.Empty(t, d.book.records.Positions)
	require.Empty(t, d.log.lines)
	held = nil
	_, err = d.apply(p)
	require.NoError(t, err)
}

// TestLaw9_ALookUpIsAFactToo: an order that was not known to the venue and is now, or
// cannot be asked for any more, is a fact that has moved.
func TestLaw9_ALookUpIsAFactToo(t *testing.T) {
	base := func() (*world, *desk) {
		o := andon.Order{ClientID: "c", Venue: "v", Symbol: "A", Side: andon.Buy, Kind: andon.Market, Quantity: dec("1"), Status: andon.Live, At: noon}
		w := &world{venue: &account{window: window}, book: reconcile.Records{Orders: []andon.Order{o}}, lookups: map[string]*andon.Order{"c": nil}}
		return w, w.desk(t, true)
	}
	w, d := base()
	p := d.plan(t)
	require.Equal(t, reconcile.CloseOut, p.Repairs[0].Action)
	filled := w.book.Orders[0]
	filled.Status, filled.Filled = andon.Filled, filled.Quantity
	w.lookups["c"] = &filled
	_, err := d.apply(p)
	require.ErrorIs(t, err, reconcile.ErrMoved)
	delete(w.lookups, "c")
	_, err = d.apply(p)
	require.ErrorIs(t, err, reconcile.ErrUnanswered)

	unasking, err := reconcile.New(reconcile.Config{Venue: "v", Account: d.venue, History: d.venue, Book: d.book, Recorder: d.log})
	require.NoError(t, err)
	_, err = unasking.Apply(t.Context(), p, reconcile.Approval{By: "ada", Commit: true}, asked)
	require.ErrorIs(t, err, reconcile.ErrMoved)
	require.ErrorContains(t, err, "not known")
	require.Len(t, d.book.records.Orders, 1)
	w.lookups["c"] = nil
	_, err = d.apply(p)
	require.NoError(t, err)
	require.Empty(t, d.book.records.Orders)
}

// TestLaw6_AnApplyWithoutAnAnswerIsSettledByTheSamePlan: neither the error nor the
// timeline says that nothing was done, and both say what to do.
func TestLaw6_AnApplyWithoutAnAnswerIsSettledByTheSamePlan(t *testing.T) {
	for _, silent := range []string{"before", "after"} {
		t.Run(silent, func(t *testing.T) {
			d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "3", "2")}, window: window})
			p := d.plan(t)
			d.book.silent = silent
			result, err := d.apply(p)
			require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			require.EqualError(t, err, "plan "+p.ID+" may have been applied, or not: commit: connection reset: outcome unknown: apply the same plan again, which settles it")
			require.Equal(t, reconcile.Result{Plan: p.ID}, result)
			require.Len(t, d.log.lines, 2)
			require.Contains(t, d.log.lines[1], "may have been applied, or not, until the same plan is applied again")
			require.NotContains(t, d.log.lines[1], "not applied")

			result, err = d.apply(p)
			require.NoError(t, err)
			require.Equal(t, silent == "after", result.Already)
			require.Len(t, d.book.records.Positions, 1)
			d.requireClean(t)
		})
	}
}

func TestApply_ABookIsToldWhoApproved(t *testing.T) {
	d := newDesk(t, reconcile.Records{}, &account{positions: []andon.Position{position("A", "3", "2")}, window: window})
	_, err := d.apply(d.plan(t))
	require.NoError(t, err)
	require.Equal(t, "ada", d.book.last.By)
	require.Equal(t, "looked at it", d.book.last.Note)

	file := newFileBook(t)
	require.NoError(t, file.Apply(t.Context(), reconcile.Transaction{ID: "p", At: noon, By: "ada", Note: "seen"}))
	text, err := os.ReadFile(file.Path())
	require.NoError(t, err)
	require.Contains(t, string(text), `{"applied":{"id":"p","at":"2026-03-01T12:00:00Z","by":"ada","note":"seen"}}`)
}
