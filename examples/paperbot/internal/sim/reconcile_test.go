package sim

import (
	"testing"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A book that is made of the fills agrees with every word of the venue, exactly.
func TestABookOfTheFillsAgreesWithTheVenue(t *testing.T) {
	agreed, open := 0, 0
	worlds(t, func(t *rapid.T, w *world) {
		faults := w.x.Faults()
		require.NoError(t, w.x.SetFaults(Faults{}))
		ledger, err := reconcile.Derive(w.x.fills)
		require.NoError(t, err)
		positions, err := w.x.Positions(ctx)
		require.NoError(t, err)
		require.Len(t, positions, len(ledger.Positions))
		for _, p := range positions {
			require.NoError(t, p.Validate())
			require.Contains(t, ledger.Positions, andon.Position{
				Venue: p.Venue, Symbol: p.Symbol, Leg: p.Leg, Quantity: p.Quantity, Entry: p.Entry, At: lastFill(w, p.Key()).At,
			})
		}
		reports, window, err := w.x.Reports(ctx)
		require.NoError(t, err)
		for _, r := range reports {
			require.NoError(t, r.Validate())
		}
		c, err := reconcile.CompareExecutions(w.x.fills, reports, window, reconcile.Rules{})
		require.NoError(t, err)
		require.Empty(t, c.Discrepancies)
		require.Len(t, reports, c.Agreed+len(c.Unknown), "only what still trades is not settled")
		agreed, open = agreed+c.Agreed, open+len(c.Unknown)
		require.NoError(t, w.x.SetFaults(faults))
	})
	require.NotZero(t, agreed)
	require.NotZero(t, open)
}

func lastFill(w *world, k andon.LegKey) (last andon.Fill) {
	for _, f := range w.x.fills {
		if f.Key() == k {
			last = f
		}
	}
	return last
}
