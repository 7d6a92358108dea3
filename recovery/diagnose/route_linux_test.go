package diagnose

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRouteIsNamedStationByStation(t *testing.T) {
	w, err := Route(t.Context(), netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	require.True(t, w.Reached)
	require.Empty(t, w.Ended)
	require.Len(t, w.Hops, 1)
	require.Equal(t, 1, w.Hops[0].TTL)
	require.Contains(t, w.lines(), "1  127.0.0.1  "+w.Hops[0].Took.String())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, err = Route(ctx, netip.MustParseAddr("127.0.0.1"))
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, w.Reached)
	require.Contains(t, w.lines(), "127.0.0.1 did not answer: context canceled", "law 1: a look that broke off does not say how far the way is")

	_, err = Route(t.Context(), netip.Addr{})
	require.Error(t, err, "law 1: no address is not this machine")
}
