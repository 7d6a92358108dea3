package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
)

// Logs copies what a container printed, its two streams apart; a writer that is nil
// discards one. With Follow it ends when the container does, or with ctx.
func (s *Stack) Logs(ctx context.Context, name string, q LogQuery, stdout, stderr io.Writer) error {
	c, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	return s.e.Logs(ctx, c.ID, q, stdout, stderr)
}

// errorWords are those that the playbook looks for in the logs.
var errorWords = []string{"ERROR", "CRITICAL", "FATAL"}

// NoErrorLogs is a recovery.WindowCheck for the checklist's second item: none of the
// bot's containers printed ERROR, CRITICAL or FATAL within the window. A log that
// cannot be read proves nothing.
func (s *Stack) NoErrorLogs(ctx context.Context, window time.Duration) (string, error) {
	names, err := s.names(ctx)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("project %s has no container: %w", s.cfg.Project, ErrNotFound)
	}
	since, total := time.Now().Add(-window), 0
	for _, name := range names {
		var found lineFinder
		if err := s.Logs(ctx, name, LogQuery{Since: since}, &found, &found); err != nil {
			return "", err
		}
		if found.end(); found.first != "" {
			return "", fmt.Errorf("%s printed %d lines with %s, the first: %s", name, found.hits, strings.Join(errorWords, ", "), found.first)
		}
		total += found.lines
	}
	return fmt.Sprintf("%d lines of %s since %s", total, strings.Join(names, ", "), since.UTC().Format(time.RFC3339)), nil
}

var _ recovery.WindowCheck = (*Stack)(nil).NoErrorLogs

// lineFinder counts lines and keeps the first that holds one of the words.
type lineFinder struct {
	line        []byte
	lines, hits int
	first       string
}

// maxLine is as much of one line as is looked at.
const maxLine = 64 << 10

func (f *lineFinder) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		part := rest
		if i >= 0 {
			part = rest[:i]
		}
		f.line = append(f.line, part[:min(len(part), maxLine-len(f.line))]...)
		if i < 0 {
			break
		}
		f.end()
		rest = rest[i+1:]
	}
	return len(p), nil
}

// end closes the current line.
func (f *lineFinder) end() {
	if len(f.line) == 0 {
		return
	}
	f.lines++
	if slices.ContainsFunc(errorWords, func(w string) bool { return bytes.Contains(f.line, []byte(w)) }) {
		if f.hits++; f.first == "" {
			f.first = string(f.line[:min(len(f.line), 500)])
		}
	}
	f.line = f.line[:0]
}

// Stats reads one sample of what a running container uses. Docker 20.10 gathers
// samples once a second, so that the answer may take that long.
func (s *Stack) Stats(ctx context.Context, name string) (got Stats, err error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return got, err
	}
	err = s.call(ctx, "stats", c.ID, 0, func(ctx context.Context) error {
		got, err = s.e.Stats(ctx, c.ID)
		return err
	})
	return got, err
}

// Cores returns how many cores were in use between an earlier sample and this one.
// Samples of two lives of a container, or of one moment, are an error.
func (st Stats) Cores(earlier Stats) (float64, error) {
	took, used := st.At.Sub(earlier.At), st.CPU-earlier.CPU
	if took <= 0 || used < 0 {
		return 0, fmt.Errorf("samples of %v and %v say nothing about the time between: %v of CPU in %v", earlier.At, st.At, used, took)
	}
	return float64(used) / float64(took), nil
}

// Top lists the processes of a running container.
func (s *Stack) Top(ctx context.Context, name string) (got Processes, err error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return got, err
	}
	err = s.call(ctx, "top", c.ID, 0, func(ctx context.Context) error {
		got, err = s.e.Top(ctx, c.ID)
		return err
	})
	return got, err
}

// Output is what a program printed and how it ended.
type Output struct {
	Exit           int // its exit code
	Stdout, Stderr string
	Truncated      bool // more was printed than is kept, which is 1 MiB of each
}

// Exec runs a program in a container, without a shell, and gives its exit code: a
// program that fails is not an error. It is recorded first. One that is still at
// work after Config.ExecTimeout is an error, and may go on in the container.
func (s *Stack) Exec(ctx context.Context, name string, command []string, by, why string, now time.Time) (Output, error) {
	if len(command) == 0 {
		return Output{Exit: -1}, errors.New("exec: the command is empty")
	}
	c, err := s.find(ctx, name)
	if err != nil {
		return Output{Exit: -1}, err
	}
	if err := s.record(ctx, now, by, fmt.Sprintf("container exec: %s: %q", name, command), why); err != nil {
		return Output{Exit: -1}, err
	}
	return s.exec(ctx, c.ID, command)
}

func (s *Stack) exec(ctx context.Context, id string, command []string) (o Output, err error) {
	var stdout, stderr keep
	o.Exit = -1
	err = s.call(ctx, "exec", id, s.cfg.ExecTimeout-s.cfg.Timeout, func(ctx context.Context) error {
		o.Exit, err = s.e.Exec(ctx, id, command, &stdout, &stderr)
		return err
	})
	o.Stdout, o.Stderr, o.Truncated = stdout.b.String(), stderr.b.String(), stdout.over || stderr.over
	return o, err
}

// keep keeps the first MiB of what is written to it.
type keep struct {
	b    bytes.Buffer
	over bool
}

func (k *keep) Write(p []byte) (int, error) {
	room := 1<<20 - k.b.Len()
	k.over = k.over || len(p) > room
	k.b.Write(p[:min(len(p), room)])
	return len(p), nil
}

// ClearCache removes everything in Config.CacheDir of a container, and not the
// directory itself. It never follows a symbolic link. The image needs find. It is
// recorded first.
func (s *Stack) ClearCache(ctx context.Context, name, by, why string, now time.Time) error {
	o, err := s.Exec(ctx, name, []string{"find", s.cfg.CacheDir, "-mindepth", "1", "-delete"}, by, why, now)
	if err != nil {
		return err
	}
	if o.Exit != 0 {
		return fmt.Errorf("clearing %s in %s: find ended with %d: %s", s.cfg.CacheDir, name, o.Exit, firstLine(o.Stderr, o.Stdout))
	}
	return nil
}

func firstLine(texts ...string) string {
	for _, t := range texts {
		if line, _, _ := strings.Cut(strings.TrimSpace(t), "\n"); line != "" {
			return line
		}
	}
	return "it printed nothing"
}

// Signalled says how a signal got to its container.
type Signalled struct {
	// PolicyHolds says that the container's restart policy is in force as before. It
	// is false when the image has no kill and the engine sent the signal: that makes
	// the engine take the next end of the container for wanted. Restart repairs it.
	PolicyHolds bool
}

// Signal sends a signal, such as "SIGUSR1" for a forced reconnection, to the first
// process of a container, provided that its image lists the signal in
// Config.SignalLabel: to a program that does not handle it, most are deadly. It is
// recorded first. SIGKILL, SIGTERM and SIGSTOP are refused: there are Kill and Stop.
func (s *Stack) Signal(ctx context.Context, name, signal, by, why string, now time.Time) (Signalled, error) {
	short, ok := strings.CutPrefix(signal, "SIG")
	if !ok || short == "" || slices.Contains([]string{"KILL", "TERM", "STOP", "QUIT", "INT", "ABRT"}, short) {
		return Signalled{}, fmt.Errorf("signal %q: %w", signal, ErrNotHandled)
	}
	c, err := s.find(ctx, name)
	if err != nil {
		return Signalled{}, err
	}
	img, err := s.image(ctx, c.Image)
	if err != nil {
		return Signalled{}, err
	}
	handled := strings.FieldsFunc(img.Labels[s.cfg.SignalLabel], func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(handled, signal) {
		return Signalled{}, fmt.Errorf("signal %s for %s: %w (label %s of %s is %q)", signal, name, ErrNotHandled, s.cfg.SignalLabel, c.ImageRef, img.Labels[s.cfg.SignalLabel])
	}
	if c.State != Running {
		return Signalled{}, fmt.Errorf("signal %s for %s: %w: %v", signal, name, ErrNotRunning, c)
	}
	if err := s.record(ctx, now, by, fmt.Sprintf("container signal: %s: %s", name, signal), why); err != nil {
		return Signalled{}, err
	}
	if o, err := s.exec(ctx, c.ID, []string{"kill", "-" + short, "1"}); err == nil && o.Exit == 0 {
		return Signalled{PolicyHolds: true}, nil
	} else if err != nil && (errors.Is(err, ErrEngineGone) || ctx.Err() != nil) { // it may have arrived: not twice
		return Signalled{}, err
	}
	err = s.call(ctx, "signal", c.ID, 0, func(ctx context.Context) error { return s.e.Signal(ctx, c.ID, signal) })
	return Signalled{}, err
}

// SetLimits changes the limits of a container, running or not. A field that is zero
// stays as it is. A limit of memory below what the container uses now is refused: the
// kernel would kill the bot for it. It is recorded first. Compose does not know of
// it: what it makes anew has the limits of its file.
func (s *Stack) SetLimits(ctx context.Context, name string, l Limits, by, why string, now time.Time) (Container, error) {
	if l.Memory < 0 || l.CPUs < 0 || l.Swap < -1 || l == (Limits{}) {
		return Container{}, fmt.Errorf("limits of %s: %+v: none is set, or one is negative", name, l)
	}
	c, err := s.find(ctx, name)
	if err != nil {
		return c, err
	}
	if l.Memory > 0 && c.State == Running {
		st, err := s.Stats(ctx, name)
		if err != nil {
			return c, fmt.Errorf("limits of %s: what it uses is not known: %w", name, err)
		}
		if st.Memory >= l.Memory {
			return c, fmt.Errorf("limits of %s: it uses %d bytes of memory, and the limit would be %d: it would be killed", name, st.Memory, l.Memory)
		}
	}
	l = l.over(c.Limits)
	if err := s.record(ctx, now, by, fmt.Sprintf("container limits: %s: %+v instead of %+v", name, l, c.Limits), why); err != nil {
		return c, err
	}
	if err := s.update(ctx, c.ID, Change{Limits: &l}); err != nil {
		return c, err
	}
	return s.inspect(ctx, c.ID)
}

// over fills in what is zero from the limits in force. Swap has to move with memory,
// which it includes: the engine refuses a memory limit above it.
func (l Limits) over(now Limits) Limits {
	if l.Memory > 0 && l.Swap == 0 {
		switch {
		case now.Swap < 0:
			l.Swap = -1
		case now.Memory > 0 && now.Swap > 0:
			l.Swap = l.Memory + max(0, now.Swap-now.Memory)
		default:
			l.Swap = 2 * l.Memory // the engine's own default
		}
	}
	if l.Memory == 0 {
		l.Memory = now.Memory
	}
	if l.Swap == 0 {
		l.Swap = now.Swap
	}
	if l.CPUs == 0 {
		l.CPUs = now.CPUs
	}
	return l
}

func (s *Stack) update(ctx context.Context, id string, change Change) error {
	return s.call(ctx, "update", id, 0, func(ctx context.Context) error { return s.e.Update(ctx, id, change) })
}

func (s *Stack) image(ctx context.Context, ref string) (img Image, err error) {
	err = s.call(ctx, "inspect image", ref, 0, func(ctx context.Context) error {
		img, err = s.e.Image(ctx, ref)
		return err
	})
	return img, err
}
