package notify_test

import (
	"testing"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestPageOnCallIsOneCall(t *testing.T) {
	var pager notifytest.Recorder
	c := courier(t, map[string]notify.Notifier{"pager": &pager})
	receipts, err := c.PageOnCall(t.Context(), team(), notify.Alert{Level: severity.SEV1, Impact: "the bot is down"})
	require.NoError(t, err)
	require.Len(t, receipts, 1)
	require.Equal(t, "Ada", receipts[0].Contact)
	m := pager.Messages()[0]
	require.Contains(t, m.Text, "Impact: the bot is down")
	require.True(t, m.First)
	require.NotEmpty(t, m.Key)
	require.False(t, m.At.IsZero())
}

// TestComplaintIncident6_AnEmptyStepIsSkippedAtOnce: with nobody on call, or nobody who can be
// reached, the next person is paged now.
func TestComplaintIncident6_AnEmptyStepIsSkippedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var pager notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"pager": &pager})
		d := team()
		d.Contacts = d.Contacts[1:]
		_, err := c.PageOnCall(t.Context(), d, notify.Alert{Key: "k", Level: severity.SEV1})
		require.NoError(t, err)
		require.Equal(t, "ben", pager.Messages()[0].To)

		pager.Fail(errNoUser)
		receipts, err := c.PageOnCall(t.Context(), team(), notify.Alert{Key: "k", Level: severity.SEV1})
		require.NoError(t, err)
		require.Len(t, receipts, 2)
		require.Equal(t, "Ben", receipts[1].Contact)

		_, err = c.PageOnCall(t.Context(), notify.Directory{}, notify.Alert{Incident: "INC-20260314-001"})
		require.ErrorContains(t, err, "nobody is On-Call Eng now")
		require.ErrorContains(t, err, "nobody is CTO/Risk Officer now")
		pager.Fail(errNoUser, errNoUser, errNoUser, errNoUser)
		_, err = c.PageOnCall(t.Context(), team(), notify.Alert{Incident: "INC-20260314-001"})
		require.ErrorIs(t, err, notify.ErrUndelivered)

		due, next := notify.DefaultPolicy().Due(opened(severity.SEV1), d, start)
		require.Equal(t, []notify.Role{notify.LeadEngineer}, due[0].Roles)
		require.True(t, next.After(start))
	})
}

// TestComplaintIncident8_OneDeadChannelHidesNoOther: a service that is down when the bot starts, and
// hangs, keeps neither the courier from starting nor a page from going out.
func TestComplaintIncident8_OneDeadChannelHidesNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mail notifytest.Recorder
		c := courier(t, map[string]notify.Notifier{"chat": deaf, "broken": sender(nil), "mail": &mail}) // nothing is called to start
		notifytest.RequireNothingSent(t, &mail)
		r := c.Deliver(t.Context(), on("chat", "broken", "mail"), notify.Message{Key: "k"})
		require.NoError(t, r.Err)
		require.Equal(t, "mail", r.Accepted.Channel)
	})
}

// TestComplaintIncident3_ABadTemplateSwallowsNoPage, and what was wrong with it is reported.
func TestComplaintIncident3_ABadTemplateSwallowsNoPage(t *testing.T) {
	var mail notifytest.Recorder
	m, err := alert.Message(notify.Templates{Alert: "{{ .Broken | nope"})
	require.NoError(t, err, "no bracket, no field: this is the text that was asked for")
	require.NotEmpty(t, m.Text)
	m, err = alert.Message(notify.Templates{Alert: "[Nobody] [knows"})
	require.ErrorContains(t, err, "plain text is used instead")
	require.NoError(t, courier(t, map[string]notify.Notifier{"mail": &mail}).Deliver(t.Context(), on("mail"), m).Err)
	require.Contains(t, notifytest.RequireSent(t, &mail, "k").Text, "Impact: Coinbase refuses our keys")
}

// TestComplaintIncident1_NoPageFallsDueAfterTheAck, however long ago the ack was, and a second ack
// un-resolves nothing.
func TestComplaintIncident1_NoPageFallsDueAfterTheAck(t *testing.T) {
	p := notify.DefaultPolicy()
	p.AckTimeout = nil
	pr := opened(severity.SEV1)
	pr.AckedAt = start.Add(1)
	for _, months := range []int{0, 1, 12} {
		due, _ := p.Due(pr, team(), start.AddDate(0, months, 1))
		require.Empty(t, pages(due))
		require.Empty(t, kind(notify.ReopenDue, due))
	}
	pr.ResolvedAt = start.Add(2)
	pr.AckedAt = start.Add(3)
	due, next := notify.DefaultPolicy().Due(pr, team(), start.AddDate(1, 0, 0))
	require.Empty(t, due)
	require.True(t, next.IsZero())
}
