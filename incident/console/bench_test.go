package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// BenchmarkStatusPage is what one reader of the status page costs, without the network.
func BenchmarkStatusPage(b *testing.B) {
	c := newBench(b)
	for range 20 {
		c.declare("book and venue differ", "book")
	}
	r := httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkStatusPageOverHTTP is the same over a connection that is kept, client included.
func BenchmarkStatusPageOverHTTP(b *testing.B) {
	c := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		if got := c.do("GET", "/", ""); got.code != 200 {
			b.Fatal(got.code)
		}
	}
}

// BenchmarkGate is the gate's check with and without 200 browsers that watch the stream.
func BenchmarkGate(b *testing.B) {
	for _, streams := range []int{0, 200} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			c := newBench(b)
			ctx, cancel := context.WithCancel(b.Context())
			var watching sync.WaitGroup
			for range streams {
				r, err := http.NewRequestWithContext(ctx, "GET", c.server.URL+"/console/events", nil)
				if err != nil {
					b.Fatal(err)
				}
				ada(r)
				resp, err := c.client.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				watching.Go(func() {
					_, _ = io.Copy(io.Discard, resp.Body) // until it is cut off
					_ = resp.Body.Close()
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.sw.Check(); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			watching.Wait()
		})
	}
}
