package safety_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// BenchmarkTrips is what feeding costs, by kind.
func BenchmarkTrips(b *testing.B) {
	cfg := onlyMoney()
	cfg.NoSymbols, cfg.Symbols = false, []string{"BTC"}
	sw := active(b, inMemory())
	trips := openTrips(b, sw, cfg)
	require.NoError(b, trips.Equity(dec("1000")))
	for name, feed := range map[string]func(){
		"data":   func() { trips.MarketData("BTC", time.Now()) },
		"order":  func() { _ = trips.Order(safety.Accepted, time.Millisecond) },
		"equity": func() { _ = trips.Equity(dec("999")) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				feed()
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					feed()
				}
			})
		})
	}
}
