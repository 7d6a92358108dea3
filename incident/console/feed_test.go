package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// stream is an open line to /console/events.
type stream struct {
	t     *testing.T
	body  io.ReadCloser
	lines *bufio.Scanner
	stop  context.CancelFunc
}

func (b *bench) stream(t *testing.T, last string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	r, err := http.NewRequestWithContext(ctx, "GET", b.server.URL+"/console/events", nil)
	require.NoError(t, err)
	ada(r)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := b.client.Do(r)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	s := &stream{t, resp.Body, bufio.NewScanner(resp.Body), cancel}
	t.Cleanup(s.cut)
	return s
}

// cut breaks the line off.
func (s *stream) cut() {
	s.stop()
	_ = s.body.Close() // it is broken off on purpose
}

// next returns the next event: its id, empty for the cord, and its data.
func (s *stream) next() (id, event, data string) {
	s.t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		switch key, value, _ := strings.Cut(line, ": "); {
		case line == "" && event != "":
			return id, event, data
		case key == "id":
			id = value
		case key == "event":
			event = value
		case key == "data":
			data = value
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return "", "", ""
}

// upTo reads the ids of the timeline until one holds the text.
func (s *stream) upTo(text string) (ids []int) {
	s.t.Helper()
	for {
		id, event, data := s.next()
		if event != "timeline" {
			continue
		}
		n, err := strconv.Atoi(id)
		require.NoError(s.t, err)
		if ids = append(ids, n); strings.Contains(data, text) {
			return ids
		}
	}
}

func TestStreamThatIsCutLosesNothing(t *testing.T) {
	b := newBench(t)
	in := b.declare("book and venue differ", "book")
	note := func(text string) { require.NoError(t, b.m.Note(t.Context(), in.Number, "Ada", text, "")) }
	var got []int
	last := ""
	other := b.stream(t, "") // who sees what is written while the first is cut off
	for round := range 5 {
		note(fmt.Sprintf("before the cut %d.", round))
		s := b.stream(t, last)
		got = append(got, s.upTo(fmt.Sprintf("before the cut %d.", round))...)
		last = strconv.Itoa(got[len(got)-1])
		s.cut()
		note(fmt.Sprintf("while it was cut %d.", round))
		other.upTo(fmt.Sprintf("while it was cut %d.", round))
	}
	got = append(got, b.stream(t, last).upTo("while it was cut 4.")...)
	for i, id := range got {
		require.Equal(t, i+1, id, "every event once, in order")
	}
}

func TestStreamReachesBackFurtherThanMemory(t *testing.T) {
	b := newBench(t)
	in := b.declare("book and venue differ", "book")
	const many = 3000
	for i := range many {
		require.NoError(t, b.m.Note(t.Context(), in.Number, "Ada", fmt.Sprintf("note %d.", i), ""))
	}
	live := b.stream(t, "")
	end := fmt.Sprintf("note %d.", many-1)
	got := live.upTo(end)
	require.Greater(t, len(got), many)
	for i, id := range got {
		require.Equal(t, i+1, id, "every event once, in order")
	}
	got = b.stream(t, "7").upTo(end)
	require.Equal(t, 8, got[0])
}

func TestStreamShowsTheCord(t *testing.T) {
	b := newBench(t)
	s := b.stream(t, "")
	wait := func(state string) {
		for {
			if id, event, data := s.next(); event == "cord" && strings.Contains(data, `"state":"`+state+`"`) {
				require.Empty(t, id, "the cord is not of the timeline, and moves no id")
				return
			}
		}
	}
	wait("active")
	_, err := b.sw.Halt(t.Context(), "detector", "test")
	require.NoError(t, err)
	wait("halted")
	require.NoError(t, b.sw.Resume(t.Context(), "Ada", "test", b.sw.Status().Holds))
	wait("active")
	require.Equal(t, safety.Active, b.sw.State())
}

// hung is a store that takes everything and answers no reader.
type hung struct{ incident.Store }

func (hung) Read(ctx context.Context, _ uint64) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		<-ctx.Done()
		yield(incident.Event{}, ctx.Err())
	}
}

// The timeline's store hangs: whoever watches still sees at once that trading is halted, and
// is told that the timeline stands still.
func TestLaw11_TheCordIsShownWhileTheTimelineHangs(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.Timeline, c.AskWithin = hung{c.Timeline}, time.Hour })
	s := b.stream(t, "")
	_, err := b.sw.Halt(t.Context(), "detector", "test")
	require.NoError(t, err)
	for {
		if _, event, data := s.next(); event == "cord" && strings.Contains(data, `"state":"halted"`) {
			break
		}
	}
	b = newBench(t, func(c *console.Config) { c.Timeline, c.AskWithin = hung{c.Timeline}, 20*time.Millisecond })
	require.Eventually(t, func() bool {
		return strings.Contains(b.do("GET", "/console", "", ada).body, context.DeadlineExceeded.Error())
	}, 30*time.Second, 20*time.Millisecond, "what is not known is said to be")
}

func TestStreamsAreBounded(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.MaxStreams = 2 })
	b.stream(t, "")
	s := b.stream(t, "")
	got := b.do("GET", "/console/events", "", ada)
	require.Equal(t, 503, got.code)
	require.Equal(t, 200, b.do("GET", "/console", "", ada).code, "the page is there without")
	require.Equal(t, 401, b.do("GET", "/console/events", "").code)
	require.Equal(t, 400, b.do("GET", "/console/events", "", ada, func(r *http.Request) { r.Header.Set("Last-Event-ID", "x") }).code)
	s.cut()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", b.server.URL+"/console/events", nil)
		require.NoError(t, err)
		ada(r)
		resp, err := b.client.Do(r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == 200
	}, 10*time.Second, 20*time.Millisecond, "a place that is left is free")
}
