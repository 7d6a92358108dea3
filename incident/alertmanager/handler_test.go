package alertmanager_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

func TestAnAlertIsOneIncidentFromFiringToResolved(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
	a := fires("RiskOffline", "instance", "host-1")
	a.Annotations = map[string]string{"summary": "the risk engine does not answer"}
	require.Equal(t, alertmanager.Result{Firing: 1}, r.post(group(a)))
	in := r.one()
	require.Equal(t, severity.RiskOffline, in.Condition)
	require.Equal(t, "host-1", in.Component)
	require.Equal(t, severity.SEV2, in.Level)
	require.Equal(t, "the risk engine does not answer [RiskOffline {instance=host-1}]", in.Summary)
	require.Equal(t, "alertmanager", in.DeclaredBy)
	require.Equal(t, began, in.SignalAt.UTC())

	before := len(r.timeline(""))
	for range 5 {
		r.post(group(a))
	}
	require.Equal(t, 1, r.one().Signals)
	require.Zero(t, r.count(incident.Signalled), "what goes on firing is no news; there were %d events", before)

	require.Equal(t, alertmanager.Result{Resolved: 1}, r.post(group(a.over())))
	require.Equal(t, incident.Closed, r.one().Status)
	require.Equal(t, alertmanager.Result{Resolved: 1}, r.post(group(a.over())), "a second end of it is taken, and changes nothing")
	require.Equal(t, 1, r.count(incident.Cleared))

	r.post(group(a))
	require.Len(t, r.m.Open(), 1, "it fires, whatever was said before")
}

func TestAResolvedAlertIsNeverForcedThroughTheChecklist(t *testing.T) {
	r := start(t)
	a := fires("RiskOffline", "instance", "host-1")
	r.post(group(a))
	r.post(group(a.over()))
	in := r.one()
	require.Equal(t, incident.Open, in.Status)
	var noted []string
	for _, e := range r.timeline(in.Number) {
		if e.Kind == incident.Noted {
			noted = append(noted, e.What+": "+e.Why)
		}
	}
	require.Len(t, noted, 1)
	require.Contains(t, noted[0], "stays open: unproven: All services running")
}

func TestLaw1_AnAlertThatNoRuleKnowsIsTheWorst(t *testing.T) {
	r := start(t)
	r.post(group(fires("SomethingNew", "job", "bot")))
	in := r.one()
	require.EqualValues(t, "alert/SomethingNew", in.Condition)
	require.Equal(t, "bot", in.Component)
	require.Equal(t, incident.GateClosed, in.Gate)
	require.True(t, in.Level.AtLeast(severity.SEV1))

	table, err := severity.NewTable(severity.TableConfig{PageOnly: []string{"grafana"}})
	require.NoError(t, err)
	r = serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Classifier = table }), func(c *alertmanager.Config) { c.Source = "grafana" })
	r.post(group(fires("SomethingNew")))
	require.True(t, r.one().NoHalt, "unless its source is configured so")
	require.Equal(t, "SomethingNew", r.one().Component)
	require.Empty(t, r.m.Gate.Reasons())
}

// Law 1: what has no status that is known fires; a knob of the body cannot make an
// alert milder.
func TestLaw1_AStatusThatNobodyKnowsFires(t *testing.T) {
	for _, status := range []string{"", "RESOLVED", "pending", "inactive"} {
		r := start(t)
		a := fires("RiskOffline", "instance", "x")
		a.Status = status
		require.Equal(t, 1, r.post(group(a)).Firing, status)
		require.Len(t, r.m.Open(), 1)
	}
}

func TestTwoHundredAlertsOfOneGroupAreOneIncidentAndAllRecorded(t *testing.T) {
	r := start(t, func(c *alertmanager.Config) {
		c.Rules = []alertmanager.Rule{{Condition: severity.RiskOffline, Component: "risk"}}
	})
	alerts := labelled(200)
	require.Equal(t, 200, r.post(group(alerts...)).Firing)
	in := r.one()
	require.Equal(t, 200, in.Signals)
	require.Equal(t, 200, in.Firing)
	require.Equal(t, 200, r.count(incident.Declared, incident.Signalled))
	require.Eventually(t, func() bool { return len(r.m.Pager.Messages()) > 0 }, 10*time.Second, time.Millisecond)
	require.Len(t, r.m.Pager.Messages(), 1, "one page, by the policy's first step")

	for i := range alerts[:199] {
		alerts[i] = alerts[i].over()
	}
	r.post(group(alerts...))
	require.Equal(t, 1, r.one().Firing)
}

func TestEveryInstanceIsAnIncidentWhereTheRuleSaysSo(t *testing.T) {
	r := start(t)
	r.post(group(labelled(200)...))
	require.Len(t, r.m.Open(), 200)
}

func TestTheSameAlertTwiceInOneBodyFires(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
	a := fires("RiskOffline", "instance", "x")
	r.post(group(a.over(), a, a.over()))
	require.Equal(t, 1, r.one().Firing)
	require.Zero(t, r.count(incident.Cleared))
}

// One ends and another begins in the same body: the incident goes on.
func TestAnIncidentIsNotResolvedForTheWrongAlert(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }), func(c *alertmanager.Config) {
		c.Rules = []alertmanager.Rule{{Condition: severity.RiskOffline, Component: "risk"}}
	})
	a, b := fires("A"), fires("B")
	r.post(group(a))
	r.post(group(a.over(), b))
	require.Equal(t, incident.Open, r.one().Status)
	r.post(group(b.over()))
	require.Equal(t, incident.Closed, r.one().Status)
}

func TestLaw10_TheAnswerWaitsForTheRecord(t *testing.T) {
	m := incidenttest.NewManager(t, func(c *incident.Config) { c.RecordWithin = 50 * time.Millisecond })
	r := serve(t, m)
	m.Store.Fail(errors.New("the disk is gone"))
	b, err := json.Marshal(group(fires("RiskOffline", "instance", "x"), fires("RiskOffline", "instance", "y")))
	require.NoError(t, err)
	for range 3 {
		status, answer := r.send(b)
		require.Equal(t, http.StatusServiceUnavailable, status, "the sender has to post it again: %s", answer)
	}
	require.Len(t, r.m.Open(), 2, "they are in force all the same")
	m.Store.Fail(nil)
	require.Eventually(t, func() bool { status, _ := r.send(b); return status == http.StatusOK }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 2, r.count(incident.Declared))
	require.Zero(t, r.count(incident.Signalled))
}

func TestAStopThatIsNotConfirmedIsTakenAllTheSame(t *testing.T) {
	r := start(t)
	r.m.Gate.Fail(errors.New("gone"))
	r.post(group(fires("SomethingNew")))
	require.Equal(t, incident.GateUnanswered, r.one().Gate)
}

// TestComplaintIncident4_ABotThatIsStartedAnewKnowsItsAlerts: nothing of an alert is
// kept beside the timeline.
func TestComplaintIncident4_ABotThatIsStartedAnewKnowsItsAlerts(t *testing.T) {
	store := &incidenttest.Memory{}
	with := func(c *incident.Config) { c.Store, c.Checklist = store, []string{} }
	alerts := labelled(3)
	t.Run("before", func(t *testing.T) {
		r := serve(t, incidenttest.NewManager(t, with))
		r.post(group(alerts...))
		r.post(group(alerts[0].over()))
	})
	t.Run("after", func(t *testing.T) {
		r := serve(t, incidenttest.NewManager(t, with))
		require.Len(t, r.m.Open(), 2)
		r.post(group(alerts[1], alerts[2]))
		require.Zero(t, r.count(incident.Signalled), "they are known")
		r.post(group(alerts[1].over(), alerts[2].over()))
		require.Empty(t, r.m.Open())
		require.Len(t, r.m.All(), 3)
	})
}

func TestWhatCannotBeReadIsASignal(t *testing.T) {
	good, err := json.Marshal(group(fires("RiskOffline")))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":            {"alerts!", 400},
		"empty":              {"", 400},
		"null":               {"null", 400},
		"cut off":            {string(good[:len(good)-2]), 400},
		"two":                {string(good) + "{}", 400},
		"a list":             {"[]", 400},
		"no alert":           {`{"version":"4","alerts":[]}`, 400},
		"alerts missing":     {`{"version":"4"}`, 400},
		"alerts null":        {`{"version":"4","alerts":null}`, 400},
		"alerts an object":   {`{"version":"4","alerts":{}}`, 400},
		"an alert of text":   {`{"version":"4","alerts":["x"]}`, 400},
		"labels of numbers":  {`{"version":"4","alerts":[{"labels":{"a":1}}]}`, 400},
		"negative truncated": {`{"version":"4","truncatedAlerts":-1,"alerts":[{}]}`, 400},
		"version 5":          {`{"version":"5","alerts":[{}]}`, 400},
		"no version":         {`{"alerts":[{}]}`, 400},
		"too long":           {`{"version":"4","alerts":[` + strings.Repeat(" ", 10_000) + `{}]}`, 413},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *alertmanager.Config) { c.MaxBody = 5000 })
			for range 2 {
				status, answer := r.send([]byte(c.body))
				require.Equal(t, c.status, status, answer)
			}
			in := r.one()
			require.Equal(t, alertmanager.Unreadable, in.Condition)
			require.Equal(t, 1, in.Signals)
			require.True(t, in.Level.AtLeast(severity.SEV1))
			require.Contains(t, in.Summary, "cannot be read")
		})
	}
}

func TestWhatIsBeyondTheLimitIsASignalAndTheRestIsTaken(t *testing.T) {
	r := start(t, func(c *alertmanager.Config) { c.MaxAlerts = 3 })
	b, err := json.Marshal(group(labelled(5)...))
	require.NoError(t, err)
	status, answer := r.send(b)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Contains(t, answer, "3 alerts were taken and 2 left")
	require.Len(t, r.m.Open(), 4)
	incidenttest.RequireDeclared(t, r.m, alertmanager.Unreadable, "alertmanager")
}

func TestAlertsThatTheSenderLeftOutAreASignal(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
	p := group(fires("RiskOffline", "instance", "a"))
	p.TruncatedAlerts = 7
	require.Equal(t, alertmanager.Result{Firing: 1, LeftOut: 7}, r.post(p))
	r.post(p)
	in := incidenttest.RequireDeclared(t, r.m, alertmanager.Truncated, "alertmanager")
	require.Equal(t, 1, in.Signals)
	require.Contains(t, in.Summary, "7 alerts were left out")

	p.TruncatedAlerts = 0
	r.post(p)
	require.Len(t, r.m.Open(), 1, "nothing is left out any more")

	p.TruncatedAlerts, p.GroupLabels = 7, map[string]string{"alertname": "RiskOffline", "instance": "group"}
	r.post(p)
	incidenttest.RequireDeclared(t, r.m, severity.RiskOffline, "group")
}

func TestIgnoredAlertsAreThoseOfARule(t *testing.T) {
	r := start(t, func(c *alertmanager.Config) {
		c.Rules = []alertmanager.Rule{
			{Match: []alertmanager.Match{{Label: "alertname", Equals: "Watchdog"}, {Label: "severity", Equals: ""}}, Ignore: true},
			{Match: []alertmanager.Match{{Label: "alertname", Pattern: "Risk.*"}, {Label: "env", Equals: "test", Not: true}}, Condition: severity.RiskOffline, Component: "risk"},
			{Match: []alertmanager.Match{{Label: "alertname", Pattern: "Risk"}}, Condition: severity.DevelopmentIssue},
		}
	})
	require.Equal(t, alertmanager.Result{Firing: 3, Ignored: 1}, r.post(group(
		fires("Watchdog"), fires("Watchdog", "severity", "page"), fires("RiskOffline"), fires("RiskOffline", "env", "test"))))
	incidenttest.RequireDeclared(t, r.m, "alert/Watchdog", "Watchdog")
	incidenttest.RequireDeclared(t, r.m, severity.RiskOffline, "risk")
	incidenttest.RequireDeclared(t, r.m, "alert/RiskOffline", "RiskOffline")
}

func TestOurOwnHaltRaisesNoOtherIncident(t *testing.T) {
	halted := true
	r := start(t, func(c *alertmanager.Config) {
		c.Rules = []alertmanager.Rule{{Match: []alertmanager.Match{{Label: "alertname", Equals: "NoOrders"}}, Condition: severity.TradingHalted}}
		c.OwnHalt = func() bool { return halted }
	})
	for range 3 {
		r.post(group(fires("NoOrders")))
	}
	incidenttest.RequireNothingDeclared(t, r.m)
	require.Equal(t, 1, r.count(incident.Decision), "it is on record, once")
	halted = false
	r.post(group(fires("NoOrders")))
	incidenttest.RequireDeclared(t, r.m, severity.TradingHalted, "NoOrders")
}

func TestHostileLabelsAreKeptInBounds(t *testing.T) {
	r := start(t)
	long := strings.Repeat("ä", 20_000)
	many := fires("Many")
	for i := range 500 {
		many.Labels[fmt.Sprintf("l%03d", i)] = "v"
	}
	hostile := []item{
		fires("RiskOffline", "instance", long+"1"), fires("RiskOffline", "instance", long+"2"),
		fires("evil\x1b[2Jname\nsecond line\u202e", "job", "a\x00b"), fires("", "instance", "x"), many,
		{Status: "firing"},
	}
	require.Equal(t, len(hostile), r.post(group(hostile...)).Firing)
	require.Len(t, r.m.Open(), 5, "what differs in its end stays different; the two without a name are of one component")
	require.Equal(t, len(hostile), r.count(incident.Declared, incident.Signalled))
	for _, in := range r.m.Open() {
		for _, s := range []string{string(in.Condition), in.Component, in.Summary} {
			require.NotEmpty(t, s)
			require.Less(t, len(s), 4000)
			for _, c := range s {
				require.True(t, unicode.IsPrint(c), "%q", s)
			}
		}
	}
	require.Equal(t, len(hostile), r.post(group(hostile...)).Firing)
	require.Equal(t, len(hostile), r.count(incident.Declared, incident.Signalled), "and each is known again")
}

func TestAlertsThatDifferInOneThingAreTwo(t *testing.T) {
	r := start(t, func(c *alertmanager.Config) {
		c.Rules = []alertmanager.Rule{{Condition: severity.RiskOffline, Component: "risk"}}
	})
	a, b := fires("A", "x", "1"), fires("A", "x", "1")
	a.Fingerprint, b.Fingerprint = "01", "02" // of labels that Grafana leaves out
	r.post(group(a, b, fires("A", "x", "2"), fires("A", "x", "3"), fires("A", "x1", "")))
	require.Equal(t, 5, r.one().Firing)
}

func TestOnlyWhoShowsTheTokenOrThePasswordIsHeard(t *testing.T) {
	b, err := json.Marshal(group(fires("RiskOffline")))
	require.NoError(t, err)
	basic := func(user, password string) string {
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		req.SetBasicAuth(user, password)
		return req.Header.Get("Authorization")
	}
	secret := string(token)
	both := func(c *alertmanager.Config) { c.User, c.Password = "andon", token }
	onlyBasic := func(c *alertmanager.Config) { c.Bearer, c.User, c.Password = nil, "andon", token }
	for name, c := range map[string]struct {
		change func(*alertmanager.Config)
		header string
		status int
	}{
		"token":                   {nil, "Bearer " + secret, 200},
		"token, small letters":    {nil, "bearer " + secret, 200},
		"nothing":                 {nil, "", 401},
		"another token":           {nil, "Bearer " + secret + "x", 401},
		"half of it":              {nil, "Bearer " + secret[:10], 401},
		"empty token":             {nil, "Bearer ", 401},
		"token without scheme":    {nil, secret, 401},
		"token as password":       {nil, basic("andon", secret), 401},
		"empty basic":             {nil, basic("", ""), 401},
		"password":                {both, basic("andon", secret), 200},
		"or token":                {both, "Bearer " + secret, 200},
		"another user":            {both, basic("eve", secret), 401},
		"another password":        {both, basic("andon", "x"), 401},
		"moved between the two":   {both, basic("ando", "n"+secret), 401},
		"password alone":          {onlyBasic, basic("andon", secret), 200},
		"no bearer is configured": {onlyBasic, "Bearer ", 401},
		"broken basic":            {onlyBasic, "Basic %%%", 401},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*alertmanager.Config) {}
			}
			r := start(t, change)
			status, answer := r.send(b, "Authorization", c.header)
			require.Equal(t, c.status, status)
			require.NotContains(t, answer, secret)
			if c.status != 200 {
				incidenttest.RequireNothingDeclared(t, r.m)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
				require.NotContains(t, fmt.Sprintf(verb, r.h), secret, verb)
			}
		})
	}
}

func TestLoopbackOnlyHearsThisMachineAlone(t *testing.T) {
	b, err := json.Marshal(group(fires("RiskOffline")))
	require.NoError(t, err)
	m := incidenttest.NewManager(t)
	h, err := alertmanager.New(alertmanager.Config{Manager: m.Manager, LoopbackOnly: true, Log: quiet()})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		remote, host string
		header       []string
		status       int
	}{
		"this machine":      {"127.0.0.1:5000", "127.0.0.1:9000", nil, 200},
		"by name":           {"127.0.0.2:5000", "localhost", nil, 200},
		"IPv6":              {"[::1]:5000", "[::1]:9000", nil, 200},
		"another machine":   {"192.0.2.1:5000", "localhost", nil, 403},
		"no address":        {"@", "localhost", nil, 403},
		"a proxy":           {"127.0.0.1:5000", "localhost", []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		"a modern proxy":    {"127.0.0.1:5000", "localhost", []string{"Forwarded", "for=192.0.2.1"}, 403},
		"a name of others":  {"127.0.0.1:5000", "rebound.example", nil, 403},
		"a page in browser": {"127.0.0.1:5000", "localhost", []string{"Content-Type", "text/plain"}, 415},
	} {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(b)))
		req.RemoteAddr, req.Host = c.remote, c.host
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(c.header); i += 2 {
			req.Header.Set(c.header[i], c.header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
	}
}

func TestOnlyPostsOfJSONAreTaken(t *testing.T) {
	r := start(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		req, err := http.NewRequest(method, r.url, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
		require.Equal(t, "POST", resp.Header.Get("Allow"))
	}
	status, _ := r.send([]byte("{}"), "Content-Type", "text/html")
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	incidenttest.RequireNothingDeclared(t, r.m)
}

func TestABodyThatDoesNotComeIsNotWaitedForLong(t *testing.T) {
	r := start(t, func(c *alertmanager.Config) { c.ReadWithin = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", string(token))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	answer := make([]byte, 20)
	n, err := conn.Read(answer)
	require.NoError(t, err)
	require.Contains(t, string(answer[:n]), " 408 ")
	incidenttest.RequireNothingDeclared(t, r.m)
}

// A hung store takes all turns; the next sender is told to come again, and is heard
// once it is over.
func TestTooManyAtATimeAreToldToComeAgain(t *testing.T) {
	hung := &hungStore{on: make(chan struct{})}
	m := incidenttest.NewManager(t, func(c *incident.Config) {
		hung.Store, c.Store, c.RecordWithin = c.Store, hung, time.Minute
	})
	r := serve(t, m, func(c *alertmanager.Config) { c.MaxConcurrent, c.WaitWithin = 2, 20*time.Millisecond })
	b, err := json.Marshal(group(fires("RiskOffline", "instance", "x")))
	require.NoError(t, err)
	statuses := make(chan int, 3)
	for range 3 {
		go func() { status, _ := r.send(b); statuses <- status }()
	}
	require.Equal(t, http.StatusServiceUnavailable, <-statuses, "there are two turns for three")
	close(hung.on)
	require.Equal(t, []int{200, 200}, []int{<-statuses, <-statuses})
	status, answer := r.send(b)
	require.Equal(t, http.StatusOK, status, answer)
}

type hungStore struct {
	incident.Store
	on chan struct{}
}

func (s *hungStore) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	<-s.on
	return s.Store.Append(ctx, expected, events...)
}

func TestASenderThatHangsUpHasBeenHeard(t *testing.T) {
	r := start(t)
	b, err := json.Marshal(group(fires("RiskOffline", "instance", "x")))
	require.NoError(t, err)
	ctx, hangUp := context.WithCancel(t.Context())
	body := &hanging{Reader: strings.NewReader(string(b)), hangUp: hangUp}
	req := httptest.NewRequest(http.MethodPost, "/", body).WithContext(ctx)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(token))
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, 1, r.count(incident.Declared))
}

// hanging is a body whose sender hangs up once all of it has been read.
type hanging struct {
	*strings.Reader
	hangUp func()
}

func (h *hanging) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	if err != nil {
		h.hangUp()
	}
	return n, err
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := alertmanager.New(alertmanager.Config{})
	require.ErrorContains(t, err, "Manager: is missing")
	require.ErrorContains(t, err, "Bearer: is empty, and so is Password")
	m := incidenttest.NewManager(t)
	_, err = alertmanager.New(alertmanager.Config{
		Manager: m.Manager, Bearer: token[:5], User: "andon", LoopbackOnly: true, MaxBody: -1, MaxAlerts: -1, MaxValue: 5, MaxConcurrent: -1,
		WaitWithin: -1, ReadWithin: -1,
		Rules: []alertmanager.Rule{
			{}, {Ignore: true}, {Ignore: true, Condition: "x"},
			{Condition: "x", Match: []alertmanager.Match{{}, {Label: "a", Equals: "b", Pattern: "c"}, {Label: "a", Pattern: "("}}},
		},
	})
	for _, want := range []string{
		"Bearer: has 5 bytes", "Password: want a User", "LoopbackOnly: takes no Bearer", "MaxBody:", "MaxAlerts:", "MaxValue:", "MaxConcurrent:",
		"WaitWithin:", "ReadWithin:", "Rules[0]: Condition: is empty", "Rules[1]: Ignore: every alert", "Rules[2]: Ignore: takes no Condition",
		"Rules[3]: Match[0]: Label is empty", "Match[1]: want Equals or Pattern", "Match[2]: Pattern:",
	} {
		require.ErrorContains(t, err, want)
	}
}
