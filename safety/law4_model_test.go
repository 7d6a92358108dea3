package safety_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is a venue in miniature. Orders reach it late, in any order, or not at all;
// what it has taken fills when it likes, whole or in part.
type model struct {
	quantity andon.Decimal
	flying   []*modelOrder // past the gate, not yet on the venue
	live     []*modelOrder
	broken   string // how the law was broken, if it was
}

type modelOrder struct {
	andon.Order
	exit   bool // admitted as an exit
	permit safety.Permit
}

// fill trades up to q of a live order, as a venue does that knows reduce-only.
func (m *model) fill(o *modelOrder, q andon.Decimal) {
	q = q.Min(o.Remaining())
	opens := o.Side.Sign()*m.quantity.Sign() >= 0
	switch {
	case o.ReduceOnly && opens:
		q = andon.Decimal{}
	case o.ReduceOnly:
		q = q.Min(m.quantity.Abs())
	}
	before := m.quantity
	if o.Side == andon.Sell {
		m.quantity = m.quantity.Sub(q)
	} else {
		m.quantity = m.quantity.Add(q)
	}
	o.Filled = o.Filled.Add(q)
	if o.exit && (m.quantity.Sign()*before.Sign() < 0 || before.Abs().Less(m.quantity.Abs())) {
		m.broken = fmt.Sprintf("exit %s took the leg from %v to %v", o.ClientID, before, m.quantity)
	}
	if o.Remaining().IsZero() || o.ReduceOnly && (opens || m.quantity.IsZero()) {
		m.drop(o)
	}
}

func (m *model) drop(o *modelOrder) {
	for i, l := range m.live {
		if l == o {
			m.live = append(m.live[:i:i], m.live[i+1:]...)
			return
		}
	}
}

func (m *model) view(asked time.Time) safety.View {
	v := safety.View{Venue: "sim", Asked: asked}
	if !m.quantity.IsZero() {
		v.Positions = []andon.Position{position(m.quantity.String())}
	}
	for _, o := range m.live {
		l := o.Order
		l.Status = andon.Live
		v.Orders = append(v.Orders, l)
	}
	return v
}

// Whatever enters, arrives, fills, is lost or is seen in whatever order: while nothing
// that adds exposure is admitted, no exit that the gate let through flips the leg,
// makes it larger, or opens it from flat.
func TestLaw4_NoAdmittedExitFlipsOrOpens(t *testing.T) {
	rapid.Check(t, noExitFlips)
}

func noExitFlips(t *rapid.T) {
	sw, err := safety.Open(t.Context(), inMemory())
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	m := &model{quantity: andon.NewDecimal(rapid.Int64Range(-5, 5).Draw(t, "position"), 0)}
	require.NoError(t, sw.Observe(m.view(time.Now())))
	id := 0
	kinds := rapid.SampledFrom([]andon.Kind{andon.Market, andon.StopMarket, andon.TakeProfitMarket})
	pick := func(t *rapid.T, from []*modelOrder) *modelOrder {
		if len(from) == 0 {
			t.Skip("none")
		}
		return rapid.SampledFrom(from).Draw(t, "order")
	}
	t.Repeat(map[string]func(*rapid.T){
		"enter": func(t *rapid.T) {
			id++
			o := order(fmt.Sprint("o", id), rapid.SampledFrom([]andon.Side{andon.Buy, andon.Sell}).Draw(t, "side"),
				rapid.SampledFrom([]string{"0.5", "1", "2", "5"}).Draw(t, "quantity"))
			if o.Kind = kinds.Draw(t, "kind"); o.Kind.Conditional() {
				o.Trigger = dec("90")
			}
			o.ReduceOnly = rapid.Bool().Draw(t, "reduce-only")
			if o.ReduceOnly && m.unguarded() {
				t.Skip("a stop placed beside an exit that the venue does not guard is its owner's decision")
			}
			p, err := sw.EnterClose(t.Context(), &o, "alice")
			if err == nil {
				m.flying = append(m.flying, &modelOrder{Order: o, exit: true, permit: p})
			}
		},
		"arrive": func(t *rapid.T) {
			o := pick(t, m.flying)
			m.land(o)
			m.live = append(m.live, o)
			o.permit.Exit(rapid.SampledFrom([]safety.Outcome{safety.Accepted, safety.OutcomeUnknown}).Draw(t, "answer"))
		},
		"refuse": func(t *rapid.T) {
			o := pick(t, m.flying)
			m.land(o)
			o.permit.Exit(safety.Refused)
		},
		"fill": func(t *rapid.T) {
			m.fill(pick(t, m.live), rapid.SampledFrom([]andon.Decimal{dec("0.3"), dec("1"), dec("5")}).Draw(t, "part"))
		},
		"cancel":  func(t *rapid.T) { m.drop(pick(t, m.live)) },
		"observe": func(t *rapid.T) { require.NoError(t, sw.Observe(m.view(time.Now()))) },
		"": func(t *rapid.T) {
			require.Empty(t, m.broken)
		},
	})
}

func (m *model) land(o *modelOrder) {
	for i, f := range m.flying {
		if f == o {
			m.flying = append(m.flying[:i:i], m.flying[i+1:]...)
			return
		}
	}
}

// unguarded reports whether an exit is about that the venue does not keep from opening.
func (m *model) unguarded() bool {
	for _, o := range append(append([]*modelOrder(nil), m.flying...), m.live...) {
		if !o.ReduceOnly {
			return true
		}
	}
	return false
}
