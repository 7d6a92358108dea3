package safety_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// fileVenue is a venue that outlives the process: every call is written down before it
// is carried out, and who opens it again carries them all out again.
type fileVenue struct {
	mu sync.Mutex
	v  *andontest.Venue
	f  *os.File
}

type venueCall struct {
	Op    andontest.Op `json:"op"`
	Order *andon.Order `json:"order,omitempty"`
}

// openFileVenue opens the venue of a round, which held at first what is given.
func openFileVenue(dir string, round int, begin func(v *andontest.Venue)) (*fileVenue, error) {
	w := &fileVenue{v: andontest.New(andontest.Config{Name: "sim", Seed: uint64(round), Now: checkedAt})}
	begin(w.v)
	name := filepath.Join(dir, fmt.Sprintf("venue-%d.log", round))
	told, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	whole := told[:bytes.LastIndexByte(told, '\n')+1] // a torn line never reached the venue
	for lines := bufio.NewScanner(bytes.NewReader(whole)); lines.Scan(); {
		var c venueCall
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, err
		}
		w.do(context.Background(), c)
	}
	if len(whole) < len(told) {
		if err := os.Truncate(name, int64(len(whole))); err != nil {
			return nil, err
		}
	}
	w.f, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return w, err
}

// do carries a call out, and gives back what the venue said.
func (w *fileVenue) do(ctx context.Context, c venueCall) (order andon.Order, positions []andon.Position, orders []andon.Order, err error) {
	switch c.Op {
	case andontest.OpPositions:
		positions, err = w.v.Positions(ctx)
	case andontest.OpOrders:
		orders, err = w.v.Orders(ctx)
	case andontest.OpSubmit:
		order, err = w.v.Submit(ctx, *c.Order)
	case andontest.OpCancel:
		err = w.v.Cancel(ctx, *c.Order)
	case andontest.OpLookup:
		order, err = w.v.Lookup(ctx, c.Order.Symbol, c.Order.ClientID)
	}
	return order, positions, orders, err
}

// call writes a call down and carries it out. Here a call never ends with its context,
// since what was written down happens.
func (w *fileVenue) call(c venueCall) (andon.Order, []andon.Position, []andon.Order, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line, err := json.Marshal(c)
	if err == nil {
		_, err = w.f.Write(append(line, '\n'))
	}
	if err != nil {
		return andon.Order{}, nil, nil, err
	}
	return w.do(context.Background(), c)
}

func (w *fileVenue) Positions(context.Context) ([]andon.Position, error) {
	_, p, _, err := w.call(venueCall{Op: andontest.OpPositions})
	return p, err
}

func (w *fileVenue) Orders(context.Context) ([]andon.Order, error) {
	_, _, o, err := w.call(venueCall{Op: andontest.OpOrders})
	return o, err
}

func (w *fileVenue) Balances(context.Context) ([]andon.Balance, error) { return nil, errWire }

func (w *fileVenue) Submit(_ context.Context, o andon.Order) (andon.Order, error) {
	got, _, _, err := w.call(venueCall{andontest.OpSubmit, &o})
	return got, err
}

func (w *fileVenue) Cancel(_ context.Context, o andon.Order) error {
	_, _, _, err := w.call(venueCall{andontest.OpCancel, &o})
	return err
}

func (w *fileVenue) Lookup(_ context.Context, symbol, id string) (andon.Order, error) {
	got, _, _, err := w.call(venueCall{andontest.OpLookup, &andon.Order{
		Symbol: symbol, ClientID: id, Venue: "sim", Side: andon.Buy, Kind: andon.Market, Quantity: num("1"),
	}})
	return got, err
}

// closeVenue is a venue with three legs, their stops and a bid, that fails now and then.
func closeVenue(dir string, round int) (*fileVenue, error) {
	return openFileVenue(dir, round, func(v *andontest.Venue) {
		for i, symbol := range stormSymbols {
			p := andon.Position{Symbol: symbol, Quantity: andon.NewDecimal(int64(1+i)*int64(1-2*((round+i)%2)), 0), Entry: num("100")}
			v.SetPosition(p)
			v.SetOrder((&world{n: i}).stopFor(p))
		}
		v.SetOrder(limitOrder("bid", andon.Buy, "1", "80"))
		v.SetFaults(andontest.Faults{andontest.TimeoutTaken: 0.05, andontest.PartialFill: 0.2, andontest.Refused: 0.03})
	})
}

// closerOn is a closer in a hurry.
func closerOn(sw *safety.Switch, v *fileVenue) (*safety.Closer, error) {
	return safety.NewCloser(safety.CloserConfig{
		Switch: sw, Venues: map[string]safety.CloseVenue{"sim": {Venue: v}}, Book: truthBook{v.v}, RetryEvery: time.Millisecond,
	})
}

// crashCloseConfig believes soon that an order never arrived.
func crashCloseConfig(dir string) safety.Config {
	cfg := crashConfig(dir)
	cfg.SettleAfter, cfg.MaxViewAge = time.Millisecond, time.Hour
	return cfg
}

// closeRounds resumes and closes everything, again and again.
func closeRounds(dir string, rounds int) error {
	ctx := context.Background()
	sw, err := safety.Open(ctx, crashCloseConfig(dir))
	if err != nil {
		return err
	}
	for n := range rounds {
		fmt.Println("resuming", n)
		if err := sw.Resume(ctx, "alice", "looked at everything", sw.Status().Holds); err != nil {
			return err
		}
		v, err := closeVenue(dir, n)
		if err != nil {
			return err
		}
		c, err := closerOn(sw, v)
		if err != nil {
			return err
		}
		plan, err := c.Plan(ctx, time.Now())
		if err != nil {
			return err
		}
		b, err := json.Marshal(plan)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("plan-%d.json", n)), b, 0o600); err != nil {
			return err
		}
		fmt.Println("closing", n)
		report, err := c.Apply(ctx, plan, confirmed(plan), time.Now())
		if err != nil {
			return err
		}
		if !report.Flat() {
			return fmt.Errorf("not flat: %s", report)
		}
		fmt.Println("flat", n)
		if err := v.f.Close(); err != nil {
			return err
		}
	}
	return sw.Close()
}

// judgeClose checks what a killed close-all left: halted, and the same plan applied again
// ends flat, without a leg that was turned over on the way.
func judgeClose(t *testing.T, dir string, lines []string) {
	if len(lines) == 0 {
		return
	}
	what, number, _ := strings.Cut(lines[len(lines)-1], " ")
	round := 0
	_, err := fmt.Sscan(number, &round)
	require.NoError(t, err)
	if what == "resuming" {
		return
	}
	sw, err := safety.Open(t.Context(), crashCloseConfig(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	v, err := closeVenue(dir, round)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.f.Close()) }()
	touched := slices.ContainsFunc(v.v.Calls(), func(c andontest.Call) bool {
		return c.Op == andontest.OpSubmit || c.Op == andontest.OpCancel
	})
	if what == "flat" || touched {
		require.Contains(t, fmt.Sprint(lasting(sw)), "close-all", "what was begun holds")
	}
	if what == "flat" {
		require.Empty(t, v.v.Truth().Positions, "said to be flat")
		require.Empty(t, v.v.Truth().Orders, "said to be flat")
	}
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("plan-%d.json", round)))
	require.NoError(t, err)
	var plan safety.ClosePlan
	require.NoError(t, json.Unmarshal(b, &plan))
	c, err := closerOn(sw, v)
	require.NoError(t, err)
	report, err := c.Apply(t.Context(), plan, confirmed(plan), plan.At.Add(time.Second))
	require.NoError(t, err, report)
	require.True(t, report.Flat())
	truth := v.v.Truth()
	require.Empty(t, truth.Positions)
	require.Empty(t, truth.Orders)
	held := map[andon.LegKey]andon.Decimal{}
	for _, l := range plan.Venues[0].Legs {
		held[andon.LegKey{Venue: "sim", Symbol: l.Symbol, Leg: l.Leg}] = l.Quantity
	}
	for _, f := range truth.Fills {
		before := held[f.Key()]
		held[f.Key()] = before.Add(f.Signed())
		require.NotEqual(t, before.Sign(), f.Side.Sign(), "an exit makes its leg smaller")
		require.NotEqual(t, -before.Sign(), held[f.Key()].Sign(), "no leg is turned over")
	}
}

// Killed at every durable step of a close-all: halted, and flat when it is run again.
func TestLaw3_CloseAllKilledAtEveryStep(t *testing.T) {
	crashtest.Run(t, crashtest.Config{MaxSteps: 12}, func(dir string) error { return closeRounds(dir, 1) },
		func(t *testing.T, dir string, at crashtest.Step) { judgeClose(t, dir, at.Lines) })
}

// Killed at random instants, inside close-all too. ANDON_KILLS=1000 for more.
func TestLaw3_CloseAllKilledAtRandom(t *testing.T) {
	crashtest.RunRandom(t, crashtest.RandomConfig{Within: 100 * time.Millisecond}, func(dir string) error { return closeRounds(dir, 1_000_000) },
		func(t *testing.T, dir string, at crashtest.Step) { judgeClose(t, dir, at.Lines) })
}
