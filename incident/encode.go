package incident

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/severity"
)

// Encode prepares an event for a store. Seq, Prev and Hash are left out. Invalid
// UTF-8 is stored as U+FFFD. The error is ErrEvent and names each field.
func (e Event) Encode() (Body, error) {
	return e.AppendBody(make([]byte, 0, 512))
}

// AppendBody appends what Encode returns to dst, for callers that use a buffer again.
// After an error it returns nil, and dst is as it was up to its length.
func (e Event) AppendBody(dst []byte) ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	start := len(dst)
	w := writer{b: dst, start: start}
	w.body(&e)
	if w.other {
		var err error
		if w.b, err = e.appendJSON(dst); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
	}
	if n := len(w.b) - start; n > MaxLine-lineFrame {
		return nil, fmt.Errorf("%w: it has %d bytes and %d are allowed", ErrEvent, n, MaxLine-lineFrame)
	}
	return w.b, nil
}

// appendJSON appends the body as encoding/json writes it.
func (e *Event) appendJSON(dst []byte) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the file is for people too
	if err := enc.Encode(wireBody{e.At.UTC(), e.Incident, e.Kind, e.By, e.What, e.Why, e.Data, e.Cites}); err != nil {
		return nil, err
	}
	return append(dst, buf.Bytes()[1:buf.Len()-2]...), nil // without the braces and the newline
}

// writer appends byte for byte what encoding/json makes of a wireBody, in a quarter of
// the time: most of what an append costs the processor was that. What is rare, or is an
// error, it leaves to encoding/json.
type writer struct {
	b     []byte
	start int  // where in b the body begins
	other bool // encoding/json is to write it
}

func (w *writer) body(e *Event) {
	w.time("at", e.At.UTC())
	w.some("incident", e.Incident)
	w.text("kind", string(e.Kind))
	w.text("by", e.By)
	w.text("what", e.What)
	w.text("why", e.Why)
	w.data(&e.Data)
	if e.Cites != (Tip{}) {
		w.name("cites")
		w.b = append(w.b, `{"seq":`...)
		w.b = strconv.AppendUint(w.b, e.Cites.Seq, 10)
		w.b = append(w.b, `,"hash":"`...)
		w.b = hex.AppendEncode(w.b, e.Cites.Hash[:])
		w.b = append(w.b, `"}`...)
	}
}

// data leaves the object out where nothing is in it.
func (w *writer) data(d *Data) {
	before := len(w.b)
	w.name("data")
	w.b = append(w.b, '{')
	open := len(w.b)
	w.some("condition", d.Condition)
	w.some("component", d.Component)
	w.number("episode", int64(d.Episode))
	w.level("level", d.Level)
	w.yes("no_halt", d.NoHalt)
	w.some("ref", d.Ref)
	w.time("signal_at", d.SignalAt)
	w.time("respond_by", d.RespondBy)
	w.time("resolve_by", d.ResolveBy)

	w.some("trace", d.Trace)
	w.some("key", d.Key)
	w.number("round", int64(d.Round))
	w.number("step", int64(d.Step))
	w.list("roles", d.Roles)
	w.some("notice", d.Notice)
	w.time("due_at", d.DueAt)
	w.time("retry_at", d.RetryAt)
	w.time("sent_at", d.SentAt)
	w.some("channel", d.Channel)
	w.number("tries", int64(d.Tries))
	w.some("error", d.Error)
	w.list("in_flight", d.Flight)

	w.some("role", d.Role)
	w.some("item", d.Item)
	w.yes("attested", d.Attested)
	w.some("contact", d.Contact)
	w.some("root_cause", d.RootCause)
	w.time("post_mortem", d.PostMortem)
	w.list("unproven", d.Unproven)

	w.some("boot", d.Boot)
	w.number("uptime", int64(d.Uptime))

	w.other = w.other || d.Impact != nil || d.Update != nil || d.Run != nil
	if len(w.b) > open {
		w.b = append(w.b, '}')
		return
	}
	w.b = w.b[:before]
	// What is empty and yet is not the zero value is an object without fields.
	w.other = w.other || d.Roles != nil || d.Flight != nil || d.Unproven != nil
	for _, t := range []*time.Time{&d.SignalAt, &d.RespondBy, &d.ResolveBy, &d.DueAt, &d.RetryAt, &d.SentAt, &d.PostMortem} {
		w.other = w.other || *t != time.Time{}
	}
}

// name begins a field.
func (w *writer) name(name string) {
	if n := len(w.b); n > w.start && w.b[n-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

func (w *writer) text(name, s string) {
	w.name(name)
	w.b = appendQuoted(w.b, s)
}

func (w *writer) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) yes(name string, v bool) {
	if v {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

func (w *writer) number(name string, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *writer) list(name string, all []string) {
	for i, s := range all {
		if i == 0 {
			w.name(name)
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.b = appendQuoted(w.b, s)
	}
	if len(all) > 0 {
		w.b = append(w.b, ']')
	}
}

func (w *writer) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	b, err := t.AppendText(w.b)
	if err != nil {
		w.other = true
		return
	}
	w.b = append(b, '"')
}

func (w *writer) level(name string, l severity.Level) {
	switch {
	case l == 0:
	case l <= severity.SEV4:
		w.name(name)
		w.b = append(w.b, '"', 'S', 'E', 'V', '-', '0'+byte(l), '"')
	default:
		w.other = true
	}
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends a JSON string, escaped as encoding/json does for people.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(append(dst, s[start:i]...), '\\')
			switch c {
			case '"', '\\':
				dst = append(dst, c)
			case '\b':
				dst = append(dst, 'b')
			case '\f':
				dst = append(dst, 'f')
			case '\n':
				dst = append(dst, 'n')
			case '\r':
				dst = append(dst, 'r')
			case '\t':
				dst = append(dst, 't')
			default:
				dst = append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029': // some JavaScript takes them for the end of a line
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	return append(append(dst, s[start:]...), '"')
}
