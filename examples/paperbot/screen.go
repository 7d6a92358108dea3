package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// screen shows the run: plain lines where it is piped, and on a terminal a picture
// that is painted anew, with the newest lines below it. Safe for concurrent use.
type screen struct {
	out   io.Writer
	live  bool
	fd    int
	start time.Time

	mu      sync.Mutex
	lines   []string
	part    string                   // of a line that others have not ended yet
	picture func(width int) []string // what stands above the lines; nil for nothing
	stop    chan struct{}
	done    chan struct{}
}

// keptLines is how many lines a terminal picture keeps for its end.
const keptLines = 1000

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.live, s.fd = true, int(f.Fd())
	}
	return s
}

// show starts painting, on a terminal.
func (s *screen) show(picture func(width int) []string) {
	s.mu.Lock()
	s.picture = picture
	s.mu.Unlock()
	if !s.live {
		close(s.done)
		return
	}
	fmt.Fprint(s.out, "\x1b[?1049h\x1b[?25l")
	go func() {
		defer close(s.done)
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			s.paint()
			select {
			case <-t.C:
			case <-s.stop:
				return
			}
		}
	}()
}

// end stops painting and leaves all lines on the terminal.
func (s *screen) end() {
	close(s.stop)
	<-s.done
	if s.live {
		fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")
		fmt.Fprintln(s.out, strings.Join(s.lines, "\n"))
		s.live = false
	}
}

func (s *screen) paint() {
	width, height, err := term.GetSize(s.fd)
	if err != nil || width < 20 || height < 5 {
		width, height = 80, 24
	}
	top := s.picture(width)
	s.mu.Lock()
	defer s.mu.Unlock()
	room := max(0, height-len(top)-1)
	shown := append(top, strings.Repeat("─", width))
	shown = append(shown, s.lines[max(0, len(s.lines)-room+1):]...)
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range shown[:min(len(shown), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(cut(line, width) + "\x1b[0m\x1b[K")
	}
	b.WriteString("\x1b[J")
	if _, err := s.out.Write(b.Bytes()); err != nil {
		s.picture = func(int) []string { return nil } // the terminal is gone; the run is not
	}
}

// cut shortens a line to a width, escape sequences not counted.
func cut(line string, width int) string {
	var b strings.Builder
	n, escape := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case n == width:
			continue
		default:
			n++
		}
		b.WriteRune(r)
	}
	return b.String()
}

// printf adds a line, or several, with the time since the start.
func (s *screen) printf(format string, args ...any) {
	stamp := fmt.Sprintf("%7.3fs  ", time.Since(s.start).Seconds())
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		s.add(stamp + strings.TrimRight(line, "\n"))
		stamp = strings.Repeat(" ", len(stamp))
	}
}

func (s *screen) add(line string) {
	if s.live {
		s.lines = append(s.lines, line)
		if len(s.lines) > keptLines {
			s.lines = s.lines[1:]
		}
		return
	}
	fmt.Fprintln(s.out, line)
}

// Write takes what others print, such as pages and tables.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part += string(p)
	for {
		line, rest, ended := strings.Cut(s.part, "\n")
		if !ended {
			return len(p), nil
		}
		s.part = rest
		s.add(strings.Repeat(" ", 10) + strings.TrimRight(line, " "))
	}
}
