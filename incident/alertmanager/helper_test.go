package alertmanager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(floodKey); dir != "" {
		if err := serveFlood(dir); err != nil {
			fmt.Fprintln(os.Stderr, "the server of the flood:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var token = notify.Secret(strings.Repeat("t", 20)) // of no service

// began is when the alerts of the tests began to fire.
var began = time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)

var risk = alertmanager.Rule{
	Match:     []alertmanager.Match{{Label: "alertname", Equals: "RiskOffline"}},
	Condition: severity.RiskOffline, ComponentFrom: []string{"instance"},
}

// post is a body as a test writes it.
type post struct {
	Version         string            `json:"version"`
	GroupKey        string            `json:"groupKey"`
	Status          string            `json:"status"`
	TruncatedAlerts int               `json:"truncatedAlerts"`
	GroupLabels     map[string]string `json:"groupLabels,omitempty"`
	Alerts          []item            `json:"alerts"`
}

type item struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Fingerprint string            `json:"fingerprint,omitempty"`
}

// fires is an alert by its name and labels, such as "instance", "a".
func fires(name string, labels ...string) item {
	a := item{Status: "firing", Labels: map[string]string{"alertname": name}, StartsAt: began}
	for i := 0; i < len(labels); i += 2 {
		a.Labels[labels[i]] = labels[i+1]
	}
	return a
}

func (a item) over() item {
	a.Status, a.EndsAt = "resolved", time.Now()
	return a
}

func group(alerts ...item) post {
	return post{Version: "4", GroupKey: `{}:{alertname="x"}`, Status: "firing", Alerts: alerts}
}

// receiver is a handler behind a real HTTP server, and a manager in memory.
type receiver struct {
	t   *testing.T
	m   *incidenttest.Manager
	h   *alertmanager.Handler
	url string

	posts atomic.Int64 // how many came
}

func start(t *testing.T, change ...func(*alertmanager.Config)) *receiver {
	t.Helper()
	return serve(t, incidenttest.NewManager(t), change...)
}

func serve(t *testing.T, m *incidenttest.Manager, change ...func(*alertmanager.Config)) *receiver {
	t.Helper()
	cfg := alertmanager.Config{Manager: m.Manager, Bearer: token, Rules: []alertmanager.Rule{risk}, Log: quiet()}
	for _, c := range change {
		c(&cfg)
	}
	h, err := alertmanager.New(cfg)
	require.NoError(t, err)
	r := &receiver{t: t, m: m, h: h}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.posts.Add(1)
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	r.url = s.URL
	return r
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// send posts a body and returns the status and the answer.
func (r *receiver) send(body []byte, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url, bytes.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(token))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(answer)
}

// post sends a body that is to be taken.
func (r *receiver) post(p post) alertmanager.Result {
	r.t.Helper()
	b, err := json.Marshal(p)
	require.NoError(r.t, err)
	status, answer := r.send(b)
	require.Equal(r.t, http.StatusOK, status, answer)
	var result alertmanager.Result
	require.NoError(r.t, json.Unmarshal([]byte(answer), &result))
	return result
}

func (r *receiver) timeline(number string) []incident.Event {
	r.t.Helper()
	events, err := r.m.Timeline(context.Background(), number)
	require.NoError(r.t, err)
	return events
}

func (r *receiver) count(kinds ...incident.Kind) int {
	r.t.Helper()
	n := 0
	for _, e := range r.timeline("") {
		for _, k := range kinds {
			if e.Kind == k {
				n++
			}
		}
	}
	return n
}

// one returns the only incident there is.
func (r *receiver) one() incident.Incident {
	r.t.Helper()
	all := r.m.All()
	require.Len(r.t, all, 1)
	return all[0]
}

func labelled(n int) []item {
	all := make([]item, n)
	for i := range all {
		all[i] = fires("RiskOffline", "instance", fmt.Sprintf("host-%d", i))
	}
	return all
}

// other is a signal of another source.
func other(ref string) severity.Signal {
	return severity.Signal{Condition: severity.RiskOffline, Component: "elsewhere", At: began, Source: "watchdog", Ref: ref}
}
