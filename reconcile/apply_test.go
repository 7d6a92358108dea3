package reconcile_test

import (
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
