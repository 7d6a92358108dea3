package safety

import (
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// TripStatus is what one trip has counted and may count.
type TripStatus struct {
	Trip  Trip
	On    bool
	State TradingState // of its hold

	// Level and Limit are in the same unit: a ratio of one for losses, failed orders
	// and margin, of the venue that uses most, a number for streaks and counts, zero
	// where a trip has neither. Data and positions show in Present.
	Level, Limit andon.Decimal

	Present []string  // what lasts right now, and narrows trading as long as it does
	Last    time.Time // when it last placed a hold; zero if never
	Times   int       // how often it has
}

// Status returns every trip as it stands, in the order of the constants.
func (t *Trips) Status() []TripStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.machine.status(t.clock.now())
}

func (m *tripMachine) status(now tripNow) []TripStatus {
	var all []TripStatus
	for i := range tripNames[1:] {
		trip := Trip(i + 1)
		fired := m.s.Fired[trip]
		st := TripStatus{Trip: trip, On: m.cfg.on(trip), State: m.cfg.state(trip), Last: fired.At, Times: fired.Times}
		st.Level, st.Limit = m.level(trip, now)
		for _, by := range slices.Sorted(maps.Keys(m.present)) {
			if c := m.present[by]; c.trip == trip {
				st.Present = append(st.Present, c.reason)
			}
		}
		all = append(all, st)
	}
	return all
}

// level returns what a trip has counted so far and its limit.
func (m *tripMachine) level(trip Trip, now tripNow) (level, limit andon.Decimal) {
	c := m.cfg
	of := func(part, whole andon.Decimal) andon.Decimal {
		if whole.Sign() <= 0 {
			return andon.Decimal{} // not known yet, or nothing counted
		}
		return levelOf(part, whole)
	}
	n := func(v int) andon.Decimal { return andon.NewDecimal(int64(v), 0) }
	switch trip {
	case TripDailyLoss:
		return of(m.s.Opening.Sub(m.s.Equity).Max(m.s.Net.Neg()).Sub(m.s.Named), m.s.Opening), c.DailyLoss
	case TripDrawdown:
		return of(m.s.Peak.Sub(m.s.Equity), m.s.Peak), c.Drawdown
	case TripRapidLoss:
		top := highest(m.s.Highs).Equity
		return of(top.Sub(m.s.Equity), top), c.RapidLoss
	case TripLosingStreak:
		return n(m.s.Streak), n(c.LosingStreak)
	case TripOrderFailures:
		m.s.Orders = recent(m.s.Orders, now.clock, c.OrderWindow)
		failed, events := total(m.s.Orders)
		return of(n(failed), n(events)), c.OrderFailures
	case TripVenueErrors:
		most := 0
		for venue, w := range m.s.Venues {
			m.s.Venues[venue] = recent(w, now.clock, c.VenueWindow)
			failed, _ := total(m.s.Venues[venue])
			most = max(most, failed)
		}
		return n(most), n(c.VenueErrors)
	case TripSlowOrders:
		m.s.Slow = recent(m.s.Slow, now.clock, c.SlowWindow)
		slow, _ := total(m.s.Slow)
		return n(slow), n(c.SlowOrders)
	case TripMarginUse:
		for _, used := range m.margins {
			level = level.Max(used)
		}
		return level, c.MarginUse
	}
	return andon.Decimal{}, andon.Decimal{}
}

// levelOf is which part of the whole something is, rounded up, and 1 where that cannot be
// told.
func levelOf(part, whole andon.Decimal) andon.Decimal {
	if part.Sign() <= 0 {
		return andon.Decimal{}
	}
	if q, err := part.Quo(whole, scaledPlaces, andon.Up); err == nil && whole.Sign() > 0 {
		return q
	}
	return andon.NewDecimal(1, 0)
}
