package recorded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon"
)

// record is one record whose fields are read by name. The first problem is kept and
// what is read after it does not count.
type record struct {
	d      *decoder
	fields map[string]field
	err    error
}

type field struct {
	raw  json.RawMessage
	line int
}

func (r *record) read(name string) error {
	var raw json.RawMessage
	line := r.d.line()
	if err := r.d.value(&raw); err != nil {
		return err
	}
	r.fields[name] = field{raw, line}
	return nil
}

// fail keeps the first problem, with the place of the field.
func (r *record) fail(name string, err error) {
	if r.err != nil {
		return
	}
	f, ok := r.fields[name]
	if !ok {
		f.line = r.d.line()
	}
	r.err = &Error{File: r.d.file, Line: f.line, Page: r.d.page, Record: r.d.rec, Field: name, Err: err}
}

// has reports whether the field is there and not null.
func (r *record) has(name string) bool {
	f, ok := r.fields[name]
	return ok && !bytes.Equal(f.raw, []byte("null"))
}

// raw returns the JSON of a field that must be there.
func (r *record) raw(name string) (json.RawMessage, bool) {
	if !r.has(name) {
		r.fail(name, errMissing)
		return nil, false
	}
	return r.fields[name].raw, true
}

// text returns a field that must be a text and not empty.
func (r *record) text(name string) string {
	raw, ok := r.raw(name)
	if !ok {
		return ""
	}
	var s string
	switch err := json.Unmarshal(raw, &s); {
	case err != nil:
		r.fail(name, fmt.Errorf("want a text, found %s", short(raw)))
	case !utf8.Valid(raw):
		r.fail(name, fmt.Errorf("%q is not UTF-8", short(raw)))
	case strings.TrimSpace(s) == "":
		r.fail(name, fmt.Errorf("is empty"))
	}
	return s
}

// number returns a whole number above zero, in digits.
func (r *record) number(name string) string {
	raw, ok := r.raw(name)
	if !ok {
		return ""
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || n == 0 {
		r.fail(name, fmt.Errorf("want a whole number above 0, found %s", short(raw)))
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// amount returns an exact decimal, from a text or a number.
func (r *record) amount(name string) andon.Decimal {
	raw, ok := r.raw(name)
	if !ok {
		return andon.Decimal{}
	}
	var d andon.Decimal
	if err := d.UnmarshalJSON(raw); err != nil {
		r.fail(name, err)
	}
	return d
}

// positive returns an amount above zero.
func (r *record) positive(name string) andon.Decimal {
	d := r.amount(name)
	if d.Sign() <= 0 {
		r.fail(name, fmt.Errorf("is %v, want more than 0", d))
	}
	return d
}

// notNegative returns an amount of zero or more.
func (r *record) notNegative(name string) andon.Decimal {
	d := r.amount(name)
	if d.Sign() < 0 {
		r.fail(name, fmt.Errorf("is %v, want 0 or more", d))
	}
	return d
}

// moment returns a time, in UTC.
func (r *record) moment(name string) time.Time {
	text := r.text(name)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.fail(name, fmt.Errorf("%q is not a time like 2025-06-16T03:20:17.3407Z", short([]byte(text))))
	}
	return at.UTC()
}

func (r *record) side(name string) (s andon.Side) {
	if err := s.UnmarshalText([]byte(r.text(name))); err != nil {
		r.fail(name, err)
	}
	return s
}

// product returns a symbol such as "BTC-USDT" and the currency that it is quoted in,
// which fees are taken in.
func (r *record) product(name string) (symbol, quote string) {
	symbol = r.text(name)
	base, quote, ok := strings.Cut(symbol, "-")
	if !ok || base == "" || quote == "" {
		r.fail(name, fmt.Errorf("%q is not a product like BTC-USDT", short([]byte(symbol))))
	}
	return symbol, quote
}

// short returns what an error shows of a value.
func short(b []byte) string {
	const most = 48
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}
