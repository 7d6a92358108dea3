package safety

import (
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Mark tells the gate the price at which a symbol of a venue is valued, and the time
// for which the price is; limits that need it judge by it for MaxMarkAge. One older
// than what is known changes nothing. It may be called for every tick.
//
// An error means that nothing is known anew: the price is none, or its time lies in the
// future.
func (s *Switch) Mark(venue, symbol string, price andon.Decimal, at time.Time) error {
	u, ok := toUnits(price)
	if venue == "" || symbol == "" || !ok || u.sign() <= 0 {
		return fmt.Errorf("mark of %q on venue %q: price %v: want names, and more than zero and less than %s", symbol, venue, price, maxWhole)
	}
	b := s.ledger(venue)
	b.mu.Lock()
	defer b.mu.Unlock()
	m, err := s.fed("mark of "+venue+"/"+symbol, at)
	if err != nil {
		return err
	}
	y := b.symbol(symbol)
	if y.mark.sign() == 0 || y.markedAt <= m {
		y.mark, y.markedAt = u, m
		if b.limits.gross {
			b.regross(y)
		}
	}
	return nil
}

// Equity tells the gate what an account on a venue is worth, in the currency of its
// marks, and the time for which it is; limits that need it judge by it for
// MaxEquityAge. One older than what is known changes nothing. An equity of zero or less
// lets nothing pass that a fraction of it bounds.
//
// An error means that nothing is known anew, as for Mark.
func (s *Switch) Equity(venue string, equity andon.Decimal, at time.Time) error {
	u, ok := toUnits(equity)
	if venue == "" || !ok {
		return fmt.Errorf("equity of venue %q: %v: want a name, and less than %s", venue, equity, maxWhole)
	}
	b := s.ledger(venue)
	b.mu.Lock()
	defer b.mu.Unlock()
	m, err := s.fed("equity of "+venue, at)
	if err != nil {
		return err
	}
	if c := &b.limits; !c.valued || c.equityAt <= m {
		c.equity, c.equityAt, c.valued = u, m, true
		c.appraise()
		for _, y := range b.symbols {
			c.appraiseSymbol(y)
		}
	}
	return nil
}

// fed converts the time of a datum.
func (s *Switch) fed(what string, at time.Time) (moment, error) {
	if at.IsZero() {
		return 0, fmt.Errorf("%s: its time is zero: of when is it?", what)
	}
	m, now := s.moment(at), s.now()
	if m > now {
		return 0, fmt.Errorf("%s of %s, which is %v from now: one of the clocks is wrong", what, at.Format(time.RFC3339Nano), time.Duration(m-now))
	}
	return m, nil
}
