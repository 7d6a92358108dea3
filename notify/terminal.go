package notify

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
)

// Terminal is a Notifier that writes messages for a person at a terminal, or to a
// log. It lives here because a terminal is no external system: it takes an
// io.Writer and nothing else. Safe for concurrent use; messages are never mixed.
//
// A writer that blocks blocks Notify, whatever ctx says; a Courier goes on to the
// next channel all the same.
type Terminal struct {
	mu sync.Mutex
	w  io.Writer
}

// NewTerminal returns a Terminal that writes to w.
func NewTerminal(w io.Writer) *Terminal { return &Terminal{w: w} }

// Notify writes the message in one Write. Control characters are left out, so that
// no text can move the cursor or hide what stands before it.
func (t *Terminal) Notify(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return &DeliveryError{Err: fmt.Errorf("terminal: %w", err)}
	}
	text := fmt.Sprintf("to %s [%s]\n  %s\n", printable(m.To), printable(m.Key),
		strings.ReplaceAll(printable(m.Text), "\n", "\n  "))
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := io.WriteString(t.w, text); err != nil {
		return &DeliveryError{Err: fmt.Errorf("terminal: %w", err)}
	}
	return nil
}

// printable leaves out what a terminal would obey, except the end of a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "�"))
}
