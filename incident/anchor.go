package incident

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"
)

// Anchor keeps the tips of a store in a place that whoever writes the store cannot
// rewrite: another machine, an append-only file (chattr +a), a chat channel, a
// transparency log. A chain alone does not show that its end was cut off, or that all
// of it was computed anew; a tip that was published does. Implementations are safe
// for concurrent use.
type Anchor interface {
	// Publish keeps a tip. Once it has returned nil, Published has it.
	Publish(ctx context.Context, tip Tip) error

	// Published returns the tips that were published, at least the newest.
	Published(ctx context.Context) ([]Tip, error)
}

// AnchorFuncs is an Anchor made of two functions. Neither may be nil.
type AnchorFuncs struct {
	PublishFunc   func(ctx context.Context, tip Tip) error
	PublishedFunc func(ctx context.Context) ([]Tip, error)
}

// Publish is Anchor's.
func (a AnchorFuncs) Publish(ctx context.Context, tip Tip) error { return a.PublishFunc(ctx, tip) }

// Published is Anchor's.
func (a AnchorFuncs) Published(ctx context.Context) ([]Tip, error) { return a.PublishedFunc(ctx) }

// FileAnchor is an Anchor in a file to which lines are appended and nothing else is
// done, so that the file may be on another host's share, or be append-only
// (chattr +a). A line is the sequence number, the hash and the time. Use a pointer.
type FileAnchor struct {
	Path string

	mu sync.Mutex
}

// Publish appends a line, and syncs it.
func (a *FileAnchor) Publish(ctx context.Context, tip Tip) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	f, err := os.OpenFile(a.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	line := fmt.Sprintf("%d %v %s\n", tip.Seq, tip.Hash, time.Now().UTC().Format(time.RFC3339))
	torn, err := endsTorn(f)
	if torn {
		line = "\n" + line
	}
	if err == nil {
		_, err = f.WriteString(line)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	return nil
}

// endsTorn reports whether the last line has no end: a crash cut it short.
func endsTorn(f *os.File) (bool, error) {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], st.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// Published returns every tip in the file; none where there is no file yet. A line
// that was cut short was not published. Any other line that is no tip is an error.
func (a *FileAnchor) Published(ctx context.Context) ([]Tip, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	f, err := os.Open(a.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	all, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	var tips []Tip
	n := 0
	for line := range bytes.Lines(all) {
		n++
		tip, whole, err := parseTip(line)
		if err != nil {
			return nil, fmt.Errorf("anchor: %s:%d: %w", a.Path, n, err)
		}
		if whole {
			tips = append(tips, tip)
		}
	}
	return tips, nil
}

// parseTip reads a line of a FileAnchor. It is not whole where it is the beginning of
// one.
func parseTip(line []byte) (tip Tip, whole bool, err error) {
	digits, rest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	hash, at, timed := bytes.Cut(rest, []byte(" "))
	_, timeErr := time.Parse(time.RFC3339, string(at))
	tip.Seq, err = strconv.ParseUint(string(digits), 10, 64)
	switch {
	case len(digits) == 0:
		return Tip{}, false, nil
	case err != nil:
		return Tip{}, false, fmt.Errorf("%q does not begin with a number", line)
	case !timed && len(hash) <= hexLen && len(bytes.Trim(hash, "0123456789abcdef")) == 0:
		return Tip{}, false, nil // cut short in its hash
	}
	if err := tip.Hash.UnmarshalText(hash); err != nil {
		return Tip{}, false, err
	}
	return tip, timeErr == nil, nil
}

// Anchoring publishes a store's tip from time to time. Anchor and Tip have no default.
type Anchoring struct {
	Anchor Anchor
	Tip    func(ctx context.Context) (Tip, error) // the store's newest event

	// Every is how often the tip is looked at. What is written and forged within it
	// shows in no tip. Defaults to 1 min.
	Every time.Duration

	// Log gets what could not be published; it is tried again. Defaults to
	// slog.Default().
	Log *slog.Logger
}

// Run publishes the tip whenever it has moved, at once and then as often as Every says,
// and once more when ctx ends. It never fails for the anchor's sake: no store waits
// for it. The error names the fields that are missing.
func (a Anchoring) Run(ctx context.Context) error {
	var errs []error
	if a.Anchor == nil {
		errs = append(errs, errors.New("Anchor is missing"))
	}
	if a.Tip == nil {
		errs = append(errs, errors.New("Tip is missing"))
	}
	if a.Every < 0 {
		errs = append(errs, fmt.Errorf("Every is %v, want more than zero", a.Every))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("incident: anchoring: %w", err)
	}
	a.Every, a.Log = cmp.Or(a.Every, time.Minute), cmp.Or(a.Log, slog.Default())
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for last := (Tip{}); ; {
		last = a.publish(ctx, last)
		select {
		case <-ctx.Done():
			final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			a.publish(final, last)
			return nil
		case <-tick.C:
		}
	}
}

// publish returns what is published now.
func (a Anchoring) publish(ctx context.Context, last Tip) Tip {
	tip, err := a.Tip(ctx)
	if err == nil && (tip == last || tip.Seq == 0) {
		return last
	}
	if err == nil {
		err = a.Anchor.Publish(ctx, tip)
	}
	if err != nil && ctx.Err() == nil {
		a.Log.Error("incident: the tip is not published; it is tried again", "seq", tip.Seq, "error", err)
	}
	if err != nil {
		return last
	}
	return tip
}
