package alertmanager_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
)

// real is an Alertmanager on loopback that posts to a receiver.
type real struct {
	t    *testing.T
	bin  string
	dir  string
	url  string
	port string
	stop func() // kills it, as kill -9 does
}

// startReal starts an Alertmanager of the test's own, or ends the test.
func startReal(t *testing.T, hook string) *real {
	t.Helper()
	bin := os.Getenv("ANDON_ALERTMANAGER")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("alertmanager"); err != nil {
			needs.Missing(t, "alertmanager in PATH or ANDON_ALERTMANAGER (go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1)")
		}
	}
	a := &real{t: t, bin: bin, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "token"), token, 0o600))
	config := fmt.Sprintf(`
route:
  receiver: andon
  group_by: [alertname]
  group_wait: 10ms
  group_interval: 200ms
  repeat_interval: 1s
inhibit_rules:
  - source_matchers: [alertname="HostDown"]
    target_matchers: [alertname="DiskSlow"]
    equal: [instance]
receivers:
  - name: andon
    webhook_configs:
      - url: %s
        http_config: {authorization: {credentials_file: %s}}
`, hook, filepath.Join(a.dir, "token"))
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "config.yml"), []byte(config), 0o600))
	a.start()
	return a
}

// start starts the program, again on the same port and folder where it ran before.
func (a *real) start() {
	a.t.Helper()
	var out bytes.Buffer
	for range 5 { // a port that was free a moment ago may be taken
		port := a.port
		if port == "" {
			port = freePort(a.t)
		}
		a.url, a.port = "http://127.0.0.1:"+port, port
		out.Reset()
		cmd := exec.Command(a.bin, "--config.file", filepath.Join(a.dir, "config.yml"), "--storage.path", filepath.Join(a.dir, "data"),
			"--web.listen-address", "127.0.0.1:"+port, "--cluster.listen-address", "")
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(a.t, cmd.Start())
		exited := make(chan struct{})
		go func() { _ = cmd.Wait(); close(exited) }() // killed in the end, which is an error
		a.stop = func() { _ = cmd.Process.Kill(); <-exited }
		if a.ready(exited) {
			a.t.Cleanup(a.stop)
			return
		}
		a.stop()
		a.port = ""
	}
	a.t.Fatalf("alertmanager does not start: %s", out.String())
}

func (a *real) ready(exited chan struct{}) bool {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-exited:
			return false
		default:
		}
		if r, err := http.Get(a.url + "/-/ready"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// push sends alerts as Prometheus does; those without an end fire for a minute more.
func (a *real) push(alerts ...item) {
	a.t.Helper()
	var all []map[string]any
	for _, x := range alerts {
		m := map[string]any{"labels": x.Labels, "annotations": x.Annotations, "startsAt": x.StartsAt}
		if !x.EndsAt.IsZero() {
			m["endsAt"] = x.EndsAt
		}
		all = append(all, m)
	}
	a.do("/api/v2/alerts", all)
}

func (a *real) silence(name string) {
	a.t.Helper()
	a.do("/api/v2/silences", map[string]any{
		"matchers": []map[string]any{{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}},
		"startsAt": time.Now().UTC(), "endsAt": time.Now().Add(time.Hour).UTC(), "createdBy": "ada", "comment": "known",
	})
}

func (a *real) do(path string, body any) {
	a.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(a.t, err)
	resp, err := http.Post(a.url+path, "application/json", bytes.NewReader(b))
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	require.Equal(a.t, http.StatusOK, resp.StatusCode, "%s", answer)
}

func (a *real) checker(change ...func(*alertmanager.CheckerConfig)) *alertmanager.Checker {
	a.t.Helper()
	cfg := alertmanager.CheckerConfig{URL: a.url, SettleFor: time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	c, err := alertmanager.NewChecker(cfg)
	require.NoError(a.t, err)
	a.t.Cleanup(c.Close)
	return c
}

// soon waits for what a real program does in its own time.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 60*time.Second, 20*time.Millisecond, what)
}

func resolvable(t *testing.T) *receiver {
	return serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
}

func TestARealAlertmanagerFiresAndResolves(t *testing.T) {
	r := resolvable(t)
	a := startReal(t, r.url)
	x, y := fires("RiskOffline", "instance", "x"), fires("RiskOffline", "instance", "y")
	a.push(x, y)
	soon(t, "both are incidents", func() bool { return len(r.m.Open()) == 2 })
	posts := r.posts.Load()
	soon(t, "and are posted again, and again", func() bool { return r.posts.Load() >= posts+2 })
	require.Zero(t, r.count(incident.Signalled))

	_, err := a.checker().Cleared(t.Context())
	var f *alertmanager.FiringError
	require.ErrorAs(t, err, &f)
	require.Len(t, f.Active, 2)

	a.push(x.over())
	soon(t, "one has ended", func() bool { return len(r.m.Open()) == 1 })
	a.push(y.over())
	soon(t, "both have", func() bool { return len(r.m.Open()) == 0 })
	require.Len(t, r.m.All(), 2)
	soon(t, "and Alertmanager says so", func() bool { _, err := a.checker().Cleared(t.Context()); return err == nil })
	_, err = a.checker(func(c *alertmanager.CheckerConfig) { c.SettleFor = 0 }).Cleared(t.Context())
	require.ErrorIs(t, err, alertmanager.ErrUnsure, "which it has not been up for long enough to know")
}

func TestARealAlertmanagerPostsAGroupOfTwoHundred(t *testing.T) {
	r := resolvable(t)
	a := startReal(t, r.url)
	alerts := labelled(200)
	a.push(alerts...)
	soon(t, "each is an incident", func() bool { return len(r.m.Open()) == 200 })
	for i := range alerts {
		alerts[i] = alerts[i].over()
	}
	a.push(alerts...)
	soon(t, "none is open", func() bool { return len(r.m.Open()) == 0 })
	require.Equal(t, 200, r.count(incident.Declared))
	require.Equal(t, 200, r.count(incident.Cleared))
}

func TestARealAlertmanagerTellsSilencedAndInhibited(t *testing.T) {
	r := resolvable(t)
	a := startReal(t, r.url)
	a.silence("Known")
	a.push(fires("HostDown", "instance", "x"))
	soon(t, "it is an incident", func() bool { return len(r.m.Open()) == 1 })
	a.push(fires("Known", "instance", "x"), fires("DiskSlow", "instance", "x"))
	soon(t, "they are told apart", func() bool {
		_, err := a.checker().Cleared(t.Context())
		want := alertmanager.FiringError{Active: []string{"HostDown(x)"}, Silenced: []string{"Known(x)"}, Inhibited: []string{"DiskSlow(x)"}}
		return err != nil && err.Error() == want.Error()
	})
	require.Len(t, r.m.All(), 1, "what is hidden is not posted")
}

// Alertmanager posts again what was refused, until it is on record.
func TestARealAlertmanagerComesAgainUntilItIsRecorded(t *testing.T) {
	m := incidenttest.NewManager(t, func(c *incident.Config) { c.RecordWithin = 50 * time.Millisecond })
	m.Store.Fail(io.ErrShortWrite)
	r := serve(t, m)
	a := startReal(t, r.url)
	a.push(fires("RiskOffline", "instance", "x"))
	soon(t, "it is in force", func() bool { return len(m.Open()) == 1 })
	m.Store.Fail(nil)
	soon(t, "and then on record", func() bool {
		n, _ := m.Unrecorded()
		return n == 0 && r.count(incident.Declared) == 1
	})
}

// Alertmanager keeps alerts in memory: killed, it forgets what fired and never says
// that it ended (alertmanager 2370).
func TestComplaintIncident4_ARestartLosesNeitherAlertsNorResolves(t *testing.T) {
	r := resolvable(t)
	a := startReal(t, r.url)
	ends, stays := fires("RiskOffline", "instance", "ends"), fires("RiskOffline", "instance", "stays")
	a.push(ends, stays)
	soon(t, "both are incidents", func() bool { return len(r.m.Open()) == 2 })

	a.stop()
	a.start()
	_, err := r.h.Resync(t.Context(), a.checker(func(c *alertmanager.CheckerConfig) { c.SettleFor = time.Hour }), "andon")
	require.ErrorIs(t, err, alertmanager.ErrUnsure)
	require.Len(t, r.m.Open(), 2, "its empty list is no end of anything")

	begins := fires("RiskOffline", "instance", "begins")
	a.push(stays, begins) // what Prometheus still sends
	soon(t, "what is new is one", func() bool { return len(r.m.Open()) == 3 })
	soon(t, "what ended while it was down has ended", func() bool {
		_, err := r.h.Resync(t.Context(), a.checker(), "andon")
		return err == nil && len(r.m.Open()) == 2
	})
	require.Zero(t, r.count(incident.Signalled), "what went on firing is known")
	a.push(stays.over(), begins.over())
	soon(t, "and the ends come through", func() bool { return len(r.m.Open()) == 0 })
}
