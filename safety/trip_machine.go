package safety

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/boottime"
)

// tripMachine is what the trips decide, without clocks, locks or disks: events go in,
// with the instant at which they were fed, and holds come out.
//
// A trip that fires names its evidence in the hold, and from then on counts only what
// comes after. So lifting the hold is a named person's word on that evidence and on
// nothing else: no trip is latched for ever, and none starts again as if nothing had
// been.
type tripMachine struct {
	cfg TripConfig
	s   TripState
	ids seen

	// None of the following outlives the process: a condition is looked for anew.
	legs    map[andon.LegKey]*tripLeg
	feeds   map[string]*tripFeed // by what is fed, such as "equity" and "margin of kraken"
	present map[string]condition // conditions in force, by the source of their hold
	filled  map[string]time.Time // wall time of the last fill fed, by venue

	margins map[string]andon.Decimal // which part of a venue's margin is used, as last fed

	firings []firing // what the last event made fire
}

// A firing is a hold to be placed.
type firing struct {
	trip   Trip
	reason string
}

// A condition is a passing hold, there as long as what it says.
type condition struct {
	trip   Trip
	reason string
}

// tripLeg is a leg as the first view and the fills since make it.
type tripLeg struct {
	quantity andon.Decimal
	unlike   time.Time // since when views have said otherwise; zero while they agree
}

// tripFeed is something that has to be fed again and again.
type tripFeed struct {
	heard  time.Time // on the trips' clock; zero before the first time in this process
	wall   time.Time // the same on the wall clock
	since  time.Time // from when on it is missed
	maxAge time.Duration
	by     string // the source of its condition
	silent bool   // a hold has named this silence
}

// newTripMachine goes on from a saved state, which it takes over, or begins at now.
func newTripMachine(cfg TripConfig, s *TripState, now tripNow) *tripMachine {
	m := &tripMachine{
		cfg: cfg, legs: map[andon.LegKey]*tripLeg{}, feeds: map[string]*tripFeed{},
		present: map[string]condition{}, filled: map[string]time.Time{},
		margins: map[string]andon.Decimal{},
	}
	if s != nil {
		m.s = *s
	} else {
		m.s.Day = m.day(now)
	}
	if m.s.Venues == nil {
		m.s.Venues = map[string][]TripCount{}
	}
	if m.s.Fired == nil {
		m.s.Fired = map[Trip]TripFired{}
	}
	m.ids = decodeSeen(m.s.Seen, m.s.Forgotten)
	for _, p := range m.s.Legs {
		m.legs[p.Key()] = &tripLeg{quantity: p.Quantity}
	}
	m.expect(now)
	return m
}

// expect lists what must be fed from the beginning.
func (m *tripMachine) expect(now tripNow) {
	if m.cfg.needsEquity() {
		m.feed("equity", m.cfg.MaxFeedAge, now)
	}
	if m.cfg.on(TripMarginUse) {
		m.feed(feedMargin, m.cfg.MaxFeedAge, now)
	}
	if m.cfg.on(TripPositionError) {
		if len(m.s.Viewed) == 0 {
			m.feed(feedView, m.cfg.MaxFeedAge, now)
		}
		for _, venue := range m.s.Viewed {
			m.feed(feedView+" of "+venue, m.cfg.MaxFeedAge, now)
		}
	}
	for _, symbol := range m.cfg.Symbols {
		m.feed(feedData+symbol, m.cfg.MaxDataAge, now)
	}
	m.silences(now)
}

const (
	feedMargin = "margin"
	feedView   = "a view"
	feedData   = "market data of "

	conditionStale = byTrip + "stale-data/"
)

// feed returns what is known of a feed, and begins to miss it where it is new.
func (m *tripMachine) feed(name string, maxAge time.Duration, now tripNow) *tripFeed {
	f := m.feeds[name]
	if f == nil {
		f = &tripFeed{since: now.clock, maxAge: maxAge, by: conditionStale + name}
		m.feeds[name] = f
	}
	return f
}

// hear notes that something was fed which says how things were at the given instant.
func (m *tripMachine) hear(name string, maxAge time.Duration, at, now tripNow) {
	f := m.feed(name, maxAge, now)
	if f.heard.Before(at.clock) {
		f.heard, f.wall = at.clock, at.wall
	}
	m.silence(name, f, now)
}

// hearOf is hear for what is fed by venue. Until a first venue is heard, any is missed.
func (m *tripMachine) hearOf(kind, venue string, at, now tripNow) {
	if f, ok := m.feeds[kind]; ok && f.heard.IsZero() {
		delete(m.feeds, kind)
		delete(m.present, conditionStale+kind)
	}
	m.hear(kind+" of "+venue, m.cfg.MaxFeedAge, at, now)
}

// silences looks for what has gone silent.
func (m *tripMachine) silences(now tripNow) {
	for _, name := range slices.Sorted(maps.Keys(m.feeds)) {
		m.silence(name, m.feeds[name], now)
	}
}

// silence judges one feed: before it is heard for the first time, and while it is older
// than it may be, its condition is in force; once it is too old for the first time in
// a row, the trip fires too.
func (m *tripMachine) silence(name string, f *tripFeed, now tripNow) {
	by := f.by
	from, ever := f.since, !f.heard.IsZero()
	if ever {
		from = f.heard
	}
	old := now.clock.Sub(from) > f.maxAge
	if !old && ever {
		f.silent = false
		delete(m.present, by)
		return
	}
	what := name + ": nothing was fed since the start"
	if ever {
		what = fmt.Sprintf("%s: nothing newer than %s", name, stamp(f.wall))
	}
	if old && !f.silent {
		m.fire(TripStaleData, now, "%s, and it may be %v old", what, f.maxAge)
	}
	f.silent = old
	m.present[by] = condition{TripStaleData, what}
}

// fire has a hold placed.
func (m *tripMachine) fire(t Trip, now tripNow, format string, args ...any) {
	if !m.cfg.on(t) {
		return
	}
	f := m.s.Fired[t]
	m.s.Fired[t] = TripFired{At: now.wall, Times: f.Times + 1}
	m.firings = append(m.firings, firing{t, fmt.Sprintf(format, args...)})
}

// take returns what the last events made fire.
func (m *tripMachine) take() []firing {
	f := m.firings
	m.firings = nil
	return f
}

// tick is the passing of time.
func (m *tripMachine) tick(now tripNow) {
	m.roll(now)
	m.silences(now)
}

// day is the day at an instant: the earlier one where the two clocks do not agree, so
// that a clock that is put forward does not make a loss yesterday's.
func (m *tripMachine) day(now tripNow) string {
	t := now.clock.In(m.cfg.Zone)
	if wall := now.wall.In(m.cfg.Zone); wall.Before(t) {
		t = wall
	}
	return t.Format(dayForm)
}

// roll begins a new day where there is one.
func (m *tripMachine) roll(now tripNow) {
	day := m.day(now)
	if day <= m.s.Day {
		return
	}
	m.s.Day, m.s.Net, m.s.Named = day, andon.Decimal{}, andon.Decimal{}
	m.s.Opening = m.s.Equity.Max(andon.Decimal{})
}

// snapshot returns the state for the disk. It shares nothing with the machine.
func (m *tripMachine) snapshot(c tripClock) *TripState {
	s := m.s
	s.Clock, s.Boot, s.Uptime = c.last, c.boot, boottime.Uptime()
	s.Highs, s.Orders, s.Slow = slices.Clone(s.Highs), slices.Clone(s.Orders), slices.Clone(s.Slow)
	s.Viewed = slices.Clone(s.Viewed)
	s.Venues = map[string][]TripCount{}
	for venue, w := range m.s.Venues {
		if len(w) > 0 {
			s.Venues[venue] = slices.Clone(w)
		}
	}
	s.Fired = map[Trip]TripFired{}
	maps.Copy(s.Fired, m.s.Fired)
	s.Seen, s.Forgotten = m.ids.encode(), m.ids.forgotten
	s.Legs = nil
	for k, l := range m.legs {
		if !l.quantity.IsZero() {
			s.Legs = append(s.Legs, andon.Position{Venue: k.Venue, Symbol: k.Symbol, Leg: k.Leg, Quantity: l.quantity})
		}
	}
	slices.SortFunc(s.Legs, func(a, b andon.Position) int { return compareLegs(a.Key(), b.Key()) })
	return &s
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// reaches reports whether part is the ratio of whole, or more. A whole that is not
// positive is reached by anything, and so is one of which the part is too large a
// multiple to be told.
func reaches(part, whole, ratio andon.Decimal) bool {
	if whole.Sign() <= 0 {
		return true
	}
	if limit, err := whole.Mul(ratio); err == nil {
		return !part.Less(limit)
	}
	// Rounded down in the last place that a ratio can have, so that this is exact.
	q, err := part.Quo(whole, andon.MaxDecimals, andon.Down)
	return err != nil || !q.Less(ratio)
}

// exceeds reports whether part is more than the ratio of whole.
func exceeds(part, whole, ratio andon.Decimal) bool {
	if whole.Sign() <= 0 {
		return true
	}
	if limit, err := whole.Mul(ratio); err == nil {
		return limit.Less(part)
	}
	q, err := part.Quo(whole, andon.MaxDecimals, andon.Up)
	return err != nil || ratio.Less(q)
}

// shareText shows part of whole in per cent.
func shareText(part, whole andon.Decimal) string {
	return percent(part.Quo(whole, andon.MaxDecimals, andon.Down))
}

func ratioText(ratio andon.Decimal) string { return percent(ratio, nil) }
