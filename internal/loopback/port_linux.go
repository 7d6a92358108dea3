package loopback

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Port returns a port that is the test's until it ends.
func Port(t testing.TB) int {
	t.Helper()
	fd, port, err := hold()
	if err != nil {
		t.Fatalf("loopback: holding a port: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Close(fd); err != nil {
			t.Errorf("loopback: giving port %d back: %v", port, err)
		}
	})
	return port
}

// hold binds a socket to any port. The caller closes it.
func hold() (fd, port int, err error) {
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, syscall.Close(fd))
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockname", err)
	}
	return fd, name.(*syscall.SockaddrInet4).Port, nil
}
