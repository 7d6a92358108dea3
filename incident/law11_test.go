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

// With the store gone and the first channel dead the stop works, the page goes out by
// the channel that is left, and the record is kept until the store is back.
func TestLaw11_TheStopThePageAndTheRecordNeedNothingThatIsDown(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		dead := &phone{fail: func(notify.Message) error { return errors.New("the chat is down") }}
		left := &phone{}
		courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"chat": dead, "sms": left}})
		require.NoError(t, err)
		team := everybody()
		for i, c := range team.Contacts {
			to := c.Addresses[0].To
			team.Contacts[i].Addresses = []notify.Address{{Channel: "chat", To: to}, {Channel: "sms", To: to}}
		}
		s := start(t, path, func(c *incident.Config) { c.Courier, c.Directory, c.Channels = courier, team, courier.Channels() })
		s.store.breakIt(errDisk)
		in, err := s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.Equal(t, incident.GateClosed, in.Gate)
		require.Len(t, left.messages(notify.InitialAlert), 1)
		time.Sleep(16 * time.Minute)
		require.Len(t, left.messages(notify.InitialAlert), 2, "the escalation goes on")
		s.store.breakIt(nil)
		time.Sleep(time.Second)
		n, err := s.m.Unrecorded()
		require.NoError(t, err)
		require.Zero(t, n)
		s.stop()
		require.Len(t, only(s.timelineOf(in.Number), incident.Paged), 2)
	})
}
