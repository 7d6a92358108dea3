package safety_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

var checkedAt = time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)

var num = andon.MustDecimal

// held is a position at a mark of 100.
func held(symbol string, leg andon.Leg, quantity string) andon.Position {
	return andon.Position{Venue: "twolist", Symbol: symbol, Leg: leg, Quantity: num(quantity), Entry: num("100"), Mark: num("100"), At: checkedAt}
}

// guard is a stop that is in order: at 95 for a sell and at 105 for a buy.
func guard(id, symbol string, leg andon.Leg, side andon.Side, quantity string) andon.Order {
	o := andon.Order{
		ClientID: id, VenueID: "v-" + id, Venue: "twolist", Symbol: symbol, Leg: leg, Side: side, Kind: andon.StopMarket,
		Quantity: num(quantity), Trigger: num("95"), ReduceOnly: true, Status: andon.Live,
	}
	if side == andon.Buy {
		o.Trigger = num("105")
	}
	return o
}

var errWire = errors.New("connection reset")

// twoListVenue keeps conditional orders in a second list, as real venues do, and
// fails where it is told to.
type twoListVenue struct {
	mu          sync.Mutex
	positions   []andon.Position
	resting     []andon.Order
	conditional []andon.Order
	done        []andon.Order

	submits    int
	ambiguous  map[int]bool // submits, by number, whose answer is lost although the order exists
	vanish     map[int]bool // submits, by number, that are lost on the way, answer and all
	reject     bool
	hideSecond bool                                            // forgets its second list, as in complaint 5
	fail       map[string]bool                                 // queries that fail: "positions", "orders", "lookup", and "orders 2" for the second call
	calls      map[string]int                                  // how often each was asked
	onAnswer   func(v *twoListVenue, what string, calls int)   // runs after each query, with the lock held
	answered   func(submitted andon.Order, n int) *andon.Order // replaces the answer to a submit
}

func (v *twoListVenue) ask(what string) (func(), error) {
	v.mu.Lock()
	if v.calls == nil {
		v.calls = map[string]int{}
	}
	v.calls[what]++
	n := v.calls[what]
	leave := func() {
		if v.onAnswer != nil {
			v.onAnswer(v, what, n)
		}
		v.mu.Unlock()
	}
	if v.fail[what] || v.fail[fmt.Sprintf("%s %d", what, n)] {
		return leave, fmt.Errorf("%s: %w", what, errWire)
	}
	return leave, nil
}

func (v *twoListVenue) Positions(context.Context) ([]andon.Position, error) {
	leave, err := v.ask("positions")
	defer leave()
	if err != nil {
		return nil, err
	}
	return slices.Clone(v.positions), nil
}

func (v *twoListVenue) Orders(context.Context) ([]andon.Order, error) {
	leave, err := v.ask("orders")
	defer leave()
	if err != nil {
		return nil, err
	}
	if v.hideSecond {
		return slices.Clone(v.resting), nil
	}
	return slices.Concat(v.resting, v.conditional), nil
}

func (v *twoListVenue) Balances(context.Context) ([]andon.Balance, error) { return nil, errWire }

func (v *twoListVenue) Submit(_ context.Context, o andon.Order) (andon.Order, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.submits
	v.submits++
	if err := o.Validate(); err != nil {
		return o, err
	}
	if v.reject || v.find(o.ClientID) != nil {
		return o, &andon.RejectedError{Order: o, Reason: "no"}
	}
	if v.vanish[n] {
		return o, andon.ErrOutcomeUnknown
	}
	o.VenueID, o.Status = fmt.Sprintf("v%d", n), andon.Live
	if o.Kind.Conditional() {
		v.conditional = append(v.conditional, o)
	} else {
		v.resting = append(v.resting, o)
	}
	if v.ambiguous[n] {
		return andon.Order{}, fmt.Errorf("timeout: %w", andon.ErrOutcomeUnknown)
	}
	if v.answered != nil {
		return *v.answered(o, n), nil
	}
	return o, nil
}

func (v *twoListVenue) find(clientID string) *andon.Order {
	for _, list := range [][]andon.Order{v.resting, v.conditional, v.done} {
		for i := range list {
			if list[i].ClientID == clientID {
				return &list[i]
			}
		}
	}
	return nil
}

func (v *twoListVenue) Cancel(_ context.Context, o andon.Order) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.finish(o.ClientID, andon.Canceled)
	return nil
}

// finish takes an order off the lists.
func (v *twoListVenue) finish(clientID string, status andon.Status) {
	if o := v.find(clientID); o != nil {
		gone := *o
		gone.Status = status
		v.done = append(v.done, gone)
	}
	named := func(o andon.Order) bool { return o.ClientID == clientID }
	v.resting = slices.DeleteFunc(v.resting, named)
	v.conditional = slices.DeleteFunc(v.conditional, named)
}

func (v *twoListVenue) Lookup(_ context.Context, _, clientID string) (andon.Order, error) {
	leave, err := v.ask("lookup")
	defer leave()
	if err != nil {
		return andon.Order{}, err
	}
	if o := v.find(clientID); o != nil {
		return *o, nil
	}
	return andon.Order{}, andon.ErrOrderNotFound
}

// openGate lets everything through; a closed one lets nothing through.
type openGate struct{ closed bool }

func (g openGate) Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error) {
	if g.closed {
		return o, &safety.DeniedError{Order: o.ClientID, Leg: o.Key(), Why: "closed for the test"}
	}
	return t.Submit(ctx, o)
}

// notes is a Recorder that keeps what it is given, or fails.
type notes struct {
	lines []string
	err   error
}

func (n *notes) Record(_ context.Context, _ time.Time, who, what, _ string) error {
	n.lines = append(n.lines, who+": "+what)
	return n.err
}

func problems(s safety.StopCheck) []safety.Problem {
	var ps []safety.Problem
	for _, f := range s.Findings {
		ps = append(ps, f.Problem)
	}
	return ps
}

func legProblems(l safety.LegProtection) []safety.Problem {
	return problems(safety.StopCheck{Findings: l.Problems})
}
