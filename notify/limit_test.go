package notify_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// arrivals notes when each message arrived.
type arrivals struct {
	mu   sync.Mutex
	at   []time.Time
	keys []string
}

func (a *arrivals) Notify(_ context.Context, m notify.Message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.keys = append(a.at, time.Now()), append(a.keys, m.Key)
	return nil
}

func TestNoAddressIsWrittenToFasterThanItsLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := notify.Limit{Burst: rapid.IntRange(1, 5).Draw(rt, "burst"), Every: time.Duration(rapid.IntRange(1, 2000).Draw(rt, "every")) * time.Millisecond}
		pauses := rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 40).Draw(rt, "pauses")
		synctest.Test(t, func(t *testing.T) {
			var got arrivals
			c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) {
				c.Limits, c.Patience, c.Budget = map[string]notify.Limit{"a": limit}, time.Hour, 24*time.Hour
			})
			var wg sync.WaitGroup
			for i, p := range pauses {
				wg.Go(func() {
					require.NoError(t, c.Deliver(t.Context(), on("a"), notify.Message{Key: fmt.Sprint(i), Kind: notify.ResolutionNotice}).Err)
				})
				time.Sleep(time.Duration(p) * time.Millisecond)
			}
			wg.Wait()
			require.Len(t, got.at, len(pauses), "none is lost")
			for i := limit.Burst; i < len(got.at); i++ {
				require.GreaterOrEqual(t, got.at[i].Sub(got.at[i-limit.Burst]), limit.Every, "message %d", i)
			}
			for i := range got.at { // over any time: a burst, and one each Every
				for j := range i {
					require.LessOrEqual(t, i-j+1, limit.Burst+int(got.at[i].Sub(got.at[j])/limit.Every))
				}
			}
		})
	})
}

func TestTheFirstPageOfAnIncidentOvertakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got arrivals
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) {
			c.Limits = map[string]notify.Limit{"a": {Burst: 1, Every: time.Second}}
		})
		var wg sync.WaitGroup
		send := func(m notify.Message) {
			wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), m).Err) })
			synctest.Wait()
		}
		send(notify.Message{Key: "takes the burst"})
		send(notify.Message{Key: "update", Kind: notify.StatusUpdate, Level: severity.SEV1})
		send(notify.Message{Key: "breach", Kind: notify.BreachNotice, Level: severity.SEV1})
		send(notify.Message{Key: "page", Kind: notify.InitialAlert, Level: severity.SEV2})
		send(notify.Message{Key: "worse page", Kind: notify.PageReminder, Level: severity.SEV1})
		send(notify.Message{Key: "first page", Kind: notify.InitialAlert, Level: severity.SEV4, First: true})
		wg.Wait()
		require.Equal(t, []string{"takes the burst", "first page", "worse page", "page", "breach", "update"}, got.keys)
	})
}

// TestComplaintIncident2_429DropsNoPage sends many pages to a receiver that answers 429 to
// the first: all of them wait as long as it asked, and all arrive.
func TestComplaintIncident2_429DropsNoPage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		got.Fail(&notify.DeliveryError{Status: 429, RetryAfter: 40 * time.Second})
		c := courier(t, map[string]notify.Notifier{"a": &got})
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				r := c.Deliver(t.Context(), on("a"), notify.Message{Key: fmt.Sprint(i), Kind: notify.InitialAlert})
				require.NoError(t, r.Err)
				require.GreaterOrEqual(t, r.Accepted.At.Sub(begin), 40*time.Second)
			})
			synctest.Wait() // the first one hears the 429 before the others begin
		}
		wg.Wait()
		require.Len(t, got.Messages(), 10)
		require.Equal(t, 11, got.Tries(), "nobody called before the time was up")

		got.Fail(&notify.DeliveryError{Status: 429, RetryAfter: time.Hour})
		r := c.Deliver(t.Context(), on("a"), notify.Message{Key: "later"})
		require.ErrorIs(t, r.Err, notify.ErrUndelivered)
		other := c.Deliver(t.Context(), on("a"), notify.Message{Key: "another"})
		require.ErrorContains(t, other.Err, "asked not to be called before")
		require.WithinDuration(t, time.Now().Add(time.Hour), other.RetryAt, time.Second, "the caller learns when")
		require.Equal(t, 12, got.Tries())
	})
}

func TestAReceiverThatWantsSilenceDelaysNoOtherChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first, second notifytest.Recorder
		first.Fail(&notify.DeliveryError{Status: 429, RetryAfter: time.Minute})
		c := courier(t, map[string]notify.Notifier{"first": &first, "second": &second})
		for _, key := range []string{"hears it", "knows it"} {
			begin := time.Now()
			r := c.Deliver(t.Context(), on("first", "second"), notify.Message{Key: key})
			require.NoError(t, r.Err)
			require.Equal(t, "second", r.Accepted.Channel)
			require.Zero(t, since(begin))
		}
		require.Equal(t, 1, first.Tries())
	})
}

func TestAMessageThatIsNoLongerWantedLeavesTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got arrivals
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) {
			c.Limits = map[string]notify.Limit{"a": {Burst: 1, Every: time.Minute}}
		})
		require.NoError(t, c.Deliver(t.Context(), on("a"), notify.Message{Key: "1"}).Err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			require.ErrorIs(t, c.Deliver(ctx, on("a"), notify.Message{Key: "acked", First: true}).Err, context.Canceled)
		})
		synctest.Wait()
		wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), notify.Message{Key: "2"}).Err) })
		synctest.Wait()
		cancel()
		wg.Wait()
		require.Equal(t, []string{"1", "2"}, got.keys)
		require.Equal(t, time.Minute, got.at[1].Sub(got.at[0]), "and gives its turn to the next")
	})
}

func TestManyAddressesAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := courier(t, map[string]notify.Notifier{"a": always(nil)})
		for i := range 5000 {
			to := notify.Contact{Name: "x", Addresses: []notify.Address{{Channel: "a", To: fmt.Sprint(i)}}}
			require.NoError(t, c.Deliver(t.Context(), to, notify.Message{}).Err)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, notify.Targets(c), 1025)
	})
}
