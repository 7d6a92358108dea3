package notify_test

import (
	"strings"
	"testing"

	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

func TestParseContactReadsThePlaybooksLists(t *testing.T) {
	_, text, found := strings.Cut(playbook(t), "## Emergency Contact Information\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n## ")
	read := map[string]notify.Contact{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			value = strings.ReplaceAll(strings.Trim(value, `"`), "X", "5")
			read[name] = notify.ParseContact(name, value, "role")
			require.True(t, len(read[name].Addresses) > 0 || read[name].Note != "", line)
		}
	}
	require.Len(t, read, 3+3+3+2+3+2)
	require.Equal(t, []notify.Address{{Channel: "email", To: "cto@company.com"}, {Channel: "telephone", To: "+1-555-555-5555"}}, read["cto"].Addresses)
	require.Equal(t, []notify.Address{{Channel: "telephone", To: "+1-555-555-5555"}}, read["primary"].Addresses)
	require.Equal(t, "AWS Support Center | Business Support", read["aws_support"].Note)
	require.Equal(t, "trading-bot-oncall", read["pagerduty"].Note)
	require.Equal(t, notify.Address{Channel: "telephone", To: "1-888-908-7930"}, read["coinbase_support"].Addresses[1])
}

// FuzzParseContact reads any line: each part that is not blank becomes an address
// or stands in the note.
func FuzzParseContact(f *testing.F) {
	f.Add("lead@company.com | +1-555-010-0199")
	f.Add("AWS Support Center | Business Support")
	f.Add("https://hooks.example.com/x|| (030) 123-45.67 |+|Ada <a@b.c>")
	f.Fuzz(func(t *testing.T, line string) {
		c := notify.ParseContact("n", line)
		parts := 0
		for p := range strings.SplitSeq(line, "|") {
			if strings.TrimSpace(p) != "" {
				parts++
			}
		}
		notes := 0
		if c.Note != "" {
			notes = 1 + strings.Count(c.Note, "|")
		}
		require.Equal(t, parts, len(c.Addresses)+notes)
		for _, a := range c.Addresses {
			require.Contains(t, line, a.To)
		}
	})
}

// FuzzClock reads any text: what is read is written as it was.
func FuzzClock(f *testing.F) {
	for _, s := range []string{"09:30", "24:00", "9:30", "00:00", "-1:00", "2026-03-14", "2026-02-30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c notify.Clock
		if c.UnmarshalText([]byte(s)) == nil {
			text, err := c.MarshalText()
			require.NoError(t, err)
			require.Equal(t, s, string(text))
		}
		var d notify.Date
		if d.UnmarshalText([]byte(s)) == nil {
			text, err := d.MarshalText()
			require.NoError(t, err)
			require.Equal(t, s, string(text))
		}
	})
}
