package alertmanager_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/stretchr/testify/require"
)

// api is an Alertmanager's API with the answers that a test wants.
type api struct {
	alerts, status string
	code           int
	asked          []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked = append(a.asked, r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("Authorization"))
	if a.code != 0 {
		w.WriteHeader(a.code)
		return
	}
	answer := a.alerts
	if r.URL.Path == "/api/v2/status" {
		answer = a.status
	}
	fmt.Fprint(w, answer)
}

func up(since time.Duration, cluster string) string {
	return fmt.Sprintf(`{"cluster":{"status":%q},"versionInfo":{"version":"0.31.1"},"uptime":%q}`, cluster, time.Now().Add(-since).UTC().Format(time.RFC3339Nano))
}

// listing is one alert of the API's list.
func listing(name, status string) string {
	return fmt.Sprintf(`{"labels":{"alertname":%q,"instance":"a"},"annotations":{},"startsAt":%q,"endsAt":%q,"fingerprint":"01","receivers":[{"name":"andon"}],"status":%s}`,
		name, began.Format(time.RFC3339Nano), time.Now().Add(time.Minute).Format(time.RFC3339Nano), status)
}

const (
	isActive      = `{"state":"active","silencedBy":[],"inhibitedBy":[],"mutedBy":[]}`
	isSilenced    = `{"state":"suppressed","silencedBy":["s1"],"inhibitedBy":["x"],"mutedBy":[]}`
	isInhibited   = `{"state":"suppressed","silencedBy":[],"inhibitedBy":["x"],"mutedBy":[]}`
	isMuted       = `{"state":"suppressed","silencedBy":[],"inhibitedBy":[],"mutedBy":["night"]}`
	isUnprocessed = `{"state":"unprocessed","silencedBy":[],"inhibitedBy":[],"mutedBy":[]}`
)

func checker(t *testing.T, a *api, change ...func(*alertmanager.CheckerConfig)) *alertmanager.Checker {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	cfg := alertmanager.CheckerConfig{URL: s.URL}
	for _, c := range change {
		c(&cfg)
	}
	c, err := alertmanager.NewChecker(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestClearedSaysWhatItSaw(t *testing.T) {
	a := &api{alerts: "[]", status: up(time.Hour, "ready")}
	evidence, err := checker(t, a, func(c *alertmanager.CheckerConfig) { c.Bearer = token }).Cleared(t.Context())
	require.NoError(t, err)
	require.Contains(t, evidence, "Alertmanager 0.31.1 at 127.0.0.1")
	require.Contains(t, evidence, "no alert fires")
	require.Equal(t, "/api/v2/alerts?active=true&inhibited=true&silenced=true&unprocessed=true Bearer "+string(token), a.asked[0])
	require.Equal(t, "/api/v2/status? Bearer "+string(token), a.asked[1])
}

func TestSilencedAndInhibitedAreToldApartAndAreNotCleared(t *testing.T) {
	for name, c := range map[string]struct {
		status string
		want   alertmanager.FiringError
	}{
		"active":           {isActive, alertmanager.FiringError{Active: []string{"A(a)"}}},
		"silenced":         {isSilenced, alertmanager.FiringError{Silenced: []string{"A(a)"}}},
		"muted":            {isMuted, alertmanager.FiringError{Silenced: []string{"A(a)"}}},
		"inhibited":        {isInhibited, alertmanager.FiringError{Inhibited: []string{"A(a)"}}},
		"not processed":    {isUnprocessed, alertmanager.FiringError{Unprocessed: []string{"A(a)"}}},
		"unknown":          {`{"state":"sleeping"}`, alertmanager.FiringError{Active: []string{"A(a)"}}},
		"no state":         {`{}`, alertmanager.FiringError{Active: []string{"A(a)"}}},
		"hidden by no one": {`{"state":"suppressed"}`, alertmanager.FiringError{Active: []string{"A(a)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checker(t, &api{alerts: "[" + listing("A", c.status) + "]", status: up(time.Hour, "disabled")}).Cleared(t.Context())
			require.ErrorIs(t, err, alertmanager.ErrFiring)
			var f *alertmanager.FiringError
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.want, *f)
		})
	}
	many := strings.Repeat(listing("A", isActive)+",", 9) + listing("B", isSilenced)
	_, err := checker(t, &api{alerts: "[" + many + "]", status: up(time.Hour, "ready")}).Cleared(t.Context())
	require.EqualError(t, err, "alerts are not cleared: 9 active: A(a), A(a), A(a), A(a), A(a) and 4 more; 1 silenced: B(a)")
}

func TestLaw1_WhatIsNotKnownIsNotCleared(t *testing.T) {
	for name, a := range map[string]*api{
		"refused":                  {code: 403},
		"broken":                   {code: 500},
		"redirected":               {code: 302},
		"no content":               {code: 204},
		"nothing":                  {status: up(time.Hour, "ready")},
		"null":                     {alerts: "null", status: up(time.Hour, "ready")},
		"an object":                {alerts: `{"data":[]}`, status: up(time.Hour, "ready")},
		"a log-in page":            {alerts: "<html>", status: up(time.Hour, "ready")},
		"half":                     {alerts: "[", status: up(time.Hour, "ready")},
		"an alert that is none":    {alerts: `["x"]`, status: up(time.Hour, "ready")},
		"an alert without labels":  {alerts: `[{}]`, status: up(time.Hour, "ready")},
		"no status":                {alerts: "[]"},
		"started a moment ago":     {alerts: "[]", status: up(4*time.Minute, "ready")},
		"started in the future":    {alerts: "[]", status: up(-time.Hour, "ready")},
		"does not say when":        {alerts: "[]", status: `{"cluster":{"status":"ready"}}`},
		"a cluster that settles":   {alerts: "[]", status: up(time.Hour, "settling")},
		"a cluster of no status":   {alerts: "[]", status: up(time.Hour, "")},
		"the heartbeat is missing": {alerts: "[]", status: up(time.Hour, "ready")},
		"the heartbeat is silent":  {alerts: "[" + listing("Watchdog", isSilenced) + "]", status: up(time.Hour, "ready")},
	} {
		t.Run(name, func(t *testing.T) {
			c := checker(t, a, func(c *alertmanager.CheckerConfig) {
				if strings.Contains(name, "heartbeat") {
					c.Heartbeat = []alertmanager.Match{{Label: "alertname", Equals: "Watchdog"}}
				}
			})
			evidence, err := c.Cleared(t.Context())
			require.Error(t, err)
			require.ErrorIs(t, err, alertmanager.ErrUnsure)
			require.Empty(t, evidence)
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, err := alertmanager.NewChecker(alertmanager.CheckerConfig{URL: gone.URL, Bearer: token})
	require.NoError(t, err)
	_, err = c.Cleared(t.Context())
	require.ErrorIs(t, err, alertmanager.ErrUnsure)
	require.NotContains(t, fmt.Sprintf("%v %+v", err, c), string(token))
}

func TestIgnoredAlertsAndTheHeartbeatDoNotCount(t *testing.T) {
	a := &api{alerts: "[" + listing("Watchdog", isActive) + "," + listing("Info", isActive) + "]", status: up(time.Hour, "ready")}
	c := checker(t, a, func(c *alertmanager.CheckerConfig) {
		c.Heartbeat = []alertmanager.Match{{Label: "alertname", Equals: "Watchdog"}}
		c.Ignore = [][]alertmanager.Match{{{Label: "alertname", Equals: "Info"}, {Label: "instance", Pattern: "a|b"}}}
	})
	evidence, err := c.Cleared(t.Context())
	require.NoError(t, err)
	require.Contains(t, evidence, "1 ignored, 1 heartbeats")
	a.alerts = strings.Replace(a.alerts, `"Info","instance":"a"`, `"Info","instance":"c"`, 1)
	_, err = c.Cleared(t.Context())
	require.ErrorIs(t, err, alertmanager.ErrFiring)
}

func TestGrafanaTellsNoUptime(t *testing.T) {
	a := &api{alerts: "[]", code: 0}
	_, err := checker(t, a, func(c *alertmanager.CheckerConfig) { c.Grafana = true; c.User, c.Password = "andon", token }).Cleared(t.Context())
	require.NoError(t, err)
	require.Len(t, a.asked, 1)
	require.Contains(t, a.asked[0], " Basic ")
}

func TestCheckerConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := alertmanager.NewChecker(alertmanager.CheckerConfig{
		URL: "http://alerts.example", Bearer: token, User: "x", SettleFor: -1, Ignore: [][]alertmanager.Match{{}}, Heartbeat: []alertmanager.Match{{}},
	})
	for _, want := range []string{"URL: Base: is http://alerts.example: want https", "Bearer: want it, or User", "SettleFor:", "Ignore[0]: every alert", "Heartbeat: Match[0]"} {
		require.ErrorContains(t, err, want)
	}
}

func TestResyncMakesGoodWhatWasLost(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
	a := &api{status: up(time.Hour, "ready")}
	c := checker(t, a)
	lost := fires("RiskOffline", "instance", "lost") // its end never came
	r.post(group(lost))
	_, err := r.m.Declare(t.Context(), "watchdog", "another's", other("someone/else"))
	require.NoError(t, err)
	stays := fires("RiskOffline", "instance", "a")
	stays.Fingerprint = "01"
	r.post(group(stays))

	a.alerts = "[" + strings.Join([]string{
		listing("RiskOffline", isActive),                                   // known
		listing("VenueTimeouts", isActive),                                 // its beginning never came
		listing("Hidden", isSilenced),                                      // nobody is to be told of it
		strings.Replace(listing("Foreign", isActive), "andon", "other", 1), // of another receiver
	}, ",") + "]"
	for range 2 {
		result, err := r.h.Resync(t.Context(), c, "andon")
		require.NoError(t, err)
		require.Equal(t, 2, result.Firing)
	}
	var open []string
	for _, in := range r.m.Open() {
		open = append(open, string(in.Condition)+" "+in.Component)
	}
	require.ElementsMatch(t, []string{"risk-offline a", "risk-offline elsewhere", "alert/VenueTimeouts VenueTimeouts"}, open)
	require.Zero(t, r.count(incident.Signalled))

	cleared := r.count(incident.Cleared)
	a.alerts, a.status = "[]", up(time.Second, "ready")
	_, err = r.h.Resync(t.Context(), c, "andon")
	require.ErrorIs(t, err, alertmanager.ErrUnsure, "it has just begun, and lists nothing yet")
	require.Equal(t, cleared, r.count(incident.Cleared))
	require.Len(t, r.m.Open(), len(open))
}
