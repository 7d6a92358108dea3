package detect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// tail is one file that is followed.
type tail struct {
	path string // under which it is followed
	f    *os.File
	info os.FileInfo
	off  int64 // of what is to be read next

	rest  []byte // the beginning of a line whose end was not read yet
	seen  uint64 // the patterns that it was said to match
	quiet time.Time
	tried bool   // rest was matched as it is
	mark  []byte // what is before off
}

func openTail(path, as string) (*tail, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &tail{path: as, f: f, info: info, quiet: time.Now()}, nil
}

// read reads and matches what there is, a fair share of it, and reports whether there may
// be more.
func (l *Logs) read(ctx context.Context, t *tail, now time.Time) (more bool) {
	if !t.stands() { // truncated, and grown since
		l.restart(t, now)
	}
	if l.buf == nil {
		l.buf = make([]byte, chunk)
	}
	for range fairShare {
		if ctx.Err() != nil {
			return false
		}
		kept := copy(l.buf, t.rest)
		n, err := t.f.ReadAt(l.buf[kept:], t.off)
		if n == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				l.cfg.Log.Error("detect: a log cannot be read", "file", t.path, "error", err)
			}
			if len(t.rest) > 0 && !t.tried && now.Sub(t.quiet) >= patience {
				l.line(t, t.rest, now)
				t.tried = true
			}
			return false
		}
		b := l.buf[:kept+n]
		t.off += int64(n)
		t.quiet, t.tried = now, false
		t.mark = append(t.mark[:0], b[max(0, len(b)-marked):]...)
		whole := bytes.LastIndexByte(b, '\n') + 1
		switch {
		case whole > 0:
			l.line(t, b[:whole], now)
			t.seen = 0
		case len(b) == chunk: // a line that is longer: matched in parts
			l.line(t, b, now)
			whole = chunk - overlap
		}
		t.rest = append(t.rest[:0], b[whole:]...)
	}
	return true
}

// restart reads a file from its beginning, since what was there is gone.
func (l *Logs) restart(t *tail, now time.Time) {
	l.line(t, t.rest, now)
	t.off, t.rest, t.seen = 0, t.rest[:0], 0
}

// line matches lines, of which the first may be one that was matched in part before.
func (l *Logs) line(t *tail, b []byte, now time.Time) {
	l.m.scan(b, func(at int, line []byte, pattern int) {
		if at == 0 {
			if t.seen&(1<<pattern) != 0 {
				return
			}
			t.seen |= 1 << pattern
		}
		l.cfg.Match(Match{Pattern: l.m.names[pattern], File: t.path, Line: clip(string(line[:min(len(line), 2*maxDetail)])), At: now})
	})
}

// stands reports whether what was read last is still there.
func (t *tail) stands() bool {
	if len(t.mark) == 0 || t.off < int64(len(t.mark)) {
		return true
	}
	var now [marked]byte
	n, err := t.f.ReadAt(now[:len(t.mark)], t.off-int64(len(t.mark)))
	return err != nil && !errors.Is(err, io.EOF) || n < len(t.mark) || bytes.Equal(now[:n], t.mark)
}

// fate is what became of the name under which a file is followed.
type fate uint8

const (
	sameFile fate = iota // or there is none under it now
	otherFile
	truncated
)

func (t *tail) now() fate {
	info, err := os.Stat(t.path)
	switch {
	case err != nil:
		return sameFile
	case !os.SameFile(info, t.info):
		return otherFile
	case info.Size() < t.off:
		return truncated
	}
	return sameFile
}

// place is how far a file was read, and by what it is known again: what it begins with,
// and what is before Offset.
type place struct {
	Offset int64  `json:"offset"` // of the first line that was not read whole
	Head   []byte `json:"head"`
	Before []byte `json:"before"`
}

func (p place) equal(o place) bool {
	return p.Offset == o.Offset && bytes.Equal(p.Head, o.Head) && bytes.Equal(p.Before, o.Before)
}

// place returns where to go on after a restart. Where the file cannot be read any more,
// it is one that is found again nowhere.
func (t *tail) place() place {
	p := place{Offset: t.off - int64(len(t.rest))}
	n := min(p.Offset, marked)
	p.Head, p.Before = make([]byte, n), make([]byte, n)
	if _, err := t.f.ReadAt(p.Head, 0); err != nil {
		return place{Offset: p.Offset}
	}
	if _, err := t.f.ReadAt(p.Before, p.Offset-n); err != nil {
		return place{Offset: p.Offset}
	}
	return p
}

// is reports whether a file is the one that p is of.
func (p place) is(f *os.File) bool {
	n := min(p.Offset, marked)
	if int64(len(p.Head)) != n || int64(len(p.Before)) != n {
		return false
	}
	head, before := make([]byte, n), make([]byte, n)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	if _, err := f.ReadAt(before, p.Offset-n); err != nil {
		return false
	}
	return bytes.Equal(head, p.Head) && bytes.Equal(before, p.Before)
}
