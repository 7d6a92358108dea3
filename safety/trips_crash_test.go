package safety_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// lose opens trips, resumes, and loses 1 of 1000 again and again, and says what was
// acknowledged: what is synced, and each hold that is durable.
func lose(dir string, trades int) error {
	ctx := context.Background()
	sw, err := safety.Open(ctx, crashConfig(dir))
	if err != nil {
		return err
	}
	trips, err := safety.OpenTrips(sw, safety.TripConfig{NoSymbols: true, SaveEvery: time.Millisecond, DailyLoss: dec("0.003"), Off: []safety.Trip{
		safety.TripMarginUse, safety.TripPositionError, safety.TripLosingStreak}})
	if err != nil {
		return err
	}
	if err := trips.Equity(dec("1000")); err != nil {
		return err
	}
	fmt.Println("resuming")
	if err := sw.Resume(ctx, "alice", "looked at everything", sw.Status().Holds); err != nil {
		return err
	}
	fmt.Println("lost", 0)
	for n := 1; n <= trades; n++ {
		if err := trips.Trade(safety.Trade{ID: fmt.Sprint(n), Profit: dec("-1"), At: time.Now()}); err != nil {
			return err
		}
		if err := trips.Sync(ctx); err != nil {
			return err
		}
		fmt.Println("lost", n)
	}
	return sw.Close()
}

// remembers opens what a killed child left, and checks that no loss that was acknowledged
// is forgotten, and no hold of a trip that fired by then; and that a loss that is counted
// and a hold that names it are on disk together.
func remembers(t *testing.T, dir string, lines []string) {
	sw, err := safety.Open(t.Context(), crashConfig(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	trips, err := safety.OpenTrips(sw, safety.TripConfig{NoSymbols: true, DailyLoss: dec("0.003"), Off: []safety.Trip{
		safety.TripMarginUse, safety.TripPositionError, safety.TripLosingStreak}})
	require.NoError(t, err)
	if len(lines) == 0 {
		require.NotEmpty(t, lasting(sw), "nobody has resumed yet")
		return
	}
	if lines[len(lines)-1] == "resuming" {
		return // a named person had decided, and it may have come to the disk or not
	}
	acknowledged := 0
	_, err = fmt.Sscanf(lines[len(lines)-1], "lost %d", &acknowledged)
	require.NoError(t, err)
	holds := fmt.Sprint(lasting(sw))
	require.NotContains(t, holds, "there is no record")
	counted := 0
	for _, s := range trips.Status() {
		if s.Trip == safety.TripDailyLoss {
			require.Equal(t, s.Times, strings.Count(holds, "andon/trip/daily-loss"), "holds and windows are saved by one write")
			level, err := s.Level.Quo(dec("0.001"), 0, 0)
			require.NoError(t, err)
			_, err = fmt.Sscan(level.String(), &counted)
			require.NoError(t, err)
			counted += 3 * s.Times
		}
	}
	require.GreaterOrEqual(t, counted, acknowledged)
	require.LessOrEqual(t, counted, acknowledged+1)
}

// Killed at every durable step, trips forget nothing that was acknowledged.
func TestLaw3_TripsKilledAtEveryStep(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 20}, func(dir string) error { return lose(dir, 4) },
		func(t *testing.T, dir string, at crashtest.Step) { remembers(t, dir, at.Lines) })
	require.Empty(t, crashtest.Unsynced(steps), "what is acknowledged outlives a loss of power")
}

// Killed at random instants. ANDON_KILLS=1000 for more.
func TestLaw3_TripsKilledAtRandom(t *testing.T) {
	crashtest.RunRandom(t, crashtest.RandomConfig{Within: 40 * time.Millisecond}, func(dir string) error { return lose(dir, 45) },
		func(t *testing.T, dir string, at crashtest.Step) { remembers(t, dir, at.Lines) })
}
