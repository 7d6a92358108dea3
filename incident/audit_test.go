package incident_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

// Whatever a runner forgets or wrongly believes, the audit reads the timeline and
// performs what was missed, once, within Config.AuditEvery and a little.
func TestTheAuditPerformsWhatTheRunnerHasMissed(t *testing.T) {
	for name, damage := range map[string]func(m *incident.Manager){
		"it lost the time":        (*incident.Manager).Forget,
		"it believes to be at it": func(m *incident.Manager) { m.Believe("risk-offline/risk/1/page/1/1") },
		"it lost everything":      (*incident.Manager).Misremember,
	} {
		t.Run(name, func(t *testing.T) {
			path := place(t)
			synctest.Test(t, func(t *testing.T) {
				s := start(t, path)
				defer s.stop()
				in := s.declare(minor("risk"))
				time.Sleep(14*time.Minute + 30*time.Second)
				damage(s.m)
				time.Sleep(2 * time.Minute)
				pages := s.phone.messages(notify.InitialAlert)
				require.Len(t, pages, 2)
				require.Equal(t, "linus", pages[1].To)
				found := only(s.timeline(in.Number), incident.Audited)
				require.NotEmpty(t, found)
				require.Contains(t, found[0].What, "risk-offline/risk/1/page/1/1")
				require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Linus"), "and the runner goes on from there")
				time.Sleep(time.Hour)
				require.Len(t, s.phone.messages(notify.InitialAlert), 2)
				require.NotEmpty(t, s.phone.messages(notify.StatusUpdate))
			})
		})
	}
}

// A runner that does its work gives the audit nothing to do, whatever the channels and
// the store do.
func TestTheAuditFindsNothingWhereNothingWasMissed(t *testing.T) {
	for name, trouble := range map[string]func(s *stack){
		"all is well": func(*stack) {},
		"nobody answers": func(s *stack) {
			s.phone.fail = func(notify.Message) error { return errors.New("busy") }
		},
		"a receiver wants silence": func(s *stack) {
			s.phone.fail = func(notify.Message) error { return &notify.DeliveryError{RetryAfter: 7 * time.Minute} }
		},
		"a delivery takes its time": func(s *stack) { s.phone.takes = map[string]time.Duration{"ada": 9 * time.Second} },
		"the gate hangs":            func(s *stack) { s.gate.set(func() error { time.Sleep(time.Hour); return nil }) },
		"the disk is gone":          func(s *stack) { s.store.breakIt(errDisk) },
		"the disk goes later": func(s *stack) {
			time.AfterFunc(10*time.Minute, func() { s.store.breakIt(errDisk) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := place(t)
			synctest.Test(t, func(t *testing.T) {
				s := start(t, path)
				trouble(s)
				in, _ := s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
				time.Sleep(time.Hour)
				require.Empty(t, only(s.timeline(in.Number), incident.Audited))
				s.store.breakIt(nil)
				time.Sleep(time.Hour)
				require.Empty(t, only(s.timeline(in.Number), incident.Audited))
				s.stop()
				time.Sleep(2 * time.Hour) // what still sleeps ends
			})
		})
	}
}
