package postmortem

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/andon-go/andon/notify"
)

// special is what Markdown, or the HTML in it, takes for more than text anywhere
// in a line.
const special = "\\`*_[]<>|~#&!@$"

// esc makes what somebody wrote plain text on one line, wherever it stands.
//
// A report is shown to more people than the timeline: what looks like a secret stays behind.
func esc(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(notify.Redact(s), "\uFFFD")), " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, s)
	var b strings.Builder
	for i, r := range s {
		if strings.ContainsRune(special, r) || opens(s, i) || links(s, i) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// opens reports whether the character at i makes the beginning of a line a list, a
// heading's underline or a rule.
func opens(s string, i int) bool {
	if strings.Trim(s[:i], "0123456789") != "" {
		return false
	}
	ends := i+1 == len(s) || s[i+1] == ' '
	return i == 0 && strings.ContainsRune("-+=", rune(s[i])) || i > 0 && ends && (s[i] == '.' || s[i] == ')')
}

// links reports whether the character at i is what makes a bare address a link.
func links(s string, i int) bool {
	return strings.HasPrefix(s[i:], "://") || s[i] == '.' && strings.HasSuffix(strings.ToLower(s[:i]), "www")
}

// took writes a duration for people: "not on record" below zero.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "not on record"
	case d < time.Minute:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Second).String()
}

// hours writes a duration as the template has it, whole minutes, cut off.
func hours(d time.Duration) string {
	d = max(0, d)
	return fmt.Sprintf("%d hours %d minutes", d/time.Hour, d%time.Hour/time.Minute)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
