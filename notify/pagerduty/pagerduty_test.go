package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/notify/pagerduty"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const integrationKey = "0123456789abcdef0123456789abcdef"

// event is a body as the server reads it: any field that it does not know is refused.
type event struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string `json:"client"`
	Payload     *struct {
		Summary   string            `json:"summary"`
		Source    string            `json:"source"`
		Severity  string            `json:"severity"`
		Timestamp string            `json:"timestamp"`
		Component string            `json:"component"`
		Class     string            `json:"class"`
		Details   map[string]string `json:"custom_details"`
	} `json:"payload"`
	path string
}

// api enforces the documented rules of the Events API v2 and keeps the state of its
// alerts: an acknowledge or resolve without an alert is taken and dropped.
type api struct {
	*httptest.Server
	mu     sync.Mutex
	events []event
	alerts map[string]string // dedup key to status
	rings  int               // alerts that were opened
	answer http.HandlerFunc
}

func newAPI(t *testing.T) *api {
	a := &api{alerts: map[string]string{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Server.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // until it is read the server does not see that a client has gone
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	answer := a.answer
	a.mu.Unlock()
	if answer != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
		return
	}
	e := event{path: r.URL.Path}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	problem := ""
	if err := d.Decode(&e); err != nil {
		problem = err.Error()
	} else {
		problem = e.problem(len(body))
	}
	w.Header().Set("Content-Type", "application/json")
	if problem != "" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":"invalid event","message":"Event object is invalid","errors":[%q]}`, problem)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(e)
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, e.DedupKey)
}

func (e event) problem(size int) string {
	change := e.path == "/v2/change/enqueue"
	switch {
	case e.path != "/v2/enqueue" && !change:
		return "no such path " + e.path
	case size > 512<<10:
		return "'payload' is too large"
	case len(e.RoutingKey) != 32:
		return "'routing_key' is invalid " + e.RoutingKey
	case utf8.RuneCountInString(e.DedupKey) > 255:
		return "'dedup_key' is too long"
	case e.Payload == nil && (change || e.EventAction == "trigger"):
		return "'payload' is missing or blank"
	case e.Payload != nil && (e.Payload.Summary == "" || utf8.RuneCountInString(e.Payload.Summary) > 1024):
		return "'payload.summary' is missing, blank or too long"
	case e.Payload != nil && e.Payload.Source == "":
		return "'payload.source' is missing or blank"
	}
	if e.Payload != nil && e.Payload.Timestamp != "" {
		if _, err := time.Parse(time.RFC3339, e.Payload.Timestamp); err != nil {
			return "'payload.timestamp' is no ISO 8601 time"
		}
	}
	if change {
		return ""
	}
	switch e.EventAction {
	case "trigger":
		if !strings.Contains(" critical error warning info ", " "+e.Payload.Severity+" ") {
			return "'payload.severity' is invalid"
		}
	case "acknowledge", "resolve":
		if e.DedupKey == "" {
			return "'dedup_key' is missing or blank"
		}
	default:
		return "'event_action' is invalid"
	}
	return ""
}

func (a *api) take(e event) {
	a.events = append(a.events, e)
	status, open := a.alerts[e.DedupKey]
	open = open && status != "resolved"
	switch {
	case e.EventAction == "trigger" && !open:
		a.alerts[e.DedupKey] = "triggered"
		a.rings++
	case e.EventAction == "acknowledge" && open:
		a.alerts[e.DedupKey] = "acknowledged"
	case e.EventAction == "resolve" && open:
		a.alerts[e.DedupKey] = "resolved"
	}
}

func (a *api) fail(h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = h
}

func (a *api) took(m notify.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Payload != nil && e.Payload.Details["key"] == m.Key && e.Payload.Details["text"] == m.Text {
			return true
		}
	}
	return false
}

func newNotifier(t *testing.T, a *api) *pagerduty.Notifier {
	n, err := pagerduty.New(pagerduty.Config{Services: map[string]notify.Secret{"trading-bot-oncall": notify.Secret(integrationKey)}, URL: a.URL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func message(key string, kind notify.Kind) notify.Message {
	return notify.Message{Key: key, Incident: "INC-20260314-001", Kind: kind, Level: severity.SEV1, To: "trading-bot-oncall",
		At: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), Text: "🚨 INCIDENT ALERT - SEV-1\nImpact: Coinbase refuses our keys\nIC: Ada"}
}

func TestConformance(t *testing.T) {
	notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
		a := newAPI(t)
		return notifytest.Channel{
			Notifier: newNotifier(t, a), To: "trading-bot-oncall", Took: a.took, Secrets: []string{integrationKey},
			Break: func() {
				a.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			},
			Refuse: func() {
				a.fail(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprintf(w, `{"status":"invalid event","message":"no","errors":[%q]}`, body) // a server that repeats what it got
				})
			},
			Throttle: func(d time.Duration) {
				a.fail(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", strconv.Itoa(int(d/time.Second)))
					w.WriteHeader(http.StatusTooManyRequests)
				})
			},
			Hang: func() { a.fail(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }) },
		}
	})
}

func TestAPageIsTriggeredAcknowledgedAndResolved(t *testing.T) {
	a := newAPI(t)
	n := newNotifier(t, a)
	send := func(m notify.Message) {
		t.Helper()
		require.NoError(t, n.Notify(t.Context(), m))
	}
	k := notify.Key{Condition: severity.AuthFailure, Component: "coinbase", Episode: 1}
	send(message(k.Page(1, 0), notify.InitialAlert))
	send(message(k.Page(1, 0), notify.InitialAlert))
	require.Equal(t, 1, a.rings, "the same page rings once")
	send(message(k.Page(1, 1), notify.InitialAlert))
	require.Equal(t, 2, a.rings, "the next step rings")
	send(message(k.Page(1, 3), notify.PageReminder))
	require.Equal(t, 3, a.rings, "and so does a repetition")
	e := a.events[0]
	require.Equal(t, "trigger", e.EventAction)
	require.Equal(t, "INC-20260314-001 SEV-1: Coinbase refuses our keys", e.Payload.Summary)
	require.Equal(t, "2026-03-14T09:26:53Z", e.Payload.Timestamp)
	require.Equal(t, "AI Trading Bot", e.Payload.Source)

	send(message(k.Status(e0), notify.StatusUpdate))
	require.Equal(t, 3, a.rings, "an update rings nobody")
	require.Equal(t, "/v2/change/enqueue", a.events[len(a.events)-1].path)

	over := message("ack", notify.AckNotice)
	over.Pages = []string{k.Page(1, 0), k.Page(1, 1), k.Page(1, 3)}
	send(over)
	require.Equal(t, map[string]string{k.Page(1, 0): "acknowledged", k.Page(1, 1): "acknowledged", k.Page(1, 3): "acknowledged"}, a.alerts)
	over.Kind = notify.ResolutionNotice
	send(over)
	send(over)
	require.Equal(t, map[string]string{k.Page(1, 0): "resolved", k.Page(1, 1): "resolved", k.Page(1, 3): "resolved"}, a.alerts)
	over.Pages = nil
	send(over)
	require.Equal(t, 3, a.rings)
}

var e0 = time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC)

func TestLevelsAreMapped(t *testing.T) {
	a := newAPI(t)
	n := newNotifier(t, a)
	for level, want := range map[severity.Level]string{severity.SEV1: "critical", severity.SEV2: "error", severity.SEV3: "warning", severity.SEV4: "info",
		severity.Unclassified: "critical", 9: "critical"} {
		m := message(fmt.Sprint(level), notify.InitialAlert)
		m.Level = level
		require.NoError(t, n.Notify(t.Context(), m))
		require.Equal(t, want, a.events[len(a.events)-1].Payload.Severity)
	}
}

// Nothing is refused for its size: the server of this test enforces the limits.
func TestLimitsAreKept(t *testing.T) {
	a := newAPI(t)
	n := newNotifier(t, a)
	for name, change := range map[string]func(m *notify.Message){
		"a long impact":       func(m *notify.Message) { m.Text = "Impact: " + strings.Repeat("ü", 3000) },
		"a megabyte":          func(m *notify.Message) { m.Text = strings.Repeat("x", 1<<20) },
		"a megabyte escaped":  func(m *notify.Message) { m.Text = strings.Repeat("\x01", 1<<20) },
		"no text":             func(m *notify.Message) { m.Text = "" },
		"a long key":          func(m *notify.Message) { m.Key = strings.Repeat("k", 1<<20) },
		"a long incident":     func(m *notify.Message) { m.Incident = strings.Repeat("i", 1<<20) },
		"no valid text":       func(m *notify.Message) { m.Text, m.Key = "\xff\xfe", "\xff" },
		"a warning comes too": func(m *notify.Message) { m.Text = "STOP NOT CONFIRMED: x\nImpact: y" },
	} {
		t.Run(name, func(t *testing.T) {
			m := message("k", notify.InitialAlert)
			change(&m)
			require.NoError(t, n.Notify(t.Context(), m))
			e := a.events[len(a.events)-1]
			require.NotEmpty(t, e.DedupKey)
			if strings.Contains(m.Text, "NOT CONFIRMED") {
				require.Contains(t, e.Payload.Summary, "STOP NOT CONFIRMED: x y")
			}
			m.Kind, m.Pages = notify.ResolutionNotice, []string{m.Key}
			require.NoError(t, n.Notify(t.Context(), m))
			require.Equal(t, e.DedupKey, a.events[len(a.events)-1].DedupKey, "a long key is replaced in the same way each time")
		})
	}
}

func TestAnswersAreToldApart(t *testing.T) {
	a := newAPI(t)
	n := newNotifier(t, a)
	for code, permanent := range map[int]bool{400: true, 403: true, 404: true, 429: false, 500: false, 502: false, 503: false} {
		a.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		for _, m := range []notify.Message{message("k", notify.InitialAlert), {Kind: notify.ResolutionNotice, Pages: []string{"a", "b"}, To: "trading-bot-oncall"}} {
			err := n.Notify(t.Context(), m)
			e, ok := errors.AsType[*notify.DeliveryError](err)
			require.True(t, ok)
			require.Equal(t, code, e.Status)
			require.Equal(t, permanent, e.Permanent, "%d", code)
		}
	}
	a.fail(nil)
	m := message("k", notify.InitialAlert)
	m.To = "nobody"
	err := n.Notify(t.Context(), m)
	require.ErrorIs(t, err, notify.ErrPermanent)
	require.ErrorContains(t, err, `there is no service "nobody"`)
	require.ErrorIs(t, n.Notify(t.Context(), message("", notify.InitialAlert)), notify.ErrPermanent)
	a.Server.Close()
	err = n.Notify(t.Context(), message("k", notify.InitialAlert))
	require.Error(t, err)
	require.NotErrorIs(t, err, notify.ErrPermanent, "it may be back in a moment")
}

// One page that cannot be resolved keeps no other from it.
func TestEachPageIsResolved(t *testing.T) {
	a := newAPI(t)
	n := newNotifier(t, a)
	require.NoError(t, n.Notify(t.Context(), message("good", notify.InitialAlert)))
	a.fail(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), `"bad"`) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.fail(nil)
		a.ServeHTTP(w, r)
	})
	m := message("over", notify.ResolutionNotice)
	m.Pages = []string{"bad", "good"}
	require.ErrorIs(t, n.Notify(t.Context(), m), notify.ErrPermanent)
	require.Equal(t, "resolved", a.alerts["good"])
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := pagerduty.New(pagerduty.Config{URL: "events.pagerduty.com", Timeout: -1, Services: map[string]notify.Secret{"a": nil}, Source: strings.Repeat("x", 2000)})
	for _, want := range []string{`Services["a"]`, "URL: want", "Timeout: is -1ns", "Source: has 2000 bytes"} {
		require.ErrorContains(t, err, want)
	}
	_, err = pagerduty.New(pagerduty.Config{})
	require.ErrorContains(t, err, "Services: is empty")
}

func Example() {
	n, err := pagerduty.New(pagerduty.Config{Services: map[string]notify.Secret{"trading-bot-oncall": notify.Secret("an integration key")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	directory := notify.Directory{
		Contacts: []notify.Contact{notify.ParseContact("primary", "+1-555-010-0199", notify.OnCallEngineer)},
		Pager:    notify.Address{Channel: "pagerduty", To: "trading-bot-oncall"},
	}
	fmt.Println(directory.Find(time.Now(), notify.OnCallEngineer)[0].Addresses)
	// Output: [{pagerduty trading-bot-oncall}]
}

// What stands between us and PagerDuty answers 200 as well, and rings nobody.
func TestLaw7_AnAnswerThatIsNotPagerDutysIsNoAcceptance(t *testing.T) {
	for name, body := range map[string]string{
		"a portal's page": "<html>Please log in</html>", "nothing": "", "null": "null", "a list": "[]",
		"another status": `{"status":"invalid event"}`, "no status": `{"message":"Event processed"}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.fail(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
			err := newNotifier(t, a).Notify(t.Context(), message("page", notify.InitialAlert))
			require.ErrorContains(t, err, "not PagerDuty's")
			require.NotErrorIs(t, err, notify.ErrPermanent, "it is tried again, and the next channel begins")
		})
	}
}
