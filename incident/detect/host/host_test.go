package host

import (
	"context"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/net"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/severity"
)

// nobody takes what is declared.
type nobody struct{}

func (nobody) Declare(context.Context, string, string, ...severity.Signal) (incident.Incident, error) {
	return incident.Incident{}, nil
}

func (nobody) Clear(context.Context, string, string, time.Time, string) (incident.Incident, error) {
	return incident.Incident{}, nil
}

func TestIndicatorsAreWhole(t *testing.T) {
	_, err := detect.New(detect.Config{Incidents: nobody{}, Indicators: []detect.Indicator{
		CPU(), Memory(), Disk("/"), Disk("/tmp"), IO("sda"), Ports(22), Connections(),
	}})
	require.NoError(t, err)
}

func TestShares(t *testing.T) {
	for _, ind := range []detect.Indicator{CPU(), Memory(), Disk(t.TempDir())} {
		for range 2 {
			v, _, err := ind.Probe(t.Context())
			require.NoError(t, err, ind.Rule.Name)
			require.True(t, v.Known(), ind.Rule.Name)
			require.False(t, v.N > v.Of, "%s: %v", ind.Rule.Name, v)
		}
	}
	_, _, err := Disk(filepath.Join(t.TempDir(), "none")).Probe(t.Context())
	require.Error(t, err)
	_, _, err = IO("no-such-device").Probe(t.Context())
	require.ErrorContains(t, err, "no-such-device")
}

// The kernel's counters are written here, since a machine may have no block device.
func TestIO(t *testing.T) {
	proc := t.TempDir()
	t.Setenv("HOST_PROC", proc)
	line := "   8       0 sda 10 0 80 5 20 0 160 9 0 %d 14\n"
	write := func(busy int) {
		require.NoError(t, os.WriteFile(filepath.Join(proc, "diskstats"), fmt.Appendf(nil, line, busy), 0o600))
	}
	write(1000)
	ind := IO("sda")
	v, _, err := ind.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(0), v.N, "it was not busy between the two readings")
	require.Positive(t, v.Of)
	write(1_000_000)
	time.Sleep(5 * time.Millisecond) // the time is counted in milliseconds
	v, _, err = ind.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, v.Of, v.N, "never more than all of the time")
	_, _, err = IO("sdb").Probe(t.Context())
	require.ErrorContains(t, err, "sdb")
}

// A burning processor is seen, and the rate is that of the time between two calls.
func TestRate(t *testing.T) {
	readings := [][2]int64{{100, 1000}, {150, 1100}, {240, 1200}, {230, 1300}, {230, 1300}, {230, 1300}}
	i := 0
	r := &rate{read: func(context.Context) (int64, int64, error) {
		i++
		return readings[i-1][0], readings[i-1][1], nil
	}}
	for _, want := range []severity.Value{severity.Part(50, 100), severity.Part(90, 100), severity.Part(0, 100), {}} {
		// the last: time stands still
		v, _, err := r.probe(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, v, "after %d readings", i)
	}
	r = &rate{read: func(context.Context) (int64, int64, error) { return 0, 0, os.ErrPermission }}
	_, _, err := r.probe(t.Context())
	require.ErrorIs(t, err, os.ErrPermission)
}

func TestMemory_OfAContainer(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	look := func() (severity.Value, string, error) { return memory(dir).Probe(t.Context()) }
	whole, _, err := look()
	require.NoError(t, err, "no limit at all")
	write("memory.max", "max\n")
	v, _, err := look()
	require.NoError(t, err)
	require.Less(t, v.Of-whole.Of, int64(1), "no limit")
	write("memory.max", "1000\n")
	_, _, err = look()
	require.Error(t, err, "a limit, and nothing says how much is used")
	write("memory.current", "990\n")
	write("memory.stat", "anon 900\ninactive_file 15\n")
	v, detail, err := look()
	require.NoError(t, err)
	require.Equal(t, severity.Part(975, 1000), v)
	require.Contains(t, detail, "container")
	write("memory.stat", "inactive_file x\n")
	_, _, err = look()
	require.ErrorContains(t, err, "memory.stat")
}

func TestPorts_SeesAListener(t *testing.T) {
	ln, err := stdnet.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	port := uint16(ln.Addr().(*stdnet.TCPAddr).Port)
	_, detail, err := Ports().Probe(t.Context())
	require.NoError(t, err)
	require.Contains(t, detail, fmt.Sprintf(":%d by ", port))
	_, detail, err = Ports(port).Probe(t.Context())
	require.NoError(t, err)
	require.NotContains(t, detail, fmt.Sprintf(":%d by ", port))
}

func TestNetwork_WhatIsUnknown(t *testing.T) {
	addr := func(s string) net.Addr {
		a := netip.MustParseAddrPort(s)
		return net.Addr{IP: a.Addr().String(), Port: uint32(a.Port())}
	}
	all := []net.ConnectionStat{
		{Type: 1, Status: "LISTEN", Laddr: addr("0.0.0.0:22")},
		{Type: 1, Status: "LISTEN", Laddr: addr("[::]:4444")},
		{Type: 1, Status: "LISTEN", Laddr: addr("[::]:4444")}, // by another descriptor
		{Type: 1, Status: "LISTEN", Laddr: addr("127.0.0.1:5432")},
		{Type: 2, Laddr: addr("0.0.0.0:53")},
		{Type: 1, Status: "ESTABLISHED", Laddr: addr("10.0.0.5:4000"), Raddr: addr("203.0.113.9:443")},
		{Type: 1, Status: "ESTABLISHED", Laddr: addr("10.0.0.5:4001"), Raddr: addr("[::ffff:10.0.0.7]:5432")},
		{Type: 1, Status: "ESTABLISHED", Laddr: addr("127.0.0.1:4001"), Raddr: addr("127.0.0.1:5432")},
		{Type: 1, Status: "SYN_SENT", Laddr: addr("10.0.0.5:4002"), Raddr: addr("198.51.100.1:6667")},
	}
	names := func(odds []odd) (out []string) {
		for _, o := range odds {
			out = append(out, o.what)
		}
		return out
	}
	require.Equal(t, []string{"tcp :::4444", "udp 0.0.0.0:53"}, names(unknownPorts(all, []uint16{22})))
	require.Equal(t, []string{"198.51.100.1:6667", "203.0.113.9:443"}, names(unknownPeers(all, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})))
	n, detail, err := report(t.Context(), []odd{{"tcp :::4444", int32(os.Getpid())}, {"udp 0.0.0.0:53", 0}})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Contains(t, detail, fmt.Sprintf("(%d)", os.Getpid()))
	require.Contains(t, detail, "may not see")
}
