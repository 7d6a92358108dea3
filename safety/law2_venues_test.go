package safety_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// Orders in flight are named whatever venue they went to, also one that the switch
// never heard of before.
func TestLaw2_EveryVenueIsLookedThrough(t *testing.T) {
	cfg := quiet(t)
	cfg.DrainWithin = 20 * time.Millisecond
	sw := active(t, cfg)
	for _, venue := range []string{"a", "b", "c"} {
		o := order("on "+venue, andon.Buy, "1")
		o.Venue = venue
		_, err := enter(sw, o)
		require.NoError(t, err)
	}
	r, err := sw.Halt(t.Context(), "bob", "drill")
	require.NoError(t, err)
	require.Equal(t, []string{"on a", "on b", "on c"}, r.InFlight)
	require.Equal(t, 3, sw.Status().InFlight)
}
