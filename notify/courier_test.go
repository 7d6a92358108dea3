package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/stretchr/testify/require"
)

// sender is a Notifier made of a function.
type sender func(ctx context.Context, m notify.Message) error

func (f sender) Notify(ctx context.Context, m notify.Message) error { return f(ctx, m) }

// deaf never answers, and keeps to its context.
var deaf = sender(func(ctx context.Context, _ notify.Message) error { <-ctx.Done(); return ctx.Err() })

var (
	errBusy   = &notify.DeliveryError{Status: 503}
	errNoUser = &notify.DeliveryError{Status: 404, Permanent: true}
)

// always fails with the same error.
func always(err error) sender { return func(context.Context, notify.Message) error { return err } }

func courier(t *testing.T, channels map[string]notify.Notifier, change ...func(*notify.Config)) *notify.Courier {
	cfg := notify.Config{Channels: channels}
	for _, f := range change {
		f(&cfg)
	}
	c, err := notify.NewCourier(cfg)
	require.NoError(t, err)
	return c
}

// on returns a contact with an address on each of the channels.
func on(channels ...string) notify.Contact {
	c := notify.Contact{Name: "Ada"}
	for _, name := range channels {
		c.Addresses = append(c.Addresses, notify.Address{Channel: name, To: "ada@" + name})
	}
	return c
}

// bubble runs a test in which time passes as soon as everything waits.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func since(begin time.Time) time.Duration { return time.Since(begin).Round(time.Millisecond) }

func TestTheFirstChannelThatTakesItEndsTheDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a, b notifytest.Recorder
		begin := time.Now()
		r := courier(t, map[string]notify.Notifier{"a": &a, "b": &b}).Deliver(t.Context(), on("a", "b"), notify.Message{Key: "k", Text: "x"})
		require.NoError(t, r.Err)
		require.Equal(t, notify.Receipt{Contact: "Ada", Key: "k",
			Accepted: notify.Attempt{Address: notify.Address{Channel: "a", To: "ada@a"}, Tries: 1, At: begin}}, r)
		require.Equal(t, "ada@a", notifytest.RequireSent(t, &a, "k").To)
		notifytest.RequireNothingSent(t, &b)
	})
}

func TestAChannelThatFailsDelaysNoOther(t *testing.T) {
	for name, tc := range map[string]struct {
		first notify.Notifier
		want  time.Duration
	}{
		"it refuses":             {always(errNoUser), 0},
		"it is busy":             {always(errBusy), 0},
		"it wants an hour":       {always(&notify.DeliveryError{Status: 429, RetryAfter: time.Hour}), 0},
		"it fails in its way":    {always(errors.New("boom")), 0},
		"it panics":              {sender(func(context.Context, notify.Message) error { panic("nil map") }), 0},
		"it does not answer":     {deaf, 3 * time.Second},
		"there is no such":       {nil, 0},
		"it ignores its context": {sender(func(context.Context, notify.Message) error { time.Sleep(time.Hour); return nil }), 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var second notifytest.Recorder
				channels := map[string]notify.Notifier{"second": &second}
				if tc.first != nil {
					channels["first"] = tc.first
				}
				begin := time.Now()
				r := courier(t, channels).Deliver(t.Context(), on("first", "second"), notify.Message{Key: "k"})
				require.NoError(t, r.Err)
				require.Equal(t, "second", r.Accepted.Channel)
				require.Equal(t, tc.want, since(begin))
				time.Sleep(2 * time.Hour) // for the one that ignores its context
			})
		})
	}
}

func TestAnEarlierChannelGoesOnTryingBesideTheLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first notifytest.Recorder
		first.Fail(errBusy, errBusy)
		r := courier(t, map[string]notify.Notifier{"first": &first, "second": deaf, "third": deaf}).
			Deliver(t.Context(), on("first", "second", "third"), notify.Message{Key: "k"})
		require.NoError(t, r.Err)
		require.Equal(t, "first", r.Accepted.Channel)
		require.Equal(t, 3, r.Accepted.Tries)
	})
}

func TestNoContactWaitsForAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var good notifytest.Recorder
		ada, ben := on("bad"), on("good")
		ben.Name = "Ben"
		begin := time.Now()
		receipts := courier(t, map[string]notify.Notifier{"bad": deaf, "good": &good}).
			Broadcast(t.Context(), []notify.Contact{ada, ben}, notify.Message{Key: "k"})
		require.Equal(t, "Ada", receipts[0].Contact)
		require.ErrorIs(t, receipts[0].Err, notify.ErrUndelivered)
		require.NoError(t, receipts[1].Err)
		require.Equal(t, begin, receipts[1].Accepted.At)
	})
}

// tries notes when each try was made, and fails all but the last.
type tries struct {
	at   []time.Duration
	fail func(try int) error
}

func (r *tries) notifier(begin time.Time) sender {
	return func(context.Context, notify.Message) error {
		r.at = append(r.at, since(begin))
		return r.fail(len(r.at))
	}
}

func TestWaitsGrowAndAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		seen := tries{fail: func(int) error { return errBusy }}
		c := courier(t, map[string]notify.Notifier{"a": seen.notifier(begin)}, func(c *notify.Config) {
			c.Tries, c.FirstWait, c.MaxWait = 8, time.Second, 10*time.Second
		})
		r := c.Deliver(t.Context(), on("a"), notify.Message{Key: "k"})
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		require.ErrorContains(t, r.Err, "message k to Ada: not delivered")
		require.ErrorContains(t, r.Err, "a, 8 tries: refused (temporary, answer 503)")
		require.Len(t, seen.at, 8)
		for i, want := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
			wait := (seen.at[i+1] - seen.at[i]).Seconds()
			require.InDelta(t, float64(want), wait, float64(want)/2+0.01, "wait %d", i+1)
		}
		require.Equal(t, time.Now().Add(10*time.Second), r.RetryAt)
	})
}

func TestRetryAfterWinsOverTheComputedWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, wish := range []time.Duration{time.Millisecond, 90 * time.Second} { // shorter and longer than any computed wait
			begin := time.Now()
			seen := tries{fail: func(try int) error {
				if try == 3 {
					return nil
				}
				return fmt.Errorf("wrapped: %w", &notify.DeliveryError{Status: 429, RetryAfter: wish})
			}}
			r := courier(t, map[string]notify.Notifier{"a": seen.notifier(begin)}).Deliver(t.Context(), on("a"), notify.Message{})
			require.NoError(t, r.Err)
			require.Equal(t, []time.Duration{0, wish, 2 * wish}, seen.at)
			require.Equal(t, 3, r.Accepted.Tries)
		}
	})
}

func TestAWishHoldsForOneWaitOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		seen := tries{fail: func(try int) error {
			switch try {
			case 1:
				return &notify.DeliveryError{RetryAfter: 90 * time.Second}
			case 2:
				return errBusy
			}
			return nil
		}}
		courier(t, map[string]notify.Notifier{"a": seen.notifier(begin)}).Deliver(t.Context(), on("a"), notify.Message{})
		require.Len(t, seen.at, 3)
		require.Less(t, seen.at[2]-seen.at[1], 2*time.Second)
	})
}

func TestAWaitBeyondTheBudgetIsNotBegun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		r := courier(t, map[string]notify.Notifier{"a": always(&notify.DeliveryError{Status: 429, RetryAfter: time.Hour})}).
			Deliver(t.Context(), on("a"), notify.Message{})
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		require.Zero(t, since(begin), "the caller learns it at once")
		require.Equal(t, begin.Add(time.Hour), r.RetryAt, "and when it makes sense to come back")
	})
}

func TestPermanentErrorsAreNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a notifytest.Recorder
		a.Fail(fmt.Errorf("wrapped: %w", errNoUser))
		r := courier(t, map[string]notify.Notifier{"a": &a}).Deliver(t.Context(), on("a", "b"), notify.Message{})
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		require.ErrorIs(t, r.Err, notify.ErrPermanent)
		require.ErrorContains(t, r.Err, `there is no channel "b"`)
		require.Equal(t, 1, a.Tries())
		require.Len(t, r.Failed, 2)
	})
}

func TestADeliveryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		c := courier(t, map[string]notify.Notifier{"a": deaf, "b": deaf}, func(c *notify.Config) { c.Tries, c.Budget = 1e6, time.Minute })
		r := c.Deliver(t.Context(), on("a", "b"), notify.Message{})
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		require.ErrorIs(t, r.Err, context.DeadlineExceeded)
		require.LessOrEqual(t, since(begin), time.Minute)
		require.Greater(t, r.Failed[0].Tries, 2)
	})
}

func TestACallerCanEndADelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		r := courier(t, map[string]notify.Notifier{"a": deaf}).Deliver(ctx, on("a"), notify.Message{})
		require.ErrorIs(t, r.Err, context.Canceled)
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		require.Equal(t, time.Second, since(begin))
	})
}

func TestAContactWithoutAddresses(t *testing.T) {
	r := courier(t, map[string]notify.Notifier{"a": deaf}).Deliver(t.Context(), on(), notify.Message{Key: "k"})
	require.ErrorIs(t, r.Err, notify.ErrUndelivered)
	require.ErrorContains(t, r.Err, "has no address")
	require.False(t, r.RetryAt.IsZero())
}

func TestNewCourierNamesEveryProblem(t *testing.T) {
	_, err := notify.NewCourier(notify.Config{})
	require.ErrorContains(t, err, "Channels: is empty")
	_, err = notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"": deaf, "nil": nil},
		Timeout: -1, Patience: -1, FirstWait: time.Hour, Budget: -1, Tries: -1})
	for _, want := range []string{`Channels[""]`, `Channels["nil"]`, "Timeout: is -1ns", "Patience: is -1ns", "Budget: is -1ns", "Tries: is -1", "MaxWait: is 30s, want at least FirstWait, 1h0m0s"} {
		require.ErrorContains(t, err, want)
	}
}

func TestTheCourierKeepsItsOwnChannels(t *testing.T) {
	var a notifytest.Recorder
	channels := map[string]notify.Notifier{"a": &a}
	c := courier(t, channels)
	clear(channels)
	require.NoError(t, c.Deliver(t.Context(), on("a"), notify.Message{Key: "k"}).Err)
	require.Equal(t, []string{"a"}, c.Channels())
}

func TestDeliveryErrorText(t *testing.T) {
	for want, e := range map[string]*notify.DeliveryError{
		"refused (temporary)":                          {},
		"refused (permanent, answer 404)":              {Permanent: true, Status: 404},
		"boom (temporary, answer 429, retry after 2s)": {Status: 429, RetryAfter: 2 * time.Second, Err: errors.New("boom")},
	} {
		require.EqualError(t, e, want)
		require.Equal(t, e.Permanent, errors.Is(e, notify.ErrPermanent))
	}
}

// TestAnEscalationInItsOwnTime runs Due and a Courier by the clock, as an incident
// manager does, with an acknowledgement after 20 minutes.
func TestAnEscalationInItsOwnTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var pager notifytest.Recorder
		pager.Fail(errBusy) // the very first try
		c, policy, dir := courier(t, map[string]notify.Notifier{"pager": &pager}), notify.DefaultPolicy(), team()
		begin := time.Now()
		pr := opened(1)
		pr.DeclaredAt, pr.OpenedAt = begin, begin
		for since(begin) < 65*time.Minute {
			due, next := policy.Due(pr, dir, time.Now())
			for _, d := range due {
				for _, r := range c.Broadcast(t.Context(), dir.Find(time.Now(), d.Roles...), notify.Message{Key: d.Key}) {
					require.NoError(t, r.Err)
				}
				if d.Kind == notify.PageDue {
					pr.Done = append(pr.Done, d.Step)
				} else {
					pr.UpdatedAt = d.At
				}
			}
			if ack := begin.Add(20 * time.Minute); pr.AckedAt.IsZero() && next.After(ack) {
				pr.AckedAt, next = ack, ack
			}
			time.Sleep(time.Until(next))
		}
		var sent []string
		for _, m := range pager.Messages() {
			sent = append(sent, m.To+" "+m.Key)
		}
		k := pr.Key
		first, second := k.Status(begin.Add(30*time.Minute)), k.Status(begin.Add(60*time.Minute))
		require.ElementsMatch(t, []string{"ada " + k.Page(1, 0), "ben " + k.Page(1, 1),
			"ada " + first, "ben " + first, "ada " + second, "ben " + second}, sent)
	})
}

func BenchmarkDeliver(b *testing.B) {
	c, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"a": always(nil)},
		Limits: map[string]notify.Limit{"a": {Burst: 1e9}}}) // else it measures the limit
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if r := c.Deliver(b.Context(), on("a"), notify.Message{}); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}
