package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

// active returns a switch that a named person has resumed and that runs until the
// benchmark ends.
func active(b testing.TB, change func(*safety.Config)) *safety.Switch {
	b.Helper()
	cfg := safety.Config{
		Name: "bench", Dir: filepath.Join(b.TempDir(), "state"), Flags: safety.FlagsIn(b.TempDir()),
		MaxViewAge: time.Hour, MaxMarkAge: time.Hour, MaxEquityAge: time.Hour,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	change(&cfg)
	sw, err := safety.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, sw.Close()); err != nil {
			b.Error(err)
		}
	})
	if err := sw.Resume(b.Context(), "alice", "benchmark", sw.Status().Holds); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); sw.State() != safety.Active; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("the gate does not open: %v", sw.Status().Holds)
		}
	}
	return sw
}

// noLimits is the gate as it is opened by default.
func noLimits(*safety.Config) {}

// threeLimits are the playbook's two and an order rate, none of which ever denies.
func threeLimits(c *safety.Config) {
	c.Limits = safety.Limits{
		MinTimeBetweenTrades: 1, MaxPositionSize: andon.NewDecimal(1, 1), MaxOrders: 1000, OrdersWithin: 1,
	}
}

// know tells the gate all that its limits ask for.
func know(b testing.TB, sw *safety.Switch) {
	for {
		err := sw.Observe(safety.View{Venue: "sim", Asked: time.Now()})
		if err == nil {
			break
		}
		if !errors.Is(err, safety.ErrStaleView) {
			b.Fatal(err)
		}
	}
	err := errors.Join(
		sw.Mark("sim", "BTC", andon.MustDecimal("65123.45"), time.Now()),
		sw.Equity("sim", andon.MustDecimal("1000000000.5"), time.Now()))
	if err != nil {
		b.Fatal(err)
	}
}

func buy(id string) andon.Order {
	return andon.Order{
		ClientID: id, Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.MustDecimal("0.125"),
	}
}

// enterExit is one order through the gate and out again. It is refused, so that its
// client id is free for the next.
func enterExit(change func(*safety.Config)) func(b testing.TB) func() error {
	var n atomic.Int64
	return func(b testing.TB) func() error {
		sw := active(b, change)
		know(b, sw)
		o := buy(fmt.Sprint("order-", n.Add(1)))
		return func() error {
			p, err := sw.Enter(&o)
			if err == nil {
				p.Exit(safety.Refused)
			}
			return err
		}
	}
}

// gates are our ways to ask.
func gates() []contender {
	return []contender{
		{"andon/Check", func(b testing.TB) func() error { return active(b, noLimits).Check }},
		{"andon/Feature", func(b testing.TB) func() error {
			sw := active(b, noLimits)
			return func() error {
				if !sw.Feature(safety.FeatureMCP) {
					return errClosed
				}
				return nil
			}
		}},
		{"andon/Enter-Exit", enterExit(noLimits)},
		{"andon/Enter-Exit-3-limits", enterExit(threeLimits)},
	}
}

func BenchmarkGateSingle(b *testing.B) {
	for _, c := range contenders() {
		b.Run(c.name, func(b *testing.B) {
			ask := c.open(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Each goroutine has an order of its own, where the contender has orders.
func BenchmarkGateParallel(b *testing.B) {
	for _, c := range contenders() {
		b.Run(c.name, func(b *testing.B) {
			ask := c.open(b)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := ask(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkEnter is Enter alone, by batches: the exits between them are not timed.
func BenchmarkEnter(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*safety.Config)
	}{{"no-limits", noLimits}, {"3-limits", threeLimits}} {
		b.Run(c.name, func(b *testing.B) {
			m := newEnters(b, c.change)
			b.ReportAllocs()
			b.ResetTimer()
			var spent time.Duration
			n := 0
			for b.Loop() {
				spent += m.batch(b)
				n += len(m.permits)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/Enter")
		})
	}
}

// enters times Enter alone.
type enters struct {
	sw      *safety.Switch
	orders  [64]andon.Order
	permits [64]safety.Permit
}

func newEnters(b testing.TB, change func(*safety.Config)) *enters {
	m := &enters{sw: active(b, change)}
	know(b, m.sw)
	for i := range m.orders {
		m.orders[i] = buy(fmt.Sprintf("order-%06d", i))
	}
	return m
}

func (m *enters) batch(b testing.TB) time.Duration {
	start := time.Now()
	for i := range m.orders {
		p, err := m.sw.Enter(&m.orders[i])
		if err != nil {
			b.Fatal(err)
		}
		m.permits[i] = p
	}
	spent := time.Since(start)
	for i := range m.permits {
		m.permits[i].Exit(safety.Refused)
	}
	return spent
}

// TestEveryContenderLetsAnOrderPass keeps the comparison honest: what is measured is
// a gate that is open.
func TestEveryContenderLetsAnOrderPass(t *testing.T) {
	for _, c := range contenders() {
		t.Run(c.name, func(t *testing.T) {
			ask := c.open(t)
			for range 3 {
				if err := ask(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
