package recorded

import (
	"bytes"
	"errors"
	"io"
)

// lines passes a reader on and knows on which line an offset lies.
type lines struct {
	r      io.Reader
	read   int64
	ends   []int64 // offsets just after each newline that has not been counted yet
	passed int     // newlines before the last offset that was asked for
	err    error   // what the reader could not do
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for at := 0; ; at++ {
		i := bytes.IndexByte(p[at:n], '\n')
		if i < 0 {
			break
		}
		at += i
		l.ends = append(l.ends, l.read+int64(at)+1)
	}
	l.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// at returns the line of an offset, counted from 1. Offsets never go back.
func (l *lines) at(offset int64) int {
	for len(l.ends) > 0 && l.ends[0] <= offset {
		l.ends = l.ends[1:]
		l.passed++
	}
	return l.passed + 1
}
