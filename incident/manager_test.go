package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestTheLifeOfAnIncident(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		ctx := t.Context()
		s.phone.takes = map[string]time.Duration{"ada": 10 * time.Millisecond, "linus": 20 * time.Millisecond}
		s.gate.drain = func(context.Context) ([]string, error) { time.Sleep(3 * time.Second); return nil, nil }
		sig := signal("book")
		begin := time.Now()
		time.Sleep(40 * time.Millisecond) // the detector's way to Declare
		in := s.declare(sig)
		require.Equal(t, "INC-20000101-001", in.Number)
		require.Equal(t, incident.GateClosed, in.Gate)
		time.Sleep(16 * time.Minute) // nobody answers: the breach, and the lead is paged
		require.NoError(t, s.m.Acknowledge(ctx, in.Number, "Linus"))
		synctest.Wait() // the notice of it
		require.NoError(t, s.m.Assign(ctx, in.Number, "Linus", incident.Commander, "Linus"))
		require.NoError(t, s.m.Note(ctx, in.Number, "Linus", "three rows differ", ""))
		time.Sleep(20 * time.Minute) // a status update
		require.NoError(t, s.m.Mitigate(ctx, in.Number, "Linus", "rows repaired"))
		s.proveAll(in.Number)
		time.Sleep(5 * time.Minute)
		require.NoError(t, s.m.Resolve(ctx, in.Number, incident.Resolution{By: "Linus", Note: "book and venue agree", RootCause: "a torn write"}))
		time.Sleep(2 * time.Hour) // nothing is due any more
		s.stop()

		got := lines(begin, s.timelineOf(in.Number))
		transcript(t, "life", got)
		done := s.get(in.Number)
		require.Equal(t, incident.Times{
			SignalToHalt: 40 * time.Millisecond, HaltToDrained: 3 * time.Second, HaltToFirstPage: 10 * time.Millisecond,
			DeclaredToAck: 16 * time.Minute, DeclaredToCalm: 36 * time.Minute, DeclaredToClosed: 41 * time.Minute,
		}, done.Times())
		require.Equal(t, "Linus", done.Commander)
		require.Contains(t, s.phone.messages(notify.ResolutionNotice)[0].Text, "Duration: 0 hours 41 minutes")
	})
}

// timelineOf reads a stopped stack's journal.
func (s *stack) timelineOf(number string) []incident.Event {
	s.open()
	defer s.stop()
	return s.timeline(number)
}

func TestTheGateIsClosedBeforeThePage(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		closed := make(chan time.Time, 1)
		s.gate.set(func() error { time.Sleep(time.Second); closed <- time.Now(); return nil })
		s.gate.drain = func(ctx context.Context) ([]string, error) { time.Sleep(20 * time.Second); return nil, nil }
		in := s.declare(signal("book"))
		at := <-closed
		synctest.Wait()
		pages := s.phone.messages(notify.InitialAlert)
		require.Len(t, pages, 1, "the page does not wait for the drain")
		require.False(t, pages[0].At.Before(at), "the page waits for the gate")
		require.NotContains(t, pages[0].Text, "STOP NOT CONFIRMED")
		require.Zero(t, s.get(in.Number).DrainedAt)
		time.Sleep(21 * time.Second)
		require.Equal(t, 20*time.Second, s.get(in.Number).Times().HaltToDrained)
	})
}

func TestAStopThatIsNotConfirmedIsSaidAndTriedAgain(t *testing.T) {
	for name, broken := range map[string]func() error{
		"error": func() error { return errors.New("the switch is on another machine") },
		"hangs": func() error { time.Sleep(time.Hour); return nil },
		"panic": func() error { panic("nil map") },
	} {
		t.Run(name, func(t *testing.T) {
			path := place(t)
			synctest.Test(t, func(t *testing.T) {
				s := start(t, path)
				defer s.stop()
				s.gate.set(broken)
				in, err := s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
				require.ErrorIs(t, err, incident.ErrStopUnconfirmed)
				require.Equal(t, incident.GateUnanswered, in.Gate)
				synctest.Wait()
				pages := s.phone.messages(notify.InitialAlert)
				require.Len(t, pages, 1)
				require.True(t, strings.HasPrefix(pages[0].Text, "STOP NOT CONFIRMED: "), pages[0].Text)
				s.gate.set(nil)
				time.Sleep(6 * time.Second)
				require.Equal(t, incident.GateClosed, s.get(in.Number).Gate)
				require.NotZero(t, s.get(in.Number).DrainedAt)
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestOrdersLeftInFlightAreNamedUntilTheySettle(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		begin := time.Now()
		s.gate.drain = func(ctx context.Context) ([]string, error) {
			if time.Since(begin) < 8*time.Second {
				return []string{"bot-7"}, nil
			}
			return nil, nil
		}
		in := s.declare(signal("book"))
		synctest.Wait()
		require.Equal(t, []string{"bot-7"}, s.get(in.Number).InFlight)
		require.EqualValues(t, -1, s.get(in.Number).Times().HaltToDrained)
		time.Sleep(11 * time.Second)
		require.Empty(t, s.get(in.Number).InFlight)
		require.Equal(t, 10*time.Second, s.get(in.Number).Times().HaltToDrained)
	})
}

func TestSignalsOfOneTopicAreOneIncidentWhileItIsOpen(t *testing.T) {
	s := start(t, place(t))
	first := s.declare(minor("risk"))
	require.Zero(t, s.gate.count(), "SEV-2 does not halt")
	again := s.declare(minor("risk"))
	require.Equal(t, first.Number, again.Number)
	require.Equal(t, 2, again.Signals)
	other := s.declare(minor("limits"))
	require.NotEqual(t, first.Number, other.Number)
	require.NoError(t, s.m.Resolve(t.Context(), first.Number, incident.Resolution{By: "Ada", Note: "restarted", Despite: "a drill"}))
	anew := s.declare(minor("risk"))
	require.Equal(t, 2, anew.Episode)
	require.Equal(t, []string{"001", "002", "003"}, []string{first.Number[13:], other.Number[13:], anew.Number[13:]})
	require.Len(t, s.m.Open(), 2)
	require.Len(t, s.m.All(), 3)
}

func TestASignalOfAHaltedIncidentStopsTradingAgain(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(signal("book"))
	before := s.gate.count()
	s.declare(signal("book"))
	require.Equal(t, before+1, s.gate.count(), "somebody may have resumed in between")
	require.Len(t, only(s.timeline(in.Number), incident.Halted), 1, "and it is not news when nobody had")
	s.gate.set(func() error { return errors.New("gone") })
	_, err := s.m.Declare(t.Context(), "reconciler", "again", signal("book"))
	require.ErrorIs(t, err, incident.ErrStopUnconfirmed)
	require.Equal(t, incident.GateUnanswered, s.get(in.Number).Gate)
}

func TestAnUpgradeHaltsAndOpensPagingAgain(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		in := s.declare(minor("risk"))
		synctest.Wait() // the first page goes out: one that the acknowledgement finds unsent never starts
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		synctest.Wait()
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV1, "positions are naked"))
		require.Equal(t, 1, s.gate.count())
		synctest.Wait()
		require.Len(t, s.phone.messages(notify.InitialAlert), 2)
		require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV3, "they are not"))
		synctest.Wait()
		require.Len(t, s.phone.messages(notify.InitialAlert), 2, "a downgrade pages nobody")
	})
}

func TestLaw7_NoEscalationPageStartsAfterTheAcknowledgement(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		var all []incident.Incident
		s.phone.fail = func(notify.Message) error { return errors.New("busy") } // every page stays under way
		for i := range 25 {
			all = append(all, s.declare(minor(fmt.Sprint("component ", i))))
		}
		time.Sleep(14*time.Minute + 59*time.Second)
		for _, in := range all {
			require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		}
		acked := time.Now()
		s.phone.mu.Lock()
		s.phone.fail = nil
		s.phone.mu.Unlock()
		time.Sleep(20 * time.Minute)
		require.Empty(t, s.phone.messages(notify.InitialAlert), "pages that were under way are stopped, later steps never start")
		updates := 0
		for _, m := range s.phone.messages(notify.StatusUpdate) {
			updates += 1 + len(m.Pages) // in a storm one stands for others
		}
		require.Equal(t, 25, updates, "status updates go on")
		for _, in := range all {
			for _, e := range only(s.timeline(in.Number), incident.PageDue) {
				require.False(t, e.At.After(acked))
			}
		}
	})
}

func TestAPageThatFailsIsDueAgainUnderTheSameKey(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		s.phone.fail = func(m notify.Message) error { return &notify.DeliveryError{Permanent: true, Status: 410} }
		in := s.declare(signal("book"))
		time.Sleep(2 * time.Minute)
		failed := only(s.timeline(in.Number), incident.PageFailed)
		require.Greater(t, len(failed), 2)
		s.phone.mu.Lock()
		s.phone.fail = nil
		s.phone.mu.Unlock()
		time.Sleep(2 * time.Minute)
		pages := s.phone.messages(notify.InitialAlert)
		require.Len(t, pages, 1)
		require.Equal(t, failed[0].Data.Key, pages[0].Key)
	})
}

// A page whose outcome is not on the timeline goes out again after a restart, under
// the same key; one whose outcome is does not.
func TestLaw7_APageWithoutOutcomeIsSentAgainAfterARestart(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		s.phone.fail = func(notify.Message) error { return errors.New("busy") }
		in := s.declare(signal("book"))
		time.Sleep(time.Second)
		s.stop()
		s.phone.fail = nil
		require.Empty(t, s.phone.got)
		s.open()
		synctest.Wait()
		pages := s.phone.messages(notify.InitialAlert)
		require.Len(t, pages, 1)
		due := only(s.timeline(in.Number), incident.PageDue)
		require.Len(t, due, 2)
		require.Equal(t, due[0].Data.Key, pages[0].Key)
		require.Equal(t, due[1].Data.Key, pages[0].Key)
		engaged := s.gate.count()
		s.stop()
		s.open()
		synctest.Wait()
		s.stop()
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		require.Equal(t, engaged, s.gate.count(), "a gate that was closed is the switch's to keep closed")
	})
}

func TestStatusUpdatesComeEveryHalfHourAcrossARestart(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(minor("risk"))
		begin := in.DeclaredAt
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		time.Sleep(40 * time.Minute)
		s.stop()
		time.Sleep(5 * time.Minute)
		s.open()
		time.Sleep(20 * time.Minute)
		require.NoError(t, s.m.Update(t.Context(), in.Number, "Ada", incident.Update{Status: "restoring", Actions: []string{"backup verified"}, ETA: "20 minutes"}))
		time.Sleep(31 * time.Minute)
		s.stop()
		var at []string
		for _, m := range s.phone.messages(notify.StatusUpdate) {
			at = append(at, m.At.Sub(begin).Round(time.Second).String())
		}
		require.Equal(t, []string{"30m0s", "1h0m0s", "1h5m0s", "1h35m0s"}, at)
		said := s.phone.messages(notify.StatusUpdate)[2].Text
		require.Contains(t, said, "Current Status: restoring")
		require.Contains(t, said, "Actions Taken: backup verified")
		require.Contains(t, said, "ETA: 20 minutes")
	})
}

func TestBreachesAreEventsAndNotices(t *testing.T) {
	for _, c := range []struct {
		sig              func(string) severity.Signal
		respond, resolve time.Duration
	}{{signal, 5 * time.Minute, time.Hour}, {minor, 15 * time.Minute, 4 * time.Hour}} {
		path := place(t)
		synctest.Test(t, func(t *testing.T) {
			s := start(t, path)
			defer s.stop()
			in := s.declare(c.sig("x"))
			time.Sleep(c.respond - time.Millisecond)
			require.Zero(t, s.get(in.Number).ResponseBreachAt)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			require.Equal(t, c.respond, s.get(in.Number).ResponseBreachAt.Sub(in.DeclaredAt), "on the target is a breach")
			time.Sleep(c.resolve - c.respond + time.Second)
			require.Equal(t, c.resolve, s.get(in.Number).ResolutionBreachAt.Sub(in.DeclaredAt))
			time.Sleep(time.Hour)
			told := map[string]int{}
			for _, m := range s.phone.messages(notify.BreachNotice) {
				told[m.Key+" to "+m.To]++
			}
			for who, times := range told {
				require.Equal(t, 1, times, who)
			}
			key := string(in.Condition) + "/x/1/breach/"
			for _, who := range []string{"response to ada", "resolution to ada", "resolution to linus", "resolution to grace"} {
				require.Contains(t, told, key+who)
			}
		})
	}
	t.Run("none when acknowledged and resolved in time", func(t *testing.T) {
		path := place(t)
		synctest.Test(t, func(t *testing.T) {
			s := start(t, path)
			defer s.stop()
			in := s.declare(signal("x"))
			time.Sleep(4 * time.Minute)
			require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
			time.Sleep(55 * time.Minute)
			require.NoError(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "done", Despite: "a drill"}))
			time.Sleep(5 * time.Hour)
			require.Empty(t, s.phone.messages(notify.BreachNotice))
			require.Len(t, s.phone.messages(notify.ResolutionNotice), 1)
		})
	})
}

func TestResolveNeedsTheChecklistOrAReason(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(minor("risk"))
	r := incident.Resolution{By: "Ada", Note: "restarted"}
	err := s.m.Resolve(t.Context(), in.Number, r)
	require.ErrorIs(t, err, incident.ErrUnproven)
	var u *incident.UnprovenError
	require.ErrorAs(t, err, &u)
	require.Equal(t, incident.DefaultChecklist(), u.Items)
	items := incident.DefaultChecklist()
	for _, item := range items[1:] {
		require.NoError(t, s.m.Prove(t.Context(), in.Number, "Ada", item, "seen", true))
	}
	require.ErrorAs(t, s.m.Resolve(t.Context(), in.Number, r), &u)
	require.Equal(t, items[:1], u.Items)
	require.ErrorIs(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{Note: "x", Despite: "y"}), incident.ErrUnnamed)
	require.Equal(t, incident.Open, s.get(in.Number).Status)
	r.Despite = "the last service is not ours"
	require.NoError(t, s.m.Resolve(t.Context(), in.Number, r))
	end := only(s.timeline(in.Number), incident.Resolved)[0]
	require.Equal(t, items[:1], end.Data.Unproven)
	require.Contains(t, end.Why, "the last service is not ours")
	require.ErrorIs(t, s.m.Resolve(t.Context(), in.Number, r), incident.ErrResolved)
	require.ErrorIs(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"), incident.ErrResolved, "a stray ack is dropped")
	require.NoError(t, s.m.Note(t.Context(), in.Number, "Ada", "seen again in the logs", ""), "notes go on")
	require.ErrorIs(t, s.m.Note(t.Context(), "INC-1", "Ada", "x", ""), incident.ErrUnknown)
}

func TestNumbersGoOnAfterARestartAndBeginAnewEachDay(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		require.Equal(t, "INC-20000101-001", s.declare(minor("a")).Number)
		s.stop()
		s.open()
		require.Equal(t, "INC-20000101-002", s.declare(minor("b")).Number)
		time.Sleep(24 * time.Hour)
		require.Equal(t, "INC-20000102-001", s.declare(minor("c")).Number)
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() { s.declare(minor(fmt.Sprint("d", i))) })
		}
		wg.Wait()
		require.Equal(t, "INC-20000102-1002", s.declare(minor("e")).Number)
		s.stop()
		s.open()
		defer s.stop()
		require.Equal(t, "INC-20000102-1003", s.declare(minor("f")).Number)
	})
}

func TestNothingIsNoIncident(t *testing.T) {
	s := start(t, place(t))
	_, err := s.m.Declare(t.Context(), "x", "y")
	require.ErrorIs(t, err, incident.ErrNothing)
	own := severity.Signal{Condition: severity.TradingHalted, Component: "bot", At: time.Now(), OurOwnHalt: true}
	_, err = s.m.Declare(t.Context(), "x", "y", own)
	require.ErrorIs(t, err, incident.ErrNothing, "our own halt does not raise another")
	require.Empty(t, s.m.All())
}

func TestAnUnclassifiedSignalHaltsUnlessItsSourceIsPageOnly(t *testing.T) {
	table, err := severity.NewTable(severity.TableConfig{PageOnly: []string{"grafana"}})
	require.NoError(t, err)
	s := start(t, place(t), func(c *incident.Config) { c.Classifier = table })
	odd := severity.Signal{Condition: "never heard of", Component: "x", At: time.Now(), Source: "grafana"}
	in := s.declare(odd)
	require.True(t, in.NoHalt)
	require.Zero(t, s.gate.count())
	odd.Source = "elsewhere"
	require.Equal(t, incident.GateClosed, s.declare(odd).Gate, "the same topic from a source that may halt")
	require.Equal(t, 1, s.gate.count())
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := incident.New(t.Context(), incident.Config{HaltWithin: -1, Checklist: []string{""}})
	for _, want := range []string{"Store is missing", "Halter is missing", "Courier is missing", "HaltWithin is -1ns", "Checklist has", "Directory has no contacts"} {
		require.ErrorContains(t, err, want)
	}
}

func TestHostileTextsAreKeptInBounds(t *testing.T) {
	s := start(t, place(t))
	sig := minor(strings.Repeat("x", 1<<21))
	in, err := s.m.Declare(t.Context(), "\xff\xfe", strings.Repeat("boom ", 1<<20), sig)
	require.NoError(t, err)
	again, err := s.m.Declare(t.Context(), "", "", sig)
	require.NoError(t, err)
	require.Equal(t, in.Number, again.Number)
	require.ErrorIs(t, s.m.Note(t.Context(), in.Number, "Ada", strings.Repeat("x", 1<<21), ""), incident.ErrEvent)
	n, err := s.m.Unrecorded()
	require.NoError(t, err)
	require.LessOrEqual(t, n, 6)
}

func TestUpcomingSaysWhatIsAhead(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		in := s.declare(signal("book"))
		synctest.Wait()
		say := func() (all []string) {
			for _, u := range s.m.Upcoming() {
				all = append(all, fmt.Sprintf("%s at %v", u.What, u.At.Sub(in.DeclaredAt)))
			}
			return all
		}
		require.Equal(t, []string{"response target at 5m0s", "next page at 15m0s", "status update at 30m0s", "resolution target at 1h0m0s"}, say())
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		require.Equal(t, []string{"status update at 30m0s", "resolution target at 1h0m0s"}, say())
	})
}

func TestRunIsRefusedTwice(t *testing.T) {
	s := start(t, place(t))
	s.declare(minor("x")) // Run has begun
	require.ErrorIs(t, s.m.Run(t.Context()), incident.ErrRunning)
}

func TestKindsOfALifeAreInOrder(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(signal("book"))
	require.Eventually(t, func() bool { return !s.get(in.Number).FirstPageAt.IsZero() && !s.get(in.Number).DrainedAt.IsZero() }, 10*time.Second, time.Millisecond)
	all := kinds(s.timeline(in.Number))
	for _, pair := range [][2]incident.Kind{
		{incident.Declared, incident.HaltDue}, {incident.HaltDue, incident.Halted}, {incident.Halted, incident.PageDue},
		{incident.PageDue, incident.Paged}, {incident.Halted, incident.DrainDue}, {incident.DrainDue, incident.Drained},
	} {
		require.Less(t, slices.Index(all, pair[0]), slices.Index(all, pair[1]), "%v: intent before deed, outcome after it", pair)
	}
}

func TestImpactIsExactOrRefused(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(minor("risk"))
	minus := -1
	one := andon.MustDecimal("1")
	for want, bad := range map[string]incident.Impact{
		"Lost": {Lost: incident.Money{"": one}}, "AtRisk": {AtRisk: incident.Money{strings.Repeat("x", 33): one}},
		"Trades": {Trades: &minus}, "Users": {Users: &minus},
	} {
		err := s.m.Impact(t.Context(), in.Number, "Ada", bad, "counted")
		require.ErrorIs(t, err, incident.ErrEvent)
		require.ErrorContains(t, err, want+": ")
	}
	trades := 3
	good := incident.Impact{
		Lost:   incident.Money{"BTC": andon.MustDecimal("0.3337568700000000001"), "USDT": andon.MustDecimal("12.50")},
		AtRisk: incident.Money{"BTC": andon.MustDecimal("-12")}, Trades: &trades,
	}
	require.NoError(t, s.m.Impact(t.Context(), in.Number, "Ada", good, "counted"))
	good.Lost["BTC"], trades = one, 4 // the caller's own
	s.stop()
	s.open()
	got := s.get(in.Number).Impact
	require.Equal(t, "0.3337568700000000001 BTC and 12.5 USDT lost, -12 BTC at risk, 3 trades failed or delayed", got.String())
	got.AtRisk["BTC"] = one
	require.Equal(t, "-12 BTC", s.get(in.Number).Impact.AtRisk.String(), "a copy")
}

// What an earlier version wrote is read.
func TestAnImpactInOneCurrencyIsRead(t *testing.T) {
	for wire, want := range map[string]string{
		`{"lost":"12.50","currency":"USDT","trades":2}`:      "12.5 USDT lost, 2 trades failed or delayed",
		`{"lost":"1","at_risk":"0.5","currency":"BTC"}`:      "1 BTC lost, 0.5 BTC at risk",
		`{"lost":"0.33375687000000000001","currency":"BTC"}`: "not known",
		`{"lost":{"USDT":"12.50"}}`:                          "12.5 USDT lost",
		`{"users":7}`:                                        "7 users affected",
	} {
		var i incident.Impact
		require.NoError(t, json.Unmarshal([]byte(wire), &i), wire)
		require.Equal(t, want, i.String(), wire)
	}
	var i incident.Impact
	require.Error(t, json.Unmarshal([]byte(`{"lost":{"USDT":"many"}}`), &i))
}

func TestAClockThatWasSetBackUndoesNothing(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(minor("risk"))
		ahead := time.Now().Add(time.Hour)
		_, err := s.store.Append(t.Context(), incident.Any, incident.Event{
			At: ahead, Incident: in.Number, Kind: incident.Noted, By: "Ada", What: "x", Why: "written before the clock was set back",
		})
		require.NoError(t, err)
		s.stop()
		s.open()
		defer s.stop()
		synctest.Wait()
		require.False(t, s.get(in.Number).ResponseBreachAt.Before(ahead), "what had fallen due is due")
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		require.False(t, s.get(in.Number).AckedAt.Before(ahead), "and nothing happens before what has happened")
	})
}

// confused is a Classifier that panics.
type confused struct{}

func (confused) Assess(time.Time, ...severity.Signal) severity.Assessment { panic("no table") }

func TestAClassifierThatPanicsIsTheWorst(t *testing.T) {
	s := start(t, place(t), func(c *incident.Config) { c.Classifier = confused{} })
	in := s.declare(minor("risk"))
	require.Equal(t, incident.GateClosed, in.Gate)
	require.Equal(t, severity.Unclassified, in.Level)
	require.Contains(t, in.Why, "no table")
}
