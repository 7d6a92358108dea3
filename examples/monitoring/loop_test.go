package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

const token = "a token of the test's own, long enough"

// An alert of rules.yml goes through a real Alertmanager with alertmanager.yml, and becomes
// the incident that its label names.
func TestAnAlertBecomesAnIncident(t *testing.T) {
	bin := os.Getenv("ANDON_ALERTMANAGER")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("alertmanager"); err != nil {
			needs.Missing(t, "alertmanager in PATH or ANDON_ALERTMANAGER (go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1)")
		}
	}
	m := incidenttest.NewManager(t)
	cfg := alertmanager.Config{Manager: m.Manager, Bearer: notify.Secret(token)}
	for _, r := range rules(t) {
		c := r.Labels["condition"]
		cfg.Rules = append(cfg.Rules, alertmanager.Rule{Match: []alertmanager.Match{{Label: "condition", Equals: c}}, Condition: severity.Condition(c)})
	}
	handler, err := alertmanager.New(cfg)
	require.NoError(t, err)
	bot := httptest.NewServer(handler)
	defer bot.Close()

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	text, err := os.ReadFile("alertmanager.yml")
	require.NoError(t, err)
	for old, new := range map[string]string{"http://127.0.0.1:9650/alerts": bot.URL, "/etc/andon/alertmanager.token": filepath.Join(dir, "token")} {
		require.Contains(t, string(text), old)
		text = []byte(strings.ReplaceAll(string(text), old, new))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yml"), text, 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.CommandContext(t.Context(), bin, "--config.file", filepath.Join(dir, "config.yml"), "--storage.path", filepath.Join(dir, "data"),
		"--web.listen-address", addr, "--cluster.listen-address", "")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}()
	alert, err := json.Marshal([]map[string]any{{
		"labels":      map[string]string{"alertname": "AndonSilent", "condition": "health-check-failed", "component": "feed", "bot": "b"},
		"annotations": map[string]string{"summary": "feed has not been heard for 9 s."},
	}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		resp, err := http.Post("http://"+addr+"/api/v2/alerts", "application/json", bytes.NewReader(alert))
		if err != nil {
			return false
		}
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond, "it does not take alerts: %s", &out)
	require.Eventually(t, func() bool { return len(m.All()) > 0 }, 30*time.Second, 20*time.Millisecond)
	in := incidenttest.RequireDeclared(t, m, severity.HealthCheckFailed, "feed")
	require.Equal(t, severity.SEV1, in.Level)
}
