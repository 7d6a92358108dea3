package incident_test

import (
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The schedule against a model that looks at everything each time.
func TestTheScheduleForgetsNothingAndRemembersNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := incident.NewSchedule()
		var touched []string
		waiting := map[string]time.Time{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		now := time.Unix(1000, 0)
		t.Repeat(map[string]func(*rapid.T){
			"touch": func(t *rapid.T) {
				n := names.Draw(t, "incident")
				s.Touch(n)
				if !slices.Contains(touched, n) {
					touched = append(touched, n)
				}
			},
			"wait": func(t *rapid.T) {
				n, at := names.Draw(t, "incident"), now.Add(time.Duration(rapid.IntRange(-3, 9).Draw(t, "s"))*time.Second)
				s.Wait(n, at)
				waiting[n] = at
			},
			"wait for an event": func(t *rapid.T) {
				n := names.Draw(t, "incident")
				s.Wait(n, time.Time{})
				delete(waiting, n)
			},
			"time passes": func(*rapid.T) { now = now.Add(time.Second) },
			"pop": func(t *rapid.T) {
				next := s.Soonest()
				n, ok := s.Pop(now)
				if len(touched) > 0 {
					require.True(t, ok)
					require.Equal(t, touched[0], n)
					touched = touched[1:]
					return
				}
				var soonest time.Time
				for _, at := range waiting {
					if soonest.IsZero() || at.Before(soonest) {
						soonest = at
					}
				}
				require.Equal(t, soonest, next)
				require.Equal(t, !soonest.IsZero() && !soonest.After(now), ok)
				if ok {
					require.Equal(t, soonest, waiting[n])
					delete(waiting, n)
				}
			},
			"": func(t *rapid.T) {
				all := map[string]bool{}
				for _, n := range touched {
					all[n] = true
				}
				for n := range waiting {
					all[n] = true
				}
				require.Equal(t, len(all), s.Places())
			},
		})
	})
}
