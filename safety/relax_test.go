package safety_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/safety"
)

func TestRelaxLiftsTheHoldOfItsOwnWordsAlone(t *testing.T) {
	ctx := context.Background()
	sw := active(t, quiet(t))
	long := strings.Repeat("long ", 500)
	for _, reason := range []string{"a", "b", long} {
		require.NoError(t, sw.Reduce("reconcile v", reason))
	}
	require.NoError(t, sw.Reduce("another", "a"))
	require.NoError(t, sw.Condition("reconcile v", safety.Reducing, "a"))
	reasons := func() (all []string) {
		for _, h := range sw.Status().Holds {
			all = append(all, h.By+": "+h.Reason[:1])
		}
		return all
	}
	require.Len(t, reasons(), 5)

	require.ErrorContains(t, sw.Relax(ctx, "reconcile v", "a", ""), "a note")
	require.NoError(t, sw.Relax(ctx, "reconcile v", "c", "no such hold"))
	require.NoError(t, sw.Relax(ctx, "nobody", "a", "no such hold"))
	require.Len(t, reasons(), 5)
	require.NoError(t, sw.Relax(ctx, "reconcile v", "a", "over"))
	require.NoError(t, sw.Relax(ctx, "reconcile v", long, "over"), "a reason that was cut is the same reason")
	require.ElementsMatch(t, []string{"reconcile v: b", "another: a", "reconcile v: a"}, reasons(), "a condition is for Condition")
	require.NoError(t, sw.Condition("reconcile v", safety.Active, ""))
	require.NoError(t, sw.Relax(ctx, "reconcile v", "b", "over"))
	require.NoError(t, sw.Relax(ctx, "another", "a", "over"))
	require.Equal(t, safety.Active, sw.State())

	require.NoError(t, sw.Engage("reconcile v", "a"))
	require.NoError(t, sw.Relax(ctx, "reconcile v", "a", "law 3: not a halt"))
	require.Equal(t, safety.Halted, sw.State())
}
