package safety

import (
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// candidate is an order that the venue named once.
type candidate struct {
	order    andon.Order
	conflict bool // another row has its id and says something else
}

// distinctOrders drops repeats and marks rows that contradict each other. Rows are
// of the same order when they share either id: a triggered order may stand in both
// of a venue's lists, and counting it twice would cover what is naked.
func distinctOrders(orders []andon.Order) []candidate {
	type id struct{ venue, kind, id string }
	kept := make([]candidate, 0, len(orders))
	at := make(map[id]int, len(orders))
	for _, o := range orders {
		c, repeat := candidate{order: o}, false
		ids := []id{{o.Venue, "venue", o.VenueID}, {o.Venue, "client", o.ClientID}}
		for _, key := range ids {
			i, ok := at[key]
			if key.id == "" || !ok {
				continue
			}
			if sameOrder(kept[i].order, o) {
				repeat = true
				continue
			}
			kept[i].conflict, c.conflict = true, true
		}
		if repeat && !c.conflict {
			continue
		}
		for _, key := range ids {
			if _, ok := at[key]; !ok && key.id != "" {
				at[key] = len(kept)
			}
		}
		kept = append(kept, c)
	}
	return kept
}

// sameOrder reports whether two rows say the same of an order.
func sameOrder(a, b andon.Order) bool {
	return a.ClientID == b.ClientID && a.VenueID == b.VenueID && a.Key() == b.Key() &&
		a.Side == b.Side && a.Kind == b.Kind && a.Status == b.Status && a.ReduceOnly == b.ReduceOnly &&
		a.Quantity.Equal(b.Quantity) && a.Filled.Equal(b.Filled) &&
		a.Price.Equal(b.Price) && a.Trigger.Equal(b.Trigger) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// judge finds everything that keeps an order from covering its leg.
func (c candidate) judge(l *LegProtection, req Requirements, now time.Time) StopCheck {
	s := StopCheck{Order: c.order}
	if len(l.Problems) > 0 {
		s.find(ProblemCannotJudge, "%s", l.Problems[0].Problem)
	}
	s.judgeState(c.conflict)
	s.judgeKind(req)
	s.judgeSide(l.Position, req)
	s.judgeTrigger(l.Position, req)
	s.judgeLife(req, now)
	s.Covers = len(s.Findings) == 0
	return s
}

func (s *StopCheck) judgeState(conflict bool) {
	o := s.Order
	if o.VenueID == "" && o.ClientID == "" {
		s.find(ProblemUnidentified, "it has neither a venue id nor a client id")
	}
	if conflict {
		s.find(ProblemOrderConflict, "the venue gave two orders with this id")
	}
	switch {
	case o.Status.Done():
		s.find(ProblemNotLive, "it is %v", o.Status)
	case o.Status != andon.Live:
		s.find(ProblemStatusUnknown, "look it up by its client id")
	}
	if o.Quantity.Sign() <= 0 || o.Filled.Sign() < 0 || o.Remaining().Sign() <= 0 {
		s.find(ProblemQuantityUnknown, "the quantity is %v and %v of it is filled", o.Quantity, o.Filled)
	}
}

func (s *StopCheck) judgeKind(req Requirements) {
	o := s.Order
	switch o.Kind {
	case andon.StopMarket:
	case andon.StopLimit:
		if !req.AllowStopLimit {
			s.find(ProblemStopLimit, "its limit %v may rest unfilled", o.Price)
		}
		// A sell trades down to its limit, a buy up to it.
		if o.Price.Sign() <= 0 || o.Price.Sub(o.Trigger).Sign()*o.Side.Sign() < 0 {
			s.find(ProblemLimitPrice, "its limit %v lies before its trigger %v", o.Price, o.Trigger)
		}
	case andon.TakeProfitMarket, andon.TakeProfitLimit:
		s.find(ProblemTakeProfit, "a %v limits no loss", o.Kind)
	default:
		s.find(ProblemKindUnknown, "its kind is %v", o.Kind)
	}
}

func (s *StopCheck) judgeSide(p andon.Position, req Requirements) {
	if side := p.ExitSide(); side == 0 || s.Order.Side != side {
		s.find(ProblemWrongSide, "%v does not close a position of %v", s.Order.Side, p.Quantity)
	}
	if !s.Order.ReduceOnly && !req.AllowWithoutReduceOnly {
		s.find(ProblemNotReduceOnly, "it could open the opposite position")
	}
}

func (s *StopCheck) judgeTrigger(p andon.Position, req Requirements) {
	trigger := s.Order.Trigger
	if trigger.Sign() <= 0 {
		s.find(ProblemTriggerUnknown, "its trigger is %v", trigger)
		return
	}
	if p.Mark.Sign() <= 0 {
		return // the leg says so itself
	}
	gap := p.Mark.Sub(trigger)
	if gap.Sign()*p.Quantity.Sign() <= 0 {
		s.find(ProblemTriggerPassed, "its trigger %v is not on the losing side of the mark %v", trigger, p.Mark)
	}
	// Rounding up in as many places as a Decimal has never makes a ratio that is
	// allowed too large, nor one that is too large allowed.
	ratio, err := gap.Abs().Quo(p.Mark, andon.MaxDecimals, andon.Up)
	if err != nil || req.MaxDistance.Less(ratio) {
		s.find(ProblemTooFar, "its trigger %v is %s away from the mark %v, at most %s is allowed",
			trigger, percent(ratio, err), p.Mark, percent(req.MaxDistance, nil))
	}
	if err == nil {
		s.Distance = ratio
	}
}

func (s *StopCheck) judgeLife(req Requirements, now time.Time) {
	if at := s.Order.ExpiresAt; !at.IsZero() && at.Before(now.Add(req.MinLife)) {
		s.find(ProblemExpires, "it expires at %s, in %v, and has to live for %v",
			at.UTC().Format(time.RFC3339), at.Sub(now).Round(time.Second), req.MinLife)
	}
}

// sum adds up what covers the leg.
func (l *LegProtection) sum() {
	size, total, guarded := l.Position.Quantity.Abs(), andon.Decimal{}, true
	for _, s := range l.Stops {
		if s.Covers {
			total = total.Add(s.Order.Remaining())
			guarded = guarded && s.Order.ReduceOnly
		}
	}
	l.Covered = total.Min(size)
	l.Uncovered = size.Sub(l.Covered)
	switch {
	case l.Uncovered.Sign() > 0 && l.Covered.IsZero():
		l.find(ProblemNaked, "nothing covers %v", l.Position.Quantity)
	case l.Uncovered.Sign() > 0:
		l.find(ProblemPartlyCovered, "%v of %v is covered, %v is not", l.Covered, size, l.Uncovered)
	case size.Less(total) && guarded:
		l.find(ProblemOvercovered, "stops for %v, the position is %v", total, size)
	case size.Less(total):
		l.find(ProblemOvershoots, "stops for %v that are not all reduce-only, the position is %v", total, size)
	}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
