package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed pages
var pagesFS embed.FS

//go:embed assets
var assetsFS embed.FS

// ErrRunning says that Run was called twice.
var ErrRunning = errors.New("console is running already")

// Console is the status page and the operations console. New makes one, Run looks at
// what the pages show. It is an http.Handler, and safe for concurrent use.
type Console struct {
	cfg    Config
	pages  *template.Template
	assets map[string]asset
	status statusCache
	seen   sightings
	guard  *guard
	feed   *feed
	plans  plans

	running atomic.Bool
}

// asset is one embedded file, ready to be sent.
type asset struct {
	kind, etag string
	body       []byte
}

// New returns a Console. It starts nothing: Run does. The error joins every problem of
// the configuration, each beginning with its field.
func New(cfg Config) (*Console, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c := &Console{cfg: cfg, assets: map[string]asset{}}
	var err error
	if c.pages, err = template.New("").Funcs(c.words()).ParseFS(pagesFS, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("console: pages: %w", err)
	}
	for name, kind := range map[string]string{"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"} {
		body, err := assetsFS.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("console: assets: %w", err)
		}
		c.assets[name] = asset{kind, tag(body), body}
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("console: key of the forms: %w", err)
	}
	c.guard = newGuard(key, cfg.ActionsPerMinute)
	c.feed = newFeed(cfg.Timeline, cfg.MaxStreams, cfg.AskWithin)
	c.seen.exchanges = make([]sight[string], len(cfg.Exchanges))
	c.seen.accounts = map[string]*sight[account]{}
	for name := range cfg.Accounts {
		c.seen.accounts[name] = &sight[account]{}
	}
	return c, nil
}

// Run looks at venues, backups and exchanges, and feeds the live streams, until ctx ends;
// the streams end with it. It returns nil then, and ErrRunning at once where it runs already.
func (c *Console) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer c.running.Store(false)
	var looks sync.WaitGroup
	looks.Go(func() { c.feed.run(ctx, c.cord, c.cfg.Log) })
	for i := range c.cfg.Exchanges {
		looks.Go(func() { c.every(ctx, c.cfg.ExchangesEvery, func() { c.lookAtExchange(ctx, i) }) })
	}
	for name := range c.cfg.Accounts {
		looks.Go(func() { c.every(ctx, c.cfg.LookEvery, func() { c.lookAtAccount(ctx, name) }) })
	}
	if c.cfg.Catalog != nil {
		looks.Go(func() { c.every(ctx, c.cfg.BackupsEvery, func() { c.lookAtBackups(ctx) }) })
	}
	if c.cfg.Timeline != nil {
		looks.Go(func() { c.every(ctx, c.cfg.BackupsEvery, func() { c.lookAtBeginning(ctx) }) })
	}
	looks.Wait()
	return nil
}

// every does something now and again and again.
func (c *Console) every(ctx context.Context, pause time.Duration, f func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		f()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ServeHTTP is http.Handler's.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harden(w.Header(), r.TLS != nil)
	p, ok := strings.CutPrefix(r.URL.Path, c.cfg.Base)
	if !ok || p != "" && p[0] != '/' {
		c.refuse(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	switch {
	case p == "" || p == "/":
		c.serveStatus(w, r, false)
	case p == "/status.json":
		c.serveStatus(w, r, true)
	case strings.HasPrefix(p, "/assets/"):
		c.serveAsset(w, r, path.Base(p))
	case p == "/console" || strings.HasPrefix(p, "/console/"):
		c.serveConsole(w, r, strings.TrimPrefix(strings.TrimPrefix(p, "/console"), "/"))
	default:
		c.refuse(w, r, http.StatusNotFound, "There is no such page.")
	}
}

// maxBody is the longest form that is read, in bytes.
const maxBody = 64 << 10

// harden sets what every answer says to a browser: nothing from elsewhere, no frame, no
// guessing of types.
func harden(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would blank the Origin that forms are judged by
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("X-Permitted-Cross-Domain-Policies", "none")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := c.assets[name]
	if !ok {
		c.refuse(w, r, http.StatusNotFound, "There is no such file.")
		return
	}
	if !reading(w, r) {
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	send(w, r, a.kind, a.etag, a.body)
}

// reading reports whether a request only reads, and answers it where it does not.
func reading(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "this page is only read", http.StatusMethodNotAllowed)
	return false
}

// send answers with bytes that are there already, or with 304 for whoever has them.
func send(w http.ResponseWriter, r *http.Request, kind, etag string, body []byte) {
	h := w.Header()
	h.Set("ETag", etag)
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimSpace(have); have == etag || have == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", kind)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // whoever asked has gone
}

func tag(b []byte) string {
	sum := sha256.Sum256(b)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}

// refusal is the page that says no.
type refusal struct {
	Base, Name, Title, Why string
	Code                   int
	Public                 bool
}

// refuse answers that it was not done, and why.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, code int, why string) {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, code, answer{Error: why})
		return
	}
	c.render(w, code, "refused.html", refusal{c.cfg.Base, c.cfg.Name, http.StatusText(code), why, code, c.cfg.Public})
}

// render makes the whole page before the first byte is sent, so that a page that cannot
// be made is an error and never half a page.
func (c *Console) render(w http.ResponseWriter, code int, page string, data any) {
	html, err := c.page(page, data)
	if err != nil {
		c.cfg.Log.Error("console: page", "page", page, "err", err)
		http.Error(w, "this page could not be made; the bot's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(html) // whoever asked has gone
}

// page makes a page. Whatever came from elsewhere is text on it, and all of it can be seen.
func (c *Console) page(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := c.pages.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return visible(b.Bytes()), nil
}
