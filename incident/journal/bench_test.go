//go:build linux

package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
)

func example(n int) incident.Event {
	return incident.Event{
		At: time.Date(2026, 3, 1, 12, 0, 0, n, time.UTC), Incident: "INC-20260301-001", Kind: incident.Noted, By: "Ada",
		What: fmt.Sprintf("looked at order book %d and found nothing wrong with it", n), Why: "the venue had reported an outage",
	}
}

func openBench(b *testing.B) *journal.Journal {
	j, err := journal.Open(filepath.Join(b.TempDir(), "bench.journal"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	return j
}

// bareFile is a file that is written and fdatasynced, and nothing else.
type bareFile struct {
	f    *os.File
	at   int64
	line []byte // as many bytes as one record has
}

func newBare(b *testing.B, prealloc int) *bareFile {
	body, err := example(1).Encode()
	if err != nil {
		b.Fatal(err)
	}
	line, _ := body.Seal(nil, 1, incident.Hash{})
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	if prealloc > 0 {
		if _, err := f.Write(make([]byte, prealloc)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return &bareFile{f: f, line: append(line, '\n')}
}

func (f *bareFile) append(b *testing.B) {
	if _, err := f.f.WriteAt(f.line, f.at); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(f.f.Fd())); err != nil {
		b.Fatal(err)
	}
	f.at += int64(len(f.line))
}

// BenchmarkAppendAgainstBare makes a durable append and one bare write and
// fdatasync of the same bytes in turn, so that the disk's drift meets both, and
// reports the ratio of their medians; and that of a preallocated file, for which
// the journal would have to end in zeros that no person can read.
func BenchmarkAppendAgainstBare(b *testing.B) {
	j := openBench(b)
	plain, prealloc := newBare(b, 0), newBare(b, 64<<20)
	took := map[string][]time.Duration{}
	clock := func(name string, f func()) {
		start := time.Now()
		f()
		took[name] = append(took[name], time.Since(start))
	}
	ctx, n := b.Context(), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		clock("bare", func() { plain.append(b) })
		clock("journal", func() {
			if _, err := j.Append(ctx, uint64(n-1), example(n)); err != nil {
				b.Fatal(err)
			}
		})
		clock("prealloc", func() { prealloc.append(b) })
	}
	median := func(name string) float64 {
		all := took[name]
		slices.Sort(all)
		return float64(all[len(all)/2].Nanoseconds())
	}
	b.ReportMetric(median("journal")/median("bare"), "×bare")
	b.ReportMetric(median("prealloc")/median("bare"), "prealloc×bare")
	b.ReportMetric(median("journal")/1000, "µs-p50")
}

// BenchmarkAppend shows what many writers get out of one fdatasync.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 2, 8, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			j := openBench(b)
			ctx := b.Context()
			b.ReportAllocs()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := j.Append(ctx, incident.Any, example(int(n))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkAppendSharedSync makes appends by 64 writers and bare writes with fdatasync
// by one in turn, so that the disk's drift meets both, and reports how many times as
// fast the 64 are: the rate of durable events over that of one writer's fdatasync.
func BenchmarkAppendSharedSync(b *testing.B) {
	const writers, each = 64, 32
	j, bare := openBench(b), newBare(b, 0)
	var ratios, alone, together []float64 // durable events a second, and how many times as many
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		for range each {
			bare.append(b)
		}
		one := each / time.Since(start).Seconds()
		start = time.Now()
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for i := range each {
					if _, err := j.Append(ctx, incident.Any, example(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		all := writers * each / time.Since(start).Seconds()
		ratios, alone, together = append(ratios, all/one), append(alone, one), append(together, all)
	}
	median := func(all []float64) float64 {
		slices.Sort(all)
		return all[len(all)/2]
	}
	b.ReportMetric(median(ratios), "×fdatasync-p50")
	b.ReportMetric(ratios[0], "×fdatasync-min")
	b.ReportMetric(median(alone), "fdatasyncs/s-p50")
	b.ReportMetric(median(together), "events/s-p50")
}

// BenchmarkOpen opens a journal of 1,000,000 events of 100,000 incidents, checks its
// whole chain and reads one incident.
func BenchmarkOpen(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "bench.journal")
	j, err := journal.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	events := make([]incident.Event, 1000)
	for at := 0; at < n; at += len(events) {
		for i := range events {
			events[i] = example(at + i)
			events[i].Incident = fmt.Sprintf("INC-20260301-%03d", (at+i)/10)
		}
		if _, err := j.Append(b.Context(), uint64(at), events...); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	var took, one, cpu time.Duration
	b.ReportAllocs()
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		start, used := time.Now(), cpuTime(b)
		j, err := journal.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		took, cpu = took+time.Since(start), cpu+cpuTime(b)-used
		runtime.GC()
		runtime.ReadMemStats(&after)
		start = time.Now()
		read := 0
		for _, err := range j.ReadIncident(b.Context(), "INC-20260301-77777") {
			if err != nil {
				b.Fatal(err)
			}
			read++
		}
		one += time.Since(start)
		if read != 10 {
			b.Fatalf("%d events", read)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(took.Seconds()/float64(b.N), "s/open")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/open") // what it takes on a machine that does nothing else
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-held")
	b.ReportMetric(float64(one.Microseconds())/float64(b.N), "µs/incident")
}

// cpuTime is how long the processors have worked for this process.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
