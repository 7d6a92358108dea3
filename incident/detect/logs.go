package detect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/severity"
)

// DefaultLog is where the playbook has the bot's log.
const DefaultLog = "/logs/trading_bot.log"

// LogsConfig is what following log files needs.
type LogsConfig struct {
	// Files are paths, and patterns of them as of filepath.Match. A file may come
	// later. Defaults to DefaultLog.
	Files []string

	// Patterns are what is looked for, at most 64. Defaults to PlaybookPatterns.
	Patterns []Pattern

	// Match is told of each line that matches, for each pattern, one after another. It
	// returns soon: nothing is read meanwhile. Detector.Line is one. Required.
	Match func(Match)

	// State is a file that remembers how far was read, so that what was written while
	// the bot was down is read when it comes back. Empty: it is not.
	State string

	// FromStart reads files from their beginning that State does not know. Otherwise
	// those that are there when Run begins are read from their end.
	FromStart bool

	// Poll is how often is looked for more. Defaults to 20 ms.
	Poll time.Duration

	Log *slog.Logger // defaults to slog.Default()
}

func (c LogsConfig) withDefaults() LogsConfig {
	if len(c.Files) == 0 {
		c.Files = []string{DefaultLog}
	}
	if len(c.Patterns) == 0 {
		c.Patterns = PlaybookPatterns()
	}
	if c.Poll == 0 {
		c.Poll = 20 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Match is a line that matches a pattern.
type Match struct {
	Pattern string    // its name
	File    string    // the path under which it is followed
	Line    string    // as written, without its end, cut to 500 bytes: secrets in it are not redacted
	At      time.Time // when it was read
}

// Line counts a match as one sample of the indicator that has the pattern's name. It is
// for LogsConfig.Match. Where no indicator has it, the log says so.
func (d *Detector) Line(m Match) {
	if err := d.Sample(Sample{Indicator: m.Pattern, Component: "log" + m.File, Value: severity.Number(1), At: m.At, Detail: m.Line}); err != nil {
		d.cfg.Log.Error("detect: a line that matches is not counted", "file", m.File, "error", err)
	}
}

const (
	chunk     = 256 << 10              // what is read at once; a longer line is matched in parts
	overlap   = 4 << 10                // of two parts of a line
	fairShare = 64                     // chunks of one file before the next is looked at
	patience  = time.Second            // until a line without an end is matched as it is
	farewell  = 10 * time.Second       // a file that was renamed is read until it was quiet for so long
	rescan    = time.Second            // how often is looked for new files, and State written
	marked    = 64                     // bytes by which a file is known again
	stateMode = fs.FileMode(0o600)     // the state may hold a few bytes of the log
	staleCopy = ".gz .bz2 .xz .zst .Z" // what rotation makes of old files and nobody can go on reading
)

// Logs follows log files. Rotation by renaming and by copying and truncating is seen,
// and so is a file that was truncated and has grown past where it was. What two
// rotations within one Poll leave no trace of is lost.
type Logs struct {
	cfg  LogsConfig
	m    *matcher
	buf  []byte // of whoever reads
	open map[string]*tail
	gone []*tail // renamed, and perhaps still written

	mu     sync.Mutex
	unread map[string]string // why, by path
}

// NewLogs returns a Logs that does nothing until Run, or an error that names every field
// that cannot be meant.
func NewLogs(cfg LogsConfig) (*Logs, error) {
	cfg = cfg.withDefaults()
	m, err := newMatcher(cfg.Patterns)
	errs := []error{err}
	if cfg.Match == nil {
		errs = append(errs, errors.New("Match is nil: nobody would hear of a line"))
	}
	if cfg.Poll < 0 {
		errs = append(errs, fmt.Errorf("Poll is %v, want more than zero", cfg.Poll))
	}
	for _, f := range cfg.Files {
		if _, err := filepath.Match(f, ""); err != nil || f == "" {
			errs = append(errs, fmt.Errorf("Files: %q is no path and no pattern of paths", f))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("detect: logs: %w", err)
	}
	return &Logs{cfg: cfg, m: m, open: map[string]*tail{}, unread: map[string]string{}}, nil
}

// Unread is a probe of how many of the files that are named, not matched by a pattern,
// cannot be read: a log that is not there tells nothing.
func (l *Logs) Unread() Probe {
	return Counting(func(context.Context) (int, string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		var why []string
		for _, path := range slices.Sorted(maps.Keys(l.unread)) {
			why = append(why, path+": "+l.unread[path])
		}
		return len(why), strings.Join(why, "; "), nil
	})
}

// Run follows the files until ctx is done, and returns ctx's error, with that of State
// where it could not be written last. It is called once.
func (l *Logs) Run(ctx context.Context) error {
	known, err := l.remembered()
	if err != nil {
		l.cfg.Log.Error("detect: how far the logs were read is not known; files are read from where they are now", "error", err)
	}
	l.look(known, l.cfg.FromStart)
	defer l.close()
	var saved map[string]place
	next := time.Now().Add(rescan)
	t := time.NewTimer(l.cfg.Poll)
	defer t.Stop()
	for {
		more := l.readAll(ctx)
		if now := time.Now(); !now.Before(next) {
			next = now.Add(rescan)
			l.look(nil, true)
			if saved, err = l.remember(saved); err != nil {
				l.cfg.Log.Error("detect: how far the logs were read cannot be written down", "error", err)
			}
		}
		wait := l.cfg.Poll
		if more {
			wait = 0
		}
		t.Reset(wait)
		select {
		case <-ctx.Done():
			_, err := l.remember(saved)
			return errors.Join(ctx.Err(), err)
		case <-t.C:
		}
	}
}

// look opens the files that are not open. Those that known holds go on where it says.
func (l *Logs) look(known map[string]place, fromStart bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.unread)
	for _, file := range l.cfg.Files {
		paths := []string{file}
		pattern := strings.ContainsAny(file, `*?[`)
		if pattern {
			var err error
			if paths, err = filepath.Glob(file); err != nil { // NewLogs has seen that it is a pattern
				l.unread[file] = err.Error()
			}
		}
		for _, path := range paths {
			if l.open[path] != nil {
				continue
			}
			var at *place
			if p, ok := known[path]; ok {
				at = &p
			}
			err := l.follow(path, at, fromStart)
			if err != nil && !(pattern && errors.Is(err, fs.ErrNotExist)) {
				l.unread[path] = err.Error()
			}
		}
	}
}

// follow opens a file where p says, if it is still the file that p is of, else at its
// start or end. Where the file of p was renamed, it is read to its end first.
func (l *Logs) follow(path string, p *place, fromStart bool) error {
	t, err := openTail(path, path)
	if err != nil {
		return err
	}
	switch {
	case p != nil && p.is(t.f):
		t.off = p.Offset
	case p != nil:
		if old := renamed(path, *p); old != nil {
			l.gone = append(l.gone, old)
		} // else it was truncated, or is lost: all there is in the new one is new
	case !fromStart:
		t.off = t.info.Size()
	}
	l.open[path] = t
	return nil
}

// renamed finds the file that a place is of, among those to which rotation renames.
func renamed(path string, p place) *tail {
	others, err := filepath.Glob(path + "?*")
	if err != nil {
		return nil // the path has a bracket in it
	}
	for _, other := range others {
		if strings.Contains(staleCopy, filepath.Ext(other)) {
			continue
		}
		t, err := openTail(other, path)
		if err != nil {
			continue
		}
		if p.is(t.f) {
			t.off, t.quiet = p.Offset, time.Now()
			return t
		}
		_ = t.f.Close() // it was only looked at
	}
	return nil
}

// readAll reads what there is, and reports whether there may be more at once.
func (l *Logs) readAll(ctx context.Context) (more bool) {
	now := time.Now()
	for path, t := range l.open {
		more = l.read(ctx, t, now) || more
		switch t.now() {
		case sameFile:
		case otherFile:
			t.quiet = now
			l.gone = append(l.gone, t)
			delete(l.open, path)
			if err := l.follow(path, nil, true); err != nil {
				l.mu.Lock()
				l.unread[path] = err.Error()
				l.mu.Unlock()
			}
			more = true
		case truncated:
			l.restart(t, now)
			more = true
		}
	}
	l.gone = slices.DeleteFunc(l.gone, func(t *tail) bool {
		more = l.read(ctx, t, now) || more
		if now.Sub(t.quiet) < farewell {
			return false
		}
		l.line(t, t.rest, now)
		_ = t.f.Close() // it was only read
		return true
	})
	return more
}

func (l *Logs) close() {
	for _, t := range l.open {
		_ = t.f.Close() // it was only read
	}
	for _, t := range l.gone {
		_ = t.f.Close()
	}
}

// state is what the file of LogsConfig.State holds.
type state struct {
	Files map[string]place `json:"files"`
}

func (l *Logs) remembered() (map[string]place, error) {
	if l.cfg.State == "" {
		return nil, nil
	}
	b, err := os.ReadFile(l.cfg.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", l.cfg.State, err)
	}
	return s.Files, nil
}

// remember writes down how far was read, where that is not what was written last.
func (l *Logs) remember(last map[string]place) (map[string]place, error) {
	if l.cfg.State == "" {
		return nil, nil
	}
	now := map[string]place{}
	for path, t := range l.open {
		now[path] = t.place()
	}
	for _, t := range slices.Backward(l.gone) { // the older one, of which more may come
		now[t.path] = t.place()
	}
	if last != nil && maps.EqualFunc(last, now, place.equal) {
		return last, nil
	}
	b, err := json.Marshal(state{now})
	if err != nil {
		return last, err
	}
	if err := atomicfile.Write(l.cfg.State, b, stateMode); err != nil {
		return last, err
	}
	return now, nil
}
