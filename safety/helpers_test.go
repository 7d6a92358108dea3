package safety_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is a configuration in fresh directories that logs nothing, on a disk that may
// be everybody's.
func quiet(t testing.TB) safety.Config {
	dir := t.TempDir()
	flags := filepath.Join(dir, "flags")
	require.NoError(t, os.MkdirAll(flags, 0o700))
	return safety.Config{
		Name: "test", Dir: filepath.Join(dir, "state"), Flags: safety.FlagsIn(flags), DurableWithin: time.Minute,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// inMemory is a configuration without files, for bubbles of synctest.
func inMemory() safety.Config {
	return safety.Config{
		Name: "test", Store: &memoryStore{}, NoFlags: true,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// open opens a switch that is closed with the test.
func open(t testing.TB, cfg safety.Config) *safety.Switch {
	sw, err := safety.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sw.Close()) })
	return sw
}

// run runs a switch until the returned function is called, or the test ends.
func run(t testing.TB, sw *safety.Switch) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	eventually(t, func() bool {
		for _, h := range sw.Status().Holds {
			if h.Passing {
				return false
			}
		}
		return true
	}, "Run takes its hold away")
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; !errors.Is(err, safety.ErrClosed) {
				require.NoError(t, err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func resume(t testing.TB, sw *safety.Switch) {
	require.NoError(t, sw.Resume(context.Background(), "alice", "looked at everything", sw.Status().Holds))
}

// active opens, runs and resumes a switch.
func active(t testing.TB, cfg safety.Config) *safety.Switch {
	sw := open(t, cfg)
	run(t, sw)
	resume(t, sw)
	require.Equal(t, safety.Active, sw.State())
	return sw
}

func dec(s string) andon.Decimal { return andon.MustDecimal(s) }

func order(id string, side andon.Side, quantity string) andon.Order {
	return andon.Order{ClientID: id, Venue: "sim", Symbol: "BTC", Side: side, Kind: andon.Market, Quantity: dec(quantity)}
}

func stopOrder(id string, side andon.Side, quantity string) andon.Order {
	o := order(id, side, quantity)
	o.Kind, o.Trigger = andon.StopMarket, dec("90")
	return o
}

func reduceOnly(o andon.Order) andon.Order { o.ReduceOnly = true; return o }

func position(quantity string) andon.Position {
	return andon.Position{Venue: "sim", Symbol: "BTC", Quantity: dec(quantity), Entry: dec("100"), Mark: dec("100")}
}

// observe gives the switch a view asked for now. The first view that a switch is given
// while it was active may be refused as too old, by design; the one after it may not.
func observe(t testing.TB, sw *safety.Switch, positions []andon.Position, orders ...andon.Order) {
	err := sw.Observe(safety.View{Venue: "sim", Asked: time.Now(), Positions: positions, Orders: orders})
	if errors.Is(err, safety.ErrStaleView) {
		err = sw.Observe(safety.View{Venue: "sim", Asked: time.Now(), Positions: positions, Orders: orders})
	}
	require.NoError(t, err)
}

func enter(sw *safety.Switch, o andon.Order) (safety.Permit, error) { return sw.Enter(&o) }

// wasActive leaves behind the state of a switch that was active when it ended.
func wasActive(t testing.TB, cfg safety.Config) {
	sw, err := safety.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, sw.Resume(t.Context(), "alice", "the first start", sw.Status().Holds))
	require.NoError(t, sw.Close())
}

// lasting returns the holds that only a person lifts.
func lasting(sw *safety.Switch) (holds []safety.Hold) {
	for _, h := range sw.Status().Holds {
		if !h.Passing {
			holds = append(holds, h)
		}
	}
	return holds
}

// eventually waits for something that has to come, however slow the machine is.
func eventually(t testing.TB, cond func() bool, what string) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, time.Millisecond, what)
}
