package host_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/evidence/host"
)

func TestState(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	dir := t.TempDir()
	copyTo := filepath.Join(dir, "network_state.txt")
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	c, err := evidence.New(evidence.Config{
		Dir: dir, Recipients: []string{key.Recipient().String()}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Items: []evidence.Item{host.Network(copyTo), host.Processes(""), host.Logins()},
	})
	require.NoError(t, err)
	a, err := c.Collect(t.Context(), "Ada", "", "drill")
	require.NoError(t, err)
	require.Empty(t, a.Manifest.Problems)
	out := filepath.Join(dir, "out")
	_, err = evidence.Extract(t.Context(), a.Path, out, "Ada", "drill", key)
	require.NoError(t, err)
	read := func(name string) string {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(b)
	}
	network := read(filepath.Join(out, "network/network_state.txt"))
	require.Regexp(t, fmt.Sprintf(`tcp +%s +\S+ +LISTEN +%d +\S+`, regexp.QuoteMeta(ln.Addr().String()), os.Getpid()), network)
	require.Equal(t, network, read(copyTo))
	require.Regexp(t, fmt.Sprintf(`(?m)^%d +%d .*host.test`, os.Getpid(), os.Getppid()), read(filepath.Join(out, "processes/process_state.txt")))
	require.Contains(t, read(filepath.Join(out, "logins/who.txt")), "USER")
}
