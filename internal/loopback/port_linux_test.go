package loopback

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// bind takes a port as one does who allows nobody beside him; whoever takes any port does not
// get one that is refused here.
func bind(t *testing.T, port int) error {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(fd)) }()
	return syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

func TestAPortIsTheTestsWhileItsServerIsDown(t *testing.T) {
	var port int
	t.Run("a test", func(t *testing.T) {
		port = Port(t)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		for range 3 { // a server that is stopped and started again
			require.ErrorIs(t, bind(t, port), syscall.EADDRINUSE)
			_, err := net.Dial("tcp", addr)
			require.ErrorIs(t, err, syscall.ECONNREFUSED, "nobody serves yet")
			l, err := net.Listen("tcp", addr)
			require.NoError(t, err)
			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			require.NoError(t, c.Close())
			require.NoError(t, l.Close())
		}
		require.NotEqual(t, port, Port(t))
	})
}
