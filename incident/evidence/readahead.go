package evidence

import (
	"context"
	"fmt"
	"io"
)

// readAhead reads beside its reader, so that a file system or a program that hangs does
// not hang the archive: once ctx is over, Read returns its error. What hangs is left
// behind and ends when it returns.
type readAhead struct {
	ctx  context.Context
	full chan piece
	free chan []byte
	now  piece
	rest []byte
}

type piece struct {
	b   []byte // whole, as it came from free
	n   int
	err error
}

const aheadSize = 256 << 10

func newReadAhead(ctx context.Context, r io.Reader) *readAhead {
	a := &readAhead{ctx: ctx, full: make(chan piece, 2), free: make(chan []byte, 2)}
	for range cap(a.free) {
		a.free <- make([]byte, aheadSize)
	}
	go a.fill(r)
	return a
}

func (a *readAhead) fill(r io.Reader) {
	for {
		var b []byte
		select {
		case <-a.ctx.Done():
			return
		case b = <-a.free:
		}
		p := piece{b: b}
		p.n, p.err = read(r, b)
		select {
		case <-a.ctx.Done():
			return
		case a.full <- p:
		}
		if p.err != nil {
			return
		}
	}
}

// read turns a panic of somebody's reader into an error.
func read(r io.Reader, b []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("panic: %v", p)
		}
	}()
	return r.Read(b)
}

// Read is io.Reader's.
func (a *readAhead) Read(b []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.b != nil {
			a.free <- a.now.b
		}
		select {
		case <-a.ctx.Done():
			a.now = piece{err: a.ctx.Err()}
		case a.now = <-a.full:
			a.rest = a.now.b[:a.now.n]
		}
	}
	n := copy(b, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}
