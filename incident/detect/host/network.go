package host

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/severity"
)

// Ports watches who listens: how many TCP and UDP ports are open to others than this
// machine and are not among those allowed.
func Ports(allowed ...uint16) detect.Indicator {
	ind := detect.Playbook(severity.SuspiciousConnections)
	ind.Rule.Name = "listening ports"
	return ind.On("host/ports", detect.Counting(func(ctx context.Context) (int, string, error) {
		all, err := net.ConnectionsWithoutUidsWithContext(ctx, "inet")
		if err != nil {
			return 0, "", err
		}
		return report(ctx, unknownPorts(all, allowed))
	}))
}

// Connections watches whom this machine speaks to: how many of its TCP connections are
// to addresses outside those allowed. Loopback is allowed.
func Connections(allowed ...netip.Prefix) detect.Indicator {
	ind := detect.Playbook(severity.SuspiciousConnections)
	ind.Rule.Name = "outbound connections"
	return ind.On("host/connections", detect.Counting(func(ctx context.Context) (int, string, error) {
		all, err := net.ConnectionsWithoutUidsWithContext(ctx, "tcp")
		if err != nil {
			return 0, "", err
		}
		return report(ctx, unknownPeers(all, allowed))
	}))
}

// odd is a socket that nobody has allowed.
type odd struct {
	what string
	pid  int32
}

func unknownPorts(all []net.ConnectionStat, allowed []uint16) (out []odd) {
	const stream = 1 // SOCK_STREAM; a datagram socket has no state and listens where it has no peer
	for _, c := range all {
		listens := c.Status == "LISTEN" || c.Type != stream && c.Raddr.Port == 0
		if !listens || loopback(c.Laddr.IP) || slices.Contains(allowed, uint16(c.Laddr.Port)) {
			continue
		}
		kind := "tcp"
		if c.Type != stream {
			kind = "udp"
		}
		out = append(out, odd{fmt.Sprintf("%s %s:%d", kind, c.Laddr.IP, c.Laddr.Port), c.Pid})
	}
	return distinct(out)
}

func unknownPeers(all []net.ConnectionStat, allowed []netip.Prefix) (out []odd) {
	for _, c := range all {
		if c.Status == "LISTEN" || c.Raddr.Port == 0 || loopback(c.Raddr.IP) {
			continue
		}
		ip, err := netip.ParseAddr(c.Raddr.IP)
		if err == nil && slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) }) {
			continue
		}
		out = append(out, odd{fmt.Sprintf("%s:%d", c.Raddr.IP, c.Raddr.Port), c.Pid})
	}
	return distinct(out)
}

func loopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.Unmap().IsLoopback()
}

// distinct sorts sockets and drops those that differ in nothing.
func distinct(all []odd) []odd {
	slices.SortFunc(all, func(a, b odd) int {
		if c := strings.Compare(a.what, b.what); c != 0 {
			return c
		}
		return int(a.pid) - int(b.pid)
	})
	return slices.Compact(all)
}

// report names the sockets, with the programs that hold them where that may be known.
func report(ctx context.Context, all []odd) (int, string, error) {
	var text []string
	for _, o := range all {
		name := "a program that this process may not see"
		if o.pid != 0 {
			name = fmt.Sprintf("process %d", o.pid)
			if p, err := process.NewProcessWithContext(ctx, o.pid); err == nil {
				if n, err := p.NameWithContext(ctx); err == nil {
					name = fmt.Sprintf("%s (%d)", n, o.pid)
				}
			}
		}
		text = append(text, o.what+" by "+name)
	}
	return len(all), strings.Join(text, ", "), nil
}
