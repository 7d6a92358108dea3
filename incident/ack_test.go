package incident_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestTheAcknowledgementIsToldWithThePagesThatItAnswers(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(minor("risk"))
		time.Sleep(16 * time.Minute) // Ada and Linus are paged, and a breach is told
		s.phone.mu.Lock()
		s.phone.fail = func(notify.Message) error { return &notify.DeliveryError{Permanent: true} }
		s.phone.mu.Unlock()
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Linus"))
		time.Sleep(time.Second)
		require.Empty(t, s.phone.messages(notify.AckNotice))
		s.stop()
		s.phone.fail = nil
		s.open() // a restart does not forget it
		time.Sleep(5 * time.Minute)
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		time.Sleep(time.Minute)
		s.stop()
		told := s.phone.messages(notify.AckNotice)
		require.Len(t, told, 2, "to Ada and Linus, and a second acknowledgement is no news")
		require.ElementsMatch(t, []string{"ada", "linus"}, []string{told[0].To, told[1].To})
		require.Equal(t, "risk-offline/risk/1/acknowledgement/1", told[0].Key)
		require.Subset(t, told[0].Pages, []string{"risk-offline/risk/1/page/1/0", "risk-offline/risk/1/page/1/1"})
		require.Contains(t, told[0].Text, "Linus")
	})
}

func TestNobodyIsToldOfAnAcknowledgementOfWhatWasNotPaged(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		defer s.stop()
		in := s.declare(minor("risk"))
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		require.NoError(t, s.m.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "x", Despite: "a drill"}))
		time.Sleep(time.Hour)
		require.Len(t, s.phone.messages(notify.ResolutionNotice), 1)
		require.LessOrEqual(t, len(s.phone.messages(notify.AckNotice)), 1)
	})
}

// stubborn is a Courier whose deliveries take their time and cannot be stopped.
type stubborn struct {
	incidenttest.Pager
	takes time.Duration
}

func (s *stubborn) Deliver(ctx context.Context, to notify.Contact, m notify.Message) notify.Receipt {
	if m.Kind == notify.InitialAlert {
		time.Sleep(s.takes)
	}
	return s.Pager.Deliver(context.WithoutCancel(ctx), to, m)
}

// A page that is accepted after the acknowledgement rings all the same: the notice
// that stops it comes after it.
func TestThePageUnderWayIsAnsweredToo(t *testing.T) {
	for _, takes := range []time.Duration{3 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			pager := &stubborn{takes: takes}
			m := incidenttest.NewManager(t, func(c *incident.Config) { c.Courier = pager })
			in, err := m.Declare(t.Context(), "watchdog", "down", minor("risk"))
			require.NoError(t, err)
			time.Sleep(time.Second)
			require.NoError(t, m.Acknowledge(t.Context(), in.Number, "Ada"))
			time.Sleep(time.Minute)
			all := pager.Messages()
			last := all[len(all)-1]
			require.Equal(t, notify.AckNotice, last.Kind)
			require.Contains(t, last.Pages, "risk-offline/risk/1/page/1/0")
		})
	}
}

func TestAnUpgradeClosesTheGateThatWasOpenedMeanwhile(t *testing.T) {
	s := start(t, place(t))
	in := s.declare(signal("book")) // SEV-1 halts
	require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV3, "one row"))
	before := s.gate.count() // somebody resumes
	require.NoError(t, s.m.Assess(t.Context(), in.Number, "Ada", severity.SEV1, "all rows"))
	require.Equal(t, before+1, s.gate.count())
	levels := only(s.timeline(in.Number), incident.Assessed)
	require.Equal(t, []string{"SEV-3, from SEV-1", "SEV-1, from SEV-3"}, []string{levels[0].What, levels[1].What})
}

func TestReopenTakesTheResolutionBack(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := start(t, path)
		in := s.declare(signal("book"))
		require.ErrorIs(t, s.m.Reopen(ctx, in.Number, "Ada", "again"), incident.ErrOpen)
		synctest.Wait()
		require.NoError(t, s.m.Acknowledge(ctx, in.Number, "Ada"))
		require.NoError(t, s.m.Mitigate(ctx, in.Number, "Ada", "rows repaired"))
		s.proveAll(in.Number)
		done := incident.Resolution{By: "Ada", Note: "repaired"}
		require.NoError(t, s.m.Resolve(ctx, in.Number, done))
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, s.m.Reopen(ctx, in.Number, "", "again"), incident.ErrUnnamed)
		engaged := s.gate.count()
		s.gate.set(func() error { return errors.New("gone") })
		require.ErrorIs(t, s.m.Reopen(ctx, in.Number, "Ada", "the rows differ again"), incident.ErrStopUnconfirmed)
		s.gate.set(nil)
		require.Equal(t, engaged+1, s.gate.count(), "the gate is closed again")
		synctest.Wait()
		again := s.get(in.Number)
		require.Equal(t, incident.Open, again.Status)
		require.Equal(t, 1, again.Reopened)
		require.Zero(t, again.ResolvedAt)
		require.Zero(t, again.MitigatedAt)
		require.Equal(t, in.ResolveBy, again.ResolveBy)
		pages := s.phone.messages(notify.InitialAlert)
		require.Len(t, pages, 2, "and people are paged again")
		require.NotEqual(t, pages[0].Key, pages[1].Key)
		require.ErrorIs(t, s.m.Resolve(ctx, in.Number, done), incident.ErrUnproven, "what was proven was so before")
		require.Equal(t, in.Number, s.declare(signal("book")).Number, "signals belong to it again")
		s.stop()
		s.open()
		defer s.stop()
		require.Equal(t, incident.Open, s.get(in.Number).Status, "after a restart too")
		s.proveAll(in.Number)
		require.NoError(t, s.m.Resolve(ctx, in.Number, done))
		time.Sleep(time.Minute)
		notices := s.phone.messages(notify.ResolutionNotice)
		require.Len(t, notices, 2)
		require.NotEqual(t, notices[0].Key, notices[1].Key, "the second end is news")

		other := s.declare(signal("book"))
		require.NotEqual(t, in.Number, other.Number)
		require.ErrorIs(t, s.m.Reopen(ctx, in.Number, "Ada", "again"), incident.ErrOpen, "one of a kind is open")
		require.ErrorIs(t, s.m.Reopen(ctx, "INC-1", "Ada", "again"), incident.ErrUnknown)
	})
}
