package sim

import (
	"testing"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// The average entry of one at 1 and two at 2 has no end, so it is rounded; what the
// closing fills realise together is still exact.
func TestALegThatCloses(t *testing.T) {
	for _, closing := range [][]string{{"-3"}, {"-1", "-2"}, {"-2", "-2"}} {
		var e exact
		var l leg
		var realised andon.Decimal
		for _, fill := range [][2]string{{"1", "1"}, {"2", "2"}} {
			l, realised = l.trade(&e, dec(fill[0]), dec(fill[1]))
			require.True(t, realised.IsZero())
		}
		require.NotEqual(t, dec("5"), e.mul(l.quantity, l.entry), "the entry is rounded")
		total := andon.Decimal{}
		for _, signed := range closing {
			l, realised = l.trade(&e, dec(signed), dec("2"))
			total = total.Add(realised)
		}
		require.NoError(t, e.err)
		require.Equal(t, dec("1"), total, "%v", closing)
	}
}
