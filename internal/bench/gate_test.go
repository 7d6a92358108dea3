package bench

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// active returns a switch that a named person has resumed and that runs until the
// benchmark ends.
func active(b testing.TB) *safety.Switch {
	b.Helper()
	flags := b.TempDir()
	sw, err := safety.Open(b.Context(), safety.Config{
		Name: "bench", Dir: filepath.Join(b.TempDir(), "state"), Flags: safety.FlagsIn(flags),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
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
	for deadline := time.Now().Add(10 * time.Second); sw.State() != safety.Active; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("the gate does not open: %v", sw.Status().Holds)
		}
	}
	return sw
}

// contender is one way to ask before an order whether it may go out, and to say
// afterwards that it is done.
type contender struct {
	name string
	open func(b testing.TB) func() error
}

var errClosed = errors.New("closed")

func contenders() []contender {
	return []contender{
		{"floor/atomic-load", func(testing.TB) func() error {
			var p atomic.Pointer[error]
			return func() error {
				if e := p.Load(); e != nil {
					return *e
				}
				return nil
			}
		}},
		{"andon/Check", func(b testing.TB) func() error { return active(b).Check }},
		{"andon/Enter-Exit", func(b testing.TB) func() error {
			sw := active(b)
			o := andon.Order{
				ClientID: "a", Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.NewDecimal(1, 0),
			}
			return func() error {
				p, err := sw.Enter(&o)
				if err == nil {
					p.Exit(safety.Accepted)
				}
				return err
			}
		}},
		{"failsafe-go/TryAcquirePermit", func(testing.TB) func() error {
			cb := circuitbreaker.NewWithDefaults[any]()
			return func() error {
				if !cb.TryAcquirePermit() {
					return errClosed
				}
				cb.RecordSuccess()
				return nil
			}
		}},
		{"sony-gobreaker/Execute", func(testing.TB) func() error {
			cb := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Name: "bench"})
			work := func() (struct{}, error) { return struct{}{}, nil }
			return func() error { _, err := cb.Execute(work); return err }
		}},
		{"os.Stat-per-order", func(b testing.TB) func() error {
			flag := filepath.Join(b.TempDir(), "EMERGENCY_STOP")
			return func() error {
				if _, err := os.Stat(flag); !errors.Is(err, fs.ErrNotExist) {
					return errClosed
				}
				return nil
			}
		}},
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
