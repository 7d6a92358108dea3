package console_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/safety"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// tab is a tab of a real browser of its own, logged in as one person.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what the browser had against a page
}

func newTab(t *testing.T) *tab { return newTabOf(t, "Ada", password) }

func newTabOf(t *testing.T, person, pass string) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		needs.Missing(t, "a browser: install Debian's chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	limit, endLimit := context.WithTimeout(context.Background(), 5*time.Minute) // whatever hangs, the browser ends
	alloc, endAlloc := chromedp.NewExecAllocator(limit, options...)
	ctx, end := chromedp.NewContext(alloc)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("the browser ended: %v", err)
		}
		end()
		endAlloc()
		endLimit()
	})
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			b.complaints = append(b.complaints, ev.Entry.Text+" "+ev.Entry.URL)
		case *page.EventJavascriptDialogOpening:
			b.complaints = append(b.complaints, "a dialog: "+ev.Message)
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, fmt.Sprintf("%s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
		}
	}))
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(person+":"+pass))
	command(b, network.Enable, network.EnableParams{})
	command(b, log.Enable, cdp.Empty{})
	command(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": auth}})
	return b
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// get runs an action that has a value.
func get[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, a)
	require.NoError(b.t, err)
	return v
}

// command sends a command of the protocol.
func command[P, R any](b *tab, c cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, c, params)
	require.NoError(b.t, err)
}

func scheme(b *tab, dark string) {
	b.t.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: dark}}})
}

// look evaluates an expression. A page that is being left has nothing to evaluate in: it is
// asked again, of the page that comes.
func look[T any](b *tab, js string) T {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
		if err == nil {
			return v
		}
		if b.ctx.Err() != nil || time.Now().After(end) {
			require.NoError(b.t, err, js)
		}
	}
}

// text returns the text that a reader sees of the first element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return look[string](b, fmt.Sprintf(`(document.querySelector(%q)||{innerText:""}).innerText`, selector))
}

// eventually waits until the first element says something, which it must not have said before.
func (b *tab) eventually(selector, want string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`(document.querySelector(%q)||{innerText:""}).innerText.toLowerCase().includes(%q)`, selector, strings.ToLower(want)),
		func() string { return selector + " says " + b.text(selector) })
}

// until waits until an expression is true. why tells what there is instead.
func (b *tab) until(js string, why func() string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); !look[bool](b, js); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			require.Fail(b.t, "it never came", "%s: %s", js, why())
		}
	}
}

// quiet requires that the browser had nothing against any page: no policy violated, no
// script failed.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var real []string
	for _, c := range b.complaints {
		if !strings.Contains(c, "favicon") {
			real = append(real, c)
		}
	}
	require.Empty(b.t, real)
}

func TestBrowserStopIsOnePressAndThePageShowsIt(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	tab.run(chromedp.Navigate(b.server.URL+"/console"), chromedp.WaitVisible("button.cord"))
	tab.eventually("#link", "live")
	tab.eventually("#state-word", "active")
	tab.run(chromedp.Evaluate[chromedp.Void](`
		addEventListener("submit", function () { window.pressed = performance.now() }, true);
		new MutationObserver(function () {
			if (!window.shown && document.getElementById("state-word").textContent === "halted") window.shown = performance.now();
		}).observe(document.getElementById("state"), {subtree: true, childList: true, characterData: true, attributes: true})`),
		chromedp.Click("button.cord"))
	tab.eventually("#state-word", "halted")
	require.Equal(t, safety.Halted, b.sw.State())
	require.Equal(t, "Ada", b.sw.Status().Holds[0].By)
	took := get(tab, chromedp.Evaluate[float64](`window.shown - window.pressed`))
	t.Logf("press to page: %.1f ms", took) // a figure for the report, not a promise of this machine
	tab.eventually("[data-live=cord]", "stopped from the console")
	tab.quiet()
}

func TestBrowserForgedStopIsRefused(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<form method="post" action="%s/console/do/stop"><input name="reason" value="forged"><button id="go">win a prize</button></form>`, b.server.URL)
	}))
	defer evil.Close()
	// Another name for this machine: another site to the browser.
	tab.run(chromedp.Navigate(strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)), chromedp.Click("#go"), chromedp.WaitVisible("[role=alert]"))
	require.Contains(t, tab.text("[role=alert]"), "did not come from the console's own page")
	require.Equal(t, safety.Active, b.sw.State())
}

func TestBrowserStreamThatIsCutLosesNothing(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	in := b.declare("book and venue differ", "book")
	tab.run(chromedp.Navigate(b.server.URL + "/console"))
	tab.eventually("#link", "live")
	for round := range 3 {
		b.server.CloseClientConnections()
		for i := range 20 {
			require.NoError(t, b.m.Note(t.Context(), in.Number, "Ada", fmt.Sprintf("note %d of round %d.", i, round), ""))
		}
		tab.eventually("#lines", fmt.Sprintf("note 19 of round %d.", round))
	}
	all := tab.text("#lines")
	for round := range 3 {
		for i := range 20 {
			require.Equal(t, 1, strings.Count(all, fmt.Sprintf("note %d of round %d.", i, round)), "every event once")
		}
	}
}

func TestBrowserWithScriptsOff(t *testing.T) {
	b, tab := newBench(t), newTab(t)
	in := b.declare("book and venue differ", "book")
	require.NoError(t, b.sw.Resume(t.Context(), "Ada", "test", b.sw.Status().Holds))
	command(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	tab.run(chromedp.Navigate(b.server.URL+"/console"), chromedp.Click("form[action$=acknowledge] button"), chromedp.WaitVisible("#done"))
	now, err := b.m.Get(in.Number)
	require.NoError(t, err)
	require.Equal(t, "Ada", now.AckedBy)
	// From the console's page again: on the answer to the last action #done is visible already.
	tab.run(chromedp.Navigate(b.server.URL+"/console"), chromedp.Click("button.cord"), chromedp.WaitVisible("#done"))
	require.Equal(t, safety.Halted, b.sw.State())
	require.Contains(t, tab.text("main"), "Trading is halted")
	// Resume: open the form, tick what was seen, say why.
	tab.run(chromedp.Navigate(b.server.URL+"/console"), chromedp.Click("details[data-live=resume] summary"),
		chromedp.WaitVisible("details[data-live=resume] input[name=seen]"), chromedp.Click("details[data-live=resume] input[name=seen]"),
		chromedp.SendKeys("details[data-live=resume] input[name=why]", "looked at it"), chromedp.Click("details[data-live=resume] button"), chromedp.WaitVisible("#done"))
	require.Contains(t, tab.text("main"), "Trading is active")
	require.Equal(t, safety.Active, b.sw.State())
}

// busy is a bench with something to look at on every page.
func busy(t *testing.T) *bench {
	t.Helper()
	d := andon.MustDecimal
	b := newBench(t, func(c *console.Config) {
		c.Exchanges = []console.Exchange{{Name: "Coinbase", Page: "https://status.coinbase.com"}}
		c.Accounts = map[string]andon.Account{"kraken": still{
			positions: []andon.Position{{Venue: "kraken", Symbol: "BTC-USDT", Quantity: d("0.5"), Entry: d("64000"), Mark: d("63200"), At: time.Now()},
				{Venue: "kraken", Symbol: "ETH-USDT", Quantity: d("-3"), Entry: d("3100"), Mark: d("3180"), At: time.Now()}},
			orders: []andon.Order{{ClientID: "stop-1", Venue: "kraken", Symbol: "BTC-USDT", Side: andon.Sell, Kind: andon.StopMarket, Quantity: d("0.5"), Trigger: d("61500"), ReduceOnly: true, Status: andon.Live}},
		}}
	})
	in := b.declare("book and venue differ on BTC-USDT", "book")
	require.NoError(t, b.m.Update(t.Context(), in.Number, "Ada", incident.Update{Status: "Trading is stopped while we compare our records with the exchange.", ETA: "12:30 UTC"}))
	require.NoError(t, b.m.Acknowledge(t.Context(), b.declare("margin close to its limit on a venue with a rather long name", "venue/with-a-long-name").Number, "Ada"))
	_, err := b.sw.Halt(t.Context(), "reconciler", "book says 0.50 BTC, venue says 0.45 BTC")
	require.NoError(t, err)
	return b
}

// still is an account that does not move.
type still struct {
	*andontest.Venue
	positions []andon.Position
	orders    []andon.Order
}

func (s still) Positions(context.Context) ([]andon.Position, error) { return s.positions, nil }
func (s still) Orders(context.Context) ([]andon.Order, error)       { return s.orders, nil }

// TestBrowserPagesFit looks at each page as a phone and as a desktop shows it, light and
// dark. With ANDON_SCREENSHOTS=DIR the pictures are kept, to be looked at.
func TestBrowserPagesFit(t *testing.T) {
	b, tab := busy(t), newTab(t)
	number := b.m.Open()[0].Number
	for name, path := range map[string]string{"status": "/", "console": "/console", "incident": "/console/incident?number=" + number, "card": "/console/card", "refused": "/nothing"} {
		for _, width := range []int64{360, 1280} {
			for _, dark := range []string{"light", "dark"} {
				scheme(tab, dark)
				tab.run(chromedp.EmulateViewport(width, 800), chromedp.Navigate(b.server.URL+path), chromedp.WaitVisible("main"))
				wide, small := get(tab, chromedp.Evaluate[string](wideJS)), get(tab, chromedp.Evaluate[string](smallJS))
				picture := get(tab, chromedp.FullScreenshot(100))
				require.Empty(t, wide, "%s at %d: wider than the screen", name, width)
				require.Empty(t, small, "%s at %d: too small for a finger", name, width)
				if dir := os.Getenv("ANDON_SCREENSHOTS"); dir != "" {
					require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, dark)), picture, 0o600))
				}
			}
		}
	}
	tab.run(chromedp.Navigate(b.server.URL+"/console"), chromedp.WaitVisible("main"))
	require.Empty(t, get(tab, chromedp.Evaluate[string](unlabelledJS)), "every field has a label")
	for _, dark := range []string{"light", "dark"} {
		scheme(tab, dark)
		require.Empty(t, get(tab, chromedp.Evaluate[string](contrastJS)), "every text can be read (WCAG AA, 4.5:1): %s", dark)
	}
}

// Each names the elements that break a rule: wider than the screen, too small for a
// finger, a field without a label.
const (
	wideJS       = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("pre,svg,table")).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).join("; ")`
	smallJS      = `[...document.querySelectorAll("button, summary, input:not([type=hidden]):not([type=checkbox])")].filter(e => e.getBoundingClientRect().height > 0 && e.getBoundingClientRect().height < 44).map(e => e.outerHTML).join("; ")`
	unlabelledJS = `[...document.querySelectorAll("input:not([type=hidden])")].filter(e => !e.labels.length).map(e => e.outerHTML).join("; ")`
)

// contrastJS names each element whose own text has too little contrast with what is behind it.
const contrastJS = `(function () {
	function rgb(c) { var m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : m.concat(1); }
	function lum(c) { return c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }).reduce(function (s, v, i) { return s + v * [0.2126, 0.7152, 0.0722][i]; }, 0); }
	function behind(e) { for (; e; e = e.parentElement) { var c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0.9) return c; } return [255, 255, 255, 1]; }
	return [...document.querySelectorAll("body *")].filter(function (e) {
		if (!e.getClientRects().length || e.closest("svg") || ![...e.childNodes].some(function (n) { return n.nodeType === 3 && n.textContent.trim(); })) return false;
		var a = lum(rgb(getComputedStyle(e).color)), b = lum(behind(e));
		return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
	}).map(function (e) { return e.tagName + "." + e.className + " " + e.textContent.slice(0, 30); }).join("; ");
})()`

func TestBrowserPrintsTheCardOnOneSheet(t *testing.T) {
	b, tab := newBench(t, func(c *console.Config) {
		card := console.DefaultCard()
		for i := range 12 {
			card.Contacts = append(card.Contacts, console.Named{Name: fmt.Sprintf("contact %d", i), To: "somebody@example.com | +1-555-010-0199"})
			card.Files = append(card.Files, console.Named{Name: fmt.Sprintf("file %d", i), To: "/var/lib/btc-maker/some/where/file"})
		}
		c.Card = card
	}), newTab(t)
	tab.run(chromedp.Navigate(b.server.URL+"/console/card"), chromedp.WaitVisible("main"))
	pdf := get(tab, chromedp.PrintToPDF(func(p *page.PrintToPDFParams) {
		p.PaperWidth, p.PaperHeight = 8.27, 11.69 // A4, in inches
	}))
	require.Len(t, regexp.MustCompile(`/Type\s*/Page\b[^s]`).FindAll(pdf, -1), 1, "one sheet")
}
