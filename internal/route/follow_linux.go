package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Follow sends one small UDP datagram for each station on the way to an address, and calls
// hop with who says that it went no farther and how long that took; the address is invalid
// where nobody answered within wait. A station may keep silent, and the last ones often do:
// that to did not answer does not say that it cannot be reached by TCP. It sends at most 30
// datagrams, gives up after five silent stations, and ends with ctx.
//
// Ended says why it went no farther although to had not answered; it is empty when to did.
func Follow(ctx context.Context, to netip.Addr, wait time.Duration, hop func(from netip.Addr, took time.Duration)) (ended string, err error) {
	if !to.IsValid() {
		return "", errors.New("there is no address to follow the way to")
	}
	to = to.Unmap()
	silent := 0
	for ttl := 1; ttl <= maxStations; ttl++ {
		answer, err := probe(ctx, to, ttl, wait)
		if err != nil {
			return "", err
		}
		hop(answer.from, answer.took)
		switch {
		case answer.reached:
			return "", nil
		case answer.refused != "":
			return answer.refused, nil
		case answer.from.IsValid():
			silent = 0
			continue
		}
		if silent++; silent == maxSilent {
			return fmt.Sprintf("%d stations in a row kept silent", maxSilent), nil
		}
	}
	return fmt.Sprintf("there are more than %d stations", maxStations), nil
}

type answer struct {
	from    netip.Addr
	took    time.Duration
	reached bool
	refused string // why a station sends nothing on
}

// firstPort is where nobody listens, by the custom of traceroute.
const firstPort = 33434

func probe(ctx context.Context, to netip.Addr, ttl int, wait time.Duration) (a answer, err error) {
	family, level, hops, report := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVERR
	var target unix.Sockaddr = &unix.SockaddrInet4{Port: firstPort + ttl, Addr: to4(to)}
	if to.Is6() {
		family, level, hops, report = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR
		target = &unix.SockaddrInet6{Port: firstPort + ttl, Addr: to.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.SetsockoptInt(fd, level, report, 1); err != nil {
		return a, err
	}
	if err := unix.SetsockoptInt(fd, level, hops, ttl); err != nil {
		return a, err
	}
	began := time.Now()
	if err := unix.Sendto(fd, []byte("andon route"), 0, target); err != nil {
		return a, err
	}
	for late := false; !late; {
		late = time.Since(began) >= wait // an answer that came while this thread had no processor counts
		if err := ctx.Err(); err != nil {
			return a, err
		}
		fds := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(fds, 50); err != nil && !errors.Is(err, unix.EINTR) {
			return a, err
		}
		control := make([]byte, 512)
		_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 64), control, unix.MSG_ERRQUEUE)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return a, err
		}
		a.took = time.Since(began)
		return a, a.read(control[:n])
	}
	return a, nil
}

func to4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

// read reads what the kernel says of an ICMP message: struct sock_extended_err and,
// behind it, the address of who sent it.
func (a *answer) read(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return err
	}
	for _, m := range messages {
		d := m.Data
		is4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		is6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !is4 && !is6 || len(d) < 16+16 {
			continue
		}
		errno, origin, kind, code := unix.Errno(binary.NativeEndian.Uint32(d)), d[4], d[5], d[6]
		switch {
		case is4 && origin == unix.SO_EE_ORIGIN_ICMP:
			a.from, _ = netip.AddrFromSlice(d[20:24])
			a.reached = kind == 3 && code == 3
			if kind == 11 || a.reached {
				return nil
			}
		case is6 && origin == unix.SO_EE_ORIGIN_ICMP6 && len(d) >= 16+24:
			a.from, _ = netip.AddrFromSlice(d[24:40])
			a.reached = kind == 1 && code == 4
			if kind == 3 || a.reached {
				return nil
			}
		}
		a.refused = fmt.Sprintf("%v: %v", a.from, errno)
		return nil
	}
	return errors.New("the kernel does not say who answered")
}
