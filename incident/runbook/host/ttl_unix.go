//go:build unix

package host

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// setTTL says after how many hops what is sent is given up.
func setTTL(conn *net.IPConn, ttl int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl) })
	return errors.Join(err, set)
}
