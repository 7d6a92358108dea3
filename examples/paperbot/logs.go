package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// errorLog is a log handler that remembers its errors, for the item of the checklist
// that asks for a time without any.
type errorLog struct {
	slog.Handler
	seen *errorTimes
}

type errorTimes struct {
	mu   sync.Mutex
	last time.Time
	text string
	n    int
}

// Handle implements slog.Handler.
func (l errorLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		l.seen.mu.Lock()
		l.seen.last, l.seen.text = time.Now(), r.Message
		l.seen.n++
		l.seen.mu.Unlock()
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l errorLog) WithAttrs(a []slog.Attr) slog.Handler {
	return errorLog{l.Handler.WithAttrs(a), l.seen}
}

// WithGroup implements slog.Handler.
func (l errorLog) WithGroup(name string) slog.Handler {
	return errorLog{l.Handler.WithGroup(name), l.seen}
}

func (e *errorTimes) newest() (time.Time, string, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last, e.text, e.n
}
