package runbook_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/andontest"
)

// An exchange outlives the bot. So that a process can be killed and the venue go on, the
// venue lives in the test's process and is spoken to over a Unix socket.

// serve lets a venue be reached over the socket in dir until the test ends.
func serve(t testing.TB, v *andontest.Venue, dir string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, "venue"))
	require.NoError(t, err)
	srv := &http.Server{Handler: andontest.Handler(v)}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }() // it ends when it is closed
	t.Cleanup(func() { require.NoError(t, srv.Close()); <-done })
}

// reach is the venue in another process.
func reach(dir string) andontest.Remote {
	return andontest.Remote{URL: "http://venue/", Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "venue"))
	}}}}
}
