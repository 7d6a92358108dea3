package resthttp

import (
	"net/http"
	"sync"
	"time"
)

// Clock estimates another machine's clock from the Date header of its answers, which
// has whole seconds. Each answer bounds the difference from both sides; answers
// together narrow the bounds. Where they exclude each other a clock has moved, and the
// newest counts. Safe for concurrent use; the zero value has learned nothing.
type Clock struct {
	mu     sync.Mutex
	lo, hi time.Duration // bounds of their clock minus ours
	known  bool
}

// Now returns the other machine's time, or ours where nothing was learned.
func (c *Clock) Now() time.Time {
	offset, _, _ := c.Offset()
	return time.Now().Add(offset)
}

// Offset returns how far the other clock is ahead of ours, give or take within. It is
// false when nothing was learned.
func (c *Clock) Offset() (offset, within time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Zero is as good as any value between the bounds, and changes nothing that is right.
	if c.lo <= 0 && c.hi >= 0 {
		return 0, max(-c.lo, c.hi), c.known
	}
	return (c.lo + c.hi) / 2, (c.hi - c.lo) / 2, c.known
}

// learn takes what one answer says. It was made between sent and received.
func (c *Clock) learn(h http.Header, sent, received time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if age := h.Get("Age"); err != nil || age != "" && age != "0" {
		return // none, or the word of a cache
	}
	lo, hi := date.Sub(received.Round(0)), date.Add(time.Second).Sub(sent.Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	if both, to := max(lo, c.lo), min(hi, c.hi); c.known && both <= to {
		lo, hi = both, to
	}
	c.lo, c.hi, c.known = lo, hi, true
}
