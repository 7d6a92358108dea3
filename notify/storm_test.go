package notify_test

import (
	"context"
	"fmt"
	"strings"
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

func page(i int, l severity.Level) notify.Message {
	return notify.Message{Key: fmt.Sprintf("key-%d", i), Incident: fmt.Sprintf("INC-20260314-%03d", i), Kind: notify.InitialAlert, Level: l, Text: fmt.Sprintf("text %d", i)}
}

// Whatever comes, no key is lost, and what one contact gets is bounded.
func TestLaw7_InAStormNoPageIsLostAndPagesAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		storm := notify.Storm{Pages: rapid.IntRange(1, 5).Draw(rt, "pages"), Within: time.Minute, Every: time.Duration(rapid.IntRange(1, 60).Draw(rt, "every")) * time.Second}
		pauses := rapid.SliceOfN(rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 30_000)), 1, 60).Draw(rt, "pauses")
		levels := rapid.SliceOfN(rapid.IntRange(0, 5), len(pauses), len(pauses)).Draw(rt, "levels")
		synctest.Test(t, func(t *testing.T) {
			var got notifytest.Recorder
			var times arrivals
			c := courier(t, map[string]notify.Notifier{"a": sender(func(ctx context.Context, m notify.Message) error {
				return cmpErr(got.Notify(ctx, m), times.Notify(ctx, m))
			})}, func(c *notify.Config) { c.Storm = storm })
			var wg sync.WaitGroup
			for i, p := range pauses {
				wg.Go(func() {
					m := page(i, severity.Level(levels[i]))
					r := c.Deliver(t.Context(), on("a"), m)
					require.NoError(t, r.Err)
					require.Equal(t, m.Key, r.Key)
				})
				time.Sleep(time.Duration(p) * time.Millisecond)
			}
			wg.Wait()
			seen := map[string]int{}
			for _, m := range got.Messages() {
				for _, key := range append(m.Pages, m.Key) {
					seen[key]++
				}
			}
			for i := range pauses {
				require.Equal(t, 1, seen[fmt.Sprintf("key-%d", i)], "page %d", i)
			}
			bound := storm.Pages + 4 + int(storm.Within/storm.Every) + 1
			for i, begin := range times.at {
				n := 0
				for _, at := range times.at[i:] {
					if at.Sub(begin) < storm.Within {
						n++
					}
				}
				require.LessOrEqual(t, n, bound, "from page %d", i)
			}
		})
	})
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAGatheredPageSaysWhatItStandsFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages = 1 })
		var wg sync.WaitGroup
		for i := range 50 {
			level := severity.SEV3
			if i == 7 {
				level = severity.SEV2
			}
			m := page(i, level)
			m.First = i == 9
			wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), m).Err) })
			synctest.Wait()
		}
		wg.Wait()
		all := got.Messages()
		require.Len(t, all, 3, "the first, the one that is worse than it, and the gathered one")
		require.Equal(t, []string{"key-0", "key-7", "key-1"}, []string{all[0].Key, all[1].Key, all[2].Key})
		one := all[2]
		require.True(t, strings.HasPrefix(one.Text, "48 PAGES AT ONCE, the worst of them:\ntext 1\nThe others:\nINC-20260314-002 SEV-3\n"), one.Text)
		require.True(t, strings.HasSuffix(one.Text, "\nand 17 more: see the timeline"), one.Text)
		require.Len(t, one.Pages, 47)
		require.True(t, one.First)
	})
}

// A page that stands for others says what must not be missed in any of them.
func TestAGatheredPageSaysEachWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages = 1 })
		var wg sync.WaitGroup
		for i := range 10 {
			a := notify.Alert{Key: fmt.Sprintf("key-%d", i), Incident: fmt.Sprintf("INC-20260314-%03d", i), Level: severity.SEV1, At: time.Now(), Impact: "x"}
			if i > 5 {
				a.Warning = fmt.Sprintf("STOP NOT CONFIRMED: gate %d is gone", i%2)
			}
			m, err := a.Message(notify.Templates{})
			require.NoError(t, err)
			wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), m).Err) })
			synctest.Wait()
		}
		wg.Wait()
		one := got.Messages()[1]
		require.Equal(t, "key-6", one.Key)
		require.True(t, strings.HasPrefix(one.Text, "INC-20260314-007: STOP NOT CONFIRMED: gate 1 is gone\n9 PAGES AT ONCE, the worst of them:\nSTOP NOT CONFIRMED: gate 0 is gone\n"), one.Text)
		require.Equal(t, 2, strings.Count(one.Text, "STOP NOT CONFIRMED"))
	})
}

// Ten thousand incidents miss their targets in one instant: the notices are gathered
// as pages are, beside them, and what ends a page is never held back.
func TestNoticesAreGatheredBesideThePages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages = 2 })
		var wg sync.WaitGroup
		kinds := []notify.Kind{notify.InitialAlert, notify.BreachNotice, notify.StatusUpdate, notify.AckNotice, notify.ResolutionNotice}
		for i := range 20 {
			for _, kind := range kinds {
				m := page(i, severity.SEV1)
				m.Kind = kind
				wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), m).Err) })
			}
		}
		wg.Wait()
		sent := map[notify.Kind]int{}
		for _, m := range got.Messages() {
			sent[m.Kind]++
			if strings.Contains(m.Text, "AT ONCE") {
				require.Len(t, m.Pages, 17)
			}
		}
		require.Equal(t, map[notify.Kind]int{notify.InitialAlert: 3, notify.BreachNotice: 3, notify.StatusUpdate: 3, notify.AckNotice: 20, notify.ResolutionNotice: 20}, sent)
	})
}

// Another contact has a storm of their own, and a notice is no page.
func TestAStormIsOneContactsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages = 1 })
		begin := time.Now()
		ben := on("a")
		ben.Name = "Ben"
		require.NoError(t, c.Deliver(t.Context(), on("a"), page(1, severity.SEV1)).Err)
		require.NoError(t, c.Deliver(t.Context(), ben, page(2, severity.SEV1)).Err)
		require.NoError(t, c.Deliver(t.Context(), on("a"), notify.Message{Kind: notify.BreachNotice}).Err)
		require.Zero(t, since(begin))
		require.NoError(t, c.Deliver(t.Context(), on("a"), page(3, severity.SEV1)).Err)
		require.Equal(t, 15*time.Second, since(begin))
		require.Equal(t, "text 3", got.Messages()[3].Text, "one alone is sent as it is")
	})
}

func TestLaw7_AnAcknowledgedPageLeavesTheStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages = 1 })
		require.NoError(t, c.Deliver(t.Context(), on("a"), page(0, severity.SEV1)).Err)
		ctx, ack := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			r := c.Deliver(ctx, on("a"), page(1, severity.SEV1))
			require.ErrorIs(t, r.Err, notify.ErrUndelivered)
			require.ErrorIs(t, r.Err, context.Canceled)
		})
		wg.Go(func() { require.NoError(t, c.Deliver(t.Context(), on("a"), page(2, severity.SEV1)).Err) })
		synctest.Wait()
		ack()
		wg.Wait()
		require.Equal(t, []string{"key-0", "key-2"}, []string{got.Messages()[0].Key, got.Messages()[1].Key})
		require.Empty(t, got.Messages()[1].Pages)
	})
}

func TestLaw7_AStormThatNobodyWaitsForIsNotSent(t *testing.T) {
	for name, ack := range map[string]time.Duration{"while it is gathered": time.Second, "while it is tried": 16 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var got notifytest.Recorder
				c := courier(t, map[string]notify.Notifier{"a": &got}, func(c *notify.Config) { c.Storm.Pages, c.FirstWait, c.Tries = 1, 10*time.Second, 100 })
				require.NoError(t, c.Deliver(t.Context(), on("a"), page(0, severity.SEV1)).Err)
				got.Fail(errBusy)
				ctx, cancel := context.WithTimeout(t.Context(), ack)
				defer cancel()
				require.Error(t, c.Deliver(ctx, on("a"), page(1, severity.SEV1)).Err)
				time.Sleep(time.Hour)
				require.Len(t, got.Messages(), 1)
			})
		})
	}
}
