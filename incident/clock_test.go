package incident_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

// shifted returns a store with the events of another one as they would be if the
// time of day had been another one when they were written, on a start of the machine
// of another name where boot is not empty.
func shifted(t *testing.T, s *incidenttest.Memory, by time.Duration, boot string) *incidenttest.Memory {
	out := &incidenttest.Memory{}
	for e, err := range s.Read(t.Context(), 0) {
		require.NoError(t, err)
		for _, at := range []*time.Time{
			&e.At, &e.Data.SignalAt, &e.Data.RespondBy, &e.Data.ResolveBy, &e.Data.DueAt, &e.Data.RetryAt, &e.Data.SentAt,
		} {
			if !at.IsZero() {
				*at = at.Add(by)
			}
		}
		if e.Data.Boot != "" && boot != "" {
			e.Data.Boot = boot
		}
		_, err = out.Append(t.Context(), incident.Any, e)
		require.NoError(t, err)
	}
	return out
}

// afterRestart runs an incident for ten minutes, shifts the clock by that much, and
// says who was told what but breaches, and when, from a restart at twelve minutes on.
func afterRestart(t *testing.T, by time.Duration, boot string) (told []string) {
	synctest.Test(t, func(t *testing.T) {
		first := &incidenttest.Memory{}
		s := startOn(t, first)
		s.declare(minor("risk"))
		begin := time.Now()
		time.Sleep(10 * time.Minute)
		s.stop()
		require.Len(t, s.phone.all(), 1)
		time.Sleep(2 * time.Minute)
		s = startOn(t, shifted(t, first, by, boot))
		defer s.stop()
		seen := 0
		for range 38 * 6 {
			synctest.Wait()
			all := s.phone.all()
			for _, m := range all[seen:] {
				if m.Kind == notify.BreachNotice {
					continue // the second step is paged in the same moment, and may hear of it or not
				}
				told = append(told, fmt.Sprintf("%v %s to %s", time.Since(begin).Round(time.Second), m.Kind, m.To))
			}
			seen = len(all)
			time.Sleep(10 * time.Second)
		}
	})
	return told
}

// startOn makes a stack on a store in memory, and runs it.
func startOn(t *testing.T, store incident.Store, change ...func(*incident.Config)) *stack {
	s := &stack{t: t, path: place(t), gate: &gate{}, phone: &phone{}}
	s.open(append(change, func(c *incident.Config) { c.Store = store })...)
	return s
}

// A clock that is set back or forward an hour between two processes on one machine
// loses nothing, repeats nothing and moves nothing.
func TestLaw7_AClockThatWasSetMovesNothingOnTheSameMachine(t *testing.T) {
	want := []string{"15m0s alert to linus", "30m0s update to ada", "30m0s update to linus", "30m0s alert to grace"}
	for _, by := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			require.ElementsMatch(t, want, afterRestart(t, by, ""))
		})
	}
}

// Where nobody can know how much time has passed, what is in doubt is due, once.
func TestLaw7_WhatIsInDoubtIsDue(t *testing.T) {
	t.Run("set back", func(t *testing.T) { // the last event lies ahead
		told := afterRestart(t, time.Hour, "another start")
		require.Equal(t, "12m0s alert to linus", told[0], "the next page goes out at once")
		require.Len(t, ending(told, "alert to linus"), 1)
		require.Len(t, ending(told, "alert to grace"), 1, "%v", told)
		require.Empty(t, ending(told, "alert to ada"))
	})
	t.Run("set forward", func(t *testing.T) { // an hour seems to have passed
		told := afterRestart(t, -time.Hour, "another start")
		for _, who := range []string{"alert to linus", "alert to grace"} {
			require.Equal(t, []string{"12m0s " + who}, ending(told, who))
		}
	})
}

func ending(all []string, suffix string) (some []string) {
	for _, s := range all {
		if len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix {
			some = append(some, s)
		}
	}
	return some
}

// A receiver's wish is a span of time, not a time of day.
func TestARetryIsASpanOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &incidenttest.Memory{}
		s := startOn(t, first)
		s.phone.fail = func(m notify.Message) error {
			return &notify.DeliveryError{Permanent: true, RetryAfter: 2 * time.Minute}
		}
		in := s.declare(minor("risk"))
		time.Sleep(time.Second)
		failed := only(s.timeline(in.Number), incident.PageFailed)
		require.Len(t, failed, 1)
		require.Equal(t, 2*time.Minute, failed[0].Data.RetryAt.Sub(failed[0].At))
		s.stop()
	})
}
