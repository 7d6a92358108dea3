package safety

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// TripConfig says when trips fire. Ratios are of one: 0.05 is 5 %. Either Symbols or
// NoSymbols is required; everything else has a default.
type TripConfig struct {
	// Zone is the time zone in whose midnight a day begins. Defaults to UTC.
	Zone *time.Location

	// DailyLoss fires when the day's loss reaches this ratio of the equity with which
	// the day opened. The loss is what the day's trades lost net of fees, or what
	// equity has fallen since the opening, whichever is worse. Defaults to 0.05.
	DailyLoss andon.Decimal

	// Drawdown fires when equity is this ratio below its peak, or more.
	// Defaults to 0.2.
	Drawdown andon.Decimal

	// RapidLoss fires when equity is this ratio below the highest of the last
	// RapidWindow, or more. The last reading before the window was in force when it
	// began and so counts, however old it is: what fell while nobody looked is rapid.
	// They default to 0.05 and 5 min.
	RapidLoss   andon.Decimal
	RapidWindow time.Duration

	// LosingStreak fires when so many trades in a row lost money net of fees. A trade
	// that came out even neither counts nor ends a streak. Defaults to 5.
	LosingStreak int

	// OrderFailures fires when more than this ratio of the orders of the last
	// OrderWindow failed, once there were OrderMinimum of them: exactly the ratio is
	// not more. They default to 0.2, 5 min and 10.
	OrderFailures andon.Decimal
	OrderWindow   time.Duration
	OrderMinimum  int

	// VenueErrors fires when so many calls to one venue failed within VenueWindow.
	// They default to 5 and 1 min.
	VenueErrors int
	VenueWindow time.Duration

	// PositionGrace is how long the views of a venue may differ from the position
	// that the fills add up to. Defaults to 10 s.
	PositionGrace time.Duration

	// PositionTolerance is the largest difference of a symbol's position that needs no
	// fill, for fees that the venue takes in the base currency. Empty means none.
	PositionTolerance map[string]andon.Decimal

	// MarginUse fires when this ratio of a venue's margin is used, or more.
	// Defaults to 0.8.
	MarginUse andon.Decimal

	// Symbols are those whose market data must not be older than MaxDataAge.
	Symbols []string

	// NoSymbols says that there are none, which is a decision and so has to be said.
	NoSymbols bool

	// MaxDataAge is how old market data may be. Defaults to 30 s.
	MaxDataAge time.Duration

	// MaxFeedAge is how old the newest equity, margin and view may be, as far as a
	// trip that is on needs them. Defaults to 1 min.
	MaxFeedAge time.Duration

	// SlowOrder is how long an order's way to the venue and back may take; one that
	// took longer is slow. SlowOrders fires when so many were slow within SlowWindow.
	// They default to 500 ms, 3 and 1 min.
	SlowOrder  time.Duration
	SlowOrders int
	SlowWindow time.Duration

	// States are the trading states of the holds, where the default is not wanted:
	// Halted or Reducing.
	States map[Trip]TradingState

	// Off are the trips that never fire, which is a decision and so has to be said.
	// TripStaleData and TripBadFeed cannot be turned off: without them the others may
	// be blind and nobody knows.
	Off []Trip

	// Tick is how often Run looks for what has gone silent. Defaults to 1 s.
	Tick time.Duration

	// SaveEvery is the shortest time between two saves of windows in which nothing
	// has fired. What has fired is saved at once. Defaults to 200 ms.
	SaveEvery time.Duration
}

func (c TripConfig) withDefaults() TripConfig {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	ratio := func(d *andon.Decimal, to andon.Decimal) {
		if d.IsZero() {
			*d = to
		}
	}
	ratio(&c.DailyLoss, andon.NewDecimal(5, 2))
	ratio(&c.Drawdown, andon.NewDecimal(2, 1))
	ratio(&c.RapidLoss, andon.NewDecimal(5, 2))
	ratio(&c.OrderFailures, andon.NewDecimal(2, 1))
	ratio(&c.MarginUse, andon.NewDecimal(8, 1))
	count := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	count(&c.LosingStreak, 5)
	count(&c.OrderMinimum, 10)
	count(&c.VenueErrors, 5)
	count(&c.SlowOrders, 3)
	span := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	span(&c.RapidWindow, 5*time.Minute)
	span(&c.OrderWindow, 5*time.Minute)
	span(&c.VenueWindow, time.Minute)
	span(&c.PositionGrace, 10*time.Second)
	span(&c.MaxDataAge, 30*time.Second)
	span(&c.MaxFeedAge, time.Minute)
	span(&c.SlowOrder, 500*time.Millisecond)
	span(&c.SlowWindow, time.Minute)
	span(&c.Tick, time.Second)
	span(&c.SaveEvery, 200*time.Millisecond)
	return c
}

func (c TripConfig) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	one := andon.NewDecimal(1, 0)
	for _, r := range []struct {
		name string
		v    andon.Decimal
	}{
		{"DailyLoss", c.DailyLoss}, {"Drawdown", c.Drawdown}, {"RapidLoss", c.RapidLoss},
		{"OrderFailures", c.OrderFailures}, {"MarginUse", c.MarginUse},
	} {
		if r.v.Sign() <= 0 || one.Less(r.v) {
			add("%s %v is not a ratio above 0 and up to 1 (5 %% is 0.05)", r.name, r.v)
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{
		{"LosingStreak", c.LosingStreak}, {"OrderMinimum", c.OrderMinimum}, {"VenueErrors", c.VenueErrors}, {"SlowOrders", c.SlowOrders},
	} {
		if n.v < 0 {
			add("%s %d is negative", n.name, n.v)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"RapidWindow", c.RapidWindow}, {"OrderWindow", c.OrderWindow}, {"VenueWindow", c.VenueWindow},
		{"PositionGrace", c.PositionGrace}, {"MaxDataAge", c.MaxDataAge}, {"MaxFeedAge", c.MaxFeedAge},
		{"SlowOrder", c.SlowOrder}, {"SlowWindow", c.SlowWindow}, {"Tick", c.Tick}, {"SaveEvery", c.SaveEvery},
	} {
		if d.v < 0 {
			add("%s %v is negative", d.name, d.v)
		}
	}
	for symbol, v := range c.PositionTolerance {
		if v.Sign() < 0 {
			add("PositionTolerance[%q] %v is negative", symbol, v)
		}
	}
	if (len(c.Symbols) == 0) != c.NoSymbols {
		add("Symbols and NoSymbols: give exactly one of them")
	}
	for i, s := range c.Symbols {
		if s == "" || slices.Contains(c.Symbols[:i], s) {
			add("Symbols[%d] %q is empty or there twice", i, s)
		}
	}
	return errors.Join(append(errs, c.validateTrips()...)...)
}

// validateTrips looks at what is said of single trips.
func (c TripConfig) validateTrips() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for t, s := range c.States {
		if !t.known() {
			add("States[%v]: there is no such trip", t)
		}
		if s != Halted && s != Reducing {
			add("States[%v] %v holds nothing", t, s)
		}
	}
	for i, t := range c.Off {
		switch {
		case !t.known():
			add("Off[%d] %v: there is no such trip", i, t)
		case t == TripStaleData || t == TripBadFeed:
			add("Off[%d] %v cannot be turned off: the other trips would be blind", i, t)
		}
	}
	return errs
}

// on reports whether the trip may fire.
func (c TripConfig) on(t Trip) bool { return !slices.Contains(c.Off, t) }

// state is what the trip's hold does.
func (c TripConfig) state(t Trip) TradingState {
	if s, ok := c.States[t]; ok {
		return s
	}
	return t.state()
}

// needsEquity reports whether a trip is on that judges equity.
func (c TripConfig) needsEquity() bool {
	return c.on(TripDailyLoss) || c.on(TripDrawdown) || c.on(TripRapidLoss)
}
