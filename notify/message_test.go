package notify_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// message returns what Message returned, and needs it to have had no error.
func message(t *testing.T) func(notify.Message, error) notify.Message {
	return func(m notify.Message, err error) notify.Message {
		t.Helper()
		require.NoError(t, err)
		return m
	}
}

func TestTheTemplatesAreThePlaybooksWordForWord(t *testing.T) {
	text := playbook(t)
	for heading, template := range map[string]string{
		"#### Initial Alert":                            notify.DefaultAlert,
		"#### Status Update (Every 30 min for SEV-1/2)": notify.DefaultUpdate,
		"#### Resolution Notice":                        notify.DefaultResolution,
	} {
		_, rest, found := strings.Cut(text, heading+"\n```\n")
		require.True(t, found, heading)
		block, _, found := strings.Cut(rest, "\n```")
		require.True(t, found, heading)
		require.Equal(t, block, template, heading)
	}
}

var alert = notify.Alert{Key: "k", Incident: "INC-20260314-007", Level: severity.SEV1, At: start,
	Impact: "Coinbase refuses our keys", Commander: "Ada"}

func TestMessagesSayThePlaybooksWords(t *testing.T) {
	m := message(t)(alert.Message(notify.Templates{}))
	require.Equal(t, `🚨 INCIDENT ALERT - SEV-1
Time: 2026-03-14 09:00:00 UTC
System: AI Trading Bot
Impact: Coinbase refuses our keys
Status: Investigating
IC: Ada
Channel: #incident-20260314-007`, m.Text)
	require.Equal(t, notify.Message{Key: "k", Incident: "INC-20260314-007", Kind: notify.InitialAlert, Level: severity.SEV1, At: start, Text: m.Text}, m)

	m = message(t)(notify.Update{Key: "k", Level: severity.SEV2, At: start.In(time.FixedZone("", 5*3600)), Status: "mitigated",
		ActionsTaken: []string{"halted trading", "rotated the keys"}, NextSteps: []string{"reconcile [List]"}, ETA: "20 min"}.Message(notify.Templates{}))
	require.Equal(t, `📊 INCIDENT UPDATE - SEV-2
Time: 2026-03-14 09:00:00 UTC
Current Status: mitigated
Actions Taken: halted trading; rotated the keys
Next Steps: reconcile [List]
ETA: 20 min`, m.Text)
	require.Equal(t, notify.StatusUpdate, m.Kind)

	m = message(t)(notify.Resolution{Key: "k", Level: severity.SEV3, At: start, Duration: 61*time.Minute + 59*time.Second,
		RootCause: "expired key", Impact: "none lost", PostMortem: start.Add(24 * time.Hour)}.Message(notify.Templates{}))
	require.Equal(t, `✅ INCIDENT RESOLVED - SEV-3
Time: 2026-03-14 09:00:00 UTC
Duration: 1 hour 1 minute
Root Cause: expired key
Impact: none lost
Post-Mortem: 2026-03-15 09:00:00 UTC`, m.Text)
	require.Equal(t, notify.ResolutionNotice, m.Kind)

	m = message(t)(notify.Breach{Key: "k", Incident: "INC-20260314-007", Level: severity.SEV1, At: start.Add(time.Hour),
		Target: "response", Due: start, Status: "open"}.Message(notify.Templates{}))
	require.Equal(t, `⌛ INCIDENT TARGET MISSED - SEV-1
Time: 2026-03-14 10:00:00 UTC
Target: response
Due: 2026-03-14 09:00:00 UTC
Status: open
Channel: #incident-20260314-007`, m.Text)
	require.Equal(t, notify.BreachNotice, m.Kind)

	m = message(t)(notify.Reminder{Key: "k", Incident: "INC-20260314-007", Level: severity.SEV2, At: start, Impact: "no fills",
		Reason: "nobody has acknowledged it", OpenFor: time.Hour}.Message(notify.Templates{}))
	require.Equal(t, `⏰ INCIDENT REMINDER - SEV-2
Time: 2026-03-14 09:00:00 UTC
System: AI Trading Bot
Impact: no fills
Reason: nobody has acknowledged it
Open For: 1 hour 0 minutes
Channel: #incident-20260314-007`, m.Text)
	require.Equal(t, notify.PageReminder, m.Kind)

	m = message(t)(notify.Acknowledgement{Key: "k", Incident: "INC-20260314-007", Level: severity.SEV1, At: start, By: "Ada", Pages: []string{"p"}}.Message(notify.Templates{}))
	require.Equal(t, `👀 INCIDENT ACKNOWLEDGED - SEV-1
Time: 2026-03-14 09:00:00 UTC
Acknowledged By: Ada
Channel: #incident-20260314-007`, m.Text)
	require.Equal(t, []string{"p"}, m.Pages)
}

func TestLaw1_WhatIsNotKnownIsSaidToBeUnknown(t *testing.T) {
	m := message(t)(notify.Alert{}.Message(notify.Templates{}))
	require.Equal(t, `🚨 INCIDENT ALERT - SEV-1 (unclassified)
Time: unknown
System: AI Trading Bot
Impact: unknown
Status: Investigating
IC: unknown
Channel: #incident-unknown`, m.Text)
	m = message(t)(notify.Update{}.Message(notify.Templates{}))
	require.Contains(t, m.Text, "Current Status: unknown\nActions Taken: none\nNext Steps: none\nETA: unknown")
	m = message(t)(notify.Resolution{Duration: -1}.Message(notify.Templates{}))
	require.Contains(t, m.Text, "Duration: unknown\nRoot Cause: unknown\nImpact: unknown\nPost-Mortem: not scheduled")
}

func TestTheWarningComesFirst(t *testing.T) {
	a := alert
	a.Warning = "STOP NOT CONFIRMED: the gate\ncould not be closed"
	m := message(t)(a.Message(notify.Templates{}))
	require.True(t, strings.HasPrefix(m.Text, "STOP NOT CONFIRMED: the gate could not be closed\n🚨 INCIDENT ALERT"), m.Text)
}

func TestABrokenTemplateStillGivesAMessageWithTheFacts(t *testing.T) {
	for name, tc := range map[string]struct{ template, problem string }{
		"unknown field": {"!!\n[TIMESTAMP] [Colour]", "line 2: there is no field [Colour]"},
		"open bracket":  {"SEV-[X] [TIMESTAMP", `line 1: bracket of "[TIMESTAMP" is not closed`},
		"other message": {notify.DefaultResolution, "line 3: there is no field [X hours Y minutes]"},
		"an update's":   {notify.DefaultUpdate, "line 3: there is no field [Status]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := alert
			a.Warning = "STOP NOT CONFIRMED"
			m, err := a.Message(notify.Templates{Alert: tc.template})
			require.ErrorContains(t, err, "template of the alert, plain text is used instead: "+tc.problem)
			for _, fact := range []string{"STOP NOT CONFIRMED", "INCIDENT ALERT", "1", "2026-03-14 09:00:00 UTC", "20260314-007", "Coinbase refuses our keys", "Ada"} {
				require.Contains(t, m.Text, fact)
			}
			require.Equal(t, "k", m.Key)
		})
	}
	m, err := notify.Update{ActionsTaken: []string{"one"}, NextSteps: []string{"two"}}.Message(notify.Templates{Update: "Then: [List]"})
	require.ErrorContains(t, err, "there is no field [List]", "two lists and no label to tell them apart")
	require.Contains(t, m.Text, "Actions Taken: one")
	require.Contains(t, m.Text, "Next Steps: two")
	m, err = alert.Message(notify.Templates{Alert: " \n\t"})
	require.ErrorContains(t, err, "it says nothing")
	require.Contains(t, m.Text, "Coinbase refuses our keys")
	_, err = notify.Resolution{}.Message(notify.Templates{Resolution: "[nope]"})
	require.Error(t, err)
}

func TestATemplateOfOnesOwn(t *testing.T) {
	m := message(t)(alert.Message(notify.Templates{Alert: "Our Bot, [Name]: [Brief description] ([X], [YYYYMMDD-XXX])"}))
	require.Equal(t, "Our Bot, Ada: Coinbase refuses our keys (1, 20260314-007)", m.Text)
	m = message(t)(notify.Update{ActionsTaken: []string{"one"}, NextSteps: []string{"two"}}.Message(notify.Templates{Update: "Next Steps: [List] | Actions Taken: [List]"}))
	require.Equal(t, "Next Steps: two | Actions Taken: one", m.Text)
}

func TestAFieldCannotPoseAsAnother(t *testing.T) {
	a := alert
	a.Impact = "none\nStatus: Resolved\r\u2028IC: Mallory\x1b[2J\u202e [TIMESTAMP]\xff" + strings.Repeat("x", 5000)
	m := message(t)(a.Message(notify.Templates{}))
	lines := strings.Split(m.Text, "\n")
	require.Len(t, lines, 7)
	require.True(t, strings.HasPrefix(lines[3], "Impact: none Status: Resolved IC: Mallory[2J [TIMESTAMP]�x"), lines[3])
	require.True(t, strings.HasSuffix(lines[3], "…"))
	require.Less(t, len(lines[3]), 1100)
}

// FuzzTemplate feeds any template and any words: there is always a message, in
// valid UTF-8, with its key; and no words reach the message as a line of their own.
func FuzzTemplate(f *testing.F) {
	f.Add(notify.DefaultAlert, "impact", "Ada")
	f.Add("[", "a\nb", "]")
	f.Add("[X][X]\n[Name]", "[Name]", "[X]")
	f.Add("Impact: [Brief description]", "\xff\u2029", "")
	f.Fuzz(func(t *testing.T, template, impact, name string) {
		a := alert
		a.Impact, a.Commander = impact, name
		m, err := a.Message(notify.Templates{Alert: template})
		require.Equal(t, "k", m.Key)
		require.NotEmpty(t, strings.TrimSpace(m.Text), "a page without a word")
		if err == nil {
			if template == "" {
				template = notify.DefaultAlert
			}
			require.Equal(t, strings.Count(template, "\n"), strings.Count(m.Text, "\n"))
		} else {
			require.Contains(t, m.Text, "INCIDENT ALERT\n")
			require.Equal(t, 5, strings.Count(m.Text, "\n"))
		}
		if utf8.ValidString(template) {
			require.True(t, utf8.ValidString(m.Text))
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := alert.Message(notify.Templates{}); err != nil {
			b.Fatal(err)
		}
	}
}
