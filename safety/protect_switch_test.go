package safety_test

import (
	"testing"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// The real switch is a Gate, and while it is halted it lets protection through and
// nothing that opens.
func TestLaw4_ProtectionPassesAHaltedSwitch(t *testing.T) {
	sw := open(t, quiet(t)) // the very first start is halted
	require.Equal(t, safety.Halted, sw.State())
	v := &twoListVenue{positions: []andon.Position{held("BTC", andon.Net, "2")}}
	p, _ := protector(v)
	p.Gate = sw
	plan := planFor(t, v)
	result, err := p.Apply(t.Context(), plan, checkedAt)
	require.NoError(t, err)
	require.True(t, result.After.Protected())
	_, err = sw.Submit(t.Context(), v, andon.Order{ClientID: "more", Venue: "twolist", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: num("1")})
	require.ErrorIs(t, err, safety.ErrDenied)
	_, err = p.Apply(t.Context(), plan, checkedAt)
	require.NoError(t, err)
	require.Equal(t, 1, v.submits)
}
