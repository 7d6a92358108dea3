package webhook

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
		d := retryAfter(http.Header{"Retry-After": {wish}, "Date": {date}}, time.Unix(1773480413, 0))
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, longestWish)
	})
}

// FuzzHeaderValue makes any key fit for a header, each key its own way as long as
// it is printable.
func FuzzHeaderValue(f *testing.F) {
	f.Add("auth-failure/venue%2Fcoinbase/1/page/1/0")
	f.Add("ü \r\nX: y\x00")
	f.Fuzz(func(t *testing.T, key string) {
		value := headerValue(key)
		for _, b := range []byte(value) {
			require.True(t, b > ' ' && b < 0x7f, "%q", value)
		}
		require.GreaterOrEqual(t, len(value), len(key))
	})
}
