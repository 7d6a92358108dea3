package console_test

import (
	"net/http/httptest"
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
