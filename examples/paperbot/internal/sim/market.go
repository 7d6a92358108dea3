package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/andon-go/andon"
)

// Quote is what the venue's price feed says of a symbol.
type Quote struct {
	Symbol string

	// Bid and Ask are the best prices on the two sides and Mark is the price that
	// values positions and wakes conditional orders.
	Bid, Ask, Mark andon.Decimal

	// At is the moment of the mark. A feed that has gone stale goes on giving the
	// old quote with its old moment.
	At time.Time
}

// market is the price path and the depth of one symbol.
type market struct {
	Symbol
	rng   *rand.Rand
	ticks int64         // the mark, in ticks
	left  andon.Decimal // what still trades in this step; unused without Depth
	real  Quote         // what orders trade against
	shown Quote         // what the feed says
}

// newMarket gives each symbol random numbers of its own, so that neither calls nor
// other symbols move its prices.
func newMarket(seed uint64, s Symbol, now time.Time) (*market, error) {
	h := fnv.New64a()
	h.Write([]byte(s.Name))
	ticks, err := s.Price.Quo(s.Tick, 0, andon.Exact)
	if err != nil {
		return nil, err
	}
	m := &market{Symbol: s, rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
	if m.ticks, err = whole(ticks); err != nil {
		return nil, err
	}
	if err := m.quote(now); err != nil {
		return nil, err
	}
	m.shown = m.real
	return m, m.refill()
}

// step moves the mark and refills the depth. Both always draw, so that the path
// depends on nothing but the number of steps.
func (m *market) step(now time.Time) error {
	m.ticks += m.rng.Int64N(2*int64(m.Swing)+1) - int64(m.Swing)
	if m.ticks < 2 { // the bid is one tick below and stays above zero
		m.ticks = 4 - m.ticks
	}
	if err := m.quote(now); err != nil {
		return err
	}
	return m.refill()
}

func (m *market) quote(now time.Time) error {
	mark, err := m.Tick.Mul(andon.NewDecimal(m.ticks, 0))
	if err != nil {
		return err
	}
	m.real = Quote{Symbol: m.Name, Bid: mark.Sub(m.Tick), Ask: mark.Add(m.Tick), Mark: mark, At: now}
	return nil
}

func (m *market) refill() error {
	if m.Depth.IsZero() {
		return nil
	}
	lots, err := m.Depth.Quo(m.Lot, 0, andon.Exact)
	if err != nil {
		return err
	}
	n, err := whole(lots)
	if err != nil {
		return err
	}
	half := n / 2
	m.left, err = m.Lot.Mul(andon.NewDecimal(n-m.rng.Int64N(half+1), 0))
	return err
}

// best returns the price at which an order of that side trades at once.
func (m *market) best(s andon.Side) andon.Decimal {
	if s == andon.Buy {
		return m.real.Ask
	}
	return m.real.Bid
}

// crosses reports whether a limit of that side reaches the other side's best price.
func (m *market) crosses(s andon.Side, limit andon.Decimal) bool {
	if s == andon.Buy {
		return !limit.Less(m.real.Ask)
	}
	return !m.real.Bid.Less(limit)
}

// triggers reports whether the mark has reached the trigger of a conditional order.
func (m *market) triggers(o andon.Order) bool {
	above := (o.Side == andon.Buy) == o.Kind.Stop()
	if above {
		return !m.real.Mark.Less(o.Trigger)
	}
	return !o.Trigger.Less(m.real.Mark)
}

// available returns how much of q trades in this step.
func (m *market) available(q andon.Decimal) andon.Decimal {
	if m.Depth.IsZero() {
		return q
	}
	return q.Min(m.left)
}

// take uses up depth.
func (m *market) take(q andon.Decimal) {
	if !m.Depth.IsZero() {
		m.left = m.left.Sub(q)
	}
}
