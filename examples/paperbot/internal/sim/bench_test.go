package sim

import (
	"strconv"
	"testing"
	"time"

	"github.com/andon-go/andon"
)

func BenchmarkStepWith100Orders(b *testing.B) {
	x, err := New(config(1, false))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		o := buy("3")
		o.ClientID, o.Kind, o.Price = strconv.Itoa(i), andon.Limit, dec("20")
		if _, err := x.Submit(ctx, o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	now := start
	for b.Loop() {
		now = now.Add(time.Second)
		if err := x.Step(now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	cfg := config(1, false)
	cfg.Symbols[0].Depth = andon.Decimal{} // so that no order is left waiting
	x, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		o := buy("1")
		o.ClientID = strconv.Itoa(i)
		if i%2 == 1 {
			o.Side = o.Side.Opposite()
		}
		if _, err := x.Submit(ctx, o); err != nil {
			b.Fatal(err)
		}
	}
}
