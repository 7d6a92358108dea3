package email

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"strings"
	"time"
	"unicode"

	"github.com/andon-go/andon/notify"
	"github.com/wneessen/go-mail"
)

// KeyHeader holds the dedup key.
const KeyHeader = "X-Andon-Key"

// letter writes the mail.
func (n *Notifier) letter(m notify.Message) (*mail.Msg, error) {
	to, err := address(m.To)
	if err != nil {
		return nil, err
	}
	letter := mail.NewMsg(mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP))
	if err := letter.From(n.cfg.From); err != nil {
		return nil, err
	}
	if err := letter.To(to); err != nil {
		return nil, err
	}
	letter.Subject(subject(m))
	letter.SetDateWithValue(time.Now())
	letter.SetMessageIDWithValue(n.id(m.Key, to))
	if m.Incident != "" {
		thread := "<" + n.id("incident/"+m.Incident) + ">"
		letter.SetGenHeader(mail.HeaderInReplyTo, thread)
		letter.SetGenHeader(mail.HeaderReferences, thread)
	}
	letter.SetGenHeader(KeyHeader, mime.QEncoding.Encode("utf-8", oneLine(m.Key)))
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // keeps vacation programs quiet
	if m.Kind == notify.InitialAlert || m.Kind == notify.PageReminder || m.Kind == notify.BreachNotice {
		letter.SetImportance(mail.ImportanceUrgent)
	}
	letter.SetBodyString(mail.TypeTextPlain, strings.ToValidUTF8(m.Text, "�"))
	return letter, nil
}

// id makes an identifier that is the same wherever it is made of the same parts.
func (n *Notifier) id(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	_, domain, _ := strings.Cut(n.cfg.From, "@")
	return "andon." + hex.EncodeToString(sum[:16]) + "@" + domain
}

const longestSubject = 200 // characters

// subject says what it is, so that it can be read on a locked telephone.
func subject(m notify.Message) string {
	about, _, _ := strings.Cut(m.Text, "\n")
	if _, after, found := strings.Cut(m.Text, "Impact: "); found && !strings.Contains(about, "NOT CONFIRMED") && !strings.Contains(about, "AT ONCE") {
		about, _, _ = strings.Cut(after, "\n")
	}
	s := oneLine("[" + m.Level.String() + "] " + m.Incident + " " + string(m.Kind) + ": " + about)
	if runes := []rune(s); len(runes) > longestSubject {
		s = string(runes[:longestSubject-1]) + "…"
	}
	return s
}

// oneLine keeps what stands in a header to it.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, s)
}
