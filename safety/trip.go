package safety

import "fmt"

// Trip is one condition on what comes of trading that places a hold by itself. The
// zero value is no trip.
type Trip uint8

// The trips. The state is the hold's where TripConfig.States does not say otherwise.
//
//	trip            fires when                                                    state
//	daily-loss      the day's loss reaches a part of the day's opening equity     reducing
//	drawdown        equity is a part below its peak                               halted
//	rapid-loss      equity is a part below its highest within a few minutes       halted
//	losing-streak   a number of trades in a row lost                              reducing
//	order-failures  more than a part of the orders of a few minutes failed        reducing
//	venue-errors    a number of calls to one venue failed within a minute         reducing
//	position-error  a position moved and no fill of the bot's says why            halted
//	margin-use      a part of an account's margin is used                         reducing
//	stale-data      market data, equity, margin or positions have gone silent     reducing
//	slow-orders     a number of orders took too long within a minute              reducing
//	bad-feed        something was fed that cannot be counted                      reducing
//
// What is planned for and leaves the bot able to get out by itself reduces. What
// says that the bot, or what it knows, is not to be trusted halts.
const (
	TripDailyLoss Trip = iota + 1
	TripDrawdown
	TripRapidLoss
	TripLosingStreak
	TripOrderFailures
	TripVenueErrors
	TripPositionError
	TripMarginUse
	TripStaleData
	TripSlowOrders
	TripBadFeed
)

var tripNames = [...]string{
	TripDailyLoss: "daily-loss", TripDrawdown: "drawdown", TripRapidLoss: "rapid-loss",
	TripLosingStreak: "losing-streak", TripOrderFailures: "order-failures", TripVenueErrors: "venue-errors",
	TripPositionError: "position-error", TripMarginUse: "margin-use", TripStaleData: "stale-data",
	TripSlowOrders: "slow-orders", TripBadFeed: "bad-feed",
}

// known reports whether t is one of the trips.
func (t Trip) known() bool { return t > 0 && int(t) < len(tripNames) }

// String returns the trip's name, such as "daily-loss", or "Trip(n)".
func (t Trip) String() string {
	if t.known() {
		return tripNames[t]
	}
	return fmt.Sprintf("Trip(%d)", uint8(t))
}

// MarshalText writes the trip's name; a value that is none is an error.
func (t Trip) MarshalText() ([]byte, error) {
	if t.known() {
		return []byte(tripNames[t]), nil
	}
	return nil, fmt.Errorf("trip %d is not one of 1 to %d", uint8(t), len(tripNames)-1)
}

// UnmarshalText reads a trip's name.
func (t *Trip) UnmarshalText(b []byte) error {
	for i, name := range tripNames {
		if i > 0 && name == string(b) {
			*t = Trip(i)
			return nil
		}
	}
	return fmt.Errorf("trip %q is not known", b)
}

// state is what the trip's hold does by default.
func (t Trip) state() TradingState {
	switch t {
	case TripDailyLoss, TripLosingStreak, TripOrderFailures, TripVenueErrors, TripMarginUse,
		TripStaleData, TripSlowOrders, TripBadFeed:
		return Reducing
	}
	return Halted
}

// byTrip is the source of a trip's hold: its name follows.
const byTrip = "andon/trip/"
