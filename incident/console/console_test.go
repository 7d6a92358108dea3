package console_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/safetytest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a console over a real switch and a real manager, served over HTTP.
type bench struct {
	*console.Console
	t      testing.TB
	sw     *safety.Switch
	m      *incidenttest.Manager
	server *httptest.Server
	client *http.Client
}

const password = "correct horse"

func newBench(t testing.TB, change ...func(*console.Config)) *bench {
	t.Helper()
	b := &bench{t: t, m: incidenttest.NewManager(t), sw: safetytest.New(t, safety.Config{})}
	cfg := console.Config{
		Name: "btc-maker", Public: true, Switch: b.sw, Incidents: b.m.Manager, Timeline: b.m.Store, Exchanges: []console.Exchange{},
		Authorizer: console.Passwords(map[string]notify.Secret{"Ada": notify.Secret(password), "Grace": notify.Secret(password + "2")}),
		Log:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	b.Console, err = console.New(cfg)
	require.NoError(t, err)
	b.server = httptest.NewServer(b.Console)
	b.client = &http.Client{Transport: &http.Transport{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	for !b.Running() {
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		b.client.CloseIdleConnections()
		b.server.Close()
	})
	return b
}

// reply is an answer that was read whole.
type reply struct {
	code   int
	header http.Header
	body   string
}

func (b *bench) do(method, path, body string, change ...func(*http.Request)) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	require.NoError(b.t, err)
	for _, c := range change {
		c(r)
	}
	resp, err := b.client.Do(r)
	require.NoError(b.t, err)
	got, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	return reply{resp.StatusCode, resp.Header, string(got)}
}

func as(name, pass string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, pass) }
}

func ada(r *http.Request) { r.SetBasicAuth("Ada", password) }

// page opens the console as Ada and returns what a form needs.
func (b *bench) page() (token, session, html string) {
	b.t.Helper()
	got := b.do("GET", "/console", "", ada)
	require.Equal(b.t, 200, got.code, got.body)
	found := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(got.body)
	require.NotNil(b.t, found, "the page has a token")
	return found[1], strings.Split(got.header.Get("Set-Cookie"), ";")[0], got.body
}

// form sends a form as the console's own page would.
func (b *bench) form(action, session string, fields url.Values, change ...func(*http.Request)) reply {
	b.t.Helper()
	return b.do("POST", "/console/do/"+action, fields.Encode(), append([]func(*http.Request){ada, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", b.server.URL)
		r.Header.Set("Cookie", session)
	}}, change...)...)
}

func (b *bench) declare(summary, component string) incident.Incident {
	b.t.Helper()
	in, err := b.m.Declare(b.t.Context(), "detector", summary, severity.Signal{
		Condition: severity.InconsistentPositions, Component: component, At: time.Now(),
	})
	require.NoError(b.t, err)
	return in
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	_, err := console.New(console.Config{
		Base: "andon/", Hosts: []string{"*.example"}, LookEvery: -1, MaxStreams: -1,
		Exchanges: []console.Exchange{{Name: "", Page: "javascript:alert(1)", API: "ftp://x"}},
		Card:      console.Card{Links: []console.Named{{Name: "x", To: "data:text/html,x"}}},
	})
	require.Error(t, err)
	for _, field := range []string{"Name", "Switch", "Incidents", "Base", "Hosts", "LookEvery", "MaxStreams", "Exchanges[0].Name", "Exchanges[0].Page", "Exchanges[0].API", "Card.Links[0].To"} {
		require.ErrorContains(t, err, field)
	}
}

func TestStatusPageTellsStateIncidentsAndUpdates(t *testing.T) {
	b := newBench(t)
	in := b.declare("secret summary", "secret-component")
	require.NoError(t, b.m.Update(t.Context(), in.Number, "secret person", incident.Update{Status: "We look into it.", ETA: "12:30"}))
	require.NoError(t, b.m.Note(t.Context(), in.Number, "secret person", "secret note", ""))
	_, err := b.sw.Halt(t.Context(), "secret person", "secret reason")
	require.NoError(t, err)

	html := b.do("GET", "/", "")
	require.Equal(t, 200, html.code)
	for _, want := range []string{"halted", in.Number, "SEV-1", "We look into it.", "12:30", "investigating"} {
		require.Contains(t, html.body, want)
	}
	data := b.do("GET", "/status.json", "")
	var s console.Status
	require.NoError(t, json.Unmarshal([]byte(data.body), &s))
	require.Equal(t, "halted", s.Trading)
	require.Equal(t, in.Number, s.Open[0].Number)
	require.Equal(t, "SEV-1", s.Open[0].Level)
	require.Len(t, s.Days, 90)
	require.Equal(t, "SEV-1", s.Days[89].Level)
	require.Equal(t, 1, s.Days[89].Count)
	require.Equal(t, "unknown", s.Days[0].Level, "a day without a record is not a good day")
	for _, page := range []string{html.body, data.body} {
		require.NotContains(t, page, "secret", "what is inside stays inside")
	}
}

func TestStatusPageIsMadeOnceASecondAndKnownByItsETag(t *testing.T) {
	b := newBench(t)
	first := b.do("GET", "/", "")
	again := b.do("GET", "/", "", func(r *http.Request) { r.Header.Set("If-None-Match", first.header.Get("ETag")) })
	require.Equal(t, 304, again.code)
	require.Empty(t, again.body)

	_, err := b.sw.Halt(t.Context(), "Ada", "look")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now := b.do("GET", "/", "", func(r *http.Request) { r.Header.Set("If-None-Match", first.header.Get("ETag")) })
		return now.code == 200 && strings.Contains(now.body, "halted")
	}, 10*time.Second, 50*time.Millisecond, "what changes is told within seconds")
}

func TestStatusPageIsNotPublicByDefault(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.Public = false })
	require.Equal(t, 404, b.do("GET", "/status.json", "").code)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got := b.do("GET", "/", "")
	require.Equal(t, 303, got.code)
	require.NotContains(t, got.body, "active")
}

func TestLaw1_ExchangeThatDoesNotAnswerIsUnknown(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `{"status":{"indicator":"none"}}`)
		},
		"no json":      func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) },
		"nothing":      func(http.ResponseWriter, *http.Request) {},
		"no indicator": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":{}}`) },
		"a new word": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":{"indicator":"splendid"}}`)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":{"indicator":"none"},"x":"`+strings.Repeat("x", 1<<17)+`"}`)
		},
		"another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 100)
			theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- struct{}{}; answer(w, r) }))
			defer theirs.Close()
			b := newBench(t, func(c *console.Config) {
				c.AskWithin, c.ExchangesEvery = 50*time.Millisecond, 20*time.Millisecond
				c.Exchanges = []console.Exchange{{Name: "Coinbase", Page: "https://status.coinbase.com", API: theirs.URL}}
			})
			<-asked
			<-asked // the first answer has been judged
			got := b.Status(time.Now()).Exchanges
			require.Equal(t, "unknown", got[0].State)
			require.NotEmpty(t, got[0].Why)
		})
	}
}

func TestLaw1_ExchangeThatFellSilentIsUnknownAgain(t *testing.T) {
	answers := make(chan string, 1)
	answers <- `{"status":{"indicator":"minor"}}`
	theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case a := <-answers:
			_, _ = io.WriteString(w, a)
		default:
			w.WriteHeader(502)
		}
	}))
	defer theirs.Close()
	b := newBench(t, func(c *console.Config) {
		c.ExchangesEvery = 100 * time.Millisecond
		c.Exchanges = []console.Exchange{{Name: "Bluefin", Page: "https://status.bluefin.io", API: theirs.URL}}
	})
	state := func() string { return b.Status(time.Now()).Exchanges[0].State }
	require.Eventually(t, func() bool { return state() == "minor" }, 10*time.Second, 5*time.Millisecond)
	known := b.Status(time.Now()).Exchanges[0].At
	require.Eventually(t, func() bool { return b.Status(known).Exchanges[0].State == "unknown" }, 10*time.Second, 5*time.Millisecond,
		"one answer that does not come is enough, however fresh the last one is")
	require.Equal(t, "unknown", b.Status(time.Now().Add(time.Hour)).Exchanges[0].State)
}

func TestConsoleIsNotServedWithoutAnAuthorizer(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.Authorizer = nil })
	for _, path := range []string{"/console", "/console/card", "/console/events", "/console/incident"} {
		got := b.do("GET", path, "", ada)
		require.Equal(t, 403, got.code, path)
		require.Contains(t, got.body, "Authorizer")
	}
	require.Equal(t, 403, b.form("stop", "", nil).code)
	require.Equal(t, safety.Active, b.sw.State())
}

func TestConsoleAsksWhoIsThere(t *testing.T) {
	b := newBench(t)
	for name, who := range map[string]func(*http.Request){
		"nobody": func(*http.Request) {}, "a wrong password": as("Ada", "wrong"), "another's": as("Ada", password+"2"),
		"a stranger": as("Eve", password), "an empty one": as("Ada", ""), "no name": as("", ""),
	} {
		got := b.do("GET", "/console", "", who)
		require.Equal(t, 401, got.code, name)
		require.Contains(t, got.header.Get("WWW-Authenticate"), "Basic", name)
		require.NotContains(t, got.body, "token", name)
	}
	require.Equal(t, 200, b.do("GET", "/console", "", ada).code)
	p := console.Passwords(map[string]notify.Secret{"Ada": nil})
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("Ada", "")
	_, err := p.Authorize(r, console.View)
	require.ErrorIs(t, err, console.ErrUnknownPerson, "an empty password is nobody's")
}

func TestConsoleIsAskedForOnThisMachineOnly(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(*http.Request){
		"another name (rebinding)": func(r *http.Request) { r.Host = "evil.example" },
		"another address":          func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1234" },
		"no address":               func(r *http.Request) { r.RemoteAddr = "@" },
		"a proxy":                  func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") },
	} {
		r := httptest.NewRequest("GET", "/console", nil)
		r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:999"
		ada(r)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		change(r)
		w = httptest.NewRecorder()
		b.ServeHTTP(w, r)
		require.Equal(t, 403, w.Code, name)
	}
	named := newBench(t, func(c *console.Config) { c.Hosts = []string{"ops.example"} })
	for host, code := range map[string]int{"ops.example": 200, "OPS.example:443": 200, "localhost": 403, "ops.example.evil": 403} {
		r := httptest.NewRequest("GET", "/console", nil)
		r.Host = host
		ada(r)
		w := httptest.NewRecorder()
		named.ServeHTTP(w, r)
		require.Equal(t, code, w.Code, host)
	}
}

func TestStopIsOnePress(t *testing.T) {
	b := newBench(t)
	got := b.form("stop", "", nil) // no token, no session: a page from before a restart
	require.Equal(t, 200, got.code, got.body)
	require.Contains(t, got.body, "Trading is halted")
	require.Equal(t, safety.Halted, b.sw.State())
	require.Equal(t, "Ada", b.sw.Status().Holds[0].By)

	for range 200 {
		require.Equal(t, 200, b.form("stop", "", nil).code, "stopping is never counted")
	}
	long := b.form("stop", "", url.Values{"reason": {strings.Repeat("x", 1<<17)}})
	require.Equal(t, 200, long.code, "a stop is not refused for its form")

	script := b.form("stop", "", nil, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	require.JSONEq(t, `"halted"`, string(jsonField(t, script.body, "cord", "state")))
}

func jsonField(t *testing.T, body string, path ...string) json.RawMessage {
	t.Helper()
	raw := json.RawMessage(body)
	for _, p := range path {
		var m map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &m), body)
		raw = m[p]
	}
	return raw
}

func TestForgedRequestIsRefused(t *testing.T) {
	b := newBench(t)
	token, session, _ := b.page()
	for name, change := range map[string]func(*http.Request){
		"another site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sister site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"typed":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
		"another origin":   func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a null origin":    func(r *http.Request) { r.Header.Set("Origin", "null") },
		"another port":     func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") },
		"no word about it": func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") },
	} {
		for action, fields := range map[string]url.Values{"stop": nil, "hold": {"token": {token}, "why": {"forged"}}} {
			require.Equal(t, 403, b.form(action, session, fields, change).code, name+" "+action)
		}
	}
	require.Equal(t, 405, b.do("GET", "/console/do/stop", "", ada).code, "a link does nothing")
	for name, fields := range map[string]url.Values{
		"no token": {"why": {"x"}}, "a made-up one": {"token": {"1.2.3"}, "why": {"x"}}, "another's": {"token": {token}, "why": {"x"}},
	} {
		change := func(*http.Request) {}
		if name == "another's" {
			change = as("Grace", password+"2")
		}
		require.Equal(t, 403, b.form("hold", session, fields, change).code, name)
	}
	require.Equal(t, 403, b.form("hold", "andon_session="+strings.Repeat("x", 32), url.Values{"token": {token}, "why": {"x"}}).code, "another session's")
	require.Equal(t, safety.Active, b.sw.State(), "nothing of it was done")
	require.Equal(t, 200, b.form("hold", session, url.Values{"token": {token}, "why": {"real"}}).code, "the token is good after all that")
}

func TestFormIsDoneOnce(t *testing.T) {
	b := newBench(t)
	token, session, _ := b.page()
	in := b.declare("book and venue differ", "book")
	fields := url.Values{"token": {token}, "number": {in.Number}, "text": {"written once"}}
	require.Equal(t, 200, b.form("note", session, fields).code)
	got := b.form("note", session, fields)
	require.Equal(t, 409, got.code)
	require.Contains(t, got.body, "sent before")
	notes := 0
	events, err := b.m.Timeline(t.Context(), in.Number)
	require.NoError(t, err)
	for _, e := range events {
		if e.Kind == incident.Noted {
			notes++
		}
	}
	require.Equal(t, 1, notes)
}

func TestSizeAndRateAreBounded(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.ActionsPerMinute = 3 })
	token, session, _ := b.page()
	got := b.form("hold", session, url.Values{"token": {token}, "why": {strings.Repeat("x", 1<<17)}})
	require.Equal(t, 413, got.code)
	codes := map[int]int{}
	for range 10 {
		codes[b.form("hold", session, url.Values{"token": {"x"}}).code]++
	}
	require.GreaterOrEqual(t, codes[429], 4, "three of a minute are let through: %v", codes)
	require.Equal(t, 200, b.form("stop", session, nil).code, "a stop is let through all the same")
}

func TestResumeLiftsOnlyWhatWasSeen(t *testing.T) {
	b := newBench(t)
	_, err := b.sw.Halt(t.Context(), "detector", "first")
	require.NoError(t, err)
	token, session, html := b.page()
	marks := regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`).FindAllStringSubmatch(html, -1)
	require.Len(t, marks, 1)
	_, err = b.sw.Halt(t.Context(), "detector", "second, after the page was made")
	require.NoError(t, err)

	fields := url.Values{"token": {token}, "why": {"looked at it"}, "seen": {marks[0][1]}}
	got := b.form("resume", session, fields)
	require.Equal(t, 409, got.code)
	require.Contains(t, got.body, "have not seen")
	require.Equal(t, safety.Halted, b.sw.State())

	token, session, html = b.page()
	fields = url.Values{"token": {token}}
	for _, m := range regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`).FindAllStringSubmatch(html, -1) {
		fields.Add("seen", m[1])
	}
	require.Equal(t, 409, b.form("resume", session, fields).code, "a resume needs a note")
	token, session, _ = b.page()
	fields.Set("token", token)
	fields.Set("why", "both looked at")
	got = b.form("resume", session, fields)
	require.Equal(t, 200, got.code, got.body)
	require.Equal(t, safety.Active, b.sw.State())
	require.Equal(t, "Ada", b.sw.Status().Resumed.By)
}

func TestHoldIsPlacedAndReleased(t *testing.T) {
	b := newBench(t)
	token, session, _ := b.page()
	require.Equal(t, 200, b.form("hold", session, url.Values{"token": {token}, "why": {"spread too wide"}}).code)
	require.Equal(t, safety.Reducing, b.sw.State())
	token, session, html := b.page()
	mark := regexp.MustCompile(`name="hold" value="([0-9a-f]+)"`).FindStringSubmatch(html)
	require.NotNil(t, mark)
	require.Equal(t, 200, b.form("release", session, url.Values{"token": {token}, "why": {"spread is fine"}, "hold": {mark[1]}}).code)
	require.Equal(t, safety.Active, b.sw.State())
}

func TestAcknowledgeIsOnTheTimeline(t *testing.T) {
	b := newBench(t)
	in := b.declare("book and venue differ", "book")
	token, session, html := b.page()
	require.Contains(t, html, "Acknowledge "+in.Number)
	require.Equal(t, 200, b.form("acknowledge", session, url.Values{"token": {token}, "number": {in.Number}}).code)
	now, err := b.m.Get(in.Number)
	require.NoError(t, err)
	require.Equal(t, "Ada", now.AckedBy)
	page := b.do("GET", "/console/incident?number="+in.Number, "", ada)
	require.Contains(t, page.body, "acknowledged")
	require.Equal(t, 404, b.do("GET", "/console/incident?number=INC-1", "", ada).code)
}

func TestAuthorizerIsAskedForEachAction(t *testing.T) {
	var asked []console.Action
	b := newBench(t, func(c *console.Config) {
		c.Authorizer = console.AuthorizerFunc(func(_ *http.Request, a console.Action) (string, error) {
			if asked = append(asked, a); a == console.View || a == console.Stop {
				return "Ada", nil
			}
			return "", fmt.Errorf("may only look and stop")
		})
	})
	token, session, _ := b.page()
	for _, action := range []string{"hold", "release", "acknowledge", "note", "approve", "plan", "close", "resume"} {
		require.Equal(t, 403, b.form(action, session, url.Values{"token": {token}}).code, action)
	}
	require.Equal(t, []console.Action{console.View, console.Narrow, console.Release, console.Acknowledge, console.Note, console.Approve, console.CloseAll, console.CloseAll, console.Resume}, asked)
	require.Equal(t, 200, b.form("stop", session, nil).code)
	nobody := newBench(t, func(c *console.Config) {
		c.Authorizer = console.AuthorizerFunc(func(*http.Request, console.Action) (string, error) { return " ", nil })
	})
	require.Equal(t, 403, nobody.do("GET", "/console", "").code, "nothing is done for nobody")
}

// hostile are texts that want to be more than text.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`,
	`{{.Token}}`, `javascript:alert(1)`, "\u202egnihtemos", "a\x00b", `<!--`, `]]>`, `&lt;script&gt;`, "\x1b[2Jgone", `\u003cscript\u003e`,
	`<svg onload=alert(1)>`, `</script><script>alert(1)</script>`, `</style><style>*{display:none}</style>`, `expression(alert(1));background:url(//evil)`,
	`<iframe src="javascript:alert(1)">`, `<meta http-equiv=refresh content="0;url=//evil">`, `<base href=//evil>`, "`${alert(1)}`", `{{printf "%s" .}}`,
	strings.Repeat("longestword", 300),
}

func TestHostileTextStaysText(t *testing.T) {
	b := newBench(t)
	last := ""
	for i, text := range hostile {
		in := b.declare(text, fmt.Sprintf("%s %d", text, i))
		require.NoError(t, b.m.Update(t.Context(), in.Number, text, incident.Update{Status: text, ETA: text}))
		require.NoError(t, b.m.Note(t.Context(), in.Number, text, text, text))
		require.NoError(t, b.sw.Reduce(text, text))
		last = in.Number
		for _, path := range []string{"/", "/console", "/console/incident?number=" + in.Number} {
			got := b.do("GET", path, "", ada)
			require.Equal(t, 200, got.code)
			notMarkup(t, got.body, path)
		}
	}
	require.Eventually(t, func() bool { return strings.Contains(b.do("GET", "/", "").body, last) }, 10*time.Second, 50*time.Millisecond)
	notMarkup(t, b.do("GET", "/", "").body, "/")
	got := b.do("GET", "/console/incident?number="+url.QueryEscape(`<script>alert(1)</script>`), "", ada)
	require.NotContains(t, got.body, "<script>alert")
}

// notMarkup requires that nothing hostile is more than text on a page, and that all of it
// can be seen.
func notMarkup(t *testing.T, html, path string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", "<img src=x", "onmouseover='alert", "</title><script", "<svg onload", "<style", "<iframe", "<meta http", "<base", "\u202e", "\u2066", "\u200b", "\ufeff", "\x1b", "\x00"} {
		require.NotContains(t, html, bad, path)
	}
}

func TestWhatNobodySeesIsSpelledOut(t *testing.T) {
	for text, want := range map[string]string{
		"plain <b> é 漢字 🙂": "plain <b> é 漢字 🙂", "line\nand\ttab": "line\nand\ttab", "مرحبا": "مرحبا", "👩\u200d🚒 می\u200cخواهم": "👩\u200d🚒 می\u200cخواهم",
		"\u202eSEV-4": `\u202eSEV-4`, "a\u200bb\ufeff": `a\u200bb\ufeff`, "\x1b[2J\x00\x7f\u009b": `\u001b[2J\u0000\u007f\u009b`,
		"\U000e0041tag": `\U000e0041tag`, "bad \xff byte": "bad � byte", "a real �": "a real �", "": "",
	} {
		require.Equal(t, want, console.Visible(text))
		require.Equal(t, want, string(console.Visible([]byte(text))))
	}
}

func TestTheStreamSpellsOutWhatNobodySees(t *testing.T) {
	b := newBench(t)
	in := b.declare("book and venue differ", "book")
	require.NoError(t, b.m.Note(t.Context(), in.Number, "A\u202eda", "\u202enote", ""))
	s := b.stream(t, "")
	for {
		if _, _, data := s.next(); strings.Contains(data, "202enote") {
			require.NotContains(t, data, "\u202e")
			require.Contains(t, data, `"what":"\\u202enote"`)
			require.Contains(t, data, `"by":"A\\u202eda"`)
			return
		}
	}
}

// The headers that OWASP asks of every answer (Secure Headers Project), and the cookie.
func TestEveryAnswerHasItsHeaders(t *testing.T) {
	b := newBench(t)
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "X-Permitted-Cross-Domain-Policies": "none",
		"Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()", "Cache-Control": "no-store",
		"Strict-Transport-Security": "", "Server": "", "X-Powered-By": "", "Access-Control-Allow-Origin": "",
	}
	look := func(path string, answer http.Header, but map[string]string) {
		for name, value := range want {
			if other, ok := but[name]; ok {
				value = other
			}
			require.Equal(t, value, answer.Get(name), "%s of %s", name, path)
		}
	}
	for path, kind := range map[string]string{
		"/console": "text/html; charset=utf-8", "/console/card": "text/html; charset=utf-8", "/nothing": "text/html; charset=utf-8",
		"/console/nothing": "text/html; charset=utf-8", "/console/do/stop": "text/html; charset=utf-8", "/console/incident?number=x": "text/html; charset=utf-8",
	} {
		got := b.do("GET", path, "", ada)
		look(path, got.header, nil)
		require.Equal(t, kind, got.header.Get("Content-Type"), path)
	}
	look("a stop", b.form("stop", "", nil).header, nil)
	look("a stop by script", b.form("stop", "", nil, func(r *http.Request) { r.Header.Set("Accept", "application/json") }).header, nil)
	look("who are you", b.do("GET", "/console", "").header, nil)
	look("a forged one", b.form("hold", "", nil, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }).header, nil)
	status := map[string]string{"Cache-Control": "public, max-age=1"}
	look("/", b.do("GET", "/", "").header, status)
	// What everybody may know, every page may read; and nothing else.
	status["Access-Control-Allow-Origin"], status["Cross-Origin-Resource-Policy"] = "*", "cross-origin"
	look("/status.json", b.do("GET", "/status.json", "").header, status)
	look("/assets/console.js", b.do("GET", "/assets/console.js", "").header, map[string]string{"Cache-Control": "public, max-age=300"})
	for _, path := range []string{"/", "/status.json", "/assets/console.js", "/console"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			got := b.do(method, path, "", ada)
			require.Equal(t, 405, got.code, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", got.header.Get("Allow"))
		}
	}
}

func TestCookieIsForThisConsoleOnly(t *testing.T) {
	b := newBench(t)
	ask := func(change ...func(*http.Request)) (*http.Cookie, http.Header) {
		r := httptest.NewRequest("GET", "/console", nil)
		r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:999"
		ada(r)
		for _, c := range change {
			c(r)
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		require.Len(t, w.Result().Cookies(), 1)
		return w.Result().Cookies()[0], w.Header()
	}
	plain, header := ask()
	require.True(t, plain.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, plain.SameSite)
	require.Equal(t, "/console", plain.Path)
	require.Empty(t, plain.Domain)
	require.Zero(t, plain.MaxAge, "it ends with the browser")
	require.False(t, plain.Secure, "a browser would not send it back")
	require.Empty(t, header.Get("Strict-Transport-Security"))
	other, _ := ask()
	require.NotEqual(t, plain.Value, other.Value)
	sealed, header := ask(func(r *http.Request) { r.TLS = &tls.ConnectionState{} })
	require.True(t, sealed.Secure)
	require.Equal(t, "max-age=31536000", header.Get("Strict-Transport-Security"))
	sealed, _ = ask(func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
	require.True(t, sealed.Secure, "a proxy has the seal")
}

func TestEveryAnswerIsHardened(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/", "/status.json", "/console", "/console/card", "/assets/console.css", "/assets/console.js", "/nothing", "/console/do/stop", "/assets/../console.go"} {
		got := b.do("GET", path, "", ada)
		csp := got.header.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'", path)
		require.Contains(t, csp, "frame-ancestors 'none'", path)
		require.NotContains(t, csp, "unsafe", path)
		require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", got.header.Get("X-Frame-Options"), path)
		require.NotRegexp(t, `<script(>| [^s])|<style| style=| on[a-z]+=`, got.body, "no inline script or style: %s", path)
		require.NotContains(t, got.body, password, path)
	}
	set := b.do("GET", "/console", "", ada).header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/console"} {
		require.Contains(t, set, want)
	}
}

func TestMountedBelowAPath(t *testing.T) {
	b := newBench(t, func(c *console.Config) { c.Base = "/andon" })
	require.Equal(t, 404, b.do("GET", "/", "").code)
	require.Equal(t, 404, b.do("GET", "/andonx", "").code)
	got := b.do("GET", "/andon/", "")
	require.Equal(t, 200, got.code)
	require.Contains(t, got.body, `href="/andon/assets/console.css`)
	require.Contains(t, b.do("GET", "/andon/console", "", ada).body, `action="/andon/console/do/stop"`)
}

func TestCardIsThisBotsOwn(t *testing.T) {
	b := newBench(t, func(c *console.Config) {
		c.Card = console.Card{Commands: []console.Named{{Name: "Stop", To: "touch /srv/STOP"}}, Contacts: []console.Named{{Name: "on call", To: "+1-555-010-0199"}}}
	})
	got := b.do("GET", "/console/card", "", ada)
	require.Contains(t, got.body, "touch /srv/STOP")
	require.Contains(t, got.body, "555-010-0199")
	require.NotContains(t, got.body, "EMERGENCY_STOP", "the default is not mixed in")
}

func TestRunIsCalledOnceAtATime(t *testing.T) {
	b := newBench(t)
	require.ErrorIs(t, b.Run(t.Context()), console.ErrRunning)
}

func TestAThousandIncidentsStayOnePage(t *testing.T) {
	b := newBench(t)
	for i := range 1000 {
		b.declare("book and venue differ", fmt.Sprintf("book %d", i))
	}
	in := b.m.Open()[0]
	for i := range 2000 {
		require.NoError(t, b.m.Note(t.Context(), in.Number, "Ada", fmt.Sprintf("note %d", i), ""))
	}
	got := b.do("GET", "/console", "", ada)
	require.Equal(t, 200, got.code)
	require.Equal(t, 50, strings.Count(got.body, `do/acknowledge`))
	require.Contains(t, got.body, "950 more incidents are open")
	require.Less(t, len(got.body), 250<<10, "a page that a phone can hold")
	page := b.do("GET", "/console/incident?number="+in.Number, "", ada)
	require.Equal(t, 200, strings.Count(page.body, `class="kind"`))
	require.Contains(t, page.body, "earlier events are not listed here")
	require.Contains(t, page.body, "note 1999")
}
