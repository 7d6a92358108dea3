package safety

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Requirements say which orders count as protection. The zero value is usable and
// strict.
type Requirements struct {
	// MaxDistance is the largest distance of a trigger from the mark, as a ratio of
	// the mark: 0.05 is 5 %. Defaults to 0.1.
	MaxDistance andon.Decimal `json:"max_distance"`

	// MinLife is how long from now an order must still live to count, unless it
	// never expires. Defaults to 1 h.
	MinLife time.Duration `json:"min_life"`

	// AllowStopLimit lets a stop-limit order count, for venues that have no other
	// stop. It may rest unfilled when the price jumps over its limit.
	AllowStopLimit bool `json:"allow_stop_limit,omitempty"`

	// AllowWithoutReduceOnly lets an order count that is not reduce-only, for spot
	// accounts, where no order can open a short.
	AllowWithoutReduceOnly bool `json:"allow_without_reduce_only,omitempty"`
}

var defaultMaxDistance = andon.NewDecimal(1, 1)

// withDefaults also replaces what validate refuses, so that CheckProtection, which
// returns no error, is never more lenient for it.
func (r Requirements) withDefaults() Requirements {
	if r.MaxDistance.Sign() <= 0 {
		r.MaxDistance = defaultMaxDistance
	}
	if r.MinLife <= 0 {
		r.MinLife = time.Hour
	}
	return r
}

func (r Requirements) validate() error {
	var errs []error
	if r.MaxDistance.Sign() < 0 {
		errs = append(errs, fmt.Errorf("MaxDistance %v is negative", r.MaxDistance))
	}
	if r.MinLife < 0 {
		errs = append(errs, fmt.Errorf("MinLife %v is negative", r.MinLife))
	}
	return errors.Join(errs...)
}

// ReadProtection reads an account whole and checks it with CheckProtection. An
// error means that nothing is known: the report beside it is empty and protects
// nothing. Orders are asked for first, so that a position which has grown in
// between shows as uncovered.
func ReadProtection(ctx context.Context, a andon.Account, req Requirements, now time.Time) (ProtectionReport, error) {
	if err := req.validate(); err != nil {
		return ProtectionReport{}, fmt.Errorf("position check: requirements: %w", err)
	}
	if now.IsZero() {
		return ProtectionReport{}, errors.New("position check: now is zero: what expires could not be judged")
	}
	orders, orderErr := a.Orders(ctx)
	if orderErr != nil {
		orderErr = fmt.Errorf("position check: live orders are not known: %w", orderErr)
	}
	positions, err := a.Positions(ctx)
	if err != nil {
		err = fmt.Errorf("position check: positions are not known: %w", err)
	}
	if err = errors.Join(orderErr, err); err != nil {
		return ProtectionReport{}, err
	}
	return CheckProtection(positions, orders, req, now), nil
}

// CheckProtection says of every open leg how much of it is covered by stops, and
// what is wrong with each order that does not count. It is a pure function of its
// arguments; orders are all live orders, resting and conditional.
//
// A stop counts when the venue says that it is live, it is on the leg itself and on
// the side that closes it, it is reduce-only, its trigger lies on the losing side of
// the mark and not too far from it, and it lives long enough. What is not known does
// not count. Stops for more than the position are protection as long as all of them are
// reduce-only; see ProblemOvercovered. Legs are never netted. A row that the venue gives twice with the same
// content is one row.
func CheckProtection(positions []andon.Position, orders []andon.Order, req Requirements, now time.Time) ProtectionReport {
	req = req.withDefaults()
	r := ProtectionReport{At: now, Requirements: req}
	legs := openLegs(positions)
	at := make(map[andon.LegKey]int, len(legs))
	hedged := map[andon.LegKey]bool{} // by venue and symbol
	for i, l := range legs {
		at[l.Position.Key()] = i
		if l.Position.Leg != andon.Net {
			hedged[andon.LegKey{Venue: l.Position.Venue, Symbol: l.Position.Symbol}] = true
		}
	}
	for _, c := range distinctOrders(orders) {
		if c.order.Kind != 0 && c.order.Kind <= andon.Limit {
			continue // rests or trades at once: no protection, and no claim to be one
		}
		i, ok := at[c.order.Key()]
		if !ok {
			r.Strays = append(r.Strays, stray(c, hedged[c.order.Key()]))
			continue
		}
		legs[i].Stops = append(legs[i].Stops, c.judge(&legs[i], req, now))
	}
	for i := range legs {
		legs[i].sum()
	}
	r.Legs = legs
	r.sort()
	return r
}

// openLegs returns a row for every leg that has, or may have, a position.
func openLegs(positions []andon.Position) []LegProtection {
	var legs []LegProtection
	at := map[andon.LegKey]int{}
	for _, p := range positions {
		i, again := at[p.Key()]
		if again && legs[i].Position.Quantity.Equal(p.Quantity) && legs[i].Position.Mark.Equal(p.Mark) {
			continue // a page that was read twice
		}
		if !again {
			i = len(legs)
			at[p.Key()] = i
			legs = append(legs, LegProtection{Position: p})
		} else {
			legs[i].find(ProblemPositionConflict, "the venue says %v at %v and %v at %v",
				legs[i].Position.Quantity, legs[i].Position.Mark, p.Quantity, p.Mark)
		}
		if err := p.Validate(); err != nil {
			legs[i].find(ProblemPositionInvalid, "%v", oneLine(err))
		}
	}
	open := legs[:0]
	for _, l := range legs {
		if l.Position.Quantity.IsZero() && len(l.Problems) == 0 {
			continue // the venue's word that it is flat
		}
		if l.Position.Mark.Sign() <= 0 {
			l.find(ProblemMarkUnknown, "the venue gave no mark price")
		}
		open = append(open, l)
	}
	return open
}

func stray(c candidate, hedged bool) StopCheck {
	s := StopCheck{Order: c.order}
	if hedged {
		s.find(ProblemNoLeg, "%s is in hedge mode and the order names no leg: it protects neither", c.order.Symbol)
	} else {
		s.find(ProblemOrphan, "there is no position on %v", c.order.Key())
	}
	return s
}
