package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
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

// bare writes and fdatasyncs as many bytes as one record has, and nothing else.
func bare(b *testing.B, prealloc int64) {
	body, err := example(1).Encode()
	if err != nil {
		b.Fatal(err)
	}
	line, _ := body.Seal(nil, 1, incident.Hash{})
	line = append(line, '\n')
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if prealloc > 0 {
		if _, err := f.Write(make([]byte, prealloc)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	var at int64
	for b.Loop() {
		if _, err := f.WriteAt(line, at); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		at += int64(len(line))
	}
}

// BenchmarkAppend puts a durable append beside one bare write and fdatasync of the
// same bytes, and many writers beside one. Compare the ratios of one run: the disk
// drifts.
func BenchmarkAppend(b *testing.B) {
	b.Run("bare", func(b *testing.B) { bare(b, 0) })
	b.Run("bare-preallocated", func(b *testing.B) { bare(b, 64<<20) })
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
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
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
