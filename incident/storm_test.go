package incident_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
)

// Law 7 in a flood: pages that wait for one gathered are entries of the courier, and
// every incident has its own on the timeline in the end.
func TestLaw7_PagesThatWaitInAStormHaveNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, place(t))
		before := runtime.NumGoroutine()
		const flood = 300
		for i := range flood {
			s.declare(minor(fmt.Sprintf("bot-%d", i)))
		}
		synctest.Wait()
		require.Less(t, len(s.phone.all()), 30, "the others wait")
		require.Less(t, runtime.NumGoroutine(), before+100)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Less(t, len(s.phone.all()), 40)
		paged := map[string]int{}
		for _, e := range only(s.timeline(""), incident.Paged) {
			paged[e.Incident]++
		}
		require.Len(t, paged, flood)
		for number, n := range paged {
			require.Equal(t, 1, n, number)
		}
		s.stop()
	})
}
