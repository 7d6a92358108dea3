package safety

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// order counts an order's outcome and how long it took.
func (m *tripMachine) order(now tripNow, o Outcome, took time.Duration) error {
	if took < 0 {
		return fmt.Errorf("an order that took %v", took)
	}
	c := m.cfg
	m.s.Orders = count(m.s.Orders, now.clock, c.OrderWindow, o != Accepted)
	failed, events := total(m.s.Orders)
	part, whole := andon.NewDecimal(int64(failed), 0), andon.NewDecimal(int64(events), 0)
	if events >= c.OrderMinimum && exceeds(part, whole, c.OrderFailures) {
		m.fire(TripOrderFailures, now, "%d of %d orders failed within %v, that is %s; the limit is %s of at least %d, and counting begins again at 0 now",
			failed, events, c.OrderWindow, shareText(part, whole), ratioText(c.OrderFailures), c.OrderMinimum)
		m.s.Orders = nil
	}
	m.s.Slow = count(m.s.Slow, now.clock, c.SlowWindow, took > c.SlowOrder)
	if slow, events := total(m.s.Slow); slow >= c.SlowOrders {
		m.fire(TripSlowOrders, now, "%d of %d orders took more than %v within %v, the last one %v; the limit is %d, and counting begins again at 0 now",
			slow, events, c.SlowOrder, c.SlowWindow, took, c.SlowOrders)
		m.s.Slow = nil
	}
	return nil
}

// venueError counts a call to a venue that failed.
func (m *tripMachine) venueError(now tripNow, venue string, err error) error {
	if err == nil || errors.Is(err, andon.ErrRejected) || errors.Is(err, andon.ErrOrderNotFound) || errors.Is(err, context.Canceled) {
		return nil // the venue's own answers, and a bot that no longer wanted one
	}
	if m.s.Venues[venue] == nil && len(m.s.Venues) >= maxTripVenues {
		return fmt.Errorf("venue %q is one more than the %d that are told apart", venue, maxTripVenues)
	}
	c := m.cfg
	w := count(m.s.Venues[venue], now.clock, c.VenueWindow, true)
	if failed, _ := total(w); failed >= c.VenueErrors {
		m.fire(TripVenueErrors, now, "%d calls to %s failed within %v, the last one with: %v; the limit is %d, and counting begins again at 0 now",
			failed, venue, c.VenueWindow, err, c.VenueErrors)
		w = w[:0]
	}
	m.s.Venues[venue] = w
	return nil
}

// margin judges how much of a venue's margin is used.
func (m *tripMachine) margin(now tripNow, venue string, used, whole andon.Decimal) error {
	if used.Sign() < 0 {
		return fmt.Errorf("margin of %s: %v used is negative", venue, used)
	}
	if m.feeds[feedMargin+" of "+venue] == nil && len(m.feeds) >= maxTripVenues*4+len(m.cfg.Symbols) {
		return fmt.Errorf("margin of %q: one venue more than are told apart", venue)
	}
	if m.cfg.on(TripMarginUse) {
		m.hearOf(feedMargin, venue, now, now)
	}
	m.margins[venue] = levelOf(used, whole)
	by := byTrip + TripMarginUse.String() + "/" + venue
	if used.IsZero() || !reaches(used, whole, m.cfg.MarginUse) || !m.cfg.on(TripMarginUse) {
		delete(m.present, by)
		return nil
	}
	if _, again := m.present[by]; again {
		return nil
	}
	how := "all of it"
	if whole.Sign() > 0 {
		how = shareText(used, whole)
	}
	m.fire(TripMarginUse, now, "%s: %v of %v margin is used, that is %s; the limit is %s, and trading stays narrowed until less is used", venue, used, whole, how, ratioText(m.cfg.MarginUse))
	m.present[by] = condition{TripMarginUse, fmt.Sprintf("%s: %s of the margin, or more, is used since %s", venue, ratioText(m.cfg.MarginUse), stamp(now.wall))}
	return nil
}

// fill moves the leg that the bot expects.
func (m *tripMachine) fill(now tripNow, f andon.Fill) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if f.At.IsZero() {
		return fmt.Errorf("fill %q has no time, so that it cannot be told whether it was counted", f.ID)
	}
	if !m.cfg.on(TripPositionError) || m.ids.add("fill "+f.Venue, f.ID, f.At) != fresh {
		return nil // where a doubtful one was new, the next view differs
	}
	m.filled[f.Venue] = now.wall
	if !slices.Contains(m.s.Viewed, f.Venue) {
		return nil // the first view says what it has come to
	}
	l, err := m.leg(f.Key())
	if err != nil {
		return err
	}
	l.quantity = l.quantity.Add(f.Signed())
	return nil
}

func (m *tripMachine) leg(k andon.LegKey) (*tripLeg, error) {
	l := m.legs[k]
	if l == nil {
		if len(m.legs) >= maxTripLegs {
			return nil, fmt.Errorf("%v is one leg more than the %d that are told apart", k, maxTripLegs)
		}
		l = &tripLeg{}
		m.legs[k] = l
	}
	return l, nil
}

// view compares a venue's positions with what the fills add up to.
func (m *tripMachine) view(now tripNow, v View) error {
	if err := v.validate(); err != nil {
		return err
	}
	if !m.cfg.on(TripPositionError) {
		return nil
	}
	if age := now.wall.Sub(v.Asked); age < -m.cfg.PositionGrace {
		return fmt.Errorf("view of %s asked at %s, which is %v from now: one of the clocks is wrong", v.Venue, stamp(v.Asked), -age)
	}
	first := !slices.Contains(m.s.Viewed, v.Venue)
	if first {
		if !v.Asked.After(m.filled[v.Venue]) {
			return nil // it may not show a fill that was fed since: the next one does
		}
		if len(m.s.Viewed) >= maxTripVenues {
			return fmt.Errorf("view of %q: one venue more than the %d that are told apart", v.Venue, maxTripVenues)
		}
		m.s.Viewed = append(m.s.Viewed, v.Venue)
	}
	at := now
	if age := now.wall.Sub(v.Asked); age > 0 {
		at.clock, at.wall = now.clock.Add(-age), v.Asked
	}
	m.hearOf(feedView, v.Venue, at, now)
	said := map[andon.LegKey]andon.Decimal{}
	for _, p := range v.Positions {
		said[p.Key()] = p.Quantity
		if _, err := m.leg(p.Key()); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(m.legs), compareLegs) {
		if k.Venue == v.Venue {
			m.compare(now, k, m.legs[k], said[k], first)
		}
	}
	return nil
}

// compare judges what a view says of one leg.
func (m *tripMachine) compare(now tripNow, k andon.LegKey, l *tripLeg, said andon.Decimal, first bool) {
	differs := said.Sub(l.quantity)
	switch {
	case first, !m.cfg.PositionTolerance[k.Symbol].Less(differs.Abs()):
		l.quantity, l.unlike = said, time.Time{}
	case l.unlike.IsZero():
		l.unlike = now.clock
	case now.clock.Sub(l.unlike) >= m.cfg.PositionGrace:
		m.fire(TripPositionError, now, "%v is %v by the venue and %v by the bot's own fills: %v that no fill explains, for %v now; it is taken as the venue says from now on",
			k, said, l.quantity, differs, now.clock.Sub(l.unlike))
		l.quantity, l.unlike = said, time.Time{}
	}
	if l.quantity.IsZero() && l.unlike.IsZero() {
		delete(m.legs, k)
	}
}
