package fleetdrill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
)

// gates is how many members a benchmark's fleet has.
const gates = 8

// Bare is an engine without a fleet: listeners of its own notification or watch, and what
// fires it. Fire returns once the engine has taken the write; heard is called by each
// listener for each.
type Bare struct {
	Listen func(ctx context.Context, ready func(), heard func()) error
	Fire   func(ctx context.Context, value string) error
}

// Bench measures one stop of a fleet of eight, from the call of Halt to the eighth closed
// gate, and, in turn with it, one notification of the bare engine, from the call to the
// eighth listener. All are in this process, each on connections of its own.
func Bench(b *testing.B, open func() (fleet.Backend, error), bare Bare) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	f := newBenchFleet(b, ctx, &wg, open)
	n := newNotified(b, ctx, &wg, bare)
	var stops, notes []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		f.trade(b, ctx)
		b.StartTimer()
		stops = append(stops, f.stop(b, ctx))
		b.StopTimer()
		notes = append(notes, n.fire(b, ctx, i))
		b.StartTimer()
	}
	for _, m := range []struct {
		name string
		ds   []time.Duration
	}{{"stop", stops}, {"bare", notes}} {
		slices.Sort(m.ds)
		b.ReportMetric(ms(at(m.ds, 50)), m.name+"-p50-ms")
		b.ReportMetric(ms(at(m.ds, 99)), m.name+"-p99-ms")
	}
	b.ReportMetric(ms(at(stops, 50))/ms(at(notes, 50)), "ratio-p50")
	b.ReportMetric(ms(at(stops, 99))/ms(at(notes, 99)), "ratio-p99")
	b.ReportMetric(0, "ns/op") // of the call with its roster, which is not the question
}

func at(ds []time.Duration, percent int) time.Duration { return ds[(len(ds)-1)*percent/100] }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

type benchFleet struct {
	members []*fleet.Member
	sws     []*safety.Switch
	closed  chan time.Time // by each gate, once for each stop
}

func newBenchFleet(b *testing.B, ctx context.Context, wg *sync.WaitGroup, open func() (fleet.Backend, error)) *benchFleet {
	f := &benchFleet{closed: make(chan time.Time, 10*gates)}
	for i := range gates {
		backend, err := open()
		if err != nil {
			b.Fatal(err)
		}
		if c, ok := backend.(io.Closer); ok {
			b.Cleanup(func() { _ = c.Close() })
		}
		seen := &timed{Backend: backend, closed: f.closed}
		name, log := "bot-"+strconv.Itoa(i), slog.New(slog.DiscardHandler)
		m, err := fleet.NewMember(fleet.Config{Name: name, Backend: seen, Log: log})
		if err != nil {
			b.Fatal(err)
		}
		sw, err := safety.Open(ctx, safety.Config{Name: name, Dir: b.TempDir(), NoFlags: true, Lease: m, Log: log})
		if err != nil {
			b.Fatal(err)
		}
		seen.sw = sw
		b.Cleanup(func() { _ = sw.Close() })
		wg.Go(func() { _ = sw.Run(ctx) })
		wg.Go(func() { _ = m.Run(ctx, sw) })
		if err := sw.Resume(ctx, "alice", "bench", sw.Status().Holds); err != nil {
			b.Fatal(err)
		}
		f.members, f.sws = append(f.members, m), append(f.sws, sw)
	}
	return f
}

// timed is a backend whose watch notes when its switch's gate was closed by it.
type timed struct {
	fleet.Backend
	sw     *safety.Switch
	closed chan<- time.Time
}

func (t *timed) Watch(ctx context.Context, prefix string, woken func(key string)) error {
	return t.Backend.Watch(ctx, prefix, func(key string) {
		open := t.sw.State() == safety.Active
		woken(key)
		if open && t.sw.State() == safety.Halted {
			t.closed <- time.Now()
		}
	})
}

// trade resumes the fleet and waits for every gate to be open.
func (f *benchFleet) trade(b *testing.B, ctx context.Context) {
	b.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		st, err := f.members[0].Status(ctx)
		if err == nil && st.Halted {
			err = f.members[0].Resume(ctx, "alice", "bench", st.Holds)
		}
		open := 0
		for _, sw := range f.sws {
			if sw.Check() == nil {
				open++
			}
		}
		if err == nil && open == gates && !st.Halted {
			break
		}
		if time.Now().After(deadline) {
			b.Fatalf("the fleet does not trade: %d gates open: %v", open, err)
		}
	}
	time.Sleep(30 * time.Millisecond) // for what follows on a resume, which no halt in life meets
	for len(f.closed) > 0 {
		<-f.closed
	}
}

// stop halts by the first member, whose own gate closes before it asks anybody, and waits
// for the others.
func (f *benchFleet) stop(b *testing.B, ctx context.Context) time.Duration {
	b.Helper()
	done := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := f.members[0].Halt(ctx, "bob", "bench")
		done <- err
	}()
	last := began
	for range gates - 1 {
		select {
		case at := <-f.closed:
			if at.After(last) {
				last = at
			}
		case <-time.After(patience):
			b.Fatalf("a gate does not close")
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return last.Sub(began)
}

type notified struct {
	bare  Bare
	heard chan time.Time
}

func newNotified(b *testing.B, ctx context.Context, wg *sync.WaitGroup, bare Bare) *notified {
	n := &notified{bare: bare, heard: make(chan time.Time, 10*gates)}
	ready := make(chan struct{}, gates)
	for range gates {
		wg.Go(func() {
			err := bare.Listen(ctx, func() { ready <- struct{}{} }, func() { n.heard <- time.Now() })
			if err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
				b.Error(fmt.Errorf("bare engine: %w", err))
			}
		})
	}
	for range gates {
		select {
		case <-ready:
		case <-time.After(patience):
			b.Fatal("the bare engine's listeners are not ready")
		}
	}
	return n
}

func (n *notified) fire(b *testing.B, ctx context.Context, i int) time.Duration {
	b.Helper()
	began := time.Now()
	if err := n.bare.Fire(ctx, strconv.Itoa(i)); err != nil {
		b.Fatal(err)
	}
	last := began
	for range gates {
		select {
		case at := <-n.heard:
			if at.After(last) {
				last = at
			}
		case <-time.After(patience):
			b.Fatal("the bare engine does not notify")
		}
	}
	return last.Sub(began)
}
