//go:build !linux

package loopback

import (
	"net"
	"testing"
)

// Port returns a port on which nobody listens just now.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("loopback: %v", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatalf("loopback: %v", err)
	}
	return port
}
