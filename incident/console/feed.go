package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/incident"
)

// Times and sizes of the live stream.
const (
	feedEvery   = 100 * time.Millisecond // between two looks while somebody watches
	feedIdle    = 2 * time.Second        // while nobody does
	feedKeep    = 1024                   // the newest events in memory
	feedBatch   = 500                    // events in one write
	streamFor   = 30 * time.Minute       // then the browser asks, and is asked who it is, again
	streamAlive = 15 * time.Second       // between two signs of life
	writeWithin = 10 * time.Second       // a browser that takes longer is cut off, and resumes
)

// line is an event as the page shows it.
type line struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Incident string    `json:"incident,omitempty"`
	Kind     string    `json:"kind"`
	By       string    `json:"by"`
	What     string    `json:"what"`
	Why      string    `json:"why"`
}

func lineOf(e incident.Event) line {
	return line{e.Seq, e.At.UTC(), visible(e.Incident), visible(string(e.Kind)), visible(e.By), visible(clip(e.What)), visible(clip(e.Why))}
}

// clip keeps a page readable, and says so.
func clip(s string) string {
	const most = 2000
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " … (cut; the timeline has it whole)"
	}
	return s
}

// feed follows the timeline and the cord once for everybody who watches.
type feed struct {
	store  incident.Store
	max    int
	within time.Duration // how long one reading of the store may take

	mu      sync.Mutex
	ring    []line // the newest, without a gap
	last    uint64
	err     error // of the last look
	state   string
	news    chan struct{} // closed when something has come
	streams int
	woken   chan struct{} // somebody has begun to watch
	ended   bool
}

func newFeed(store incident.Store, max int, within time.Duration) *feed {
	return &feed{store: store, max: max, within: within, news: make(chan struct{}), woken: make(chan struct{}, 1)}
}

// run looks until ctx ends. cord gives the state of the cord as one string, and waits for
// nothing; the store is read beside it, so that one that hangs hides no stop.
func (f *feed) run(ctx context.Context, cord func() string, log *slog.Logger) {
	f.mu.Lock()
	f.ended = false
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.ended = true
		f.tell()
		f.mu.Unlock()
	}()
	var reads sync.WaitGroup
	defer reads.Wait()
	reading := make(chan struct{}, 1)
	for {
		f.show(cord())
		select {
		case reading <- struct{}{}:
			reads.Go(func() {
				f.look(ctx, log)
				<-reading
			})
		default: // the store has not answered the last time
		}
		f.mu.Lock()
		pause := feedIdle
		if f.streams > 0 {
			pause = feedEvery
		}
		f.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-f.woken:
		case <-ctx.Done():
			return
		}
	}
}

// tell wakes everybody. Called with mu held.
func (f *feed) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

// show takes in how the cord is.
func (f *feed) show(state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state != f.state {
		f.state = state
		f.tell()
	}
}

// look takes in what has come to the timeline.
func (f *feed) look(ctx context.Context, log *slog.Logger) {
	if f.store == nil {
		return
	}
	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, f.within)
	defer cancel()
	var fresh []line
	var failed error
	for e, err := range f.store.Read(bounded, last) {
		if err != nil {
			failed = err
			break
		}
		last = e.Seq
		if fresh = append(fresh, lineOf(e)); len(fresh) >= 4*feedKeep {
			fresh = append(fresh[:0], fresh[3*feedKeep:]...) // only the newest are kept
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if failed != nil && f.err == nil && ctx.Err() == nil {
		log.Warn("console: the live timeline stands still", "err", failed)
	}
	changed := len(fresh) > 0 || (failed == nil) != (f.err == nil)
	f.ring, f.last, f.err = append(f.ring, fresh...), last, failed
	if n := len(f.ring) - feedKeep; n > 0 {
		f.ring = append([]line(nil), f.ring[n:]...)
	}
	if changed {
		f.tell()
	}
}

// tail returns the newest lines, the newest first, and the number of the newest.
func (f *feed) tail(n int) (lines []line, last uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.ring) - 1; i >= 0 && len(lines) < n; i-- {
		lines = append(lines, f.ring[i])
	}
	return lines, f.last, f.err
}

// glance is what a stream needs for its next write.
type glance struct {
	lines []line
	after uint64
	state string
	more  bool
	ended bool
	news  <-chan struct{}
	err   error
}

// since returns what has come after an event: from memory, or from the store where it is
// longer ago.
func (f *feed) since(ctx context.Context, after uint64) glance {
	f.mu.Lock()
	after = min(after, f.last) // a number that was never given is of another timeline
	g := glance{after: after, state: f.state, ended: f.ended, news: f.news, err: f.err}
	inMemory := len(f.ring) > 0 && f.ring[0].Seq <= after+1 || f.last <= after
	if inMemory {
		for _, l := range f.ring {
			if l.Seq > after {
				if len(g.lines) == feedBatch {
					g.more = true
					break
				}
				g.lines = append(g.lines, l)
			}
		}
	}
	f.mu.Unlock()
	if !inMemory {
		ctx, cancel := context.WithTimeout(ctx, f.within)
		defer cancel()
		for e, err := range f.store.Read(ctx, after) {
			if err != nil {
				g.err, g.ended = err, true // the browser comes again from where it was
				break
			}
			if g.lines = append(g.lines, lineOf(e)); len(g.lines) == feedBatch {
				g.more = true
				break
			}
		}
	}
	if n := len(g.lines); n > 0 {
		g.after = g.lines[n-1].Seq
	}
	return g
}

// enter counts a stream in; false: there are too many.
func (f *feed) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams >= f.max {
		return false
	}
	f.streams++
	select {
	case f.woken <- struct{}{}:
	default:
	}
	return true
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams--
}

// serveEvents streams the timeline and the cord. Each event of the timeline has its number
// as id, so that a browser whose line was cut gets what came meanwhile, and nothing twice.
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("after")
	}
	after, err := strconv.ParseUint(from, 10, 64)
	if from != "" && err != nil {
		c.refuse(w, r, http.StatusBadRequest, "The number of the last event is no number.")
		return
	}
	if !c.running.Load() {
		c.refuse(w, r, http.StatusServiceUnavailable, "Nothing is live: Run is not running.")
		return
	}
	if !c.feed.enter() {
		w.Header().Set("Retry-After", "10")
		c.refuse(w, r, http.StatusServiceUnavailable, "Too many pages are live. This one works without; load it again to see what is new.")
		return
	}
	defer c.feed.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	if err := write(out, w, "retry: 1000\n\n"); err != nil {
		return // whoever asked has gone
	}
	end := time.NewTimer(streamFor)
	defer end.Stop()
	alive := time.NewTicker(streamAlive)
	defer alive.Stop()
	state := ""
	for {
		g := c.feed.since(r.Context(), after)
		var text strings.Builder
		for _, l := range g.lines {
			b, err := json.Marshal(l)
			if err != nil {
				c.cfg.Log.Error("console: event", "seq", l.Seq, "err", err)
				return
			}
			fmt.Fprintf(&text, "id: %d\nevent: timeline\ndata: %s\n\n", l.Seq, b)
		}
		after = g.after
		if g.state != state {
			state = g.state
			fmt.Fprintf(&text, "event: cord\ndata: %s\n\n", state)
		}
		if text.Len() > 0 {
			if err := write(out, w, text.String()); err != nil {
				return
			}
		}
		switch {
		case g.ended:
			return
		case g.more:
			continue
		}
		select {
		case <-g.news:
		case <-alive.C:
			if err := write(out, w, "event: alive\ndata: {}\n\n"); err != nil { // an event, so that a page knows when it hears nothing
				return
			}
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func write(out *http.ResponseController, w io.Writer, text string) error {
	if err := out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return out.Flush()
}

// cord is the state of the cord as the stream sends it: one line of JSON.
func (c *Console) cord() string {
	s := c.cfg.Switch.Status()
	b, err := json.Marshal(cordState{State: trading(s.State), Holds: len(s.Holds), InFlight: s.InFlight, Durable: s.Durable, Seen: seenOf(s.Holds)})
	if err != nil {
		return `{"state":"` + unknown + `"}`
	}
	return string(b)
}

// cordState is the cord in short. Seen changes with the holds.
type cordState struct {
	State    string `json:"state"`
	Holds    int    `json:"holds"`
	InFlight int    `json:"in_flight"`
	Durable  bool   `json:"durable"`
	Seen     string `json:"seen"`
}
