package incident_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// TestComplaintIncident1_NothingComesAfterTheAck: pages go on after the ack, and an acked
// alert escalates months later.
func TestComplaintIncident1_NothingComesAfterTheAck(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		rarely := func(c *incident.Config) { c.AuditEvery = 24 * time.Hour } // the test runs for months
		s := start(t, path, rarely)
		in := s.declare(minor("risk"))
		require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV3, "one of two")) // its ack holds for ever
		synctest.Wait()
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		before := len(s.phone.messages(notify.InitialAlert))
		for range 3 {
			time.Sleep(30 * 24 * time.Hour)
			s.stop()
			s.open(rarely)
		}
		time.Sleep(time.Hour)
		s.stop()
		require.Len(t, s.phone.messages(notify.InitialAlert), before)
		require.Empty(t, s.phone.messages(notify.PageReminder))
	})
}

// TestComplaintIncident1_ALateAckUnresolvesNothing, whoever appended it.
func TestComplaintIncident1_ALateAckUnresolvesNothing(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(signal("book"))
		synctest.Wait()
		require.NoError(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "x", Despite: "a drill"}))
		require.ErrorIs(t, s.m.Acknowledge(t.Context(), in.Number, "Linus"), incident.ErrResolved)
		synctest.Wait()
		_, err := s.store.Append(t.Context(), incident.Any, incident.Event{
			At: time.Now(), Incident: in.Number, Kind: incident.Acknowledged, By: "Linus", What: "acknowledged", Why: "by another tool",
		})
		require.NoError(t, err)
		s.stop()
		s.open()
		time.Sleep(3 * time.Hour) // an ack would have expired
		done := s.get(in.Number)
		require.Equal(t, incident.Closed, done.Status)
		require.Zero(t, done.AckedAt)
		s.stop()
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		require.Empty(t, s.phone.messages(notify.PageReminder))
	})
}

// TestComplaintIncident4_ARestartLosesNeitherAlertNorResolve: each is owed until somebody has it.
func TestComplaintIncident4_ARestartLosesNeitherAlertNorResolve(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		down := func(notify.Message) error { return errors.New("down") }
		s.phone.fail = down
		in := s.declare(minor("risk"))
		time.Sleep(time.Second)
		s.stop()
		s.phone.fail = nil
		s.open()
		time.Sleep(time.Minute)
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
		s.phone.mu.Lock()
		s.phone.fail = down
		s.phone.mu.Unlock()
		require.NoError(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "x", Despite: "a drill"}))
		time.Sleep(time.Second)
		s.stop()
		s.phone.fail = nil
		s.open()
		time.Sleep(time.Minute)
		s.stop()
		ends := s.phone.messages(notify.ResolutionNotice)
		require.Len(t, ends, 1)
		require.Equal(t, s.phone.messages(notify.InitialAlert)[0].Key, ends[0].Pages[0], "and says which page it ends")
	})
}

// TestComplaintIncident6_AnAckThatExpiresResumesTheEscalation, from its first step, across a restart.
func TestComplaintIncident6_AnAckThatExpiresResumesTheEscalation(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(signal("book"))
		synctest.Wait()
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		time.Sleep(59 * time.Minute)
		s.stop()
		require.Empty(t, s.phone.messages(notify.PageReminder))
		s.open()
		time.Sleep(61 * time.Second)
		require.Len(t, s.phone.messages(notify.PageReminder), 1, "the engineer on call again")
		time.Sleep(15 * time.Minute)
		require.Equal(t, "linus", s.phone.messages(notify.PageReminder)[1].To, "and the lead after him")
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Linus"))
		time.Sleep(30 * time.Minute)
		s.stop()
		require.Len(t, s.phone.messages(notify.PageReminder), 2)
	})
}

// TestComplaintIncident7_ARunThatCrashedBlocksNothing: what had begun and has no outcome begins
// again, and later things are due at their time.
func TestComplaintIncident7_ARunThatCrashedBlocksNothing(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(signal("book"))
		synctest.Wait()
		crashed := in.DeclaredAt.Add(15 * time.Minute)
		time.Sleep(14 * time.Minute)
		for _, e := range []incident.Event{ // what a process leaves that dies in the middle of everything
			{Kind: incident.HaltDue, What: "the gate is to be closed"},
			{Kind: incident.DrainDue, What: "the orders in flight are waited for"},
			{Kind: incident.PageDue, What: "Lead Engineer is to be paged", Data: incident.Data{
				Key: "inconsistent-positions/book/1/page/1/1", Round: 1, Step: 2, Roles: []string{"Lead Engineer"}, DueAt: crashed}},
			{Kind: incident.NoticeDue, What: "a status update is to be sent", Data: incident.Data{Key: "x", Notice: "update"}},
		} {
			e.At, e.Incident, e.By, e.Why = crashed, in.Number, "andon/incident", "it is due"
			_, err := s.store.Append(t.Context(), incident.Any, e)
			require.NoError(t, err)
		}
		s.stop()
		time.Sleep(2 * time.Minute)
		engaged := s.gate.count()
		s.open()
		synctest.Wait()
		require.Equal(t, engaged+1, s.gate.count(), "nobody knows whether the gate was closed")
		require.Equal(t, "linus", s.phone.messages(notify.InitialAlert)[1].To)
		time.Sleep(20 * time.Minute)
		require.Len(t, s.phone.messages(notify.InitialAlert), 3)
		require.NotEmpty(t, s.phone.messages(notify.StatusUpdate))
		s.stop()
	})
}

// TestComplaintIncident8_TheBotStartsAndHaltsWithEveryChannelDown, and pages as soon as one is back.
func TestComplaintIncident8_TheBotStartsAndHaltsWithEveryChannelDown(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := &stack{t: t, path: path, gate: &gate{}, phone: &phone{fail: func(notify.Message) error { return errors.New("down") }}}
		s.open()
		defer s.stop()
		in := s.declare(signal("book"))
		require.Equal(t, incident.GateClosed, in.Gate)
		time.Sleep(3 * time.Minute)
		require.Empty(t, s.phone.all())
		s.phone.mu.Lock()
		s.phone.fail = nil
		s.phone.mu.Unlock()
		time.Sleep(2 * time.Minute)
		require.Len(t, s.phone.messages(notify.InitialAlert), 1)
	})
}
