package safety_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// trader answers as it is told to.
type trader struct {
	submit func(andon.Order) (andon.Order, error)
	lookup func(id string) (andon.Order, error)
	looked []string
}

func (t *trader) Submit(_ context.Context, o andon.Order) (andon.Order, error) { return t.submit(o) }
func (t *trader) Cancel(context.Context, andon.Order) error                    { return nil }
func (t *trader) Lookup(_ context.Context, _, id string) (andon.Order, error) {
	t.looked = append(t.looked, id)
	return t.lookup(id)
}

func timesOut(o andon.Order) (andon.Order, error) { return o, context.DeadlineExceeded }

// A timeout is not a rejection: the order is looked up by its client id, and what the
// venue says of it decides.
func TestLaw6_AnAnswerThatDidNotComeIsLookedUp(t *testing.T) {
	found := func(s andon.Status) func(string) (andon.Order, error) {
		return func(id string) (andon.Order, error) {
			o := order(id, andon.Buy, "1")
			o.Status = s
			return o, nil
		}
	}
	for _, c := range []struct {
		name       string
		lookup     func(string) (andon.Order, error)
		err        error
		unresolved []string
	}{
		{"live", found(andon.Live), nil, nil},
		{"filled", found(andon.Filled), nil, nil},
		{"cancelled", found(andon.Canceled), nil, nil},
		{"rejected", found(andon.Rejected), andon.ErrRejected, nil},
		{"in a state that is none", found(andon.StatusUnknown), andon.ErrOutcomeUnknown, []string{"a"}},
		{"not found, which may be too early", func(string) (andon.Order, error) { return andon.Order{}, andon.ErrOrderNotFound }, andon.ErrOutcomeUnknown, []string{"a"}},
		{"no answer", func(string) (andon.Order, error) { return andon.Order{}, errors.New("503") }, andon.ErrOutcomeUnknown, []string{"a"}},
	} {
		for _, view := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				sw := active(t, quiet(t))
				if view {
					observe(t, sw, nil)
				}
				tr := &trader{submit: timesOut, lookup: c.lookup}
				got, err := sw.Submit(t.Context(), tr, order("a", andon.Buy, "1"))
				require.Equal(t, []string{"a"}, tr.looked)
				require.Equal(t, c.unresolved, sw.Status().Unresolved)
				require.Equal(t, len(c.unresolved), sw.Status().InFlight)
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
					require.Equal(t, c.err == andon.ErrOutcomeUnknown, errors.Is(err, context.DeadlineExceeded), "the cause is kept")
					return
				}
				require.NoError(t, err)
				require.Equal(t, "a", got.ClientID)
				require.NotEqual(t, andon.StatusUnknown, got.Status, "what the venue says of it")
			})
		}
	}
}

func TestLaw6_AnAnswerIsNotLookedUp(t *testing.T) {
	sw := active(t, quiet(t))
	tr := &trader{submit: func(o andon.Order) (andon.Order, error) { o.Status = andon.Live; return o, nil }}
	got, err := sw.Submit(t.Context(), tr, order("a", andon.Buy, "1"))
	require.NoError(t, err)
	require.Equal(t, andon.Live, got.Status)
	tr.submit = func(o andon.Order) (andon.Order, error) {
		return o, &andon.RejectedError{Order: o, Reason: "margin"}
	}
	_, err = sw.Submit(t.Context(), tr, order("b", andon.Buy, "1"))
	require.ErrorIs(t, err, andon.ErrRejected)
	require.Empty(t, tr.looked)
	require.Zero(t, sw.Status().InFlight)
	_, err = sw.Submit(t.Context(), tr, andon.Order{})
	require.ErrorIs(t, err, safety.ErrDenied, "an order that cannot be right is not sent")
	_, err = sw.SubmitClose(t.Context(), tr, order("c", andon.Sell, "1"), "")
	require.ErrorContains(t, err, "nobody is named")
}

// An order whose outcome is unknown stays in flight and is named, nothing else passes
// under its id, and only the venue's word settles it: that it exists at once, that it
// does not once it is old enough.
func TestLaw6_ResolveSettlesByTheVenuesWord(t *testing.T) {
	for _, view := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sw := active(t, inMemory())
			if view {
				observe(t, sw, nil)
			}
			answer := errors.New("503")
			tr := &trader{submit: timesOut, lookup: func(string) (andon.Order, error) { return andon.Order{}, answer }}
			for _, id := range []string{"a", "b"} {
				_, err := sw.Submit(t.Context(), tr, order(id, andon.Buy, "1"))
				require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
			}
			_, err := sw.Submit(t.Context(), tr, order("a", andon.Buy, "1"))
			require.ErrorContains(t, err, "this client id is taken")

			left, err := sw.Resolve(t.Context(), "sim", tr)
			require.ErrorIs(t, err, answer)
			require.Equal(t, []string{"a", "b"}, left)
			answer = andon.ErrOrderNotFound
			time.Sleep(10*time.Second - 1)
			left, err = sw.Resolve(t.Context(), "sim", tr)
			require.NoError(t, err)
			require.Equal(t, []string{"a", "b"}, left, "too early to believe that it never came")
			left, err = sw.Resolve(t.Context(), "other", tr)
			require.NoError(t, err)
			require.Len(t, left, 2, "another venue knows nothing of them")

			tr.lookup = func(id string) (andon.Order, error) {
				o := order(id, andon.Buy, "1")
				if o.Status = andon.Filled; id == "b" {
					return andon.Order{}, andon.ErrOrderNotFound
				}
				return o, nil
			}
			left, err = sw.Resolve(t.Context(), "sim", tr)
			require.NoError(t, err)
			require.Equal(t, []string{"b"}, left)
			time.Sleep(time.Nanosecond)
			left, err = sw.Resolve(t.Context(), "sim", tr)
			require.NoError(t, err)
			require.Empty(t, left)
			require.Zero(t, sw.Status().InFlight)
		})
	}
}

// A panic in the venue's code leaves the order in flight, and the gate usable.
func TestLaw6_APanicLeavesTheOutcomeUnknown(t *testing.T) {
	for _, view := range []bool{false, true} {
		sw := active(t, quiet(t))
		if view {
			observe(t, sw, nil)
		}
		tr := &trader{submit: func(andon.Order) (andon.Order, error) { panic("nil map") }}
		require.Panics(t, func() { _, _ = sw.Submit(t.Context(), tr, order("a", andon.Buy, "1")) })
		require.Equal(t, []string{"a"}, sw.Status().Unresolved)
		p, err := enter(sw, order("b", andon.Buy, "1"))
		require.NoError(t, err)
		p.Exit(safety.Accepted)
		r, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, r.InFlight)
	}
}

// The look-up goes on although the caller's context has ended: that is when it is needed.
func TestLaw6_TheLookUpOutlivesTheContext(t *testing.T) {
	sw := active(t, quiet(t))
	ctx, cancel := context.WithCancel(t.Context())
	tr := &ctxTrader{cancel: cancel}
	_, err := sw.Submit(ctx, tr, order("a", andon.Buy, "1"))
	require.NoError(t, err)
}

type ctxTrader struct{ cancel func() }

func (c *ctxTrader) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	c.cancel()
	return o, ctx.Err()
}
func (c *ctxTrader) Cancel(context.Context, andon.Order) error { return nil }
func (c *ctxTrader) Lookup(ctx context.Context, _, id string) (andon.Order, error) {
	o := order(id, andon.Buy, "1")
	o.Status = andon.Live
	return o, ctx.Err()
}
