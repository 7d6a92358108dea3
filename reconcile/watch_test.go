package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/safety"
)

// guard is a desk whose comparisons pull a rope.
type guard struct {
	*desk
	rope *rope
	now  time.Time
}

func newGuard(t require.TestingT, change func(*reconcile.Config)) *guard {
	g := &guard{rope: &rope{}, now: asked, desk: &desk{
		venue: &account{window: window, positions: []andon.Position{position("A", "1", "2")}},
		book:  &memoryBook{records: reconcile.Records{Positions: []andon.Position{position("A", "1", "2")}}},
		log:   &timeline{},
	}}
	g.open(t, change)
	return g
}

// open makes a Reconciler over the same book and venue, as after a restart.
func (g *guard) open(t require.TestingT, change func(*reconcile.Config)) {
	c := reconcile.Config{
		Venue: "v", Account: g.venue, History: g.venue, Book: g.book, Recorder: g.log, Cord: g.rope,
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	r, err := reconcile.New(c)
	require.NoError(t, err)
	g.Reconciler = r
}

// check compares five seconds later.
func (g *guard) check() error {
	g.now = g.now.Add(5 * time.Second)
	_, err := g.Check(context.Background(), g.now)
	return err
}

func (g *guard) differ() { g.venue.positions = []andon.Position{position("A", "2", "2")} }
func (g *guard) agree()  { g.venue.positions = []andon.Position{position("A", "1", "2")} }

func TestWatch_AMismatchNarrowsAndAConfirmedOneHalts(t *testing.T) {
	g := newGuard(t, nil)
	require.NoError(t, g.check())
	require.Equal(t, "active", g.rope.state())

	g.differ()
	for range 2 {
		require.NoError(t, g.check())
		require.Equal(t, "reducing", g.rope.state())
	}
	require.Len(t, g.rope.reduce, 1, "one hold, however often it is seen")
	require.Contains(t, g.rope.reduce[0], "quantity: position v/A: book 1, venue 2")
	require.False(t, g.Mismatches()[0].Confirmed)

	require.NoError(t, g.check()) // the third in a row, ten seconds after the first
	require.Equal(t, "halted", g.rope.state())
	require.Contains(t, g.rope.halt[0], "quantity: position v/A: book 1, venue 2")
	require.Equal(t, "quantity: position v/A: book 1, venue 2, confirmed: seen 3 times since 2026-03-01T13:00:10Z",
		g.Mismatches()[0].String())

	g.agree()
	for range 5 {
		require.NoError(t, g.check())
		require.Equal(t, "halted", g.rope.state(), "agreeing again lifts nothing that was confirmed")
		require.NotEmpty(t, g.rope.reduce)
	}
	require.Zero(t, g.rope.relaxed)
	require.Empty(t, g.Mismatches())
}

func TestWatch_AConfirmedMismatchTakesTimeAndComparisons(t *testing.T) {
	g := newGuard(t, func(c *reconcile.Config) { c.Confirmations, c.ConfirmOver = 2, time.Hour })
	g.differ()
	for range 20 {
		require.NoError(t, g.check())
	}
	require.Equal(t, "reducing", g.rope.state(), "seen 20 times in 95 seconds of an hour")
	g.now = g.now.Add(time.Hour)
	require.NoError(t, g.check())
	require.Equal(t, "halted", g.rope.state())
}

func TestWatch_ItLiftsItsOwnHoldOfAMismatchThatWentAway(t *testing.T) {
	g := newGuard(t, nil)
	require.NoError(t, g.rope.Reduce("drawdown", "another's hold"))
	g.differ()
	require.NoError(t, g.check())
	require.Len(t, g.rope.reduce, 2)
	g.agree()
	require.NoError(t, g.check())
	require.Equal(t, []string{"another's hold"}, g.rope.reduce)
	for range 3 { // nothing is left to lift
		require.NoError(t, g.check())
	}
	require.Equal(t, 1, g.rope.relaxed)
}

func TestWatch_ACountStartsAnewOnlyWhereTheSidesWereSeenToAgree(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	require.NoError(t, g.check())
	require.NoError(t, g.check())

	g.venue.failPositions = errDown // says nothing: neither counts nor starts anew
	for range 3 {
		require.ErrorIs(t, g.check(), errDown)
		require.Equal(t, "reducing", g.rope.state())
	}
	require.Equal(t, 2, g.Mismatches()[0].Seen)
	g.venue.failPositions = nil
	require.NoError(t, g.check())
	require.Equal(t, "halted", g.rope.state())
}

func TestWatch_AgreeingOnceStartsTheCountAnew(t *testing.T) {
	g := newGuard(t, nil)
	for range 10 {
		g.differ()
		require.NoError(t, g.check())
		require.NoError(t, g.check())
		g.agree()
		require.NoError(t, g.check())
	}
	require.Equal(t, "active", g.rope.state())
}

// An answer that did not come is no agreement: what it would lift stays.
func TestWatch_NothingIsLiftedWithoutACompleteAnswer(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	require.NoError(t, g.check())
	g.agree()
	g.venue.failOrders = errDown
	require.ErrorIs(t, g.check(), errDown)
	require.Equal(t, "reducing", g.rope.state())
	g.venue.failOrders = nil
	require.NoError(t, g.check())
	require.Equal(t, "active", g.rope.state())
}

func TestWatch_WhatIsPendingNeitherCountsNorLifts(t *testing.T) {
	g := newGuard(t, nil)
	young := func() {
		f := fill("1", "o", andon.Buy, "1", "2", "0")
		f.Symbol, f.At = "A", g.now.Add(4*time.Second) // a second old when it is compared
		g.book.records.Fills = []andon.Fill{f}
		g.venue.reports = []reconcile.OrderReport{reportOf(t, f)}
	}
	g.differ()
	young()
	require.NoError(t, g.check())
	require.Equal(t, "active", g.rope.state())
	require.Empty(t, g.Mismatches())

	require.NoError(t, g.check()) // six seconds old
	require.Equal(t, "reducing", g.rope.state())
	g.agree()
	young()
	g.venue.positions = []andon.Position{position("A", "3", "2")}
	require.NoError(t, g.check())
	require.Equal(t, "reducing", g.rope.state(), "still different, if only pending")
	require.Equal(t, 1, g.Mismatches()[0].Seen)
}

// A leg on which a bot trades all the time is always young. That may not hide a mismatch
// for ever.
func TestWatch_PendingForTooLongCounts(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	for g.now.Before(asked.Add(2 * time.Minute)) {
		g.book.records.Positions[0].At = g.now.Add(4 * time.Second)
		require.NoError(t, g.check())
		if g.now.Sub(asked) <= 50*time.Second {
			require.Equal(t, "active", g.rope.state())
		}
	}
	require.Equal(t, "halted", g.rope.state())
	require.Contains(t, g.rope.halt[0], "pending since")
}

func TestWatch_DustNarrowsNothing(t *testing.T) {
	g := newGuard(t, func(c *reconcile.Config) {
		c.Instruments = map[string]andon.Instrument{"A": {Lot: dec("0.001")}}
	})
	g.venue.positions = []andon.Position{position("A", "1.0009", "2")}
	report, err := g.Check(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, reconcile.Dust, report.Discrepancies()[0].Kind)
	require.True(t, report.Clean())
	require.Equal(t, "active", g.rope.state())
	require.NoError(t, g.Ready(t.Context()))
}

// The cord may fail: it is pulled again by every comparison until it holds.
func TestLaw11_AHaltThatFailedIsTriedAgain(t *testing.T) {
	g := newGuard(t, func(c *reconcile.Config) { c.Confirmations, c.ConfirmOver = 1, time.Nanosecond })
	g.differ()
	g.rope.fail = errDown
	require.ErrorIs(t, g.check(), errDown)
	require.ErrorIs(t, g.check(), errDown)
	g.rope.fail = nil
	require.NoError(t, g.check())
	require.Equal(t, "halted", g.rope.state())
}

func TestReady_RefusesUntilCleanOrAccepted(t *testing.T) {
	g := newGuard(t, nil)
	require.NoError(t, g.Ready(t.Context()))

	g.venue.failOrders = errDown
	require.ErrorIs(t, g.Ready(t.Context()), reconcile.ErrUnanswered)
	g.venue.failOrders = nil

	g.differ()
	err := g.Ready(t.Context())
	require.ErrorIs(t, err, reconcile.ErrNotClean)
	dirty, ok := errors.AsType[*reconcile.NotCleanError](err)
	require.True(t, ok)
	require.Len(t, dirty.Differences, 1)
	require.ErrorContains(t, err, "quantity: position v/A: book 1, venue 2")

	report, err := g.Compare(t.Context(), asked)
	require.NoError(t, err)
	accept := func(a reconcile.Approval) error { return g.Accept(t.Context(), report, a, asked) }
	require.ErrorIs(t, accept(reconcile.Approval{By: "ada"}), reconcile.ErrNotApproved)
	require.ErrorIs(t, accept(reconcile.Approval{Note: "ok"}), reconcile.ErrNotApproved)
	g.log.fail = errDown
	require.ErrorIs(t, accept(reconcile.Approval{By: "ada", Note: "ok"}), reconcile.ErrNotRecorded)
	require.ErrorIs(t, g.Ready(t.Context()), reconcile.ErrNotClean, "an acceptance that nobody can see later is none")
	g.log.fail = nil

	require.NoError(t, accept(reconcile.Approval{By: "ada", Note: "transferred by hand"}))
	require.Contains(t, g.log.lines[0], "ada: accepted as it is: quantity: position v/A: book 1, venue 2 (transferred by hand)")
	require.NoError(t, g.Ready(t.Context()))
	for range 5 {
		require.NoError(t, g.check())
	}
	require.Equal(t, "active", g.rope.state(), "what was accepted pulls nothing")
	require.Len(t, g.Accepted(), 1)

	g.venue.positions = []andon.Position{position("A", "3", "2")} // it moves
	require.ErrorIs(t, g.Ready(t.Context()), reconcile.ErrNotClean)
	g.differ() // and comes back: accepted once is not accepted for ever
	require.ErrorIs(t, g.Ready(t.Context()), reconcile.ErrNotClean)
	require.Empty(t, g.Accepted())
}

// A comparison that hangs keeps nobody waiting beyond their own context.
func TestReady_WaitsForItsTurnWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, nil)
		g.venue.setHang(make(chan struct{}), true)
		done := make(chan error, 1)
		go func() { done <- g.Ready(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Ready(ctx), context.DeadlineExceeded)
		_, err := g.Check(ctx, g.now)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		g.venue.speak()
		require.NoError(t, <-done)
	})
}

func TestReady_WaitsForWhatIsPending(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	g.book.records.Positions[0].At = time.Now()
	require.ErrorIs(t, g.Ready(t.Context()), reconcile.ErrNotClean)
}

func TestAccept_NothingThatIsNotKnown(t *testing.T) {
	g := newGuard(t, nil)
	g.venue.failOrders = errDown
	report, err := g.Compare(t.Context(), asked)
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, g.Accept(t.Context(), report, reconcile.Approval{By: "ada", Note: "fine"}, asked), reconcile.ErrUnanswered)
	require.Empty(t, g.log.lines)
}

func TestReady_SettlesWhatWasConfirmed(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	for range 3 {
		require.NoError(t, g.check())
	}
	require.Equal(t, "halted", g.rope.state())
	g.agree()
	require.NoError(t, g.Ready(t.Context()))
	g.rope.reduce, g.rope.halt = nil, nil // the person resumes

	g.differ()
	require.NoError(t, g.check())
	require.Equal(t, "reducing", g.rope.state())
	g.agree()
	require.NoError(t, g.check())
	require.Equal(t, "active", g.rope.state(), "after a resume its own holds are its own again")
}

func inMemory(t *testing.T) func(*reconcile.Config) {
	path := filepath.Join(t.TempDir(), "memory.json")
	return func(c *reconcile.Config) { c.Memory = path }
}

func TestMemory_CountsAndHoldsOutliveTheProcess(t *testing.T) {
	memory := inMemory(t)
	g := newGuard(t, memory)
	g.differ()
	for range 2 { // a process that dies after every comparison confirms all the same
		require.NoError(t, g.check())
		g.open(t, memory)
	}
	require.Equal(t, "reducing", g.rope.state())
	require.NoError(t, g.check())
	require.Equal(t, "halted", g.rope.state())

	g.open(t, memory)
	g.agree()
	for range 3 {
		require.NoError(t, g.check())
	}
	require.Equal(t, "halted", g.rope.state())
	require.Len(t, g.rope.reduce, 1, "a hold of a mismatch that an earlier process confirmed")
}

func TestMemory_AHoldOfAnEarlierProcessIsLiftedOnlyIfItIsRemembered(t *testing.T) {
	memory := inMemory(t)
	for name, change := range map[string]func(*reconcile.Config){"with memory": memory, "without": nil} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, change)
			g.differ()
			require.NoError(t, g.check())
			g.open(t, change)
			g.agree()
			require.NoError(t, g.check())
			require.Equal(t, change != nil, g.rope.state() == "active")
		})
	}
}

func TestMemory_AcceptancesOutliveTheProcess(t *testing.T) {
	memory := inMemory(t)
	g := newGuard(t, memory)
	g.differ()
	report, err := g.Compare(t.Context(), asked)
	require.NoError(t, err)
	require.NoError(t, g.Accept(t.Context(), report, reconcile.Approval{By: "ada", Note: "seen"}, asked))
	g.open(t, memory)
	require.NoError(t, g.Ready(t.Context()))
	require.Equal(t, "ada", g.Accepted()[0].By)
}

// TestLaw1_AMemoryThatCannotBeReadMayHaveBeenAConfirmedMismatch damages it in every way.
func TestLaw1_AMemoryThatCannotBeReadMayHaveBeenAConfirmedMismatch(t *testing.T) {
	memory := inMemory(t)
	var c reconcile.Config
	memory(&c)
	g := newGuard(t, memory)
	g.differ()
	require.NoError(t, g.check())
	good, err := os.ReadFile(c.Memory)
	require.NoError(t, err)
	for name, data := range map[string]string{
		"empty":         "",
		"cut":           string(good[:len(good)/2]),
		"of another":    strings.Replace(string(good), `"venue": "v"`, `"venue": "w"`, 1),
		"changed":       strings.Replace(string(good), `"seen": 1`, `"seen": 0`, 1),
		"newer":         strings.Replace(string(good), `"andon_reconcile": 1`, `"andon_reconcile": 2`, 1),
		"unknown field": strings.Replace(string(good), `"confirmed"`, `"confirmd"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, string(good), data)
			require.NoError(t, os.WriteFile(c.Memory, []byte(data), 0o600))
			g := newGuard(t, memory)
			require.NoError(t, g.check())
			require.Equal(t, "halted", g.rope.state())
			require.Contains(t, g.rope.halt[0], c.Memory)
			left, err := os.ReadFile(c.Memory)
			require.NoError(t, err)
			require.Equal(t, data, string(left), "it is evidence until a person has resumed")

			require.NoError(t, g.Ready(t.Context()))
			g.rope.halt = nil
			g.open(t, memory)
			require.NoError(t, g.check())
			require.Equal(t, "active", g.rope.state())
		})
	}
}

// TestLaw10_ReadyWaitsForTheMemory: a settlement that a restart would not know of is
// none.
func TestLaw10_ReadyWaitsForTheMemory(t *testing.T) {
	g := newGuard(t, func(c *reconcile.Config) { c.Memory = filepath.Join(t.TempDir(), "no", "such", "folder") })
	require.ErrorContains(t, g.Ready(t.Context()), "memory")
}

// TestLaw5_NoSequenceOfFailuresIsEverFlatOrLiftsAHold: whatever fails and in whatever
// order, flat is said only when the venue said so just now, and a hold goes only when
// both sides were just seen to agree.
func TestLaw5_NoSequenceOfFailuresIsEverFlatOrLiftsAHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGuard(t, nil)
		for range rapid.IntRange(1, 20).Draw(t, "comparisons") {
			broken := rapid.IntRange(0, 15).Draw(t, "broken")
			fail := func(bit int) error {
				if broken&bit != 0 {
					return errDown
				}
				return nil
			}
			g.venue.failPositions, g.venue.failOrders, g.venue.failReports, g.book.fail = fail(1), fail(2), fail(4), fail(8)
			held := rapid.Bool().Draw(t, "held")
			same := rapid.Bool().Draw(t, "same")
			g.venue.positions, g.book.records.Positions = nil, nil
			if held {
				g.venue.positions = []andon.Position{position("A", "1", "2")}
			}
			if held == same {
				g.book.records.Positions = []andon.Position{position("A", "1", "2")}
			}
			before := g.rope.state()
			g.now = g.now.Add(5 * time.Second)
			report, err := g.Check(context.Background(), g.now)
			require.Equal(t, broken != 0, err != nil)
			require.Equal(t, broken == 0 && !held, report.Flat())
			require.Equal(t, broken == 0 && same, report.Clean())
			rank := map[string]int{"active": 0, "reducing": 1, "halted": 2}
			if rank[g.rope.state()] < rank[before] {
				require.Equal(t, "reducing", before)
				require.True(t, report.Clean())
			}
		}
	})
}

func TestRun_NarrowsAtTheStartAndComparesUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, nil)
		g.venue.hang = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, []string{"nothing was compared since the start"}, g.rope.reduce)
		require.ErrorIs(t, g.Run(ctx), reconcile.ErrRunning)

		close(g.venue.hang) // the first answer comes
		synctest.Wait()
		require.Equal(t, "active", g.rope.state())

		g.venue.set(position("A", "2", "2"))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, "reducing", g.rope.state())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, "halted", g.rope.state())
		cancel()
		require.NoError(t, <-done)
	})
}

func TestRun_AtTheStartAMismatchKeepsTradingNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, nil)
		g.differ()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		require.Len(t, g.rope.reduce, 2, "%v", g.rope)
		g.venue.set(position("A", "1", "2"))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, "active", g.rope.state())
		cancel()
		require.NoError(t, <-done)
	})
}

// TestLaw1_AVenueThatNeverAnswersNarrowsTrading: neither an error nor a query that hangs
// for ever, deaf to its context, leaves trading open.
func TestLaw1_AVenueThatNeverAnswersNarrowsTrading(t *testing.T) {
	for name, silence := range map[string]func(*account){
		"errors":          func(a *account) { a.setFailure(errDown) },
		"hangs":           func(a *account) { a.setHang(make(chan struct{}), false) },
		"hangs, and deaf": func(a *account) { a.setHang(make(chan struct{}), true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, nil)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- g.Run(ctx) }()
				synctest.Wait()
				require.Equal(t, "active", g.rope.state())
				silence(g.venue)
				time.Sleep(29 * time.Second)
				synctest.Wait()
				require.Equal(t, "active", g.rope.state())
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.Equal(t, "reducing", g.rope.state())
				require.Contains(t, g.rope.reduce[0], "no complete comparison since")

				g.venue.speak()
				time.Sleep(40 * time.Second)
				synctest.Wait()
				require.Equal(t, "active", g.rope.state(), "what was never confirmed is lifted once the sides agree")
				cancel()
				require.NoError(t, <-done)
			})
		})
	}
}

func TestCheck_AComparisonThatItsCallerEndedSaysNothing(t *testing.T) {
	g := newGuard(t, nil)
	g.differ()
	ctx, cancel := context.WithCancel(t.Context())
	g.venue.onOrders = cancel // the positions have come, and the orders are still being asked for
	_, err := g.Check(ctx, asked)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, g.Mismatches())
	require.Equal(t, "active", g.rope.state())
}

// TestCheck_WhatIsTradedWhileASlowVenueAnswersIsPending: the venue was asked before the
// trade and the book after it.
func TestCheck_WhatIsTradedWhileASlowVenueAnswersIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, nil)
		slow := true
		g.venue.onOrders = func() {
			if !slow {
				return
			}
			time.Sleep(20 * time.Second) // the positions have come, and the orders take long
			bought := position("A", "3", "2")
			bought.At = time.Now()
			g.book.records.Positions = []andon.Position{bought}
		}
		report, err := g.Check(t.Context(), time.Now())
		require.NoError(t, err)
		require.Empty(t, report.Discrepancies())
		require.Len(t, report.Pending(), 1)
		require.Equal(t, "active", g.rope.state())

		slow = false
		time.Sleep(10 * time.Second)
		report, err = g.Check(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, []finding{{reconcile.Quantity, "position v/A"}}, findings(report.Discrepancies()), "now the venue had its time")
		require.Equal(t, "reducing", g.rope.state())
	})
}

// TestCord_IsPulledOnceForWhatStands: another pull would be a new hold, with a new number
// and a new line on the timeline, every five seconds.
func TestCord_IsPulledOnceForWhatStands(t *testing.T) {
	g := newGuard(t, nil)
	pulls := func(times int) int {
		before := g.rope.pulls
		for range times {
			require.NoError(t, g.check())
		}
		return g.rope.pulls - before
	}
	g.differ()
	require.Equal(t, 1, pulls(2))
	require.Equal(t, 1, pulls(20), "confirmed")
	g.agree()
	require.Zero(t, pulls(3))
	g.differ()
	require.Equal(t, 2, pulls(20), "the same again is news")

	g.agree()
	require.NoError(t, g.check())
	g.differ()
	g.rope.fail = errors.New("no switch")
	for range 20 {
		require.ErrorIs(t, g.check(), g.rope.fail)
	}
	g.rope.fail = nil
	require.Equal(t, 1, pulls(20), "what failed is tried again, and only that")
}

// TestCord_MayAskTheReconcilerBack: a Cord that writes down what stands while it is being
// pulled does not lock itself out.
func TestCord_MayAskTheReconcilerBack(t *testing.T) {
	g := newGuard(t, nil)
	asked := make(chan []reconcile.Mismatch, 10)
	g.rope.onCall = func() { asked <- g.Mismatches() }
	ended := make(chan error, 1)
	go func() {
		g.differ()
		err := g.check()
		g.agree()
		ended <- errors.Join(err, g.check())
	}()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the Cord waits for a lock that is held around its call")
	}
	require.Len(t, <-asked, 1, "of Reduce")
	require.Empty(t, <-asked, "of Relax")
}

// botsStop is a switch that asks Ready before it resumes, and a guard whose cord it is.
func botsStop(t *testing.T, change func(*reconcile.Config)) (*safety.Switch, *guard) {
	var g *guard
	sw, err := safety.Open(t.Context(), safety.Config{
		Name: "bot", Dir: t.TempDir(), NoFlags: true, DurableWithin: time.Minute, Log: slog.New(slog.DiscardHandler),
		BeforeResume: func(ctx context.Context) error { return g.Ready(ctx) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, sw.Close())
	})
	g = newGuard(t, func(c *reconcile.Config) {
		c.Cord = sw
		if change != nil {
			change(c)
		}
	})
	require.Eventually(t, func() bool { // once Run listens, its own hold is gone
		return !slices.ContainsFunc(sw.Status().Holds, func(h safety.Hold) bool { return h.Passing })
	}, time.Minute, time.Millisecond)
	return sw, g
}

// TestSwitch_WhoeverResumesHasTime: comparisons go on while a person reads the holds, and
// they are still the same afterwards.
func TestSwitch_WhoeverResumesHasTime(t *testing.T) {
	memory := filepath.Join(t.TempDir(), "memory")
	require.NoError(t, os.WriteFile(memory, []byte("torn"), 0o600))
	sw, g := botsStop(t, func(c *reconcile.Config) { c.Memory = memory })
	require.NoError(t, g.check())
	seen := sw.Status().Holds
	require.NotEmpty(t, seen)
	for range 5 {
		require.NoError(t, g.check())
	}
	require.NoError(t, sw.Resume(t.Context(), "ada", "compared by hand", seen))
	require.Equal(t, safety.Active, sw.State())
	require.NoError(t, g.check())
	require.Equal(t, safety.Active, sw.State())
}

// TestSwitch_AHoldOfManyWordsIsLiftedToo: a switch cuts what is too long for it.
func TestSwitch_AHoldOfManyWordsIsLiftedToo(t *testing.T) {
	sw, g := botsStop(t, nil)
	require.NoError(t, sw.Resume(t.Context(), "ada", "looked at it", sw.Status().Holds))
	rows := g.book.records.Positions
	for i := range 100 {
		g.book.records.Positions = append(g.book.records.Positions, position("A", fmt.Sprintf("1.%015d", i+1), "2"))
	}
	require.NoError(t, g.check())
	require.Equal(t, safety.Reducing, sw.State())
	require.Contains(t, sw.Status().Holds[0].Reason, "(cut)")
	g.book.records.Positions = rows
	require.NoError(t, g.check())
	require.Equal(t, safety.Active, sw.State())
}

// TestSwitch_ABotsStopHoldsWhatReconciliationFinds uses the real switch as the cord and
// Ready as what it asks before resuming.
func TestSwitch_ABotsStopHoldsWhatReconciliationFinds(t *testing.T) {
	sw, g := botsStop(t, nil)
	resume := func() error {
		return sw.Resume(t.Context(), "ada", "looked at it", sw.Status().Holds)
	}

	g.differ()
	require.ErrorIs(t, resume(), reconcile.ErrNotClean)
	require.Equal(t, safety.Halted, sw.State())
	g.agree()
	require.NoError(t, resume())
	require.Equal(t, safety.Active, sw.State())

	g.differ()
	require.NoError(t, g.check())
	require.Equal(t, safety.Reducing, sw.State())
	g.agree()
	require.NoError(t, g.check())
	require.Equal(t, safety.Active, sw.State())

	g.differ()
	for range 3 {
		require.NoError(t, g.check())
	}
	require.Equal(t, safety.Halted, sw.State())
	g.agree()
	require.NoError(t, g.check())
	require.Equal(t, safety.Halted, sw.State())
	require.NoError(t, resume())
	require.Equal(t, safety.Active, sw.State())
}
