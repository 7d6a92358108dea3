package incident_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// alert is a SEV-2 signal that can be cleared.
func alert(ref string, since time.Time) severity.Signal {
	return severity.Signal{Condition: severity.RiskOffline, Component: "risk", At: since, Source: "alertmanager", Ref: ref}
}

func noChecklist(c *incident.Config) { c.Checklist = []string{} }

func (s *stack) clear(ref string, at time.Time) incident.Incident {
	s.t.Helper()
	in, err := s.m.Clear(context.Background(), "alertmanager", ref, at, "it has resolved")
	require.NoError(s.t, err)
	return in
}

func TestTheLastSignalThatClearsResolvesTheIncident(t *testing.T) {
	s := start(t, place(t), noChecklist)
	since := time.Now().Add(-time.Minute)
	in := s.declare(alert("a", since))
	require.Equal(t, in.Number, s.declare(alert("b", since)).Number)
	require.Equal(t, 2, s.get(in.Number).Firing)
	first := s.clear("a", time.Now())
	require.Equal(t, 1, first.Firing)
	require.Equal(t, incident.Open, first.Status, "one of them still fires")
	last := s.clear("b", time.Now())
	require.Equal(t, incident.Closed, last.Status)
	require.Equal(t, "alertmanager", last.ResolvedBy)
	_, err := s.m.Clear(t.Context(), "alertmanager", "b", time.Now(), "again")
	require.ErrorIs(t, err, incident.ErrUnknown)
	require.NotErrorIs(t, err, incident.ErrNotRecorded)
	require.Equal(t, 2, s.declare(alert("a", time.Now())).Episode, "what fires after it is an incident of its own")
}

func TestClearingNeverResolvesAgainstTheChecklist(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(alert("a", time.Now()))
	got := s.clear("a", time.Now())
	require.Equal(t, incident.Open, got.Status)
	notes := only(s.timeline(in.Number), incident.Noted)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0].Why, "Monitoring alerts cleared")
	s.clear("a", time.Now())
	require.Len(t, only(s.timeline(in.Number), incident.Cleared), 1, "a second one adds nothing")
	require.Len(t, only(s.timeline(in.Number), incident.Noted), 1)
	s.proveAll(in.Number)
	require.Equal(t, incident.Closed, s.clear("a", time.Now()).Status, "what was said before the proofs counts after them")
}

func TestASignalWithoutRefKeepsTheIncidentOpen(t *testing.T) {
	s := start(t, place(t), noChecklist)
	s.declare(alert("a", time.Now()))
	s.declare(minor("risk")) // the watchdog's own, of the same topic
	require.Equal(t, incident.Open, s.clear("a", time.Now()).Status, "nobody has said that it ended")
}

func TestASignalThatFiresAgainIsNotClearedByAnOlderEnd(t *testing.T) {
	s := start(t, place(t), noChecklist)
	since := time.Now().Add(-time.Hour)
	s.declare(alert("a", since))
	in := s.declare(alert("a", since.Add(10*time.Minute)))
	require.Equal(t, 2, in.Signals, "it began anew, which is news")
	require.Equal(t, 1, in.Firing)
	late := s.clear("a", since.Add(5*time.Minute))
	require.Equal(t, incident.Open, late.Status, "that was the end of the time before")
	require.Equal(t, incident.Closed, s.clear("a", since.Add(15*time.Minute)).Status)
}

func TestARepeatedSignalIsNoNews(t *testing.T) {
	s := start(t, place(t))
	since := time.Now().Add(-time.Minute)
	sev1 := func(since time.Time) severity.Signal {
		a := alert("a", since)
		a.Condition = severity.InconsistentPositions
		return a
	}
	in := s.declare(sev1(since))
	before := s.gate.count()
	for range 5 {
		require.Equal(t, 1, s.declare(sev1(since)).Signals)
	}
	require.Equal(t, before, s.gate.count(), "whoever resumed had seen it")
	require.Empty(t, only(s.timeline(in.Number), incident.Signalled))
	require.Equal(t, 2, s.declare(sev1(since.Add(time.Second))).Signals)
	require.Equal(t, before+1, s.gate.count(), "a new one stops again")
	require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV3, "a test account"))
	require.Equal(t, severity.SEV1, s.declare(sev1(since)).Level, "what is worse than the incident is news")
}

func TestARepeatedSignalWaitsForTheRecord(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		since := time.Now()
		s.store.breakIt(errDisk)
		for range 2 {
			_, err := s.m.Declare(t.Context(), "alertmanager", "risk is down", alert("a", since))
			require.ErrorIs(t, err, incident.ErrNotRecorded, "a sender that is told yes does not send again")
		}
		_, err := s.m.Clear(t.Context(), "alertmanager", "a", time.Now(), "it has resolved")
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		_, err = s.m.Clear(t.Context(), "alertmanager", "b", time.Now(), "it has resolved")
		require.ErrorIs(t, err, incident.ErrUnknown)
		require.ErrorIs(t, err, incident.ErrNotRecorded, "its end may be among what waits")
		s.store.breakIt(nil)
		require.Equal(t, 1, s.declare(alert("c", since)).Firing)
		s.clear("c", time.Now())
	})
}

func TestSignalsAndTheirEndsOutliveTheProcess(t *testing.T) {
	s := start(t, place(t), noChecklist)
	since := time.Now().Add(-time.Minute)
	for _, ref := range []string{"a", "b", "c"} {
		s.declare(alert(ref, since))
	}
	s.clear("a", time.Now())
	s.stop()
	s.open(noChecklist)
	in := s.declare(alert("b", since))
	require.Equal(t, 3, in.Signals, "known already")
	require.Equal(t, 2, in.Firing)
	s.clear("b", time.Now())
	require.Equal(t, incident.Closed, s.clear("c", time.Now()).Status)
}

func TestResolveIsRefusedWhileSignalsFire(t *testing.T) {
	s := start(t, place(t), noChecklist)
	in := s.declare(alert("a", time.Now()))
	r := incident.Resolution{By: "Ada", Note: "restarted"}
	require.ErrorContains(t, s.m.Resolve(t.Context(), in.Number, r), "1 signals still fire")
	r.Despite = "the alert is wrong"
	require.NoError(t, s.m.Resolve(t.Context(), in.Number, r))
}

// slow is a Store that holds a resolution back until it is let go.
type slow struct {
	incident.Store
	began, on chan struct{}
}

func (s *slow) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	for _, e := range events {
		if e.Kind == incident.Resolved {
			s.began <- struct{}{}
			<-s.on
		}
	}
	return s.Store.Append(ctx, expected, events...)
}

func TestASignalIsNotBuriedWithTheIncidentThatIsBeingResolved(t *testing.T) {
	hold := &slow{began: make(chan struct{}), on: make(chan struct{})}
	s := start(t, place(t), noChecklist, func(c *incident.Config) { hold.Store, c.Store = c.Store, hold })
	in := s.declare(minor("risk"))
	ended := make(chan error, 1)
	go func() {
		ended <- s.m.Resolve(context.Background(), in.Number, incident.Resolution{By: "Ada", Note: "restarted"})
	}()
	<-hold.began
	declared := make(chan incident.Incident, 1)
	go func() {
		other, _ := s.m.Declare(context.Background(), "watchdog", "down again", minor("risk"))
		declared <- other
	}()
	require.Eventually(t, func() bool { return len(s.m.All()) == 2 }, 10*time.Second, time.Millisecond)
	close(hold.on)
	require.NoError(t, <-ended)
	other := <-declared
	require.NotEqual(t, in.Number, other.Number)
	require.Equal(t, 2, other.Episode)
	require.Equal(t, other.Number, s.declare(minor("risk")).Number, "the open one, also after the other has ended")
}

func TestClearNeedsAName(t *testing.T) {
	s := start(t, place(t))
	_, err := s.m.Clear(t.Context(), "", "a", time.Now(), "x")
	require.ErrorIs(t, err, incident.ErrUnnamed)
}

// Whatever comes in whatever order, and with restarts in between: the incident of a
// signal that fires is open, and one whose signals have all ended is not.
func TestFiringIsWhatTheSignalsSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := start(t, place(t), noChecklist)
		defer s.stop()
		fires := map[string]bool{}
		for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			ref := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "ref")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				s.stop()
				s.open(noChecklist)
			case 1, 2:
				s.declare(alert(ref, time.Now()))
				fires[ref] = true
			default:
				_, err := s.m.Clear(t.Context(), "alertmanager", ref, time.Now(), fmt.Sprint("step ", i))
				if err != nil && (fires[ref] || !errors.Is(err, incident.ErrUnknown)) {
					rt.Fatalf("clear %s: %v", ref, err)
				}
				delete(fires, ref)
			}
			var firing int
			open := s.m.Open()
			for _, in := range open {
				firing += in.Firing
			}
			if firing != len(fires) || (firing > 0) != (len(open) == 1) {
				rt.Fatalf("%d open incidents say that %d signals fire, and %v do", len(open), firing, fires)
			}
		}
	})
}
