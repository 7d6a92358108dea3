package notify

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRetryAfter reads any answer's headers: the wait is never negative and never
// longer than the longest that is believed.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Sat, 14 Mar 2026 09:28:00 GMT", "Sat, 14 Mar 2026 09:26:53 GMT")
	f.Add("Sat, 14 Mar 9999 09:28:00 GMT", "Sat, 14 Mar 0001 09:26:53 GMT")
	f.Add("-1", "soon")
	f.Fuzz(func(t *testing.T, wish, date string) {
		d := readRetryAfter(http.Header{"Retry-After": {wish}, "Date": {date}}, time.Unix(1773480413, 0))
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, longestWish)
	})
}
