package bench

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// contender is one way to ask before an order whether it may go out, and to say
// afterwards that it is done.
type contender struct {
	name string
	open func(b testing.TB) func() error
}

var errClosed = errors.New("closed")

func contenders() []contender { return append(gates(), peers()...) }

// peers are what others offer for the same purpose, and the floor below it all.
func peers() []contender {
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
		{"x-time-rate/Allow", func(testing.TB) func() error {
			l := rate.NewLimiter(1e12, 1<<30) // it never says no
			return func() error {
				if !l.Allow() {
					return errClosed
				}
				return nil
			}
		}},
		{"openfeature/in-memory", func(b testing.TB) func() error {
			const flag = "trading"
			p := memprovider.NewInMemoryProvider(map[string]memprovider.InMemoryFlag{flag: {
				Key: flag, State: memprovider.Enabled, DefaultVariant: "on", Variants: map[string]any{"on": true, "off": false},
			}})
			if err := openfeature.SetProviderAndWait(p); err != nil {
				b.Fatal(err)
			}
			c := openfeature.NewDefaultClient()
			ctx := context.Background()
			return func() error {
				if !c.Boolean(ctx, flag, false, openfeature.EvaluationContext{}) {
					return errClosed
				}
				return nil
			}
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
