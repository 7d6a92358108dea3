package notify_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// A thousand pages that wait for their gathered one cost entries and no goroutines; those
// that are acknowledged meanwhile are settled then, the others behind the sending, each
// once.
func TestPagesThatAreBegunWaitWithoutAGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const pages = 1000
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got})
		acked, acknowledge := context.WithCancel(t.Context())
		defer acknowledge()
		before := runtime.NumGoroutine()
		var settled [pages]atomic.Int64
		var sent, stopped atomic.Int64
		for i := range pages {
			ctx := t.Context()
			if i%2 == 1 {
				ctx = acked
			}
			m := page(i, severity.SEV2)
			c.Begin(ctx, on("a"), m, func(r notify.Receipt) {
				settled[i].Add(1)
				if r.Err != nil {
					require.ErrorIs(t, r.Err, context.Canceled)
					stopped.Add(1)
				} else {
					sent.Add(1)
				}
				require.Equal(t, m.Key, r.Key)
			})
		}
		synctest.Wait()
		require.Len(t, got.Messages(), 20, "those that go out one by one")
		require.Less(t, runtime.NumGoroutine(), before+100)
		acknowledge()
		synctest.Wait()
		require.EqualValues(t, pages/2-10, stopped.Load())
		time.Sleep(time.Minute)
		require.EqualValues(t, pages/2+10, sent.Load())
		for i := range settled {
			require.EqualValues(t, 1, settled[i].Load(), "page %d", i)
		}
		require.Len(t, got.Messages(), 21)
	})
}

// A page that ends while its gathered one is being sent is settled once: by whichever
// comes first.
func TestAPageThatEndsWhileItIsSentIsSettledOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := courier(t, map[string]notify.Notifier{"a": sender(func(ctx context.Context, m notify.Message) error {
			time.Sleep(time.Second)
			return nil
		})}, func(c *notify.Config) { c.Storm = notify.Storm{Pages: 1} })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var first, last atomic.Int64
		c.Begin(t.Context(), on("a"), page(0, severity.SEV2), func(notify.Receipt) {})
		c.Begin(ctx, on("a"), page(1, severity.SEV2), func(r notify.Receipt) { first.Add(1); require.Error(t, r.Err) })
		c.Begin(t.Context(), on("a"), page(2, severity.SEV2), func(r notify.Receipt) { last.Add(1); require.NoError(t, r.Err) })
		time.Sleep(15*time.Second + 500*time.Millisecond)
		stop()
		synctest.Wait()
		require.EqualValues(t, 1, first.Load())
		require.Zero(t, last.Load())
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, first.Load())
		require.EqualValues(t, 1, last.Load())
	})
}
