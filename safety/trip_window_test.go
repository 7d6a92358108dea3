package safety

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A part counts whole as long as the window reaches into it, and not longer.
func TestAPartOfAWindowCountsWhole(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	w := count(nil, at(10.9), time.Minute, true)
	for _, c := range []struct {
		now  float64
		hits int
	}{{70.9, 1}, {70.95, 1}, {70.999, 1}, {71, 0}} {
		hits, _ := total(recent(append([]TripCount{}, w...), at(c.now), time.Minute))
		require.Equal(t, c.hits, hits, "at %v", c.now)
	}
}
