package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/safety"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// point moves the mouse to the middle of the first element, scrolled to where it can be seen.
func (b *tab) point(selector string) {
	b.t.Helper()
	b.run(chromedp.ScrollIntoView(selector))
	at := look[[]float64](b, fmt.Sprintf(`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(%q).getBoundingClientRect())`, selector))
	b.run(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
	b.until(fmt.Sprintf(`document.querySelector(%q).matches(":hover")`, selector), func() string { return selector + " is not pointed at" })
}

// top returns where the first element begins on the screen, in pixels, once two frames have been drawn.
func (b *tab) top(selector string) float64 {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](fmt.Sprintf(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector(%q).getBoundingClientRect().top))))`, selector), chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return v
}

// watchJS keeps the longest task and the longest wait for a frame, in milliseconds.
const watchJS = `window.longest = {task: 0, frame: 0};
	new PerformanceObserver(l => l.getEntries().forEach(e => { longest.task = Math.max(longest.task, e.duration); })).observe({type: "longtask"});
	(function frame(then) { requestAnimationFrame(now => { if (then) longest.frame = Math.max(longest.frame, now - then); frame(now); }); })(0);`

// settled waits until the manager has done all that so many incidents begin with.
func (b *bench) settled(incidents int) {
	b.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		count := map[incident.Kind]int{}
		for e, err := range b.m.Store.Read(b.t.Context(), 0) {
			require.NoError(b.t, err)
			count[e.Kind]++
		}
		if count[incident.Paged] >= incidents && count[incident.Drained] >= incidents {
			return
		}
		require.True(b.t, time.Now().Before(end), "the manager has done %v", count)
	}
}

// A thousand incidents are open and the timeline is long: the page stays small and still
// while five hundred events come, a hold is placed and an incident is declared.
func TestBrowserStaysSmallAndStillUnderAStorm(t *testing.T) {
	b := newBench(t)
	for i := range 1000 {
		b.declare("book and venue differ", fmt.Sprintf("book %d", i))
	}
	b.settled(1000)
	in := b.m.Open()[0]
	notes := 0
	note := func(n int) {
		for range n {
			notes++
			require.NoError(t, b.m.Note(t.Context(), in.Number, "Ada", fmt.Sprintf("note %d.", notes), ""))
		}
	}
	note(10_000)
	tab := newTab(t)
	tab.run(chromedp.Navigate(b.server.URL + "/console"))
	tab.eventually("#link", "live.")
	tab.eventually("#lines", "note 10000.")
	tab.run(chromedp.Evaluate[chromedp.Void](watchJS))
	button := "[data-live=incidents] article:nth-of-type(3) form[action$=acknowledge] button"
	tab.point(button)
	was := tab.top(button)
	require.Equal(t, was, tab.top(button))

	// The cord stands above the button, and grows; the incidents are pointed at.
	require.NoError(t, b.sw.Reduce("detector", strings.Repeat("the spread is too wide ", 20)))
	b.declare("another one", "book 1000")
	note(500)
	tab.eventually("#lines", "note 10500.")
	tab.eventually("[data-live=cord]", "the spread is too wide")
	tab.eventually("#link", "held still while you point at it, type in it or have it open: incidents")
	require.InDelta(t, was, tab.top(button), 1, "what is pointed at stays where it is")
	require.NotContains(t, tab.text("[data-live=incidents]"), "another one")

	// The hold is released while the page stands at its beginning, where no scrolling makes
	// up for a cord that shrinks.
	tab.run(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	tab.point("[data-live=incidents] h2")
	tab.run(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	was = tab.top(button)
	require.NoError(t, b.sw.Lift(t.Context(), "Ada", "it is fine", b.sw.Status().Holds[0]))
	tab.eventually("#state-more", "0 holds")
	tab.eventually("#link", "the cord")
	require.InDelta(t, was, tab.top(button), 1, "what cannot be made up for waits")

	// Nobody points at it any more: all is shown.
	tab.run(chromedp.MouseEvent(chromedp.MouseMoved, 5, 5))
	tab.eventually("[data-live=cord]", "no hold is in force")
	tab.eventually("[data-live=incidents]", "another one")
	tab.until(`document.getElementById("link").textContent === "Live."`, func() string { return tab.text("#link") })

	nodes := look[int](tab, `document.querySelectorAll("*").length`)
	require.Less(t, nodes, 5000, "the page is bounded")
	require.Equal(t, 200, look[int](tab, `document.querySelectorAll("#lines li").length`))
	t.Logf("1,000 incidents, 10,500 notes: %d elements; longest task %.0f ms, longest wait for a frame %.0f ms",
		nodes, look[float64](tab, `longest.task`), look[float64](tab, `longest.frame`))

	// Whoever reads further down in the timeline goes on reading there.
	tab.run(chromedp.Evaluate[chromedp.Void](`document.getElementById("lines").scrollTop = 2000; window.read = document.querySelector("#lines li:nth-child(40)"); read.id = "read"`))
	was = tab.top("#read")
	note(300)
	tab.eventually("#lines", "note 10800.")
	require.InDelta(t, was, tab.top("#read"), 1, "the line that is read stays where it is")

	// The page of the incident with all the notes is as small.
	tab.run(chromedp.Navigate(b.server.URL + "/console/incident?number=" + in.Number))
	tab.eventually("ol.timeline li", "note 10800.")
	require.Less(t, look[int](tab, `document.querySelectorAll("*").length`), 5000)
	tab.quiet()
}

// A finger points at nothing before it presses. What it presses right after something has
// moved is not taken, but for the stop.
func TestBrowserPressOnWhatHasJustMovedIsNotTaken(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	in := b.declare("book and venue differ", "book")
	tab.run(chromedp.Navigate(b.server.URL + "/console"))
	tab.eventually("#link", "live.")
	// The finger comes down in the very moment in which something moves.
	tab.run(chromedp.Evaluate[chromedp.Void](`new MutationObserver(function () {
		if (!("moved" in document.body.dataset) || window.taken) return;
		var press = new MouseEvent("click", {detail: 1, bubbles: true, cancelable: true});
		window.taken = document.querySelector("form[action$=acknowledge] button").dispatchEvent(press) ? "taken" : "not taken";
	}).observe(document.body, {attributes: true})`))
	b.declare("another one, which stands where the first one stood", "book 2")
	tab.until(`window.taken !== undefined`, func() string { return "nothing has moved" })
	require.Equal(t, "not taken", look[string](tab, `window.taken`))
	require.Contains(t, tab.text("#link"), "Not taken")
	now, err := b.m.Get(in.Number)
	require.NoError(t, err)
	require.Empty(t, now.AckedBy)

	tab.until(`!("moved" in document.body.dataset)`, func() string { return "it moves for ever" })
	tab.run(chromedp.Click("article:nth-of-type(2) form[action$=acknowledge] button"), chromedp.WaitVisible("#done"))
	now, err = b.m.Get(in.Number)
	require.NoError(t, err)
	require.Equal(t, "Ada", now.AckedBy)

	tab.run(chromedp.Navigate(b.server.URL + "/console"))
	tab.eventually("#link", "live.")
	tab.run(chromedp.Evaluate[chromedp.Void](`document.body.dataset.moved = ""`), chromedp.Click("button.cord"))
	tab.eventually("#state-word", "halted")
}

// What somebody types is not taken from under the hands.
func TestBrowserWhatIsTypedStays(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	require.NoError(t, b.sw.Reduce("detector", "first"))
	tab.run(chromedp.Navigate(b.server.URL + "/console"))
	tab.eventually("#link", "live.")
	field := "form[action$=release] input[name=why]"
	tab.run(chromedp.SendKeys(field, "the spread is fine"), chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	tab.run(chromedp.MouseEvent(chromedp.MouseMoved, 5, 5))
	require.NoError(t, b.sw.Reduce("detector", "second"))
	tab.eventually("#state-more", "2 holds")
	tab.eventually("#link", "the cord")
	require.Equal(t, "the spread is fine", look[string](tab, fmt.Sprintf(`document.querySelector(%q).value`, field)))
}

// shut is a door before a bench, which can be shut, and can swallow what goes through.
type shut struct {
	*httptest.Server
	closed, streams atomic.Int32
}

func door(t *testing.T, b *bench) *shut {
	t.Helper()
	s := &shut{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.closed.Load() > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/events") {
			s.streams.Add(1)
		}
		b.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.closed.Store(1)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func TestLaw1_BrowserThatHearsNothingSaysUnknown(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	d := door(t, b)
	tab.run(chromedp.Navigate(d.URL + "/console"))
	tab.eventually("#link", "live.")
	tab.eventually("#state-word", "active")
	d.closed.Store(1) // whoever asks is refused: the browser itself would never ask again
	d.CloseClientConnections()
	tab.eventually("#link", "not live")
	tab.eventually("#state-word", "unknown")
	require.Contains(t, tab.text("#state-more"), "it was active at")
	require.Contains(t, look[string](tab, `document.title`), "unknown")
	_, err := b.sw.Halt(t.Context(), "detector", "while nobody saw it")
	require.NoError(t, err)
	d.closed.Store(0)
	tab.eventually("#state-word", "halted")
	tab.eventually("[data-live=cord]", "while nobody saw it")
	tab.until(`document.getElementById("link").textContent === "Live."`, func() string { return tab.text("#link") })

	// The line is there and nothing comes: it is opened again, with the same cord.
	streams := d.streams.Load()
	// Every look at the clock is a minute after the one before: even what is heard was long ago.
	tab.run(chromedp.Evaluate[chromedp.Void](`window.clock = Date.now; window.looks = 0; Date.now = function () { return clock() + 60000 * ++looks; }`))
	for end := time.Now().Add(30 * time.Second); d.streams.Load() == streams; time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "it is not opened again")
	}
	tab.run(chromedp.Evaluate[chromedp.Void](`Date.now = clock`))
	tab.until(`document.getElementById("link").textContent === "Live."`, func() string { return tab.text("#link") })
	tab.eventually("#state-word", "halted")
	require.Equal(t, safety.Halted, b.sw.State())
}
