package diagnose

import (
	"context"
	"net/netip"
	osexec "os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

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

func (m *machine) route(ctx context.Context, to string) (w Way, err error) {
	m.do(func() { w, err = Route(ctx, netip.MustParseAddr(to)) })
	return w, err
}

func froms(w Way) (list []string) {
	for _, h := range w.Hops {
		list = append(list, h.From.String())
	}
	return list
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
		var w Way
		var err error
		for range 20 { // a new link needs a moment until all of its neighbours are known
			if w, err = bot.route(t.Context(), to); err == nil && len(w.Hops) == 2 {
				break
			}
		}
		require.NoError(t, err)
		require.True(t, w.Reached, w.lines())
		require.Equal(t, []string{station, to}, froms(w))
		require.Positive(t, w.Hops[0].Took)
		require.Contains(t, w.lines(), station)
	}

	w, err := bot.route(t.Context(), "10.77.0.1")
	require.NoError(t, err)
	require.False(t, w.Reached)
	require.Contains(t, w.Ended, "10.8.0.1", "who does not send it on is named")

	router.sh(t, "ip route add blackhole 10.66.0.0/24")
	w, err = bot.route(t.Context(), "10.66.0.1")
	require.NoError(t, err)
	require.False(t, w.Reached)
	require.NotEmpty(t, w.Ended)
	require.LessOrEqual(t, len(w.Hops), maxSilent+1, "law 11: what never answers is given up")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = bot.route(ctx, "10.9.0.2")
	require.ErrorIs(t, err, context.Canceled)
	_, err = newMachine(t).route(t.Context(), "10.9.0.2")
	require.ErrorIs(t, err, unix.ENETUNREACH, "law 1: a machine without a route has none, and not an empty one")
}
