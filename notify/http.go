package notify

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// HTTPAnswer judges the answer to a message that was posted: nil where the receiver
// took it (2xx), else a *DeliveryError. 408, 425, 429 and 5xx are temporary and carry
// the answer's Retry-After, anything else is permanent. To names the receiver and
// must hold no secret.
func HTTPAnswer(to string, r *http.Response, now time.Time) error {
	if r.StatusCode >= 200 && r.StatusCode < 300 {
		return nil
	}
	e := &DeliveryError{Status: r.StatusCode, Err: fmt.Errorf("%s did not accept it", to)}
	if temporary(r.StatusCode) {
		e.RetryAfter = readRetryAfter(r.Header, now)
	} else {
		e.Permanent = true
	}
	return e
}

// temporary reports whether the same request may be accepted later.
func temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// longestWish is the longest Retry-After that is believed; a longer one is cut to it, so
// that an answer cannot put a channel to sleep for good.
const longestWish = 24 * time.Hour

// readRetryAfter reads the Retry-After header: seconds, or a date, which counts from
// the answer's own Date where it has one, since clocks disagree. Zero where there
// is none, or none that can be read, or it has passed.
func readRetryAfter(h http.Header, now time.Time) time.Duration {
	wish := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(wish, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWish)
	}
	at, err := http.ParseTime(wish)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, min(at.Sub(now), longestWish))
}
