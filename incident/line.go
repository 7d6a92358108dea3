package incident

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// MaxLine is the longest line that an event may have, in bytes. A longer event is
// refused by a store; Manager shortens long texts, and says so in them.
const MaxLine = 1 << 20

var (
	// ErrEvent says that an event cannot be stored as it is: it lacks who, what,
	// why or when, or is longer than MaxLine.
	ErrEvent = errors.New("event cannot be stored")

	// ErrLine says that a line is no event, or is not the one that was written.
	ErrLine = errors.New("not a valid event line")
)

// Hash is the SHA-256 of an event's line up to its own hash. The zero value stands
// before the first event.
type Hash [sha256.Size]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns what String does.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if rest, ok := cutHash(text, "", h); !ok || len(rest) > 0 {
		return fmt.Errorf("%q is no hash of %d lower-case hexadecimal digits", text, hexLen)
	}
	return nil
}

// Body is an event encoded but for its place: the part that many goroutines can
// prepare at once. Seal does the rest.
type Body []byte

// wireBody is the middle of a line.
type wireBody struct {
	At       time.Time `json:"at"`
	Incident string    `json:"incident,omitempty"`
	Kind     Kind      `json:"kind"`
	By       string    `json:"by"`
	What     string    `json:"what"`
	Why      string    `json:"why"`
	Data     Data      `json:"data,omitzero"`
	Cites    Tip       `json:"cites,omitzero"`
}

const (
	lineOpen = `{"seq":`
	linePrev = `,"prev":"`
	lineHash = `","hash":"`
	lineEnd  = `"}`

	hexLen    = 2 * sha256.Size
	lineTail  = len(linePrev) + hexLen + len(lineHash) + hexLen + len(lineEnd)
	lineFrame = len(lineOpen) + 20 + 1 + lineTail // the most that Seal adds
)

// Seal appends the line of the event with number seq after the one whose hash is
// prev, without a newline, and returns the line's own hash:
//
//	{"seq":7,"at":"…","kind":"…","by":"…","what":"…","why":"…","prev":"…","hash":"…"}
//
// The hash covers every byte of the line before `","hash":"`, so any tool that
// knows SHA-256 can check it.
func (b Body) Seal(dst []byte, seq uint64, prev Hash) ([]byte, Hash) {
	start := len(dst)
	dst = append(dst, lineOpen...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, ',')
	dst = append(dst, b...)
	dst = append(dst, linePrev...)
	dst = hex.AppendEncode(dst, prev[:])
	own := Hash(sha256.Sum256(dst[start:]))
	dst = append(dst, lineHash...)
	dst = hex.AppendEncode(dst, own[:])
	return append(dst, lineEnd...), own
}

// Link is a line's place in the chain.
type Link struct {
	Seq        uint64
	Prev, Hash Hash
}

// ParseLink reads a line's place and checks that its bytes have the hash that it
// gives. It does not look at the rest, and does not allocate. The error is ErrLine.
func ParseLink(line []byte) (Link, error) {
	var l Link
	body, ok := bytes.CutPrefix(line, []byte(lineOpen))
	if !ok {
		return l, fmt.Errorf("%w: it does not begin with %s", ErrLine, lineOpen)
	}
	digits, _, ok := bytes.Cut(body, []byte(","))
	if !ok || len(body) < len(digits)+1+lineTail {
		return l, fmt.Errorf("%w: it is cut short", ErrLine)
	}
	for _, c := range digits {
		if c < '0' || c > '9' || l.Seq > (1<<63)/10 {
			return l, fmt.Errorf("%w: seq is not a number", ErrLine)
		}
		l.Seq = l.Seq*10 + uint64(c-'0')
	}
	if l.Seq == 0 || digits[0] == '0' {
		return l, fmt.Errorf("%w: seq does not begin at 1", ErrLine)
	}
	tail := line[len(line)-lineTail:]
	tail, okPrev := cutHash(tail, linePrev, &l.Prev)
	tail, okHash := cutHash(tail, lineHash, &l.Hash)
	if !okPrev || !okHash || string(tail) != lineEnd {
		return l, fmt.Errorf("%w: it does not end with prev and hash", ErrLine)
	}
	covered := line[:len(line)-len(lineEnd)-hexLen-len(lineHash)]
	if sha256.Sum256(covered) != l.Hash {
		return l, fmt.Errorf("%w: event %d was altered: its bytes do not have its hash", ErrLine, l.Seq)
	}
	return l, nil
}

// cutHash reads `label` and the hash after it.
func cutHash(b []byte, label string, h *Hash) ([]byte, bool) {
	if len(b) < len(label)+hexLen || string(b[:len(label)]) != label {
		return b, false
	}
	b = b[len(label):]
	bad := byte(0)
	for i := range h {
		hi, lo := nibbles[b[2*i]], nibbles[b[2*i+1]]
		bad |= hi | lo
		h[i] = hi<<4 | lo
	}
	return b[hexLen:], bad < 16
}

// nibbles has the value of each lower-case hexadecimal digit; 255 is none. One
// spelling only, so that a line has one form.
var nibbles = func() (t [256]byte) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = byte(c - '0')
		case 'a' <= c && c <= 'f':
			t[c] = byte(c - 'a' + 10)
		default:
			t[c] = 255
		}
	}
	return t
}()

// ParseLine reads an event from its line, without the newline, and checks its own
// hash. That Prev is the hash of the line before is for the reader of the whole
// file to check. The error is ErrLine and says what is wrong.
func ParseLine(line []byte) (Event, error) {
	l, err := ParseLink(line)
	if err != nil {
		return Event{}, err
	}
	var w struct {
		Seq uint64 `json:"seq"`
		wireBody
		Prev string `json:"prev"`
		Hash string `json:"hash"`
	}
	if err := json.Unmarshal(line, &w); err != nil {
		return Event{}, fmt.Errorf("%w: event %d: %w", ErrLine, l.Seq, err)
	}
	if w.Seq != l.Seq || w.Prev != l.Prev.String() || w.Hash != l.Hash.String() {
		return Event{}, fmt.Errorf("%w: event %d: seq, prev or hash stands there twice", ErrLine, l.Seq)
	}
	b := w.wireBody
	e := Event{l.Seq, b.At, b.Incident, b.Kind, b.By, b.What, b.Why, b.Data, b.Cites, l.Prev, l.Hash}
	if err := e.validate(); err != nil {
		return Event{}, fmt.Errorf("%w: event %d: %w", ErrLine, l.Seq, err)
	}
	return e, nil
}
