package incident_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
)

// doorbell is a Notifier that says when it rang.
type doorbell chan time.Time

func (d doorbell) Notify(_ context.Context, m notify.Message) error {
	if m.Kind == notify.InitialAlert {
		d <- time.Now()
	}
	return nil
}

// BenchmarkSignalToPage measures from the signal of a SEV-1 incident to the closed
// gate and the first page at the notifier, on a durable journal.
func BenchmarkSignalToPage(b *testing.B) {
	j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	rang := make(doorbell, 1)
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": rang},
		Storm: notify.Storm{Pages: 1e9}, Limits: map[string]notify.Limit{"phone": {Burst: 1e9}}}) // a benchmark is a storm
	if err != nil {
		b.Fatal(err)
	}
	closed := make(chan time.Time, 1)
	m, err := incident.New(b.Context(), incident.Config{
		Store: j, Courier: courier, Directory: everybody(), Log: slog.New(slog.DiscardHandler),
		Halter: &gate{engage: func() error { closed <- time.Now(); return nil }},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	var halts, pages []time.Duration
	n := 0
	for b.Loop() {
		n++
		sig := signal(fmt.Sprint("component ", n))
		in, err := m.Declare(ctx, "bench", "book and venue differ", sig)
		if err != nil {
			b.Fatal(err)
		}
		halts = append(halts, (<-closed).Sub(sig.At))
		pages = append(pages, (<-rang).Sub(sig.At))
		err = m.Resolve(ctx, in.Number, incident.Resolution{By: "bench", Note: "x", Despite: "a benchmark"})
		if err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(halts)
	slices.Sort(pages)
	b.ReportMetric(float64(halts[len(halts)/2].Microseconds()), "µs-to-halt-p50")
	b.ReportMetric(float64(pages[len(pages)/2].Microseconds()), "µs-to-page-p50")
	b.ReportMetric(float64(pages[len(pages)*99/100].Microseconds()), "µs-to-page-p99")
}
