package safety_test

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// BenchmarkAtomicLoad is what Check is measured against.
func BenchmarkAtomicLoad(b *testing.B) {
	var p atomic.Pointer[int]
	p.Store(new(int))
	b.ReportAllocs()
	for b.Loop() {
		if p.Load() == nil {
			b.Fatal("nil")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	sw := active(b, benchConfig())
	b.ReportAllocs()
	for b.Loop() {
		if sw.Check() != nil {
			b.Fatal("denied")
		}
	}
}

func benchConfig() safety.Config {
	cfg := inMemory()
	cfg.MaxViewAge = time.Hour
	return cfg
}

// BenchmarkEnterExit is one order through the gate, of which nothing is left: before
// any view of the venue, after one, and with a limit; by one goroutine, and by one on
// each core, at one venue and at a venue each.
func BenchmarkEnterExit(b *testing.B) {
	viewed := func(b *testing.B, sw *safety.Switch) {
		for _, venue := range []string{"sim", "sim1", "sim2"} {
			require.NoError(b, sw.Observe(safety.View{Venue: venue, Asked: time.Now()}))
		}
	}
	for _, c := range []struct {
		name string
		sw   func(b *testing.B) *safety.Switch
	}{
		{"no-view", func(b *testing.B) *safety.Switch { return active(b, benchConfig()) }},
		{"view", func(b *testing.B) *safety.Switch {
			sw := active(b, benchConfig())
			viewed(b, sw)
			return sw
		}},
		{"limit", func(b *testing.B) *safety.Switch {
			cfg := benchConfig()
			cfg.MaxPosition = map[string]andon.Decimal{"BTC": dec("1000")}
			sw := active(b, cfg)
			viewed(b, sw)
			return sw
		}},
	} {
		b.Run(c.name+"/single", func(b *testing.B) {
			sw := c.sw(b)
			o := order("a", andon.Buy, "1")
			b.ReportAllocs()
			for b.Loop() {
				p, err := sw.Enter(&o)
				if err != nil {
					b.Fatal(err)
				}
				p.Exit(safety.Refused)
			}
		})
		for _, each := range []bool{false, true} {
			name := c.name + "/parallel"
			if each {
				name += "-venue-each"
			}
			b.Run(name, func(b *testing.B) {
				sw := c.sw(b)
				var n atomic.Int64
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					i := n.Add(1)
					o := order(fmt.Sprint("p", i), andon.Buy, "1")
					if each {
						o.Venue = fmt.Sprint("sim", min(i, 2))
					}
					for pb.Next() {
						p, err := sw.Enter(&o)
						if err != nil {
							b.Error(err)
							return
						}
						p.Exit(safety.Refused)
					}
				})
			})
		}
	}
}

// BenchmarkHalt is a halt with its hold on disk, and the resume after it.
func BenchmarkHalt(b *testing.B) {
	sw := active(b, quiet(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sw.Halt(b.Context(), "bob", "drill"); err != nil {
			b.Fatal(err)
		}
		resume(b, sw)
	}
}

// BenchmarkFlag is the time from a flag's creation to the closed gate.
func BenchmarkFlag(b *testing.B) {
	for _, pollOnly := range []bool{false, true} {
		name := "notification"
		if pollOnly {
			name = "poll"
		}
		b.Run(name, func(b *testing.B) {
			cfg := quiet(b)
			cfg.PollOnly = pollOnly
			sw := active(b, cfg)
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				require.NoError(b, os.WriteFile(cfg.Flags[0].Path, nil, 0o600))
				for sw.Check() == nil {
					time.Sleep(20 * time.Microsecond)
				}
				took = append(took, time.Since(begin))
				require.NoError(b, os.Remove(cfg.Flags[0].Path))
				for sw.Resume(b.Context(), "alice", "benchmark", sw.Status().Holds) != nil {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(time.Duration(len(took)%100) * time.Millisecond / 10) // not in step with the looks
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
		})
	}
}
