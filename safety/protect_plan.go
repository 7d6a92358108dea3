package safety

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/andon-go/andon"
)

var (
	// ErrPlanMoved says that a plan's facts are not what they were. Nothing was
	// sent. The facts are in a *PlanMovedError.
	ErrPlanMoved = errors.New("facts have moved since the plan was made")

	// ErrPlanAltered says that a plan's content does not give its id: it is not the
	// plan that was made.
	ErrPlanAltered = errors.New("plan was altered after it was made")
)

// ProtectionPolicy says how missing stops are placed.
type ProtectionPolicy struct {
	// Distance of the trigger from the mark, as a ratio of the mark: 0.05 is 5 %.
	// Required, and at most what the report's Requirements allow.
	Distance andon.Decimal

	// Instruments by symbol, each with a Tick and a Lot above zero; Base is set on spot,
	// where a stop reserves the balance that it needs. A leg whose symbol is missing is
	// left and named.
	Instruments map[string]andon.Instrument

	// Replace has stops that do not count cancelled once a new one stands in their
	// place: those that are too far away, expire, could open the other side, may rest
	// unfilled, or are reduce-only on the side that closes nothing. Without it they are
	// left and named.
	Replace bool
}

func (p ProtectionPolicy) validate(req Requirements) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Distance.Sign() <= 0 || req.MaxDistance.Less(p.Distance) {
		add("Distance is %v, want more than 0 and at most the %v of the requirements", p.Distance, req.MaxDistance)
	}
	for symbol, in := range p.Instruments {
		if err := in.Validate(); err != nil {
			add("Instruments[%q]: %w", symbol, err)
		}
		if in.Tick.IsZero() {
			add("Instruments[%q]: Tick is 0, want more", symbol)
		}
		if in.Lot.IsZero() {
			add("Instruments[%q]: Lot is 0, want more", symbol)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// ProtectionPlan is which stops would be placed, as data: print it, keep it as JSON,
// have it reviewed, refuse it. Protector.Apply does it. Nobody may change it in
// between: its id is made from all of its content.
type ProtectionPlan struct {
	ID           string        `json:"id"`
	At           time.Time     `json:"at"` // of the report
	Requirements Requirements  `json:"requirements"`
	Steps        []ProtectStep `json:"steps"` // at most one a leg
	Left         []ProtectLeft `json:"left"`  // what would stay uncovered, and why
}

// ProtectStep places one stop. What it rests on is in it.
type ProtectStep struct {
	Quantity andon.Decimal `json:"quantity"` // of the leg's position, signed
	Mark     andon.Decimal `json:"mark"`     // that the trigger was made from
	Stops    []string      `json:"stops"`    // the conditional orders that are on the leg
	Order    andon.Order   `json:"order"`

	// Replaces are the orders on the leg that are cancelled for it: after it is placed,
	// or right before where the gate or the venue does not take both at once.
	Replaces []andon.Order `json:"replaces,omitempty"`
}

// ProtectLeft is a quantity for which the plan places nothing.
type ProtectLeft struct {
	Leg      string        `json:"leg"`
	Quantity andon.Decimal `json:"quantity"`
	Why      string        `json:"why"` // with what to do
}

// PlanProtection makes a plan that covers what a report found uncovered: one
// reduce-only stop-market order a leg, without reduce-only on spot. It sends nothing, and it is a function of its
// arguments alone.
//
// The trigger lies Distance from the mark and is rounded to the tick towards the
// mark, so that the loss it allows is never larger than was asked for. The quantity is
// rounded down to the lot. Stops that are on the leg and do not count, because they
// are too far away or expire, still take their quantity: two stops that both trigger
// must not sell more than there is. What is left for such a reason is in Left with the
// order to cancel first, unless the policy says Replace.
//
// An error is a mistake in the policy, or a report of nothing.
func PlanProtection(r ProtectionReport, policy ProtectionPolicy) (ProtectionPlan, error) {
	if r.At.IsZero() {
		return ProtectionPlan{}, errors.New("no plan to protect: the report is empty: read the venue first")
	}
	if err := policy.validate(r.Requirements); err != nil {
		return ProtectionPlan{}, fmt.Errorf("no plan to protect: policy: %w", err)
	}
	p := ProtectionPlan{At: r.At.UTC().Round(0), Requirements: r.Requirements, Steps: []ProtectStep{}, Left: []ProtectLeft{}}
	for _, l := range r.Legs {
		if !l.Protected() {
			p.add(l, policy)
		}
	}
	id, err := p.digest()
	if err != nil {
		return ProtectionPlan{}, err
	}
	p.ID = id
	return p, nil
}

// add plans for one leg that is not protected.
func (p *ProtectionPlan) add(l LegProtection, policy ProtectionPolicy) {
	left := func(q andon.Decimal, format string, args ...any) {
		p.Left = append(p.Left, ProtectLeft{l.Position.Key().String(), q, fmt.Sprintf(format, args...)})
	}
	for _, f := range l.Problems {
		switch f.Problem {
		case ProblemPositionInvalid, ProblemPositionConflict, ProblemMarkUnknown:
			left(l.Uncovered, "%v: read the venue again, or place a stop by hand", f)
			return
		case ProblemOvershoots:
			left(l.Position.Quantity.Abs(), "%v: cancel what is too much, or replace it by a smaller one, by hand", f)
			return
		}
	}
	in, ok := policy.Instruments[l.Position.Symbol]
	if !ok {
		left(l.Uncovered, "Instruments has no entry for symbol %q", l.Position.Symbol)
		return
	}
	taken, names := l.taken(policy.Replace)
	room := l.Uncovered.Sub(taken).Max(andon.Decimal{})
	if rest := l.Uncovered.Sub(room); rest.Sign() > 0 {
		left(rest, "taken by orders that do not count: cancel them, or look them up where their state is not known, and plan again: %s", strings.Join(names, ", "))
	}
	size, err := toStep(room, in.Lot, andon.Down)
	if err != nil {
		left(room, "lot %v: %v", in.Lot, err)
		return
	}
	if dust := room.Sub(size); dust.Sign() > 0 {
		left(dust, "less than the lot of %v", in.Lot)
	}
	if size.IsZero() {
		return
	}
	trigger, err := stopTrigger(l.Position, policy.Distance, in.Tick)
	if err != nil {
		left(size, "%v", err)
		return
	}
	p.Steps = append(p.Steps, newStep(l, in, size, trigger, policy.Replace))
}

// replaceable are the problems that a new stop does not have.
var replaceable = map[Problem]bool{
	ProblemStopLimit: true, ProblemLimitPrice: true, ProblemNotReduceOnly: true, ProblemTooFar: true, ProblemExpires: true,
}

// replaceable says whether a new stop may take the place of this one. Its state and size
// have to be known; what is on the side that closes nothing may be an entry unless it is
// reduce-only.
func (s StopCheck) replaceable() bool {
	if s.Covers || s.Order.Kind != andon.StopMarket && s.Order.Kind != andon.StopLimit {
		return false
	}
	for _, f := range s.Findings {
		wrongSide := f.Problem == ProblemWrongSide && s.Order.ReduceOnly && s.Order.Side.Sign() != 0
		if !replaceable[f.Problem] && !wrongSide && !(f.Problem == ProblemTriggerPassed && s.has(ProblemWrongSide)) {
			return false
		}
	}
	return !s.has(ProblemWrongSide) || s.Order.ReduceOnly
}

// taken returns the quantity that orders on the leg would close although they do not
// count as cover, and which they are.
func (l LegProtection) taken(replace bool) (andon.Decimal, []string) {
	var sum andon.Decimal
	var names []string
	for _, s := range l.Stops {
		o := s.Order
		profit := o.Kind == andon.TakeProfitMarket || o.Kind == andon.TakeProfitLimit
		if replace && s.replaceable() {
			continue
		}
		if s.Covers || o.Status.Done() || profit || o.Side == l.Position.ExitSide().Opposite() {
			continue
		}
		if s.has(ProblemQuantityUnknown) {
			sum = sum.Add(l.Position.Quantity.Abs()) // it may be for all of it
		} else {
			sum = sum.Add(o.Remaining())
		}
		names = append(names, fmt.Sprintf("%s (%s)", orderName(o), findings(s.Findings)))
	}
	return sum, names
}

func (s StopCheck) has(p Problem) bool {
	return slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.Problem == p })
}

// stopTrigger is the trigger of a stop at a distance from the mark, rounded to the
// tick towards the mark.
func stopTrigger(p andon.Position, distance, tick andon.Decimal) (andon.Decimal, error) {
	gap, err := p.Mark.Mul(distance)
	if err != nil {
		return andon.Decimal{}, fmt.Errorf("the trigger cannot be told exactly: %w", err)
	}
	price, towardsMark := p.Mark.Sub(gap), andon.Up
	if p.Quantity.Sign() < 0 {
		price, towardsMark = p.Mark.Add(gap), andon.Down
	}
	trigger, err := toStep(price, tick, towardsMark)
	if err != nil {
		return andon.Decimal{}, fmt.Errorf("tick %v: %w", tick, err)
	}
	if p.Mark.Sub(trigger).Sign()*p.Quantity.Sign() <= 0 {
		return andon.Decimal{}, fmt.Errorf("the tick of %v leaves no trigger between the mark %v and %v", tick, p.Mark, price)
	}
	return trigger, nil
}

// toStep rounds to a multiple of step.
func toStep(d, step andon.Decimal, r andon.Rounding) (andon.Decimal, error) {
	n, err := d.Quo(step, 0, r)
	if err != nil {
		return andon.Decimal{}, err
	}
	return n.Mul(step)
}

func newStep(l LegProtection, in andon.Instrument, size, trigger andon.Decimal, replace bool) ProtectStep {
	p := l.Position
	s := ProtectStep{Quantity: p.Quantity, Mark: p.Mark, Stops: []string{}, Order: andon.Order{
		Venue: p.Venue, Symbol: p.Symbol, Leg: p.Leg, Side: p.ExitSide(), Kind: andon.StopMarket,
		Quantity: size, Trigger: trigger, ReduceOnly: in.Base == "",
	}}
	for _, stop := range l.Stops {
		s.Stops = append(s.Stops, stop.fact())
		if replace && stop.replaceable() {
			s.Replaces = append(s.Replaces, stop.Order)
		}
	}
	s.Order.ClientID = s.clientID(0)
	return s
}

// clientID is the id of the step's order, made from the leg and from what makes the
// stop necessary. The mark has no part in it: another plan for the same need gives the
// same id, so that the venue knows the order again. Each further try, after an order
// that is done, has an id of its own.
func (s ProtectStep) clientID(try int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %v %v %v %q %d", s.Order.Venue, s.Order.Symbol, s.Order.Leg, s.Quantity, s.Order.Quantity, s.Stops, try)
	return "andon-" + hex.EncodeToString(h.Sum(nil)[:12])
}

// digest is the id that the plan's content gives.
func (p ProtectionPlan) digest() (string, error) {
	p.ID = ""
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("plan to protect: %w", err)
	}
	sum := sha256.Sum256(b)
	return "protect-" + hex.EncodeToString(sum[:]), nil
}

// Verify is ErrPlanAltered when the plan is not what PlanProtection made.
func (p ProtectionPlan) Verify() error {
	id, err := p.digest()
	if err != nil {
		return err
	}
	if id != p.ID {
		return fmt.Errorf("plan %q: %w: make a new one", p.ID, ErrPlanAltered)
	}
	return nil
}

// WriteTable writes the plan for people: every order that would be placed, and what
// would be left.
func (p ProtectionPlan) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var errs []error
	row := func(format string, args ...any) {
		_, err := fmt.Fprintln(tw, strings.Map(printableTab, fmt.Sprintf(format, args...)))
		errs = append(errs, err)
	}
	row("%s: %d stops to place, %d left", p.ID, len(p.Steps), len(p.Left))
	for _, s := range p.Steps {
		o := s.Order
		row("place\t%v\t%v %v\t%v at %v\tmark %v\t%s", o.Key(), o.Side, o.Quantity, o.Kind, o.Trigger, s.Mark, o.ClientID)
		for _, old := range s.Replaces {
			row("cancel\t%v\t%v %v\t%v at %v\t\t%s", old.Key(), old.Side, old.Remaining(), old.Kind, old.Trigger, orderName(old))
		}
	}
	for _, l := range p.Left {
		row("left\t%s\t%v\t%s", l.Leg, l.Quantity, l.Why)
	}
	return errors.Join(append(errs, tw.Flush())...)
}
