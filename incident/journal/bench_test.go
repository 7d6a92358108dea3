//go:build linux

package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
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

// BenchmarkOpen opens a journal of 100,000 events and checks its whole chain.
func BenchmarkOpen(b *testing.B) {
	const n = 100_000
	path := filepath.Join(b.TempDir(), "bench.journal")
	j, err := journal.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	events := make([]incident.Event, n)
	for i := range events {
		events[i] = example(i)
	}
	if _, err := j.Append(b.Context(), 0, events...); err != nil {
		b.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		j, err := journal.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
