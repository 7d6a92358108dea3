package safetytest

import (
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

func TestVenueHelpers(t *testing.T) {
	v := andontest.New(andontest.Config{Name: "sim"})
	sw := New(t, safety.Config{})
	entry := func(id string) andon.Order {
		return andon.Order{ClientID: id, Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.MustDecimal("1")}
	}
	_, err := sw.Submit(t.Context(), v, entry("before"))
	require.NoError(t, err)
	_, err = sw.Halt(t.Context(), "drawdown", "a test")
	require.NoError(t, err)
	halted := time.Now()
	_, err = sw.Submit(t.Context(), v, entry("after"))
	require.ErrorIs(t, err, safety.ErrDenied)
	RequireNothingPassed(t, v, halted)
	require.Contains(t, failed(t, func(tb testing.TB) { RequireFlat(tb, v) }), "is not flat: %v is")

	_, err = v.Submit(t.Context(), entry("around the gate"))
	require.NoError(t, err)
	require.Contains(t, failed(t, func(tb testing.TB) { RequireNothingPassed(tb, v, halted) }), "adds exposure")
	out := entry("out")
	out.Side, out.Quantity, out.ReduceOnly = andon.Sell, andon.MustDecimal("2"), true
	_, err = v.Submit(t.Context(), out)
	require.NoError(t, err)
	RequireNothingPassed(t, v, time.Now())
	RequireFlat(t, v)
	rest := entry("rest")
	rest.Kind, rest.Price = andon.Limit, andon.MustDecimal("1")
	v.SetOrder(rest)
	require.Contains(t, failed(t, func(tb testing.TB) { RequireFlat(tb, v) }), "is live")
}
