package pgstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/stretchr/testify/require"
)

// BenchmarkAppend is one durable append by 1 and by 8 processes' worth of stores, on a
// server that syncs its commits to disk.
func BenchmarkAppend(b *testing.B) {
	pg := pgtest.Start(b, "fsync=on")
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("stores=%d", writers), func(b *testing.B) {
			cfg := fresh(b, pg.ConnString())
			cfg.AnswerWithin = time.Minute
			next := make(chan int, writers)
			var wg sync.WaitGroup
			for range writers {
				s := open(b, cfg)
				_, err := s.Append(ctx, incident.Any, incidenttest.Event(0))
				require.NoError(b, err)
				wg.Go(func() {
					for n := range next {
						if _, err := s.Append(ctx, incident.Any, incidenttest.Event(n)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				next <- n
			}
			close(next)
			wg.Wait()
		})
	}
}

// BenchmarkTakeover is from the kill of the responder's process to the next one's lead.
func BenchmarkTakeover(b *testing.B) {
	pg := pgtest.Start(b)
	cfg := fresh(b, pg.ConnString())
	leads := func(p *process) {
		for line := range p.lines {
			if len(line) > 5 && line[:5] == "leads" {
				return
			}
		}
		b.Fatal("it never leads")
	}
	holder := start(b, pg.ConnString(), "lead a "+cfg.Schema)
	leads(holder)
	var worst time.Duration
	for b.Loop() {
		b.StopTimer()
		successor := start(b, pg.ConnString(), "lead b "+cfg.Schema)
		time.Sleep(cfg.LeaseFor + time.Second) // it has looked
		b.StartTimer()
		killed := time.Now()
		holder.kill()
		leads(successor)
		worst = max(worst, time.Since(killed))
		holder = successor
	}
	b.ReportMetric(worst.Seconds(), "s-worst")
}
