package route

import (
	"context"
	"net/netip"
	osexec "os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// machine is a network namespace with a thread of its own in it.
type machine struct {
	tid  int
	work chan func()
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if _, err := osexec.LookPath("ip"); err != nil {
		needs.Missing(t, "ip: %v", err)
	}
	m := &machine{work: make(chan func())}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		m.tid = unix.Gettid()
		started <- err
		if err != nil {
			return
		}
		for f := range m.work {
			f()
		}
	}()
	if err := <-started; err != nil {
		needs.Missing(t, "the right to make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(m.work) })
	m.sh(t, "ip link set lo up")
	return m
}

func (m *machine) do(f func()) {
	done := make(chan struct{})
	m.work <- func() { defer close(done); f() }
	<-done
}

func (m *machine) sh(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	var out []byte
	var err error
	m.do(func() { out, err = osexec.Command(words[0], words[1:]...).CombinedOutput() })
	require.NoError(t, err, "%s: %s", line, out)
}

// way is what Follow saw.
type way struct {
	froms []string
	took  []time.Duration
	ended string
}

func follow(ctx context.Context, to netip.Addr) (w way, err error) {
	w.ended, err = Follow(ctx, to, 400*time.Millisecond, func(from netip.Addr, took time.Duration) {
		w.froms, w.took = append(w.froms, from.String()), append(w.took, took)
	})
	return w, err
}

func (m *machine) follow(ctx context.Context, to string) (w way, err error) {
	m.do(func() { w, err = follow(ctx, netip.MustParseAddr(to)) })
	return w, err
}

func TestTheRouteIsNamedStationByStation(t *testing.T) {
	bot, router, venue := newMachine(t), newMachine(t), newMachine(t)
	router.sh(t, "ip link add in type veth peer name eth0 netns "+strconv.Itoa(bot.tid))
	router.sh(t, "ip link add out type veth peer name eth0 netns "+strconv.Itoa(venue.tid))
	for _, line := range []string{"ip addr add 10.8.0.1/24 dev in", "ip addr add fd08::1/64 dev in nodad", "ip addr add 10.9.0.1/24 dev out", "ip addr add fd09::1/64 dev out nodad", "ip link set in up", "ip link set out up", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"} {
		router.sh(t, line)
	}
	for _, line := range []string{"ip addr add 10.8.0.2/24 dev eth0", "ip addr add fd08::2/64 dev eth0 nodad", "ip link set eth0 up", "ip route add default via 10.8.0.1", "ip route add default via fd08::1"} {
		bot.sh(t, line)
	}
	for _, line := range []string{"ip addr add 10.9.0.2/24 dev eth0", "ip addr add fd09::2/64 dev eth0 nodad", "ip link set eth0 up", "ip route add default via 10.9.0.1", "ip route add default via fd09::1"} {
		venue.sh(t, line)
	}
	for _, m := range []*machine{router, venue} { // the kernel answers only so often by itself
		m.sh(t, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
	}
	for to, station := range map[string]string{"10.9.0.2": "10.8.0.1", "fd09::2": "fd08::1"} {
		var w way
		var err error
		for range 20 { // a new link needs a moment until all of its neighbours are known
			if w, err = bot.follow(t.Context(), to); err == nil && len(w.froms) == 2 {
				break
			}
		}
		require.NoError(t, err)
		require.Empty(t, w.ended)
		require.Equal(t, []string{station, to}, w.froms)
		require.Positive(t, w.took[0])
	}

	w, err := bot.follow(t.Context(), "10.77.0.1")
	require.NoError(t, err)
	require.Contains(t, w.ended, "10.8.0.1", "who does not send it on is named")

	router.sh(t, "ip route add blackhole 10.66.0.0/24")
	w, err = bot.follow(t.Context(), "10.66.0.1")
	require.NoError(t, err)
	require.NotEmpty(t, w.ended)
	require.LessOrEqual(t, len(w.froms), maxSilent+1, "law 11: what never answers is given up")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = bot.follow(ctx, "10.9.0.2")
	require.ErrorIs(t, err, context.Canceled)
	_, err = newMachine(t).follow(t.Context(), "10.9.0.2")
	require.ErrorIs(t, err, unix.ENETUNREACH, "law 1: a machine without a route has none, and not an empty one")
}

// Whoever is late himself has not been kept waiting: the answer lies there.
func TestAnAnswerThatIsThereIsReadHoweverLate(t *testing.T) {
	var froms []string
	ended, err := Follow(t.Context(), netip.MustParseAddr("127.0.0.1"), 0, func(from netip.Addr, _ time.Duration) {
		froms = append(froms, from.String())
	})
	require.NoError(t, err)
	require.Empty(t, ended)
	require.Equal(t, []string{"127.0.0.1"}, froms)
}

func TestLaw1_NoAddressIsNotThisMachine(t *testing.T) {
	w, err := follow(t.Context(), netip.Addr{})
	require.ErrorContains(t, err, "no address")
	require.Empty(t, w.froms)
}
