package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A day is looked at in its pages: the incident shows on the status page while it goes
// on, the console lets the operator in, and a stop is one press.
func TestTheDayIsServed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out output
	ended := make(chan error, 1)
	go func() {
		ended <- liveDay(ctx, flags{Seed: 1, Fault: "data-corruption", Operator: "alice", Note: "looked at", Window: time.Second, Dir: filepath.Join(t.TempDir(), "day"), HTTP: "127.0.0.1:0"}, &out)
	}()
	said := regexp.MustCompile(`status page (http://[^/]+)/, .* password ([0-9a-f]+)`)
	var found []string
	require.Eventually(t, func() bool { found = said.FindStringSubmatch(out.String()); return found != nil }, 30*time.Second, 10*time.Millisecond)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method, path string, body io.Reader) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, found[1]+path, body)
		require.NoError(t, err)
		r.SetBasicAuth("alice", found[2])
		r.Header.Set("Origin", found[1])
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode, string(got)
	}
	require.Eventually(t, func() bool {
		_, page := ask("GET", "/", nil)
		return strings.Contains(page, "INC-") && strings.Contains(page, "SEV-1")
	}, time.Minute, 20*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "the pages stay until Ctrl-C") }, 2*time.Minute, 50*time.Millisecond)
	code, page := ask("GET", "/console", nil)
	require.Equal(t, 200, code)
	require.Contains(t, page, "Position Database", "the backups are there")
	code, page = ask("POST", "/console/do/stop", strings.NewReader(url.Values{"reason": {"seen on the page"}}.Encode()))
	require.Equal(t, 200, code, page)
	require.Contains(t, page, "Trading is halted")
	cancel()
	require.NoError(t, <-ended)
}
