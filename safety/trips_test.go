package safety_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// onlyMoney is a configuration of trips that judge nothing but equity and trades.
func onlyMoney() safety.TripConfig {
	return safety.TripConfig{NoSymbols: true, Off: []safety.Trip{safety.TripMarginUse, safety.TripPositionError}}
}

// openTrips opens trips on a switch and runs them until the test ends.
func openTrips(t testing.TB, sw *safety.Switch, cfg safety.TripConfig) *safety.Trips {
	trips, err := safety.OpenTrips(sw, cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- trips.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, safety.ErrClosed) {
			require.NoError(t, err)
		}
	})
	eventually(t, func() bool { return !holdSays(sw, "Run of the trips is not running") }, "the trips run")
	return trips
}

// holdSays reports whether a hold says so.
func holdSays(sw *safety.Switch, reason string) bool {
	return strings.Contains(fmt.Sprint(sw.Status().Holds), reason)
}

func trade(id, profit string) safety.Trade {
	return safety.Trade{ID: id, Profit: dec(profit), At: time.Now()}
}

// At the very first start, and when the state is lost, a person has to say that the
// windows begin at nothing; and before equity is known, nothing is judged by guess.
func TestLaw1_TripsWithoutARecordAreAHalt(t *testing.T) {
	sw := active(t, quiet(t))
	trips := openTrips(t, sw, onlyMoney())
	require.Equal(t, safety.Halted, sw.State())
	require.True(t, holdSays(sw, "there is no record of what the trips have counted"))
	resume(t, sw)
	require.Equal(t, safety.Reducing, sw.State(), "no equity was fed yet")
	require.True(t, holdSays(sw, "equity: nothing was fed since the start"))
	require.NoError(t, trips.Equity(dec("1000")))
	require.Equal(t, safety.Active, sw.State())
}

// What cannot be counted is not passed over.
func TestLaw1_WhatCannotBeCountedIsAHold(t *testing.T) {
	for name, feed := range map[string]func(*safety.Trips) error{
		"a trade without an id":    func(tr *safety.Trips) error { return tr.Trade(safety.Trade{Profit: dec("-5"), At: time.Now()}) },
		"a trade without a time":   func(tr *safety.Trips) error { return tr.Trade(safety.Trade{ID: "a", Profit: dec("-5")}) },
		"a transfer without an id": func(tr *safety.Trips) error { return tr.Transfer(safety.Transfer{Amount: dec("-5"), At: time.Now()}) },
		"a transfer of everything": func(tr *safety.Trips) error {
			return tr.Transfer(safety.Transfer{ID: "w", Amount: dec("-1000"), At: time.Now()})
		},
		"an order before it was":    func(tr *safety.Trips) error { return tr.Order(safety.Accepted, -1) },
		"a fill without a quantity": func(tr *safety.Trips) error { return tr.Fill(andon.Fill{ID: "f"}) },
		"a view of nothing":         func(tr *safety.Trips) error { return tr.Observe(safety.View{}) },
		"a view from the future": func(tr *safety.Trips) error {
			return tr.Observe(safety.View{Venue: "sim", Asked: time.Now().Add(time.Hour)})
		},
		"less than no margin": func(tr *safety.Trips) error { return tr.Margin("sim", dec("-1"), dec("10")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := active(t, inMemory())
				trips := openTrips(t, sw, safety.TripConfig{NoSymbols: true})
				require.NoError(t, trips.Equity(dec("1000")))
				require.NoError(t, trips.Margin("sim", dec("0"), dec("10")))
				observed := safety.View{Venue: "sim", Asked: time.Now()}
				time.Sleep(time.Millisecond)
				require.NoError(t, trips.Observe(observed))
				resume(t, sw)
				require.Equal(t, safety.Active, sw.State())
				require.Error(t, feed(trips))
				require.Equal(t, safety.Reducing, sw.State())
				require.True(t, holdSays(sw, "andon/trip/bad-feed"), "%v", sw.Status().Holds)
			})
		})
	}
}

// Holds and windows outlive a restart, together; a new day and time lift nothing.
func TestLaw3_TripsOutliveARestart(t *testing.T) {
	cfg := quiet(t)
	once := func(do func(sw *safety.Switch, trips *safety.Trips)) {
		sw, err := safety.Open(t.Context(), cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, sw.Close()) }()
		stop := run(t, sw)
		defer stop()
		trips, err := safety.OpenTrips(sw, onlyMoney())
		require.NoError(t, err)
		do(sw, trips)
	}
	once(func(sw *safety.Switch, trips *safety.Trips) {
		resume(t, sw)
		require.NoError(t, trips.Equity(dec("1000")))
		require.NoError(t, trips.Trade(trade("a", "-30")))
		// Nobody waits: closing the switch saves what was fed.
		require.NoError(t, sw.Close())
		require.NoError(t, trips.Trade(trade("late", "0")), "nothing comes of it")
		time.Sleep(time.Millisecond)
		require.NoError(t, sw.Close(), "nor of a second Close")
	})
	once(func(sw *safety.Switch, trips *safety.Trips) {
		require.Empty(t, lasting(sw), "there is a record now")
		require.NoError(t, trips.Trade(trade("b", "-19.99")))
		require.Empty(t, lasting(sw))
		require.NoError(t, trips.Trade(trade("c", "-0.01")))
		require.True(t, holdSays(sw, "lost 50 of the 1000"))
	})
	once(func(sw *safety.Switch, trips *safety.Trips) {
		require.True(t, holdSays(sw, "lost 50 of the 1000"))
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		require.Empty(t, lasting(sw))
		require.NoError(t, trips.Trade(trade("d", "-49.99")))
		require.Empty(t, lasting(sw), "the person's word is on what the hold named")
		require.NoError(t, trips.Trade(trade("e", "-0.01")))
		require.True(t, holdSays(sw, "lost 100 of the 1000"), "and on nothing else")
	})
}

// witness sees every state that is saved.
type witness struct {
	*memoryStore
	saw func(safety.State)
}

func (w witness) Save(ctx context.Context, s safety.State) error {
	w.saw(s)
	return w.memoryStore.Save(ctx, s)
}

// Whatever is fed while the state is saved: a window that says that its loss was named is
// never on disk without the hold that names it. A process that died right then would come
// back active, and the loss would count for nothing.
func TestLaw3_ATripsHoldIsSavedNoLaterThanItsWindow(t *testing.T) {
	var saves, fired atomic.Int64
	var bad sync.Map
	cfg := inMemory()
	cfg.Store = witness{&memoryStore{}, func(s safety.State) {
		saves.Add(1)
		if s.Trips == nil {
			return
		}
		named := 0
		for _, h := range s.Holds {
			var n int
			if _, err := fmt.Sscanf(h.Reason, "1 trades in a row lost, the last one, %d,", &n); err == nil {
				named = max(named, n)
			}
		}
		times := s.Trips.Fired[safety.TripLosingStreak].Times
		if named < times {
			bad.Store(fmt.Sprintf("the window has named %d losses, the holds %d", times, named), true)
		}
		fired.Store(int64(times))
	}}
	sw := active(t, cfg)
	trips := openTrips(t, sw, safety.TripConfig{NoSymbols: true, LosingStreak: 1, SaveEvery: time.Microsecond, Off: []safety.Trip{
		safety.TripMarginUse, safety.TripPositionError, safety.TripDailyLoss, safety.TripDrawdown, safety.TripRapidLoss}})
	for n := 1; n <= 500; n++ {
		require.NoError(t, trips.Trade(trade(fmt.Sprint(n), "-1")))
		runtime.Gosched() // let a save come between
	}
	require.NoError(t, trips.Sync(t.Context()))
	bad.Range(func(what, _ any) bool { t.Error(what); return true })
	require.EqualValues(t, 500, fired.Load())
	require.Greater(t, saves.Load(), int64(10))
}

// A bot that is started once without its trips does not make them forget.
func TestLaw3_TripsThatAreNotOpenedAreKept(t *testing.T) {
	cfg := quiet(t)
	for n, loss := range []string{"-30", "", "-20"} {
		sw, err := safety.Open(t.Context(), cfg)
		require.NoError(t, err)
		if loss != "" {
			trips, err := safety.OpenTrips(sw, onlyMoney())
			require.NoError(t, err)
			require.NoError(t, trips.Equity(dec("1000")))
			require.NoError(t, trips.Trade(trade(loss, loss)))
		} else {
			resume(t, sw)
		}
		require.Equal(t, n == 2, holdSays(sw, "lost 50 of the 1000"))
		require.NoError(t, sw.Close())
	}
}

func TestLaw3_NoTimerLiftsATrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inMemory()
		cfg.FlagPoll, cfg.ProbeEvery = time.Hour, time.Hour
		sw := active(t, cfg)
		money := onlyMoney()
		money.Tick = time.Hour
		trips := openTrips(t, sw, money)
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		require.NoError(t, trips.Trade(trade("a", "-50")))
		for range 3 {
			time.Sleep(24 * time.Hour)
			require.NoError(t, trips.Equity(dec("2000")))
			synctest.Wait()
			require.True(t, holdSays(sw, "lost 50 of the 1000"))
		}
		require.Equal(t, safety.Reducing, sw.State())
		resume(t, sw)
		require.Equal(t, safety.Active, sw.State())
	})
}

func TestLaw10_ATripIsRecordedWithItsNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := inMemory()
		cfg.Recorder = rec
		sw := active(t, cfg)
		trips := openTrips(t, sw, onlyMoney())
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		require.NoError(t, trips.Equity(dec("940")))
		require.Equal(t, safety.Halted, sw.State())
		synctest.Wait()
		got := strings.Join(rec.recorded(), "\n")
		require.Contains(t, got, "andon/trip/rapid-loss | hold placed: halted | equity is 940, 6 % below the 1000 of")
		require.Contains(t, got, "andon/trip/daily-loss | hold placed: reducing | lost 60 of the 1000")
	})
}

// Neither a disk nor a recorder that hangs, nor a log, holds a trip up; and Sync says that
// what was fed would not outlive the process.
func TestLaw11_ATripWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, rec := &memoryStore{}, &recorder{}
		cfg := inMemory()
		cfg.Store, cfg.Recorder = store, rec
		sw := active(t, cfg)
		trips := openTrips(t, sw, onlyMoney())
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		hang := make(chan struct{})
		store.hangOn(hang)
		rec.set(nil, true)
		before := time.Now()
		require.NoError(t, trips.Equity(dec("900")))
		require.Zero(t, time.Since(before))
		require.Equal(t, safety.Halted, sw.State())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, trips.Sync(ctx), safety.ErrNotDurable)
		close(hang)
		store.hangOn(nil)
		rec.set(nil, false)
		require.NoError(t, trips.Sync(t.Context()))
		require.Equal(t, "900", store.stored().Trips.Equity.String())
	})
}

// panicky panics wherever it is called.
type panicky struct{ slog.Handler }

func (panicky) Enabled(context.Context, slog.Level) bool                        { return true }
func (panicky) Handle(context.Context, slog.Record) error                       { panic("log") }
func (panicky) Record(context.Context, time.Time, string, string, string) error { panic("recorder") }

// An exception inside the kill path left the gate of another bot open, and orders kept
// coming. Here whatever the caller gave may panic in it: the gate is shut, the hold comes
// to the disk, and the process lives.
func TestComplaintTrading6_APanicInTheKillPathLeavesTheGateShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		cfg := inMemory()
		cfg.Store = store
		sw := active(t, cfg)
		require.NoError(t, sw.Close())

		cfg.Recorder, cfg.Log = panicky{}, slog.New(panicky{})
		cfg.BeforeResume = func(context.Context) error { panic("check") }
		panics := 0
		var mu sync.Mutex
		store.during(func() {
			mu.Lock()
			defer mu.Unlock()
			if panics++; panics <= 3 {
				panic("disk")
			}
		})
		cfg.NoFlags = true
		sw = open(t, cfg)
		run(t, sw)
		require.Equal(t, safety.Active, sw.State())
		_, err := sw.Halt(t.Context(), "bob", "drill")
		require.NoError(t, err, "durable after the panics")
		o := order("a", andon.Buy, "1")
		_, err = sw.Submit(t.Context(), paper{}, o)
		require.ErrorIs(t, err, safety.ErrDenied)
		require.Contains(t, fmt.Sprint(store.stored().Holds), "drill")
		err = sw.Resume(t.Context(), "alice", "fine", sw.Status().Holds)
		require.ErrorIs(t, err, safety.ErrResumeRefused)
		require.ErrorContains(t, err, "BeforeResume panicked: check")
		require.Equal(t, safety.Halted, sw.State())
	})
}

// A liquidation by the broker was unseen for 18 hours. Here a position that no fill of the
// bot's explains halts within the grace and the next view.
func TestComplaintTrading8_ALiquidationIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		trips := openTrips(t, sw, safety.TripConfig{NoSymbols: true, Off: []safety.Trip{
			safety.TripMarginUse, safety.TripDailyLoss, safety.TripDrawdown, safety.TripRapidLoss}})
		look := func(positions ...andon.Position) {
			time.Sleep(time.Second)
			require.NoError(t, trips.Observe(safety.View{Venue: "sim", Asked: time.Now(), Positions: positions}))
		}
		look(position("1"))
		resume(t, sw)
		fill := andon.Fill{ID: "f1", ClientID: "c1", Venue: "sim", Symbol: "BTC", Side: andon.Buy, Quantity: dec("0.5"), Price: dec("100"), At: time.Now()}
		require.NoError(t, trips.Fill(fill))
		require.NoError(t, trips.Fill(fill), "told twice")
		for range 30 {
			look(position("1.5"))
		}
		require.Equal(t, safety.Active, sw.State(), "%v", sw.Status().Holds)
		gone := time.Now()
		for sw.State() == safety.Active {
			look()
		}
		require.Equal(t, safety.Halted, sw.State())
		require.True(t, holdSays(sw, "sim/BTC is 0 by the venue and 1.5 by the bot's own fills: -1.5 that no fill explains"))
		require.LessOrEqual(t, time.Since(gone), 12*time.Second) // the bubble's clock, not this machine's
	})
}

// A breaker was latched for ever with no way back, and what a reset did was unclear. Here a
// named person who has seen the hold opens the gate although the loss is still there; what
// the person saw is not counted again, and what comes after is.
func TestComplaintTrading9_AResumeLeadsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		trips := openTrips(t, sw, onlyMoney())
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		require.NoError(t, trips.Equity(dec("750"))) // daily, drawdown and rapid at once
		require.Len(t, lasting(sw), 3)
		seen := sw.Status().Holds
		// It goes on falling while halted: that is news, which the person has not seen.
		require.NoError(t, trips.Equity(dec("700")))
		require.ErrorIs(t, sw.Resume(t.Context(), "alice", "fine", seen), safety.ErrResumeRefused)
		resume(t, sw)
		require.Equal(t, safety.Active, sw.State(), "%v", sw.Status().Holds)
		time.Sleep(30 * time.Second)
		require.NoError(t, trips.Equity(dec("700")))
		require.Equal(t, safety.Active, sw.State(), "the same loss is not held against anybody twice")
		require.NoError(t, trips.Equity(dec("665")))
		require.Equal(t, safety.Halted, sw.State(), "5 % more is")
	})
}

// What lasts is not lifted by a Resume, and goes by itself with its cause.
func TestSilenceNarrowsAsLongAsItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		cfg := onlyMoney()
		cfg.NoSymbols, cfg.Symbols = false, []string{"BTC"}
		cfg.MaxFeedAge = time.Hour
		trips := openTrips(t, sw, cfg)
		require.NoError(t, trips.Equity(dec("1000")))
		resume(t, sw)
		require.Equal(t, safety.Reducing, sw.State(), "no data was ever fed")
		hear := func(age time.Duration) {
			trips.MarketData("BTC", time.Now().Add(-age))
			trips.MarketData("DOGE", time.Now())
			time.Sleep(time.Second)
			synctest.Wait()
		}
		hear(time.Second) // of before the trips were opened
		require.Equal(t, safety.Active, sw.State())
		for range 60 {
			hear(20 * time.Second)
		}
		require.Equal(t, safety.Active, sw.State())
		hear(40 * time.Second) // older than what is known: no news
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.Equal(t, safety.Reducing, sw.State())
		require.Len(t, lasting(sw), 1)
		require.True(t, holdSays(sw, "market data of BTC: nothing newer than"))
		resume(t, sw)
		require.Equal(t, safety.Reducing, sw.State(), "it is silent still")
		hear(-time.Hour) // a clock that is ahead: it counts as now
		require.Equal(t, safety.Active, sw.State())
		time.Sleep(32 * time.Second)
		synctest.Wait()
		require.Equal(t, safety.Reducing, sw.State())
	})
}

func TestTripsRunOrHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		trips, err := safety.OpenTrips(sw, onlyMoney())
		require.NoError(t, err)
		_, err = safety.OpenTrips(sw, onlyMoney())
		require.ErrorContains(t, err, "has trips already")
		resume(t, sw)
		require.NoError(t, trips.Equity(dec("1000")))
		require.Equal(t, safety.Halted, sw.State(), "nobody runs them")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- trips.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, safety.Active, sw.State())
		require.ErrorIs(t, trips.Run(ctx), safety.ErrRunning)
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, safety.Halted, sw.State())
	})
}

func TestTripConfigSaysEverythingThatIsWrong(t *testing.T) {
	sw := open(t, inMemory())
	_, err := safety.OpenTrips(sw, safety.TripConfig{
		DailyLoss: dec("5"), OrderFailures: dec("-0.2"), LosingStreak: -1, Tick: -1,
		Symbols: []string{"BTC", "BTC"}, NoSymbols: true,
		PositionTolerance: map[string]andon.Decimal{"BTC": dec("-1")},
		States:            map[safety.Trip]safety.TradingState{safety.TripDrawdown: safety.Active, 0: safety.Halted},
		Off:               []safety.Trip{safety.TripStaleData, 99},
	})
	for _, says := range []string{
		"DailyLoss 5 is not a ratio", "OrderFailures -0.2 is not a ratio", "LosingStreak -1", "Tick -1ns", "Symbols and NoSymbols",
		`Symbols[1] "BTC"`, `PositionTolerance["BTC"] -1`, "States[drawdown] active holds nothing", "States[Trip(0)]",
		"Off[0] stale-data cannot be turned off", "Off[1] Trip(99)",
	} {
		require.ErrorContains(t, err, says)
	}
}

func TestTripStatusShowsHowFarEachIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := active(t, inMemory())
		cfg := onlyMoney()
		cfg.States = map[safety.Trip]safety.TradingState{safety.TripDailyLoss: safety.Halted}
		trips := openTrips(t, sw, cfg)
		require.NoError(t, trips.Equity(dec("1000")))
		require.NoError(t, trips.Trade(trade("a", "-10")))
		by := map[safety.Trip]safety.TripStatus{}
		for _, s := range trips.Status() {
			by[s.Trip] = s
		}
		require.Len(t, by, 11)
		require.Equal(t, safety.TripStatus{Trip: safety.TripDailyLoss, On: true, State: safety.Halted, Level: dec("0.01"), Limit: dec("0.05")}, by[safety.TripDailyLoss])
		require.Equal(t, "1", by[safety.TripLosingStreak].Level.String())
		require.False(t, by[safety.TripMarginUse].On)
		require.NoError(t, trips.PositionError(position("1").Key(), "two bots on one leg"))
		require.False(t, holdSays(sw, "two bots"), "the trip is off")
	})
}
