package isolation_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// namespace is a machine of the test's own: a network namespace, and a thread in it.
type namespace struct {
	tid  int
	work chan func()
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{work: make(chan func())}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.tid = unix.Gettid()
		started <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	if err := <-started; err != nil {
		needs.Missing(t, "the right to make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.work) })
	return n
}

// do runs f on the namespace's thread, where programs that it starts and sockets that it
// opens belong to the namespace.
func (n *namespace) do(f func()) {
	done := make(chan struct{})
	n.work <- func() { defer close(done); f() }
	<-done
}

func (n *namespace) sh(t *testing.T, program string, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	n.do(func() { out, err = exec.Command(program, args...).CombinedOutput() })
	require.NoError(t, err, "%s %v: %s", program, args, out)
	return string(out)
}

// listen serves an address: it sends back what it is sent.
func (n *namespace) listen(t *testing.T, addr string) {
	t.Helper()
	var l net.Listener
	var err error
	n.do(func() { l, err = net.Listen("tcp", addr) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

func (n *namespace) dial(addr string, patience time.Duration) (c net.Conn, err error) {
	n.do(func() { c, err = net.DialTimeout("tcp", addr, patience) })
	return c, err
}

// What must answer is given all the time that a loaded machine may need; for what must
// not, waiting longer shows nothing more.
const long, short = 20 * time.Second, 300 * time.Millisecond

// echoes tells whether a connection still carries anything.
func echoes(c net.Conn, patience time.Duration) bool {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

func (n *namespace) reaches(addr string, patience time.Duration) bool {
	c, err := n.dial(addr, patience)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	return echoes(c, patience)
}

// world is a machine that is isolated, a container of it, and the internet.
type world struct {
	host, container, internet *namespace
}

const (
	venue, channel, database, intruder, admin = "10.9.0.1:443", "10.9.0.2:443", "10.9.0.3:5432", "10.9.0.66:443", "10.9.0.77"
	venue6, intruder6                         = "[fd09::1]:443", "[fd09::66]:443"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, program := range []string{"ip", "nft", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			needs.Missing(t, "%s: %v", program, err)
		}
	}
	w := &world{host: newNamespace(t), container: newNamespace(t), internet: newNamespace(t)}
	w.link(t, w.internet, "out", "10.9.0.100/24", "fd09::100/64", "10.9.0.1/24", "fd09::1/64")
	w.link(t, w.container, "in", "10.8.0.1/24", "fd08::1/64", "10.8.0.2/24", "fd08::2/64")
	for _, n := range []*namespace{w.host, w.container, w.internet} {
		n.sh(t, "ip", "link", "set", "lo", "up")
	}
	for _, a := range []string{"10.9.0.2", "10.9.0.3", "10.9.0.66", "10.9.0.77"} {
		w.internet.sh(t, "ip", "addr", "add", a+"/24", "dev", "eth0")
	}
	w.internet.sh(t, "ip", "addr", "add", "fd09::66/64", "dev", "eth0", "nodad")
	w.internet.sh(t, "ip", "route", "add", "10.8.0.0/24", "via", "10.9.0.100")
	w.internet.sh(t, "ip", "route", "add", "fd08::/64", "via", "fd09::100")
	w.container.sh(t, "ip", "route", "add", "default", "via", "10.8.0.1")
	w.container.sh(t, "ip", "route", "add", "default", "via", "fd08::1")
	w.host.sh(t, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	for _, addr := range []string{venue, channel, database, intruder, admin + ":443", venue6, intruder6} {
		w.internet.listen(t, addr)
	}
	// The first use of each program leaves empty chains behind.
	for _, program := range tables {
		if _, err := exec.LookPath(program); err == nil {
			for _, hook := range []string{"OUTPUT", "FORWARD"} {
				w.host.sh(t, program, "-A", hook, "-j", "ACCEPT")
				w.host.sh(t, program, "-D", hook, "-j", "ACCEPT")
			}
		}
	}
	w.host.listen(t, "10.9.0.100:22")
	w.host.listen(t, "127.0.0.1:6379")
	w.container.listen(t, "10.8.0.2:22")
	return w
}

// link joins the host, and a namespace as its eth0.
func (w *world) link(t *testing.T, to *namespace, name, here4, here6, there4, there6 string) {
	t.Helper()
	w.host.sh(t, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(to.tid))
	for _, a := range []string{here4, here6} {
		w.host.sh(t, "ip", strings.Fields("addr add "+a+" dev "+name+nodad(a))...)
	}
	w.host.sh(t, "ip", "link", "set", name, "up")
	for _, a := range []string{there4, there6} {
		to.sh(t, "ip", strings.Fields("addr add "+a+" dev eth0"+nodad(a))...)
	}
	to.sh(t, "ip", "link", "set", "eth0", "up")
}

func nodad(addr string) string {
	if netip.MustParsePrefix(addr).Addr().Is6() {
		return " nodad"
	}
	return ""
}

var tables = []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"}

// rules is everything that the host's packet filters hold, without counters.
func (w *world) rules(t *testing.T) string {
	t.Helper()
	// nft lists tables and chains in the order in which they were made.
	lines := strings.Split(w.host.sh(t, "nft", "-s", "list", "ruleset"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n") + w.iptables(t)
}

func (w *world) iptables(t *testing.T) (text string) {
	t.Helper()
	for _, program := range tables {
		if _, err := exec.LookPath(program); err == nil {
			text += w.host.sh(t, program, "-S")
		}
	}
	return text
}
