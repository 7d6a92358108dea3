package incident_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

func TestLaw10_StoppingAndPagingDoNotWaitForTheRecord(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		s.store.breakIt(errDisk)
		began := time.Now()
		engaged := make(chan time.Duration, 1)
		s.gate.set(func() error { engaged <- time.Since(began); return nil })
		var in incident.Incident
		var err error
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			in, err = s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
		}()
		synctest.Wait() // no time has passed
		require.Zero(t, <-engaged)
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		<-answered
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.ErrorIs(t, err, errDisk)
		require.Equal(t, incident.GateClosed, in.Gate)
		n, cause := s.m.Unrecorded()
		require.Positive(t, n)
		require.ErrorIs(t, cause, errDisk)
		require.Len(t, s.timeline(in.Number), n, "what waits is on the timeline too")

		time.Sleep(time.Minute)
		s.store.breakIt(nil)
		time.Sleep(time.Second)
		n, cause = s.m.Unrecorded()
		require.Zero(t, n)
		require.NoError(t, cause)
		s.stop()
		events := s.timelineOf(in.Number)
		require.Equal(t, []incident.Kind{incident.Declared, incident.HaltDue, incident.Halted}, kinds(events)[:3])
		require.True(t, events[2].At.Equal(began), "with the time of the deed, not of the record")
		require.Len(t, only(events, incident.Paged), 1)
	})
}

// hung is a Store whose Append does not return.
type hung struct {
	incident.Store
	release chan struct{}
}

func (h hung) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	<-h.release
	return h.Store.Append(ctx, expected, events...)
}

func TestLaw10_AHungStoreHoldsUpNeitherTheStopNorThePage(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		h := hung{release: make(chan struct{})}
		s := start(t, path, func(c *incident.Config) { h.Store = c.Store; c.Store = h })
		in, err := s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.Equal(t, incident.GateClosed, in.Gate)
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		require.ErrorIs(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"), incident.ErrNotRecorded)
		require.Equal(t, incident.Responding, s.get(in.Number).Status, "and takes effect all the same")
		err = s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "done", Despite: "x"})
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.Equal(t, incident.Responding, s.get(in.Number).Status)
		close(h.release)
		time.Sleep(time.Second)
		s.stop()
		require.Empty(t, only(s.timelineOf(in.Number), incident.Resolved), "a refused resolution is not written later")
	})
}

func TestLaw10_ClosingWaitsForTheRecord(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(minor("risk"))
		s.store.breakIt(errDisk)
		r := incident.Resolution{By: "Ada", Note: "restarted", Despite: "a drill"}
		err := s.m.Resolve(t.Context(), in.Number, r)
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.True(t, s.get(in.Number).ResolvedAt.IsZero(), "it stays open")
		err = s.m.Record(t.Context(), time.Now(), "Ada", "resume", "clean")
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		s.store.breakIt(nil)
		time.Sleep(time.Second)
		require.Empty(t, only(s.timeline(""), incident.Resolved), "what was refused is not written later")
		require.Empty(t, only(s.timeline(""), incident.Decision))
		require.NoError(t, s.m.Resolve(t.Context(), in.Number, r))
		require.NoError(t, s.m.Record(t.Context(), time.Now(), "Ada", "resume", "clean"))
		s.stop()
		events := s.timelineOf("")
		require.Len(t, only(events, incident.Resolved), 1)
		require.Len(t, only(events, incident.Decision), 1)
		require.Empty(t, only(events, incident.Decision)[0].Incident, "no incident was open any more")
	})
}

func TestLaw10_EveryEventSaysWhoWhatWhyAndWhen(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		s.phone.fail = func(m notify.Message) error {
			if m.To == "ada" {
				return &notify.DeliveryError{Permanent: true}
			}
			return nil
		}
		in, err := s.m.Declare(t.Context(), "", "", signal("book")) // nothing that stops is refused for its form
		require.NoError(t, err)
		time.Sleep(35 * time.Minute)
		ctx := t.Context()
		for _, decide := range []func(by, why string) error{
			func(by, _ string) error { return s.m.Acknowledge(ctx, in.Number, by) },
			func(by, why string) error { return s.m.Mitigate(ctx, in.Number, by, why) },
			func(by, why string) error { return s.m.Prove(ctx, in.Number, by, "Risk limits enforced", why, true) },
			func(by, why string) error { return s.m.Impact(ctx, in.Number, by, incident.Impact{}, why) },
			func(by, why string) error { return s.m.Assess(ctx, in.Number, by, 2, why) },
			func(by, why string) error { return s.m.Record(ctx, time.Now(), by, "resume", why) },
		} {
			require.Error(t, decide("", "because"), "a decision needs a name")
			require.NoError(t, decide("Ada", "because"))
		}
		require.NoError(t, s.m.Resolve(ctx, in.Number, incident.Resolution{By: "Ada", Note: "done", Despite: "drill"}))
		time.Sleep(time.Minute)
		s.stop()
		events := s.timelineOf("")
		require.Greater(t, len(events), 20)
		for _, e := range events {
			require.NotEmpty(t, e.By, e)
			require.NotEmpty(t, e.What, e)
			require.NotEmpty(t, e.Why, e)
			require.False(t, e.At.IsZero(), e)
			require.Equal(t, in.Number, e.Incident, "decisions made while it is open belong to it")
		}
		require.Equal(t, "reconciler", events[0].By, "who, from the signal")
		_, err = journal.Verify(path)
		require.NoError(t, err)
	})
}
