package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// BenchmarkStop is from the client's call to the closed gate in the bot, and to the answer,
// which waits for the disk too.
func BenchmarkStop(b *testing.B) {
	w := start(b)
	b.ReportAllocs()
	var gate, answer []time.Duration
	for b.Loop() {
		b.StopTimer()
		w.trade(b)
		begun := time.Now()
		b.StartTimer()
		r, err := w.Stop(b.Context(), "Ada", "bench")
		answered := time.Since(begun)
		b.StopTimer()
		require.NoError(b, err)
		require.Equal(b, safety.Halted, r.State)
		// The hold is dated when the bot has the command; Closed is from there to the gate.
		gate, answer = append(gate, r.Hold.At.Sub(begun)+r.Closed), append(answer, answered)
		b.StartTimer()
	}
	for name, all := range map[string][]time.Duration{"gate": gate, "answer": answer} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-"+name+"-µs")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-"+name+"-µs")
	}
}
