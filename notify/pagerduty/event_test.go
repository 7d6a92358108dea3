package pagerduty

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

// FuzzEvent makes events of any message: each is JSON that keeps to the limits.
func FuzzEvent(f *testing.F) {
	f.Add("key", "INC-20260314-001", "🚨\nImpact: x", uint8(1), 1)
	f.Add("\xff", "", "Impact: \x00", uint8(0), 300_000)
	n := &Notifier{source: "AI Trading Bot"}
	f.Fuzz(func(t *testing.T, key, incident, text string, kind uint8, times int) {
		for range max(0, min(times, 600_000)) / max(1, len(text)) {
			text += "\x01" // six bytes of JSON
		}
		kinds := []notify.Kind{notify.InitialAlert, notify.PageReminder, notify.StatusUpdate, notify.BreachNotice, notify.AckNotice, notify.ResolutionNotice}
		all, err := n.events(notify.Message{Key: key + "k", Incident: incident, Text: text, Kind: kinds[int(kind)%len(kinds)], Pages: []string{key + "p"}})
		require.NoError(t, err)
		for _, e := range all {
			body, err := e.encode(notify.Secret("0123456789abcdef0123456789abcdef"))
			require.NoError(t, err)
			require.LessOrEqual(t, len(body), largestEvent)
			require.True(t, json.Valid(body))
			require.LessOrEqual(t, utf8.RuneCountInString(e.DedupKey), longestKey)
			if e.Payload != nil {
				require.NotEmpty(t, e.Payload.Summary)
				require.LessOrEqual(t, utf8.RuneCountInString(e.Payload.Summary), longestSummary)
			}
		}
	})
}
