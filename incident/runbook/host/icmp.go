package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The types of ICMP that are told apart, see RFC 792.
const (
	echoReply   = 0
	unreachable = 3
	echoRequest = 8
	exceeded    = 11
)

// asked numbers the requests of this process, so that two looks at once do not take each
// other's answers: each raw socket hears all.
var asked atomic.Uint32

// request is an echo request, with what its answer is known by.
func request() (packet []byte, id, seq uint16) {
	n := asked.Add(1)
	id, seq = uint16(os.Getpid())^uint16(n>>16), uint16(n)
	b := make([]byte, 8+24)
	b[0] = echoRequest
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	copy(b[8:], "andon looks at the way")
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b, id, seq
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// answers reports whether a message is for a request, and of which type it is. An error
// message carries the head of the request that it is about.
func answers(b []byte, id, seq uint16) (kind byte, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	kind = b[0]
	about := b
	if kind == exceeded || kind == unreachable {
		if len(b) < 8+20 {
			return 0, false
		}
		about = b[8:]
		head := int(about[0]&0xf) * 4
		if len(about) < head+8 || about[9] != 1 || about[head] != echoRequest { // of ICMP
			return 0, false
		}
		about = about[head:]
	} else if kind != echoReply {
		return 0, false
	}
	return kind, binary.BigEndian.Uint16(about[4:]) == id && binary.BigEndian.Uint16(about[6:]) == seq
}

// ask sends one request and waits for what is said to it.
func ask(ctx context.Context, conn *net.IPConn, to *net.IPAddr, within time.Duration) (from net.Addr, kind byte, took time.Duration, err error) {
	packet, id, seq := request()
	began := time.Now()
	deadline := began.Add(within)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, 0, 0, err
	}
	if err := ctx.Err(); err != nil { // it may have ended before the deadline was set anew
		return nil, 0, 0, err
	}
	if _, err := conn.WriteTo(packet, to); err != nil {
		return nil, 0, 0, err
	}
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return nil, 0, 0, err
		}
		if kind, ok := answers(b[:n], id, seq); ok {
			return from, kind, time.Since(began), nil
		}
	}
}

// listen opens a raw socket, which takes CAP_NET_RAW. It is closed when ctx ends.
func listen(ctx context.Context) (conn *net.IPConn, closed func() error, err error) {
	conn, err = net.ListenIP("ip4:icmp", nil)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // whoever reads sees why
	return conn, func() error { stop(); return conn.Close() }, nil
}

// echo sends echo requests, one after the other, and returns how long each answer took.
func echo(ctx context.Context, to *net.IPAddr, tries int, within time.Duration) (took []time.Duration, err error) {
	conn, closed, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closed()) }()
	var last error
	for range tries {
		if ctx.Err() != nil {
			return took, ctx.Err()
		}
		from, kind, d, err := ask(ctx, conn, to, within)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			last = errors.New("no answer in time")
		case err != nil:
			last = err
		case kind != echoReply:
			last = fmt.Errorf("%s says that it cannot be reached", from)
		default:
			took = append(took, d)
		}
		if len(took) == 0 && last != nil {
			return nil, last // the first tells: TCP is tried instead
		}
	}
	return took, nil
}
