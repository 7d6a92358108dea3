package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/route"
)

func (c Config) name() string {
	host, _, err := net.SplitHostPort(c.Exchange)
	if err != nil {
		return c.Exchange // validate has refused it
	}
	return host
}

func (c Config) dns(ctx context.Context) (string, error) {
	name := c.name()
	began := time.Now()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return "", fmt.Errorf("dns: %w", err)
	}
	took := time.Since(began).Round(time.Microsecond)
	canonical, err := net.DefaultResolver.LookupCNAME(ctx, name)
	if err != nil || canonical == "" {
		canonical = "no other name"
	}
	slices.Sort(addresses)
	return fmt.Sprintf("%s is %s (%s), found in %v\n", name, strings.Join(addresses, " "), canonical, took), nil
}

// ping measures the way to the exchange: by ICMP where this process may send it and the
// exchange answers it, else by how long a TCP connection takes, and it says which.
func (c Config) ping(ctx context.Context, tries int) (string, error) {
	if tries < 1 {
		return "", fmt.Errorf("ping: %d tries", tries)
	}
	said := ""
	to, err := ipv4(ctx, c.name())
	if err == nil {
		var took []time.Duration
		if took, err = echo(ctx, to, tries, c.Within); len(took) > 0 {
			return "ICMP to " + to.String() + ": " + summary(took, tries), nil
		}
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("ping: %w", ctx.Err())
	}
	said = "no answer to ICMP"
	if err != nil {
		said += " (" + err.Error() + ")"
	}
	var took []time.Duration
	var last error
	for range tries {
		d, err := c.connect(ctx)
		if err != nil {
			if last = err; ctx.Err() != nil {
				break
			}
			continue
		}
		took = append(took, d)
	}
	if len(took) == 0 {
		return said + "\n", fmt.Errorf("ping: no connection to %s: %w", c.Exchange, last)
	}
	text := said + "; TCP connections to " + c.Exchange + ": " + summary(took, tries)
	if last != nil {
		text += "the last that failed: " + last.Error() + "\n"
	}
	return text, nil
}

func (c Config) connect(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: c.Within}).DialContext(ctx, "tcp", c.Exchange)
	if err != nil {
		return 0, err
	}
	took = time.Since(began)
	return took, conn.Close()
}

func summary(took []time.Duration, tries int) string {
	slices.Sort(took)
	var all time.Duration
	for _, d := range took {
		all += d
	}
	return fmt.Sprintf("%d of %d answered, min/avg/max %v/%v/%v\n", len(took), tries,
		took[0].Round(time.Microsecond), (all / time.Duration(len(took))).Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
}

var errNoIPv4 = errors.New("it has no IPv4 address")

func ipv4(ctx context.Context, name string) (*net.IPAddr, error) {
	all, err := net.DefaultResolver.LookupIPAddr(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.IP.To4() != nil {
			return &a, nil
		}
	}
	return nil, errNoIPv4
}

// route follows the way to the exchange, hop by hop. It always says by which device the
// way begins; the hops, where they are not seen to their end, are an error.
func (c Config) route(ctx context.Context) (string, error) {
	from, to, err := c.wayOut(ctx)
	if err != nil {
		return "", fmt.Errorf("route: %w", err)
	}
	device := route.Device(from.String())
	if device == "" {
		device = "a device that is not known"
	}
	out := fmt.Sprintf("to %s from %s by %s\n", to, from, device)
	hop := 0
	ended, err := route.Follow(ctx, to, c.Within, func(from netip.Addr, took time.Duration) {
		hop++
		if !from.IsValid() {
			out += fmt.Sprintf("%2d  *\n", hop)
			return
		}
		out += fmt.Sprintf("%2d  %s  %v\n", hop, from, took.Round(time.Microsecond))
	})
	if err == nil && ended != "" {
		err = errors.New(ended)
	}
	if err != nil {
		return out, fmt.Errorf("route: the hops to %s are not known to their end: %w", to, err)
	}
	return out, nil
}

// wayOut says from which address of this machine the exchange is reached at which. A UDP
// socket that is connected sends nothing.
func (c Config) wayOut(ctx context.Context) (from, to netip.Addr, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", c.Exchange)
	if err != nil {
		return from, to, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	near, here := conn.LocalAddr().(*net.UDPAddr)
	far, there := conn.RemoteAddr().(*net.UDPAddr)
	if !here || !there {
		return from, to, fmt.Errorf("the way to %s is not one of addresses", c.Exchange)
	}
	return near.AddrPort().Addr().Unmap(), far.AddrPort().Addr().Unmap(), nil
}
