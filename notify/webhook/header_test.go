package webhook

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
