package resthttp

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is why there is no good answer.
type Error struct {
	Host   string
	Method string
	Path   string // without its query

	Status int    // of the answer; 0 where there is none that can be used
	Sent   bool   // the request may have reached the venue
	Body   []byte // of the answer, without the request's secrets, which a venue may say back

	// RetryAfter is how long the venue wants to be left alone; zero where it does not
	// say.
	RetryAfter time.Duration

	Err error // what went wrong, where there is no answer

	shown string // the answer as an error may show it
}

// Error names the request without its query, and what came back.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s: ", e.Method, e.Host, e.Path)
	switch {
	case e.Err != nil && !e.Sent:
		fmt.Fprintf(&b, "nothing was sent: %v", e.Err)
	case e.Err != nil:
		fmt.Fprintf(&b, "%v", e.Err)
	default:
		fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
	}
	if e.shown != "" {
		fmt.Fprintf(&b, ": %s", e.shown)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (try again in %v)", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Unknown reports whether the request may have taken effect.
func (e *Error) Unknown() bool {
	refused := e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout
	return e.Sent && !refused
}

// temporary reports whether the same request may be answered later.
func (e *Error) temporary() bool {
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// longestShown is how much of an answer an error shows, in bytes.
const longestShown = 300

// hide returns an answer without secrets.
func hide(body []byte, secrets []string) []byte {
	for _, s := range secrets {
		if s != "" {
			body = bytes.ReplaceAll(body, []byte(s), []byte("[secret]"))
		}
	}
	return body
}

// show returns an answer as an error may show it: short and printable.
func show(body []byte) string {
	switch {
	case len(body) == 0:
		return ""
	case len(body) > longestShown:
		return strconv.Quote(string(body[:longestShown]) + "...")
	}
	return strconv.Quote(string(body))
}

// longestWish is the longest Retry-After that is believed.
const longestWish = 24 * time.Hour

// retryAfter reads the Retry-After header: seconds, or a date, which counts from the
// answer's own Date where it has one, since clocks disagree. Zero where there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
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
